"""Older module paths: each gives the module that it became, with one line that names it."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import rlkit
from rlkit.moved import MOVED


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_older_path_is_the_module_that_it_became(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(FutureWarning, match=f"{old} is now {MOVED[old]}; import it from there"):
        assert importlib.import_module(old) is importlib.import_module(MOVED[old])


def test_names_are_imported_from_an_older_path_and_the_notice_is_one_line() -> None:
    script = "import rlkit; from rlkit.rewards.answers import extract_choice; print(extract_choice('B'))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["B"]
    assert ran.stderr.count("is now rlkit.verifiers;") == 1


def test_a_module_that_never_was_is_no_module() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("rlkit.rewards.nonsense")
    assert rlkit.__version__
