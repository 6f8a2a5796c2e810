"""Means are over tokens of all passes, extremes over known values, and nothing is recorded of nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from rlkit.trainers.statistics import Statistics

ALONE = SimpleNamespace(reduce=lambda value, reduction: value, gather=lambda value: value)
"""The accelerator of one rank."""


def test_a_mean_counts_each_token_once_whatever_the_cut():
    statistics = Statistics()
    statistics.add("x", torch.tensor([[1.0, 5.0, float("nan")]]), torch.tensor([[1, 1, 0]]))
    statistics.add("x", torch.tensor([[9.0], [0.0]]), torch.tensor([[1], [0]]))
    assert statistics.reduce(ALONE) == {"x": pytest.approx(5.0)}


def test_one_value_a_completion_counts_once_where_it_has_tokens():
    statistics = Statistics()
    statistics.add("x", torch.tensor([[2.0], [100.0], [4.0]]), torch.tensor([[1, 1], [0, 0], [1, 0]]))
    assert statistics.reduce(ALONE)["x"] == pytest.approx(3.0)


def test_extremes_leave_out_what_is_unknown():
    statistics = Statistics()
    statistics.add("x", torch.ones(1, 1), torch.ones(1, 1))
    statistics.add_low("low", torch.tensor([3.0, float("nan")]))
    statistics.add_low("low", torch.tensor([2.0]))
    statistics.add_high("high", torch.tensor([3.0, 7.0]))
    statistics.add_high("none", torch.tensor([]))
    found = statistics.reduce(ALONE)
    assert (found["low"], found["high"]) == (2.0, 7.0)
    assert math.isnan(found["none"])


def test_nothing_measured_nothing_recorded():
    assert Statistics().reduce(ALONE) == {}


def test_passes_put_together_are_as_one():
    whole, first, second = Statistics(), Statistics(), Statistics()
    for part, parts_of in ((first, (first, whole)), (second, (second, whole))):
        for statistics in parts_of:
            value = 1.0 if part is first else 4.0
            statistics.add("x", torch.full((2, 3), value), torch.tensor([[1, 1, 0], [1, 0, 0]]))
            statistics.add_low("low", torch.tensor([value]))
            statistics.add_high("high", torch.tensor([value]))
            statistics.add_sum("loss/critic", torch.tensor(value))
    first.merge(second)
    assert first.reduce(ALONE) == whole.reduce(ALONE) == {"x": 2.5, "low": 1.0, "high": 4.0}
    assert first.sum_of("loss/critic") == 5.0
    assert first.names_of_sums("loss/") == ["loss/critic"]


def test_a_mean_over_no_token_is_unknown_not_zero():
    statistics = Statistics()
    statistics.add("kl", torch.tensor([[2.0, 3.0]]), torch.tensor([[0, 0]]))
    assert math.isnan(statistics.reduce(ALONE)["kl"])
