"""The vote of a group: worked groups, a slow twin, ties and missing answers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.majority import MatchMajority, match_majority
from rlkit.errors import ConfigError, MissingInputError


def vote(answers, values=None, **params):
    answers_PG = np.atleast_2d(answers)
    values_PG = np.zeros(answers_PG.shape) if values is None else np.atleast_2d(values)
    return MatchMajority(**params)(values_PG, GroupContext(answers_PG=answers_PG)).tolist()


def test_the_plurality_is_rewarded_even_below_one_half():
    assert vote([3, 1, 1, 2, 0]) == [[0, 1, 1, 0, 0]]


def test_of_equally_frequent_answers_the_first_seen_wins():
    assert vote([[2, 1, 1, 2], [1, 2, 2, 1], [5, 4, 3, 3]]) == [[1, 0, 0, 1], [1, 0, 0, 1], [0, 0, 1, 1]]
    assert vote([7, 3, 5]) == [[1, 0, 0]]


def test_no_answer_loses_the_vote_unless_it_is_counted_as_in_the_released_code():
    assert vote([-1, -1, -1, 4]) == [[0, 0, 0, 1]]
    assert vote([-1, -1, -1, 4], count_no_answer=True) == [[1, 1, 1, 0]]
    assert vote([-1, 4, 4], count_no_answer=True) == [[0, 1, 1]]
    assert vote([math.nan, -1, 4], count_no_answer=True) == [[1, 1, 0]]


def test_a_group_without_any_answer_has_no_signal():
    assert np.isnan(vote([-1, -1, -1])).all()
    assert vote([-1, -1], count_no_answer=True) == [[1, 1]]
    assert np.isnan(vote([math.nan, math.nan])).all()
    matches_PG, has_vote_P1 = match_majority(torch.tensor([[-1, -1], [-1, 3]]))
    assert matches_PG.tolist() == [[False, False], [False, True]]
    assert has_vote_P1.tolist() == [[False], [True]]


def test_unscored_completions_vote_but_stay_unscored():
    result = vote([1, 2, 2], values=[0.0, math.nan, math.nan])
    assert result[0][0] == 0, "the two unscored ones outvote the scored one"
    assert np.isnan(result[0][1:]).all()


def test_the_incoming_values_do_not_matter():
    assert vote([1, 2, 2], values=[5.0, -3.0, 0.2]) == vote([1, 2, 2])


answers_of_a_group = st.lists(st.integers(-1, 3), min_size=1, max_size=9)


@given(answers_of_a_group, st.booleans())
def test_the_vote_equals_its_slow_twin(answers, count_no_answer):
    ballots = Counter(answer for answer in answers if answer >= 0 or count_no_answer)
    if ballots:
        winner = ballots.most_common(1)[0][0]  # Counter keeps the order of first appearance among equals
        expected = [float(answer == winner) for answer in answers]
    else:
        expected = [math.nan] * len(answers)
    np.testing.assert_array_equal(vote(answers, count_no_answer=count_no_answer)[0], expected)


@given(st.lists(st.sampled_from([0, 0, 0, 1, 1, 2]), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_order_matters_only_between_equals(answers, rng):
    counts = sorted(Counter(answers).values())
    order = rng.sample(range(len(answers)), len(answers))
    if len(counts) == 1 or counts[-1] > counts[-2]:
        assert vote([answers[i] for i in order])[0] == [vote(answers)[0][i] for i in order]
    assert sum(vote(answers)[0]) == sum(vote([answers[i] for i in order])[0]) == counts[-1]


def test_names_of_answers_mean_nothing_across_groups():
    assert vote([[0, 0, 1], [1, 1, 0]]) == [[1, 1, 0], [1, 1, 0]]


def test_ttrl_is_the_vote_followed_by_grpo():
    ctx = GroupContext(answers_PG=np.array([[0, 0, 1, -1, 2, 3]]))
    advantages = resolve("ttrl")(np.zeros((1, 6)), ctx)
    np.testing.assert_allclose(advantages[0], [1.290992, 1.290992, *[-0.645496] * 4], atol=1e-5)
    assert (resolve("ttrl")(np.zeros((1, 3)), GroupContext(answers_PG=np.array([[4, 4, 4]]))) == 0).all()


def test_what_it_needs_and_refuses():
    assert MatchMajority().needs == resolve("ttrl").needs == {"answers_PG"}
    assert resolve("match_majority").transforms == (MatchMajority(),)
    with pytest.raises(MissingInputError, match=r"answers_PG.*`answers`"):
        MatchMajority()(np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="count_no_answer=1"):
        MatchMajority(count_no_answer=1)
