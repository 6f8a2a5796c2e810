"""Who speaks, and where."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = "from rlkit.terminal import note; note('[bold]done[/bold]' + ' long' * 40)"


@pytest.mark.parametrize(("rank", "spoken"), [("0", 1), ("1", 0)])
def test_only_the_first_process_speaks_and_only_on_standard_error(monkeypatch, rank, spoken):
    monkeypatch.setenv("RANK", rank)
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    # One line however long, brackets as they are: paths and lists are no markup.
    assert done.stderr.splitlines() == ["[bold]done[/bold]" + " long" * 40] * spoken


def test_texts_of_models_cannot_draw_on_the_terminal(capsys):
    from rlkit.terminal import say, show_controls

    say("\x1b]0;title\x07 a\x9b2J\u202eb\u200bc\ud800\r\né\tπ 中")
    assert capsys.readouterr().out == "\\x1b]0;title\\x07 a\\x9b2J\\u202eb\\u200bc\\ud800\\r\né\tπ 中\n"
    assert show_controls("plain text") == "plain text"


def test_a_sentence_of_an_error_is_shown_as_it_is(tmp_path, capsys):
    from rlkit.cli import main

    assert main(["compare", str(tmp_path / "a\x1b[31m"), str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "a\\x1b[31m" in said
