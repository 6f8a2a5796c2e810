"""When overfitting counts as begun: held-out rows surely dearer, at two looks in a row, and learnt rows cheaper."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rlkit.trainers.sft.watching import OverfittingWatch
from tests.trainers.sft.rows import encode, list_rows

HELD = np.linspace(0.4, 0.6, 8)


def watch(looks, capsys):
    """Return after which look it is said; a look is what held-out rows cost more, and what learnt rows cost."""
    rows = encode(list_rows(16))
    watching, said = OverfittingWatch(rows[:8], rows[8:], seed=0), []
    for rise, learnt in looks:
        nlls = torch.tensor([*[learnt] * 8, *(HELD + np.broadcast_to(rise, 8))])
        watching.trainer = SimpleNamespace(mean_nlls=lambda _, nlls=nlls: nlls)
        watching._look(len(said))
        said.append("Overfitting has begun" in capsys.readouterr().err)
    return [at for at, each in enumerate(said) if each]


NOISE = np.array([0.3, -0.25, 0.2, -0.2, 0.25, -0.2, 0.2, -0.2])


@pytest.mark.parametrize(
    ("looks", "when"),
    [
        ([(0, 1.0), (0.1, 0.9), (0.2, 0.8), (0.3, 0.7)], [2]),
        ([(0, 1.0), (0.1, 0.9), (-0.1, 0.8), (0.0, 0.7), (0.1, 0.6)], [4]),
        ([(0, 1.0), (0.1, 1.1), (0.2, 1.2), (0.3, 1.3)], []),
        ([(0, 1.0), (NOISE, 0.9), (NOISE, 0.8), (NOISE, 0.7)], []),
        ([(0, 1.0), (-0.1, 0.9), (-0.2, 0.8)], []),
    ],
    ids=["rises", "rises after it fell", "learnt rows rise too", "within noise", "falls"],
)
def test_it_is_said_once_and_when(looks, when, capsys):
    assert watch(looks, capsys) == when
