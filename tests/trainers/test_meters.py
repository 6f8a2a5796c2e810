"""Means are over tokens of all passes, extremes over known values, and nothing is recorded of nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from rlkit.trainers.meters import Meters


class Recorder:
    """Stands in for a trainer on one rank."""

    def __init__(self):
        self.recorded = {}
        self.accelerator = SimpleNamespace(reduce=lambda value, reduction: value, gather=lambda value: value)

    def record(self, name, value):
        self.recorded[name] = value


def test_a_mean_counts_each_token_once_whatever_the_cut():
    meters, recorder = Meters(), Recorder()
    meters.add("x", torch.tensor([[1.0, 5.0, float("nan")]]), torch.tensor([[1, 1, 0]]))
    meters.add("x", torch.tensor([[9.0], [0.0]]), torch.tensor([[1], [0]]))
    assert meters.flush(recorder) == {"x": pytest.approx(5.0)}
    assert recorder.recorded == {"x": pytest.approx(5.0)}


def test_one_value_a_completion_counts_once_where_it_has_tokens():
    meters = Meters()
    meters.add("x", torch.tensor([[2.0], [100.0], [4.0]]), torch.tensor([[1, 1], [0, 0], [1, 0]]))
    assert meters.flush(Recorder())["x"] == pytest.approx(3.0)


def test_extremes_leave_out_what_is_unknown():
    meters, recorder = Meters(), Recorder()
    meters.add("x", torch.ones(1, 1), torch.ones(1, 1))
    meters.add_low("low", torch.tensor([3.0, float("nan")]))
    meters.add_low("low", torch.tensor([2.0]))
    meters.add_high("high", torch.tensor([3.0, 7.0]))
    meters.add_high("none", torch.tensor([]))
    meters.flush(recorder)
    assert (recorder.recorded["low"], recorder.recorded["high"]) == (2.0, 7.0)
    assert recorder.recorded["none"] != recorder.recorded["none"]


def test_nothing_measured_nothing_recorded():
    recorder = Recorder()
    assert Meters().flush(recorder) == {}
    assert recorder.recorded == {}


def test_a_mean_over_no_token_is_unknown_not_zero():
    meters = Meters()
    meters.add("kl", torch.tensor([[2.0, 3.0]]), torch.tensor([[0, 0]]))
    assert math.isnan(meters.flush(Recorder())["kl"])
