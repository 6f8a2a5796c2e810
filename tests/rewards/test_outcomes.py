"""What a plug-in returned becomes one of four outcomes, and no fault becomes a score."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
import torch

from rlkit.errors import RewardError
from rlkit.rewards.outcomes import Outcome, count_outcomes, judge_batch, judge_value


@pytest.mark.parametrize(
    ("value", "score"),
    [(True, 1.0), (0, 0.0), (-2.5, -2.5), (np.float32(0.5), 0.5), (np.bool_(True), 1.0), (torch.tensor(3), 3.0)],
)
def test_finite_numbers_are_scores(value, score):
    assert judge_value(value, "mine") == Outcome.ok(score)
    assert type(judge_value(value, "mine").value) is float


def test_none_abstains():
    assert judge_value(None, "mine") == Outcome("abstain")


@pytest.mark.parametrize(
    "value",
    [float("inf"), np.float64("-inf"), "1.0", b"1", [1.0], {}, object(), 10**400, 1j, torch.ones(2)],
)
def test_what_is_no_score_is_an_error_that_names_it(value):
    outcome = judge_value(value, "mine")
    assert (outcome.status, outcome.value) == ("error", None)
    assert outcome.reason.startswith("The reward mine returned ")


def test_nan_is_not_scored_as_in_trl_and_is_named():
    for value in (float("nan"), np.float32("nan"), torch.tensor(float("nan"))):
        outcome = judge_value(value, "mine")
        assert (outcome.status, outcome.value) == ("abstain", None)
        assert outcome.reason == "The reward mine returned nan, which counts as not scored; return None."
    assert judge_value(Decimal("NaN"), "mine").status == "error"


@pytest.mark.parametrize("values", [[1.0], [1.0] * 3, None, 1.0, "ab", {0: 1.0, 1: 2.0}, {1.0, 2.0}, torch.tensor(1.0)])
def test_a_batch_of_another_length_or_kind_is_an_error_of_every_row(values):
    outcomes = judge_batch(values, 2, "mine")
    assert [outcome.status for outcome in outcomes] == ["error", "error"]
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "values", [[1.0, 0.0], (1, 0), np.array([1, 0]), torch.tensor([1.0, 0.0]), iter([True, False])]
)
def test_rows_come_from_any_sequence(values):
    assert [outcome.value for outcome in judge_batch(values, 2, "mine")] == [1.0, 0.0]


def test_rows_are_judged_one_by_one():
    outcomes = judge_batch([1.0, None, float("nan")], 3, "mine")
    assert [outcome.value for outcome in outcomes] == [1.0, None, None]
    assert count_outcomes(outcomes) == {"ok": 1, "abstain": 2, "error": 0, "timeout": 0}


@pytest.mark.parametrize(
    "fields", [("ok", None), ("ok", float("nan")), ("error", 0.0), ("timeout", 1.0), ("abstain", 0.0), ("fine", 1.0)]
)
def test_an_outcome_without_score_can_hold_none(fields):
    with pytest.raises(RewardError, match=r"An outcome"):
        Outcome(*fields)
