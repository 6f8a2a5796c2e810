"""The command line as a whole: one sentence a mistake, clean streams, quick help."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys

import pytest

from rlkit import __version__
from rlkit.cli import COMMANDS, build_parser, main, recipes


def run_cli(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "rlkit", *words], capture_output=True, text=True, timeout=100, **options
    )


def test_help_names_every_verb():
    done = run_cli("--help")
    assert done.returncode == 0
    assert all(f"\n    {command} " in done.stdout for command in COMMANDS)


def test_version_and_no_words_at_all(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"rlkit {__version__}\n"
    assert main([]) == 0
    assert "usage: rlkit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train"], "required: RECIPE"),
        (["train", "countdown/grpo", "--sett", "x"], "--sett x"),
        (["recipes", "copy", "countdown/grpo"], "required: FILE"),
        (["recipes", "destroy"], "invalid choice"),
    ],
)
def test_words_that_make_no_sense_get_one_sentence(capsys, words, said):
    assert main(words) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("rlkit: ")
    assert said in streams.err
    assert streams.err.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (KeyboardInterrupt(), "rlkit: interrupted; the same command goes on from what is already done.\n"),
        (KeyboardInterrupt("half is done."), "rlkit: half is done.\n"),
    ],
)
def test_an_interrupt_says_how_to_go_on(capsys, monkeypatch, raised, said):
    def interrupt(args):
        raise raised

    monkeypatch.setattr(recipes, "run_list", interrupt)
    assert main(["recipes", "list"]) == 130
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(unbuffered):
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m rlkit recipes list | true",
        shell=True,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stderr == ""


def test_every_process_of_a_machine_finds_the_mistake_but_one_says_it(capsys, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert main(["train", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.side_by_side
def test_an_extra_that_is_not_installed_is_named():
    blocked = "import sys; sys.modules['datasets'] = None; from rlkit.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["recipes", "validate", "countdown/grpo"]
    done = subprocess.run([sys.executable, "-c", blocked, *words], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr.startswith("rlkit: This needs datasets, which is not installed; run make setup")


def test_an_output_that_cannot_be_made_is_said_in_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["train", "countdown/grpo", "--set", f"output={tmp_path}/file/run"]) == 2
    words = capsys.readouterr().err.strip().splitlines()
    assert len(words) == 1
    assert "Not a directory" in words[0]


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [parser, *(found for action in inner for child in action.choices.values() for found in _parsers(child))]


def test_every_help_has_an_example():
    parsers = _parsers(build_parser())
    assert len(parsers) > 10
    missing = [parser.prog for parser in parsers if f"{parser.prog} " not in f"{parser.description} {parser.epilog} "]
    assert not missing
