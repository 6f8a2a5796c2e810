"""What a reward changes in the trainer's process is put back and told once; a copy that it forks off is ended."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.plugins import load_target
from rlkit.rewards import bind_reward
from rlkit.rewards.engine import RewardEngine

FILE = Path(__file__).with_name("meddling.py")
ROOT = Path(__file__).resolve().parent.parent.parent


def score(name, completions=("a", "b")):
    with RewardEngine([bind_reward(f"{FILE}:{name}")]) as engine:
        return [
            outcome.value for outcome in engine.score(list(completions), ["p"] * len(completions), {})[0]
        ], engine.score(list(completions), ["p"] * len(completions), {})[0]


def _seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


SETTINGS = {
    "moves": os.getcwd,
    "sets_environment": lambda: dict(os.environ),
    "redirects": lambda: (sys.stdin, sys.stdout, sys.stderr),
    "adds_to_path": lambda: list(sys.path),
    "limits_recursion": sys.getrecursionlimit,
    "handles_interrupts": lambda: signal.getsignal(signal.SIGINT),
    "leaves_an_alarm": lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 5000,
    "stops_gradients": torch.is_grad_enabled,
    "changes_type": torch.get_default_dtype,
    "takes_threads": torch.get_num_threads,
    "raises_on_overflow": np.geterr,
}


@pytest.mark.parametrize("name", [*SETTINGS])
def test_settings_are_put_back_and_told_once(name, capfd):
    before = SETTINGS[name]()
    values, again = score(name)
    assert SETTINGS[name]() == before
    assert values == [1.0, 1.0]
    assert [outcome.status for outcome in again] == ["ok", "ok"]
    said = capfd.readouterr().err
    assert said.count(f"The reward {name} changes") == 1, said


@pytest.mark.parametrize("name", ["seeds", "seeds_and_raises", "seeds_while_awaited"])
def test_seeds_of_a_reward_are_its_own(name, capfd):
    def draw():
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    _seed_all(7)
    expected = [draw(), draw()]
    _seed_all(7)
    seen = [draw()]
    score(name)
    seen.append(draw())
    assert seen == expected
    assert f"The reward {name} changes random numbers" in capfd.readouterr().err


def test_random_numbers_of_a_reward_differ_by_batch_and_come_again_in_a_run_that_is_continued():
    def batches():
        random.seed(3)
        torch.manual_seed(3)
        with RewardEngine([bind_reward(f"{FILE}:draws")]) as engine:
            return [
                tuple(outcome.value for outcome in engine.score(texts, ["p"] * 2, {})[0])
                for texts in (["a", "b"], ["c", "d"], ["a", "b"])
            ]

    first, second, third = batches()
    assert first != second
    assert first == third
    assert batches() == [first, second, third]


def test_what_nobody_changes_is_not_told(capfd):
    score("harmless")
    assert "changes" not in capfd.readouterr().err


FORKING = """
import os, sys
from rlkit.rewards import bind_reward
from rlkit.rewards.engine import RewardEngine
with RewardEngine([bind_reward({file!r} + ":" + {name!r})]) as engine:
    outcomes = engine.score(["a"], ["p"], {{}})[0]
os.write(1, f"back {{outcomes[0].status}}\\n".encode())
"""


@pytest.mark.parametrize(
    ("name", "status"), [("forks", "ok"), ("forks_and_raises", "error"), ("forks_while_awaited", "ok")]
)
def test_a_copy_that_comes_back_from_a_reward_is_ended(name, status):
    ran = subprocess.run(
        [sys.executable, "-c", FORKING.format(file=str(FILE), name=name)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert ran.stdout == f"back {status}\n", ran.stderr
    assert f"The reward {name} forked, and the copy came back" in ran.stderr


def test_errors_without_words_cost_their_row_only():
    with RewardEngine([bind_reward(f"{FILE}:raises_the_unspeakable")]) as engine:
        outcomes = engine.score(["raise", "b"], ["p"] * 2, {})[0]
    assert [outcome.status for outcome in outcomes] == ["error", "ok"]
    assert outcomes[0].reason == "The reward raises_the_unspeakable: Unspeakable"


def test_values_that_do_not_end_are_errors():
    with RewardEngine([bind_reward(f"{FILE}:never_ends")]) as engine:
        outcomes = engine.score(["a", "b"], ["p"] * 2, {})[0]
    assert [outcome.status for outcome in outcomes] == ["error"] * 2
    assert "returned 3 scores for 2" in outcomes[0].reason
    assert load_target(f"{FILE}:never_ends", "test") is not None
