"""Novelty bands against the worked group, a slow twin, and what bands promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.novelty import NoveltyBands, measure_novelty
from rlkit.errors import ConfigError, MissingInputError

NONE = [math.nan] * 3
EMBEDDINGS = [[1, 0, 0], [0.96, 0.28, 0], [0, 1, 0], [0, 0, 1], [0, 0.6, 0.8], NONE]
ANSWERS = [0, 0, 0, 1, 2, -1]


def bands(embeddings, answers, values=None, **params):
    ctx = GroupContext(embeddings_PGE=np.array([embeddings], dtype=float), answers_PG=np.array([answers]))
    values = [0.0] * len(answers) if values is None else values
    return NoveltyBands(**params)(np.array([values]), ctx)[0]


def verified(embeddings, correct, values=None, **params):
    ctx = GroupContext(embeddings_PGE=np.array([embeddings], dtype=float), correct_PG=np.array([correct]))
    return NoveltyBands(labels="verifier", **params)(
        np.array([correct if values is None else values], dtype=float), ctx
    )[0]


def test_worked_novelties():
    embeddings_PGE = torch.tensor([EMBEDDINGS], dtype=torch.float64)
    positive_PG = torch.tensor([[True] * 3 + [False] * 3])
    valid_PG = torch.tensor([[True] * 5 + [False]])
    novelty = measure_novelty(embeddings_PGE, positive_PG, valid_PG, alpha=0.5)[0]
    np.testing.assert_allclose(novelty[:5], [0.28, 0.21, 0.63, 0.2, 0.2], atol=1e-5)
    assert novelty[5].isnan()


def test_the_only_member_of_a_sign_is_compared_with_everyone():
    embeddings_PGE = torch.tensor([EMBEDDINGS[:3]], dtype=torch.float64)
    positive_PG = torch.tensor([[True, True, False]])
    novelty = measure_novelty(embeddings_PGE, positive_PG, torch.ones(1, 3, dtype=torch.bool), alpha=0.5)[0]
    assert novelty[2] == pytest.approx(1 - (0.5 * (0 + 0.28) / 2 + 0.5 * 0.28))


def test_worked_bands_of_the_code_and_of_the_formula():
    np.testing.assert_allclose(bands(EMBEDDINGS, ANSWERS), [0.583333, 0.5, 1, -0.75, -0.75, -1], atol=1e-5)
    formula = bands(EMBEDDINGS, ANSWERS, ties="formula")
    np.testing.assert_allclose(formula, [0.583333, 0.5, 1, -1, -1, -1], atol=1e-5)


def test_worked_advantages():
    ctx = GroupContext(embeddings_PGE=np.array([EMBEDDINGS]), answers_PG=np.array([ANSWERS]))
    expected = [0.760242, 0.663190, 1.245503, -0.792593, -0.792593, -1.083750]
    np.testing.assert_allclose(resolve("evol_rl")(np.zeros((1, 6)), ctx)[0], expected, atol=1e-5)


def test_worked_lone_minority():
    np.testing.assert_allclose(bands(EMBEDDINGS[:3], [0, 0, 1]), [0.75, 0.75, -0.5], atol=1e-12)
    np.testing.assert_allclose(bands(EMBEDDINGS[:3], [0, 0, 1], ties="formula"), [0.5, 0.5, -1], atol=1e-12)


def test_a_lone_right_answer_gets_the_top_of_its_band_and_the_formula_the_bottom():
    assert verified(EMBEDDINGS[:3], [0, 1, 0])[1] == 1
    assert verified(EMBEDDINGS[:3], [0, 1, 0], ties="formula")[1] == 0.5


def test_with_fewer_than_two_valid_completions_everyone_gets_minus_one():
    assert bands([[1, 0, 0], NONE, [0, 0, 0]], [0, 0, 0]).tolist() == [-1, -1, -1]
    assert bands([[1, 0, 0], [0, 1, 0]], [0, -1]).tolist() == [-1, -1]
    assert bands([[1, 0, 0], [0, 1, 0]], [-1, -1]).tolist() == [-1, -1]
    assert bands([[1, 0, 0]], [0]).tolist() == [-1]


def test_rounding_does_not_become_signal():
    embeddings = np.array([[1, 0.1, 0.2], [1, 0.1, 0.2 + 1e-6], [1 - 2e-7, 0.1, 0.2], [1, 0.1, 0.2]])
    assert bands(embeddings, [0] * 4).tolist() == [0.75] * 4
    assert bands([[1, 0, 0], [0, 1, 0], [1, 1 + 1e-6, 0]], [0, 0, 1]).tolist() == [0.75, 0.75, -0.5]


def test_no_answer_is_invalid_even_where_it_is_let_win_the_vote():
    result = bands([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], [-1, -1, -1, 0], count_no_answer=True)
    assert result.tolist() == [-1] * 4
    result = bands(EMBEDDINGS[:5], [-1, -1, -1, 0, 0], count_no_answer=True)
    assert result.tolist() == [-1, -1, -1, -0.75, -0.75]
    assert bands(EMBEDDINGS[:5], [-1, -1, -1, 0, 0]).tolist() == [-1, -1, -1, 0.75, 0.75]


def test_under_a_verifier_unknown_correctness_takes_no_part():
    known = verified([*EMBEDDINGS[:3], [0.5, 0.5, 0.5]], [1, 1, 0, math.nan], values=[0, 0, 0, 0])
    assert np.isnan(known[3])
    np.testing.assert_array_equal(known[:3], verified(EMBEDDINGS[:3], [1, 1, 0]))


def test_under_a_verifier_binary_rewards_are_enough_and_others_are_not():
    ctx, rewards = GroupContext(embeddings_PGE=np.array([EMBEDDINGS[:3]])), np.array([[1.0, 1.0, 0.0]])
    result = NoveltyBands(labels="verifier")(rewards, ctx)
    np.testing.assert_array_equal(result[0], verified(EMBEDDINGS[:3], [1, 1, 0]))
    with pytest.raises(MissingInputError, match="correct_reward"):
        NoveltyBands(labels="verifier")(rewards * 0.7, ctx)


def test_unscored_completions_are_compared_with_but_stay_unscored():
    values = [0.0, 0.0, math.nan, 0.0, 0.0, 0.0]
    result = bands(EMBEDDINGS, ANSWERS, values)
    assert np.isnan(result[2])
    np.testing.assert_allclose(result[:2], [0.583333, 0.5], atol=1e-5)


def slow_bands(embeddings, answers, alpha, ties):
    """EVOL-RL's section 3 by loops."""
    size = len(answers)
    voters = [a for a in answers if a >= 0]
    winner = max(voters, key=lambda a: (voters.count(a), -voters.index(a))) if voters else None
    valid = [i for i in range(size) if answers[i] >= 0 and not np.isnan(embeddings[i]).any() and np.any(embeddings[i])]
    if len(valid) < 2:
        return [-1.0] * size

    def similarity(i, j):
        a, b = embeddings[i], embeddings[j]
        return min(max(float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)), 0.0), 1.0)

    result = [-1.0] * size
    for positive in (True, False):
        members = [i for i in valid if (answers[i] == winner) == positive]
        novelty = {}
        for i in members:
            others = [similarity(i, j) for j in valid if j != i]
            kin = [similarity(i, j) for j in members if j != i] or others
            novelty[i] = 1 - (alpha * sum(kin) / len(kin) + (1 - alpha) * max(others))
        for i in members:
            low, high = min(novelty.values()), max(novelty.values())
            if high - low > 1e-5:
                share = (novelty[i] - low) / (high - low)
            elif ties == "formula":
                share = 0.0
            else:
                share = 1.0 if len(members) == 1 else 0.5
            result[i] = (0.5 if positive else -1) + 0.5 * share
    return result


@st.composite
def random_groups(draw):
    size = draw(st.integers(1, 7))
    answers = draw(st.lists(st.integers(-1, 2), min_size=size, max_size=size))
    vectors = st.lists(st.integers(-3, 3), min_size=4, max_size=4)
    embeddings = np.array(draw(st.lists(vectors, min_size=size, max_size=size)), dtype=float)
    embeddings[draw(st.lists(st.booleans(), min_size=size, max_size=size))] *= draw(st.sampled_from([1.0, math.nan]))
    return embeddings, answers


@given(random_groups(), st.sampled_from([0.0, 0.5, 1.0, 0.3]), st.sampled_from(["middle", "formula"]))
def test_bands_equal_their_slow_twin(group, alpha, ties):
    embeddings, answers = group
    ours = bands(embeddings, answers, alpha=alpha, ties=ties)
    np.testing.assert_allclose(ours, slow_bands(embeddings, answers, alpha, ties), atol=1e-7)


@given(random_groups(), st.floats(0.01, 100), st.randoms(use_true_random=False))
def test_length_of_vectors_and_other_groups_do_not_matter_and_values_stay_in_their_bands(group, scale, rng):
    embeddings, answers = group
    alone = bands(embeddings, answers)
    np.testing.assert_allclose(bands(embeddings * scale, answers), alone, atol=1e-7)
    others = rng.sample(range(len(answers)), len(answers))
    both = GroupContext(
        embeddings_PGE=np.stack([embeddings[others], embeddings]),
        answers_PG=np.array([[answers[i] for i in others], answers]),
    )
    np.testing.assert_allclose(NoveltyBands()(np.zeros((2, len(answers))), both)[1], alone, atol=1e-12)
    for sign in (alone[alone > 0], alone[alone < 0] + 1.5):
        assert ((sign >= 0.5) & (sign <= 1)).all()


@given(st.integers(3, 7), st.randoms(use_true_random=False))
def test_order_inside_a_group_does_not_matter(size, rng):
    numbers = np.random.default_rng(rng.randrange(2**32))
    embeddings, order = numbers.normal(size=(size, 5)), numbers.permutation(size)
    answers = np.array([0, 0, *numbers.integers(1, 9, size=size - 2)])
    answers[2:] = np.arange(1, size - 1)
    straight = bands(embeddings, answers)
    np.testing.assert_allclose(bands(embeddings[order], answers[order]), straight[order], atol=1e-9)


@given(st.integers(3, 7), st.integers(0, 2**32 - 1))
def test_a_copy_never_makes_a_completion_more_novel(size, seed):
    embeddings_GE = torch.from_numpy(np.random.default_rng(seed).normal(size=(size, 4)))
    everyone = torch.ones(1, size + 1, dtype=torch.bool)
    before = measure_novelty(embeddings_GE[None], everyone[:, :size], everyone[:, :size], 0.5)[0]
    after = measure_novelty(torch.cat([embeddings_GE, embeddings_GE[:1]])[None], everyone, everyone, 0.5)[0]
    assert after[0] <= before[0] + 1e-12
    assert after[0] == pytest.approx(float(after[-1]), abs=1e-12)


def test_what_it_needs_and_how_a_recipe_names_it():
    assert NoveltyBands().needs == {"embeddings_PGE", "answers_PG"}
    assert NoveltyBands(labels="verifier").needs == {"embeddings_PGE", "correct_PG"}
    assert resolve({"name": "evol_rl", "labels": "verifier", "alpha": 0.2}).transforms[0] == NoveltyBands(
        "verifier", 0.2
    )
    with pytest.raises(MissingInputError, match=r"embeddings_PGE.*`embedding`"):
        NoveltyBands()(np.zeros((1, 2)), GroupContext(answers_PG=np.zeros((1, 2))))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"labels": "vote"}, "Allowed: majority, verifier"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"alpha": math.nan}, "alpha=nan"),
        ({"alpha": True}, "alpha=True"),
        ({"alpha": "half"}, "alpha='half'"),
        ({"ties": "code"}, "Allowed: formula, middle"),
        ({"count_no_answer": "no"}, "true or false"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(params, words):
    with pytest.raises(ConfigError, match=words):
        NoveltyBands(**params)
