"""Sections of probe.json from made-up token values, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.evaluation.probing.divergence_cells import divergence_section
from rlkit.evaluation.probing.token_cells import Scored, branching_section, entropy_section, top_k_section


def sample(correct: bool | None = True, **values: list[float]) -> Scored:
    return {"correct": correct}, {name: np.array(value, dtype=np.float32) for name, value in values.items()}


GROUPS = [
    [sample(True, entropies=[1.5, 0.5, 0.1]), sample(False, entropies=[0.8])],
    [sample(None, entropies=[2.0, 0.0])],
    [],
]


def test_entropy_by_token_by_sequence_and_by_grade() -> None:
    found = entropy_section(GROUPS, vocab_size=50)
    assert (found["num_defined"], found["num_total"]) == (2, 3)
    assert found["value"] == pytest.approx((2.9 / 4 + 1.0) / 2)
    assert found["sequence_mean"]["value"] == pytest.approx(((0.7 + 0.8) / 2 + 1.0) / 2)
    assert found["correct"]["value"] == pytest.approx(0.7)
    assert found["wrong"]["value"] == pytest.approx(0.8)
    assert found["correct"]["num_defined"] == 1
    assert found["forking_share"]["value"] == pytest.approx((0.25 + 0.5) / 2)
    assert found["quantiles"]["0.5"] == pytest.approx(0.65)
    assert [bucket["num_tokens"] for bucket in found["by_position"]] == [3, 3]
    assert found["by_position"][0] == {"first": 1, "last": 1, "value": pytest.approx(4.3 / 3), "num_tokens": 3}


def test_nothing_scored_is_undefined_and_not_zero() -> None:
    found = entropy_section([[], []], vocab_size=50)
    assert found["value"] is None
    assert found["forking_share"]["value"] is None
    assert found["quantiles"]["0.95"] is None
    branching = branching_section([[], []], vocab_size=50)
    assert (branching["value"], branching["low"], branching["curve"]) == (None, None, [])
    assert divergence_section([[]], "none")["largest_log_ratio"] is None


def test_branching_averages_logs_over_prompts() -> None:
    groups = [[sample(entropies=[math.log(2)] * 3, logps=[-1.0] * 3)], [sample(entropies=[math.log(8)], logps=[-1.0])]]
    found = branching_section(groups, vocab_size=10)
    assert found["value"] == pytest.approx(4.0, rel=1e-6)
    assert found["high"] <= 10.0 + 1e-9
    assert [point["num_prompts"] for point in found["curve"]] == [2, 1, 1]
    assert [point["value"] for point in found["curve"]] == pytest.approx([4.0, 2.0, 2.0], rel=1e-6)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    values = [0.5] * 5000
    curve = branching_section([[sample(entropies=values, logps=values)]], vocab_size=10)["curve"]
    positions = [point["position"] for point in curve]
    assert positions[:3] == [1, 2, 3]
    assert positions[-1] == 5000
    assert len(positions) <= 200


def test_top_k_in_nats_and_bits() -> None:
    value = {"top_mass": [0.9, 0.7], "top_entropies": [0.6, 0.2], "top_entropies_renormalised": [0.5, 0.3]}
    found = top_k_section([[sample(True, **value)]], k=10)
    assert found["mass"]["value"] == pytest.approx(0.8)
    assert found["entropy_nats"]["value"] == pytest.approx(0.4)
    assert found["entropy_bits"]["value"] == pytest.approx(0.4 / math.log(2))
    assert found["entropy_renormalised_bits"]["value"] == pytest.approx(0.4 / math.log(2))
    assert found["correct"]["mass"] == found["mass"]


def test_divergence_by_token_and_by_sequence() -> None:
    long = sample(True, kl=[0.1, 0.3], logps=[-1.0, -2.0], other_logps=[-1.5, -1.0])
    short = sample(False, kl=[0.8], logps=[-1.0], other_logps=[-1.0])
    found = divergence_section([[long, short], [sample(None, kl=[math.inf], logps=[-1.0], other_logps=[-9.0])]], "x")
    assert found["per_token"]["value"] == pytest.approx(0.4)
    assert found["per_sequence"]["value"] == pytest.approx(0.6)
    assert found["per_token"]["num_defined"] == 1
    assert found["k1"]["value"] == pytest.approx(((0.5 - 1.0 + 0.0) / 3 + 8.0) / 2)
    assert found["largest_log_ratio"] == 8.0
    assert found["accuracy"]["value"] == 0.5
    assert found["num_samples"] == 3
