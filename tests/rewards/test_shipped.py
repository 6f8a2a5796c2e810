"""Every shipped reward plug-in keeps the cases it ships with."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkit.plugins import load_target
from rlkit.rewards import as_batch_reward, resolve_reward
from rlkit.shipped import shipped_dir

NAMED = {"answer_format.py": "has_one_answer"}


def test_every_plugin_is_tested_here():
    assert {path.name for path in shipped_dir("rewards").glob("*.py")} == set(NAMED)


@pytest.mark.parametrize("file", NAMED)
def test_cases_hold_for_text_and_for_chat(file):
    path = shipped_dir("rewards") / file
    score = as_batch_reward(resolve_reward(f"{path}:{NAMED[file]}"))
    texts, expected = zip(*load_target(f"{path}:CASES", "cases"), strict=True)
    assert len(set(expected)) > 1
    assert score(list(texts), prompts=["p"] * len(texts)) == list(expected)
    chat = [[{"role": "assistant", "content": text}] for text in texts]
    assert score(chat, prompts=["p"] * len(texts)) == list(expected)


def test_plugins_fit_on_one_screen():
    for file in NAMED:
        assert len(Path(shipped_dir("rewards") / file).read_text().splitlines()) <= 50
