"""Bonuses on final answers: worked numbers, a slow twin, and what they add up to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.counts import AnswerCounts
from rlkit.advantages.outcomes import AddOutcomeBonus
from rlkit.errors import ConfigError, MissingInputError

ANSWERS = [7, 7, 7, 3, 4, 7]
COUNTS = [10, 10, 10, 3, 0, 10]
REWARDS = [1.0, 1, 1, 0, 0, 1]
ADVANTAGES = [0.645496, 0.645496, 0.645496, -1.290992, -1.290992, 0.645496]


def context(answers, counts=None):
    counts_PG = None if counts is None else np.array([counts], dtype=float)
    return GroupContext(answers_PG=np.array([answers]), answer_counts_PG=counts_PG)


def bonus(answers, counts=None, values=None, coef=1.0, **params):
    values_PG = np.zeros((1, len(answers))) if values is None else np.array([values], dtype=float)
    return AddOutcomeBonus(coef=coef, **params)(values_PG, context(answers, counts))[0]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"kind": "ucb"}, [0.316228, 0.316228, 0.316228, 0.577350, 1, 0.316228]),
        ({"kind": "ucb", "count": "after"}, [0.267261, 0.267261, 0.267261, 0.5, 1, 0.267261]),
        ({"kind": "ucb_mean", "count": "after"}, [-0.160913, -0.160913, -0.160913, 0.071826, 0.571826, -0.160913]),
        ({"kind": "ucb_con", "count": "after"}, [-0.232739, -0.232739, -0.232739, 0, 0.5, -0.232739]),
        ({"kind": "ucb_con", "count": "after", "offset": 1}, [-0.732739, -0.732739, -0.732739, -0.5, 0, -0.732739]),
        ({"kind": "batch"}, [-0.5, -0.5, -0.5, 0, 0, -0.5]),
    ],
    ids=str,
)
def test_worked_bonuses(params, expected):
    np.testing.assert_allclose(bonus(ANSWERS, COUNTS, **params), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"name": "outcome_ucb", "coef": 0}, ADVANTAGES),
        ({"name": "outcome_ucb", "count": "after"}, [0.598948, 0.598948, 0.598948, -1.290992, -1.190992, 0.598948]),
        ({"name": "outcome_batch"}, [0.545496, 0.545496, 0.545496, -1.290992, -1.290992, 0.545496]),
    ],
    ids=str,
)
def test_worked_advantages(spec, expected):
    algorithm = resolve({**spec, "eps": 1e-6})
    np.testing.assert_allclose(algorithm(np.array([REWARDS]), context(ANSWERS, COUNTS))[0], expected, atol=1e-5)


def test_an_offset_of_one_half_taxes_what_was_given_more_than_four_times():
    result = bonus([0, 1, 2], [3, 4, 5])
    assert result[0] > 0
    assert result[1] == pytest.approx(0, abs=1e-15)
    assert result[2] < 0


def test_groups_without_reward_variance_learn_from_the_bonus_alone():
    result = resolve("outcome_batch")(np.zeros((1, 3)), context([0, 0, 1]))
    np.testing.assert_allclose(result[0], [-0.2 / 3, -0.2 / 3, 0], atol=1e-12)


def test_without_an_answer_there_is_no_bonus_and_no_part_in_the_mean():
    counts = [3, 0, math.nan, math.nan]
    for kind in ("ucb", "ucb_mean", "ucb_con"):
        result = bonus([0, 1, -1, -1], counts, [5.0] * 4, kind=kind)
        assert result[2:].tolist() == [5.0, 5.0]
        np.testing.assert_allclose(result[:2], bonus([0, 1], counts[:2], [5.0] * 2, kind=kind))
    # A table that keeps a count for missing answers changes nothing for those who skip them.
    kept = bonus([0, 1, -1], [3, 0, 14], kind="ucb_mean")
    np.testing.assert_allclose(kept, [*bonus([0, 1], [3, 0], kind="ucb_mean"), 0])
    assert bonus([0, 0, -1, -1], kind="batch").tolist() == [-0.25, -0.25, 0, 0]


def test_in_a_bucket_missing_answers_count_as_one_answer():
    np.testing.assert_allclose(bonus([0, 0, -1, -1, -1], kind="batch", no_answer="bucket"), [-0.2, -0.2, *[-0.4] * 3])
    result = bonus([0, -1, -1], [3, 14, 14], kind="ucb", count="after", no_answer="bucket")
    np.testing.assert_allclose(result, [0.5, 0.25, 0.25])


def test_the_table_of_counts_provides_what_the_bonus_reads():
    table = AnswerCounts(no_answer_key="none")
    answers = [["7", None, "7"]]
    table.add(["p"], answers)
    ctx = GroupContext(answers_PG=np.array([[0, -1, 0]]), answer_counts_PG=table.lookup(["p"], answers))
    result = AddOutcomeBonus(kind="ucb", coef=1.0, no_answer="bucket")(np.zeros((1, 3)), ctx)
    np.testing.assert_allclose(result, [[math.sqrt(0.5), 1, math.sqrt(0.5)]])


def test_unscored_completions_count_but_stay_unscored():
    result = bonus([0, 0, 1], values=[1.0, math.nan, 0.0], kind="batch")
    np.testing.assert_allclose(result, [1 - 1 / 3, math.nan, 0])


def slow_bonus(answers, counts, kind, count, offset):
    known = [i for i, answer in enumerate(answers) if answer >= 0]
    result = [0.0] * len(answers)
    for i in known:
        copies = sum(answers[j] == answers[i] for j in known)
        if kind == "batch":
            result[i] = -(copies - 1) / len(answers)
            continue
        seen = counts[i] + (copies if count == "after" else 0)
        result[i] = min(1.0, math.sqrt(1 / seen)) if seen else 1.0
    if kind == "ucb_mean" and known:
        mean = sum(result[i] for i in known) / len(known)
        result = [result[i] - mean if i in known else 0.0 for i in range(len(answers))]
    if kind == "ucb_con":
        result = [result[i] - offset if i in known else 0.0 for i in range(len(answers))]
    return result


groups = st.lists(st.integers(-1, 3), min_size=1, max_size=8)
histories = st.lists(st.integers(0, 20), min_size=4, max_size=4)
kinds = st.sampled_from(["ucb", "ucb_mean", "ucb_con", "batch"])


@given(groups, histories, kinds, st.sampled_from(["before", "after"]), st.sampled_from([0.0, 0.5, 1.0]))
def test_bonuses_equal_their_slow_twin_whatever_other_groups_hold(answers, history, kind, count, offset):
    counts = [math.nan if answer < 0 else history[answer] for answer in answers]
    ours = bonus(answers, counts, kind=kind, count=count, offset=offset)
    np.testing.assert_allclose(ours, slow_bonus(answers, counts, kind, count, offset), atol=1e-12)
    ctx = GroupContext(answers_PG=np.array([answers, answers[::-1]]), answer_counts_PG=np.array([counts, counts[::-1]]))
    both = AddOutcomeBonus(kind=kind, coef=1.0, offset=offset, count=count)(np.zeros((2, len(answers))), ctx)
    np.testing.assert_allclose(both, [ours, ours[::-1]], atol=1e-12)


@given(groups, histories, st.sampled_from(["ucb", "batch"]))
def test_one_more_copy_never_raises_a_bonus(answers, history, kind):
    counts = [math.nan if answer < 0 else history[answer] for answer in answers]
    before = bonus(answers, counts, kind=kind, count="after")
    after = bonus([*answers, answers[0]], [*counts, counts[0]], kind=kind, count="after")
    assert after[0] <= before[0] + 1e-12
    assert after[0] == pytest.approx(after[-1])


@given(groups, histories)
def test_where_the_bonuses_lie_and_what_they_add_up_to(answers, history):
    counts = [math.nan if answer < 0 else history[answer] for answer in answers]
    assert ((bonus(answers, counts, kind="ucb") >= 0) & (bonus(answers, counts, kind="ucb") <= 1)).all()
    assert bonus(answers, counts, kind="ucb_mean").sum() == pytest.approx(0, abs=1e-12)
    assert (bonus(answers, counts, kind="ucb_con", offset=1.0) <= 0).all()
    assert (bonus(answers, kind="batch") <= 0).all()
    assert (bonus(answers, kind="batch") > -1).all()


def test_what_it_needs():
    assert resolve("outcome_batch").needs == {"answers_PG"}
    assert resolve("outcome_ucb").needs == {"answers_PG", "answer_counts_PG"}
    with pytest.raises(MissingInputError, match=r"answer_counts_PG.*which keeps the counts"):
        bonus([0, 1])
    with pytest.raises(MissingInputError, match="no_answer: skip"):
        bonus([0, -1], [1, math.nan], no_answer="bucket")
    with pytest.raises(MissingInputError, match="no count for an answer"):
        bonus([0, 1], [1, math.nan])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"kind": "ucb-con"}, "Did you mean 'ucb_con'"),
        ({"count": "during"}, "Allowed: after, before"),
        ({"no_answer": None}, "Allowed: bucket, skip"),
        ({"coef": math.inf}, "coef=inf"),
        ({"coef": True}, "coef=True"),
        ({"offset": math.nan}, "offset=nan"),
        ({"offset": "1"}, "offset='1'"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(params, words):
    with pytest.raises(ConfigError, match=words):
        AddOutcomeBonus(**params)
