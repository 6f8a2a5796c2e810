"""`rlkit rewards`: list, show, check, new; by name, from files, and from a package that is really installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.rewards import REWARDS

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_reward_is_listed_in_a_line(capsys):
    assert main(["rewards", "list"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "form", "role", "isolation"]
    cells = {row.split()[0]: row.split(maxsplit=4)[1:] for row in rows}
    assert {*REWARDS.builtins} <= {*cells}
    assert cells["overlong"][:3] == ["completion", "penalty", "inline"]
    assert cells["cosine_length"][:2] == ["group", "modifier"]
    assert all(len(row) == 4 for row in cells.values())


def test_a_reward_is_shown_with_parameters_cases_and_its_file(capsys):
    assert main(["rewards", "show", "overlong"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("overlong: completion, penalty, inline\n")
    assert f"{ROOT / 'rewards' / 'overlong.py'}\n" in out
    assert "arXiv 2503.14476" in out
    assert "    max_length = 20480\n    margin = 4096\n" in out
    assert "-> -0.5\n" in out


def test_a_reward_that_is_imported_into_its_file_is_shown_from_there(capsys):
    assert main(["rewards", "show", "countdown"]) == 0
    out = capsys.readouterr().out
    assert f"{ROOT / 'rewards' / 'countdown.py'}\n" in out
    assert "Parameters\n    thinking_tag = 'think'\n" in out
    assert "-> [1.0]" in out


def test_new_writes_a_reward_that_passes_and_its_test_and_never_overwrites(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "my rewards"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["rewards", "new", "brevity"]) == 0
    assert "Wrote brevity.py.\nWrote test_brevity.py.\n" in capsys.readouterr().out
    assert main(["rewards", "check", str(folder / "brevity.py")]) == 0
    assert main(["rewards", "check", f"{folder / 'brevity.py'}:brevity"]) == 0
    assert capsys.readouterr().out.count("Every check passed.") == 2
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_brevity.py"]
    ran = subprocess.run(test, cwd=folder, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    before = (folder / "brevity.py").read_text()
    (folder / "test_other.py").write_text("mine")
    for name in ("brevity", "other"):
        assert main(["rewards", "new", name]) == 2
        assert "exists already" in capsys.readouterr().err
    assert (folder / "brevity.py").read_text() == before
    assert not (folder / "other.py").exists()


def test_a_reward_that_fails_a_check_gives_one_and_says_how_to_mend(tmp_path, capsys):
    file = tmp_path / "first letter.py"
    file.write_text("CASES = [('yes', 1.0), ('no', 0.0)]\ndef fn(completions, **columns):\n")
    with file.open("a") as lines:
        lines.write("    return [float(text[0] == 'y') for text in completions]\n")
    assert main(["rewards", "check", str(file)]) == 1
    out = capsys.readouterr().out
    assert "  failed  empty " in out
    assert "IndexError" in out
    assert "\nFailed: chat, empty" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "gone.py"], "does not exist"),
        (["check", "overlng"], "Did you mean 'overlong'?"),
        (["check", "{name: overlong, longest: 3}"], "no parameter 'longest'"),
        (["new", "not-a-name"], "cannot be the name of a function"),
        (["show", "two.py"], "two.py has 2 rewards (one, other); write two.py:fn."),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    forms = "def one(completions): ...\ndef other(completions): ...\n"
    Path("two.py").write_text(forms)
    assert main(["rewards", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a package with an entry point, as its users do, and return the folder."""
    folder = tmp_path_factory.mktemp("site packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    package = ROOT / "tests" / "data" / "reward_package"
    subprocess.run([*pip, "--target", folder, package], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return folder


def run_rlkit(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(installed)])}
    command = [sys.executable, "-m", "rlkit", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=installed)


def test_rewards_of_an_installed_package_are_found_by_name(installed):
    listed = run_rlkit(installed, "rewards", "list")
    (row,) = [line for line in listed.stdout.splitlines() if line.startswith("shouting")]
    assert row.split(maxsplit=4)[1:] == [
        "completion",
        "base",
        "inline",
        "The share of a completion's letters that shout.",
    ]
    shown = run_rlkit(installed, "rewards", "show", "{name: shouting, above: 0.5}")
    assert "    above = 0.0\n" in shown.stdout
    assert str(installed / "rewards_from_afar" / "loudness.py") in shown.stdout
    checked = run_rlkit(installed, "rewards", "check", "shouting")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert run_rlkit(installed, "rewards", "check", "shoutin").stderr.count("Did you mean 'shouting'?") == 1


def test_a_package_that_does_not_load_does_not_hide_the_others(installed):
    (installed / "rewards_from_afar" / "loudness.py").rename(installed / "rewards_from_afar" / "gone.py")
    try:
        listed = run_rlkit(installed, "rewards", "list")
    finally:
        (installed / "rewards_from_afar" / "gone.py").rename(installed / "rewards_from_afar" / "loudness.py")
    assert listed.returncode == 0
    assert "cannot be used: The reward 'shouting'" in listed.stdout
    assert "\noverlong" in listed.stdout
