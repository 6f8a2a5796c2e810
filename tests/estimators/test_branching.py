"""The branching factor against a slow twin, closed forms and its range; what a log-prob that is not a number does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators.branching import prompt_branching


def slow_log_factor(entropies: list[list[float]], logps: list[list[float]], position: int, limit: int) -> float:
    """Return the log factor of the prefix of `position + 1` tokens, one token at a time."""
    if position + 1 > limit:
        alive = [logp[: position + 1] for logp in logps if len(logp) > position]
        return -sum(sum(logp) / len(logp) for logp in alive) / len(alive)
    steps = []
    for at in range(position + 1):
        alive_values = [entropy[at] for entropy in entropies if len(entropy) > at]
        steps.append(sum(alive_values) / len(alive_values))
    return sum(steps) / len(steps)


def test_golden_log_factors() -> None:
    # The log-probs behind the golden number are not recorded; 0.525 nats a token is what it is the exp of.
    surprisal = prompt_branching([[1.0, 0.5]], [[-0.9, -0.15]], asymptotic_limit=1)
    assert math.exp(surprisal.log_factor) == pytest.approx(1.6904588484, abs=1e-9)


def test_two_short_samples_by_hand() -> None:
    found = prompt_branching([[1.0, 0.5, 0.1], [0.8, 0.2]], min_alive=1)
    np.testing.assert_allclose(found.local_T, [0.9, 0.35, 0.1])
    np.testing.assert_allclose(found.prefix_T, [0.9, 0.625, 0.45])
    assert found.num_alive_T.tolist() == [2, 2, 1]
    # With two samples altogether, both must be alive by default.
    assert prompt_branching([[1.0, 0.5, 0.1], [0.8, 0.2]]).log_factor == pytest.approx(0.625)


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_it_equals_the_slow_twin_on_both_sides_of_the_limit(limit: int) -> None:
    rng = np.random.default_rng(limit)
    lengths = [3, 12, 12, 13, 14, 20, 60]
    entropies = [rng.random(length).tolist() for length in lengths]
    logps = [(-rng.random(length)).tolist() for length in lengths]
    found = prompt_branching(entropies, logps, asymptotic_limit=limit)
    assert len(found.prefix_T) == 13  # the fourth longest sample
    for position, value in enumerate(found.prefix_T):
        assert value == pytest.approx(slow_log_factor(entropies, logps, position, limit))


def test_uniform_logits_branch_into_the_whole_vocabulary_and_certain_ones_into_one() -> None:
    assert math.exp(prompt_branching([np.full(5, math.log(7))]).log_factor) == pytest.approx(7.0)
    assert prompt_branching([[0.0, 0.0]]).log_factor == 0.0


def test_samples_that_are_not_finite_are_dropped_and_counted() -> None:
    entropies, logps = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], [[-1.0, -1.0], [-1.0, math.nan], [-math.inf, -1.0]]
    found = prompt_branching(entropies, logps)
    assert found.num_dropped == 2
    assert found.log_factor == 1.0
    nothing = prompt_branching([[math.nan]], [[-1.0]])
    assert nothing.num_dropped == 1
    assert math.isnan(nothing.log_factor)


def test_shapes_must_agree() -> None:
    with pytest.raises(ConfigError, match="same shapes"):
        prompt_branching([[1.0, 2.0]], [[-1.0]])
