"""Pass@k and max@k advantages against worked numbers, enumeration of subsets, and exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.passing import PassAtK, Pkpo
from rlkit.errors import ConfigError, MissingInputError, PluginError
from rlkit.estimators.passing import pass_at_k

VARIANTS = ("plain", "loo", "loo_minus_one")
TWO_OF_SIX = [1.0, 1, 0, 0, 0, 0]
FIVE = [0.1, 0.3, 0.5, 0.7, 0.9]


@pytest.mark.parametrize(
    ("num_correct", "size", "k", "right", "wrong"),
    [
        (1, 6, 2, 1.414211, -0.282842),
        (2, 6, 2, 0.816495, -0.408247),
        (3, 6, 2, 0.499999, -0.499999),
        (2, 6, 4, 0.267260, -0.133630),
        (3, 6, 4, 0, 0),
        (2, 6, 1, 1.414211, -0.707105),
        (0, 6, 2, None, 0),
        (1, 8, 4, 0.999998, -0.142857),
        (2, 8, 4, 0.522232, -0.174077),
    ],
)
def test_pass_at_k_worked_numbers(num_correct, size, k, right, wrong):
    rewards = [1.0] * num_correct + [0.0] * (size - num_correct)
    expected = [right] * num_correct + [wrong] * (size - num_correct)
    np.testing.assert_allclose(PassAtK(k=k)(np.array([rewards]))[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("num_correct", "size", "k", "expected"),
    [(2, 6, 1, 1 / 3), (2, 6, 2, 0.6), (2, 6, 4, 0.933333), (3, 16, 8, 0.9), (1, 8, 4, 0.5), (2, 8, 4, 0.785714)],
)
def test_the_chance_that_advantages_are_made_of(num_correct, size, k, expected):
    assert pass_at_k(size, num_correct, k) == pytest.approx(expected, abs=1e-5)
    # What a correct completion lacks to certainty, over the standard deviation of a 0/1 reward of that mean.
    rewards = np.array([[1.0] * num_correct + [0.0] * (size - num_correct)])
    lacking = (1 - expected) / math.sqrt(expected * (1 - expected))
    assert PassAtK(k=k)(rewards)[0, 0] == pytest.approx(lacking, abs=1e-4)


def test_plain_pkpo_sums_to_k_times_the_expected_maximum():
    assert Pkpo(2, "plain")(np.array([FIVE])).sum() / 2 == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("rewards", "k", "variant", "expected"),
    [
        (TWO_OF_SIX, 2, "plain", [1 / 3] * 2 + [2 / 15] * 4),
        (TWO_OF_SIX, 3, "plain", [0.5] * 2 + [0.35] * 4),
        (TWO_OF_SIX, 2, "loo", [0.173333] * 2 + [-0.146667] * 4),
        (TWO_OF_SIX, 3, "loo", [0.14] * 2 + [-0.19] * 4),
        (TWO_OF_SIX, 2, "loo_minus_one", [0.266667] * 2 + [0] * 4),
        (TWO_OF_SIX, 3, "loo_minus_one", [0.3] * 2 + [0] * 4),
        (FIVE, 2, "plain", [0.24, 0.24, 0.26, 0.3, 0.36]),
        (FIVE, 2, "loo", [-0.143333, -0.143333, -0.106667, -0.033333, 0.076667]),
        (FIVE, 2, "loo_minus_one", [0, 0.02, 0.06, 0.12, 0.2]),
    ],
)
def test_pkpo_worked_numbers(rewards, k, variant, expected):
    np.testing.assert_allclose(Pkpo(k, variant)(np.array([rewards]))[0], expected, atol=1e-5)


def test_plain_weights_add_up_to_k_times_the_expected_maximum():
    assert Pkpo(2, "plain")(np.array([FIVE])).sum() == pytest.approx(2 * 0.7)
    assert Pkpo(2, "plain")(np.array([TWO_OF_SIX])).sum() == pytest.approx(2 * pass_at_k(6, 2, 2))


def enumerate_pass_at_k(rewards, k, eps):
    """Return the mean, over the subsets that hold a completion, of the subset's standardised reward."""
    scored = [i for i, r in enumerate(rewards) if not math.isnan(r)]
    if len(scored) < k:
        return [math.nan] * len(rewards)
    passed = {subset: float(any(rewards[i] for i in subset)) for subset in combinations(scored, k)}
    mean = np.mean([*passed.values()])
    std = np.std([*passed.values()]) + eps
    result = [math.nan] * len(rewards)
    for i in scored:
        result[i] = float(np.mean([value - mean for subset, value in passed.items() if i in subset]) / std)
    return result


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(rewards, data):
    k = data.draw(st.integers(1, len(rewards)))
    expected = enumerate_pass_at_k(rewards, k, 1e-6)
    # Where every subset passes, or none, the twin's rounding over eps is all there is; both are 0 in truth.
    np.testing.assert_allclose(PassAtK(k=k)(np.array([rewards]))[0], expected, atol=1e-8)


def enumerate_pkpo(rewards, k, variant):
    """Return the definitions of the three estimators, sum by sum, in exact fractions; None where undefined."""
    scored = {i: Fraction(r) for i, r in enumerate(rewards) if not math.isnan(r)}
    if len(scored) < k + (variant == "loo"):
        return [None] * len(rewards)
    return [_weigh_by_definition(i, scored, k, variant) if i in scored else None for i in range(len(rewards))]


def _weigh_by_definition(i, scored, k, variant):
    subsets = [subset for subset in combinations(scored, k) if i in subset]
    best = [max(scored[j] for j in subset) for subset in subsets]
    total = Fraction(math.comb(len(scored), k))
    if variant == "loo_minus_one":
        rest = [max(scored[j] for j in subset if j != i) for subset in subsets]
        return sum(a - b for a, b in zip(best, rest, strict=True)) / total
    if variant == "plain":
        return sum(best) / total
    without = {j: value for j, value in scored.items() if j != i}
    baseline = sum(_weigh_by_definition(j, without, k, "plain") for j in without) / (len(scored) - 1)
    return sum(best) / total - baseline


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=60, deadline=None)
@given(
    rewards=st.lists(st.sampled_from([0.0, 1.0, 0.5, -2.0, math.nan]) | st.floats(-5, 5), min_size=3, max_size=7),
    data=st.data(),
)
def test_pkpo_equals_its_definition_ties_included(variant, rewards, data):
    k = data.draw(st.integers(2 if variant == "loo_minus_one" else 1, len(rewards) - 1))
    expected = [math.nan if s is None else float(s) for s in enumerate_pkpo(rewards, k, variant)]
    np.testing.assert_allclose(Pkpo(k, variant)(np.array([rewards]))[0], expected, atol=1e-12)


@pytest.mark.parametrize("variant", ["plain", "loo_minus_one"])
def test_pkpo_exists_where_k_is_the_whole_group(variant):
    expected = [float(s) for s in enumerate_pkpo(FIVE, 5, variant)]
    np.testing.assert_allclose(Pkpo(5, variant)(np.array([FIVE]))[0], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "num_correct", "k"), [(60, 7, 9), (2000, 3, 1000), (2000, 1500, 400), (4096, 1, 4095)]
)
def test_binary_closed_forms_hold_where_binomials_overflow(size, num_correct, k):
    rewards = np.array([[1.0] * num_correct + [0.0] * (size - num_correct)])
    wrong = k / size * float(pass_at_k(size - 1, num_correct, k - 1))
    plain = Pkpo(k, "plain")(rewards)[0]
    np.testing.assert_allclose(plain, [k / size] * num_correct + [wrong] * (size - num_correct), rtol=1e-9)
    right = float(Fraction(math.comb(size - num_correct, k - 1), math.comb(size, k)))
    ours = Pkpo(k)(rewards)[0]
    np.testing.assert_allclose(ours[:num_correct], right, rtol=1e-9, atol=1e-300)
    assert (ours[num_correct:] == 0).all()


def test_large_groups_of_real_rewards_equal_exact_binomials():
    n, k, places = 300, 150, (0, 150, 299)
    rewards = np.sort(np.random.default_rng(0).normal(size=n))
    exact = [Fraction(reward) for reward in rewards]
    least = [sum(math.comb(j, k - 2) * (exact[i] - exact[j]) for j in range(i)) for i in places]
    np.testing.assert_allclose(
        Pkpo(k)(rewards[None])[0, places], [float(s / math.comb(n, k)) for s in least], rtol=1e-9
    )
    above = [sum(math.comb(j - 1, k - 2) * exact[j] for j in range(i + 1, n)) for i in places]
    plain = [math.comb(i, k - 1) * exact[i] + s for i, s in zip(places, above, strict=True)]
    np.testing.assert_allclose(
        Pkpo(k, "plain")(rewards[None])[0, places], [float(s / math.comb(n, k)) for s in plain], rtol=1e-9
    )


@pytest.mark.parametrize("constant", [3.0, -0.7])
def test_a_constant_moves_each_variant_as_its_docstring_says(constant):
    n, k = len(FIVE), 2
    moves = {"plain": k / n, "loo": -k / (n * (n - 1)), "loo_minus_one": 0.0}
    for variant, move in moves.items():
        before, after = (Pkpo(k, variant)(np.array([FIVE]) + shift) for shift in (0, constant))
        np.testing.assert_allclose(after, before + constant * move, atol=1e-12)


@pytest.mark.parametrize("reward", [0.1, 1 / 3, 1e9 + 0.1, -0.7])
def test_equal_rewards_give_exactly_zero_under_the_default(reward):
    assert (Pkpo(3)(np.full((2, 7), reward)) == 0).all()


def test_completions_that_were_not_scored_are_left_out_of_every_count():
    holes = np.array([[1.0, math.nan, 1, 0, 0, math.nan, 0, 0]])
    for transform in (PassAtK(2), Pkpo(2), Pkpo(2, "loo")):
        result = transform(holes)
        assert np.isnan(result[0, [1, 5]]).all()
        np.testing.assert_allclose(result[~np.isnan(holes)], transform(np.array([TWO_OF_SIX]))[0], atol=1e-15)


def test_groups_with_fewer_scored_completions_than_k_carry_no_signal():
    values = np.array([[1.0, 0, 0, math.nan], [1.0, 0, 0, 0], [math.nan] * 4])
    for transform in (PassAtK(4), Pkpo(4), Pkpo(3, "loo")):
        result = transform(values)
        assert np.isnan(result[[0, 2]]).all(), transform
        assert np.isfinite(result[1]).all(), transform


def test_pass_at_k_reads_the_verifier_and_leaves_out_what_it_could_not_judge():
    ctx = GroupContext(correct_PG=np.array([[1.0, 1, 0, 0, 0, 0, math.nan]]))
    result = PassAtK(2)(np.array([[0.9, 0.8, 0.7, 0.1, 0.2, 0.3, 0.4]]), ctx)[0]
    np.testing.assert_allclose(result[:6], PassAtK(2)(np.array([TWO_OF_SIX]))[0])
    assert np.isnan(result[6])


def test_shaped_rewards_without_a_verifier_are_refused_by_pass_at_k_alone():
    with pytest.raises(MissingInputError, match=r"0\.9.*correct_reward"):
        PassAtK(2)(np.array([[0.9, 0.0]]))
    assert np.isfinite(Pkpo(2)(np.array([[0.9, 0.0]]))).all()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: PassAtK(k=0), "k=0"),
        (lambda: PassAtK(k=True), "k=True"),
        (lambda: PassAtK(k=2.0), r"k=2\.0"),
        (lambda: PassAtK(eps=0), "eps=0"),
        (lambda: PassAtK(eps=math.nan), "eps=nan"),
        (lambda: PassAtK(eps=True), "eps=True"),
        (lambda: PassAtK(eps="1"), "eps='1'"),
        (lambda: Pkpo(k=-1), "k=-1"),
        (lambda: Pkpo(k="4"), "k='4'"),
        (lambda: Pkpo(variant="leave_one_out"), "loo_minus_one"),
        (lambda: Pkpo(k=1), "variant: loo"),
        (lambda: PassAtK(k=5)(np.ones((1, 4))), "k=5.*at most 4"),
        (lambda: Pkpo(k=5)(np.ones((1, 4))), "k=5.*at most 4"),
        (lambda: Pkpo(k=4, variant="loo")(np.ones((1, 4))), "k=4.*at most 3"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


def test_recipes_name_them():
    assert resolve({"name": "pkpo", "k": 8, "variant": "loo"}).transforms == (Pkpo(8, "loo"),)
    assert resolve({"name": "pass_at_k", "k": 2}) == resolve({"name": "passk_grpo", "k": 2})
    assert resolve("passk_grpo").transforms == (PassAtK(k=4, eps=1e-6),)
    with pytest.raises(PluginError, match="'variant'"):
        resolve({"name": "pkpo", "varient": "loo"})
