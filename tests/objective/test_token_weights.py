"""Token weights: published numbers, loops, edge batches, and laws that all of them obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError, MissingInputError, PluginError
from rlkit.objective.base import FunctionWeight, TokenWeight, select_tokens
from rlkit.objective.covariance import token_covariances
from rlkit.objective.token_weights import TOKEN_WEIGHTS, ClipCov, KlCov, Repo, Steer, TopEntropy, resolve_token_weight

WEIGHTS = [
    Steer(),
    Steer(map="linear"),
    Steer(squared=True),
    ClipCov(fraction=0.3, low=0.0, high=9.0),
    KlCov(percent=30),
    TopEntropy(),
    Repo(),
    Repo(zeta=-2.0),
]
ids = [f"{type(weight).__name__}{index}" for index, weight in enumerate(WEIGHTS)]


def one_row(probs, entropies, advantages, old_probs=None):
    """A row of tokens, each with an advantage of its own, as a weight takes them."""
    logps_BT = torch.tensor([list(probs)], dtype=torch.float64).log()
    old_BT = logps_BT if old_probs is None else torch.tensor([old_probs], dtype=torch.float64).log()
    entropies_BT, advantages_BT = (
        torch.tensor([list(values)], dtype=torch.float64) for values in (entropies, advantages)
    )
    return logps_BT, old_BT, entropies_BT, advantages_BT, torch.ones(1, len(probs))


STEER_TOKENS = one_row([0.9, 0.5, 0.05, 0.99, 0.3, 0.01], [0.35, 0.9, 2, 0.06, 1.5, 1], [0.8, 0.8, 0.8, -1, -1, -1])
OMEGA = [0.019571, 0.082741, -0.756757, -0.000499, -0.207219, 3.569118]
OMEGA_SQUARED = [0.001957, 0.041371, -0.718919, -0.000005, -0.145053, 3.533427]


@pytest.mark.parametrize(("squared", "expected"), [(False, OMEGA), (True, OMEGA_SQUARED)])
def test_golden_entropy_changes(squared, expected):
    assert Steer(squared=squared).estimate_changes(select_tokens(*STEER_TOKENS)).tolist() == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize(
    ("steer", "expected"),
    [
        (Steer(), [0.998777, 0.994840, 0.953789, 0.999969, 0.987128, 0.8]),
        (Steer(lowest=0.7), [0.998046, 0.991765, 0.927163, 0.999950, 0.979505, 0.7]),
        (Steer(map="linear"), [1.197862, 1.190782, 1.115233, 1.2, 1.176829, 0.8]),
    ],
)
def test_golden_steer_weights(steer, expected):
    assert steer(*STEER_TOKENS)[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_steer_is_exact_where_only_the_sampled_logit_moves():
    logits_V = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64).log()
    moved = torch.zeros_like(logits_V)
    moved[2] = 1.0

    def entropy(logits):
        logps = torch.log_softmax(logits, -1)
        return -(logps.exp() * logps).sum()

    logps_V = torch.log_softmax(logits_V, -1)
    # The sampled logit's part of the gradient of A ln pi is A (1 - pi).
    _, exact = torch.autograd.functional.jvp(entropy, logits_V, (1 - logps_V[2].exp()) * moved)
    tokens = select_tokens(*one_row([0.15], [entropy(logits_V).item()], [1.0]))
    assert exact.item() == pytest.approx(0.096262, abs=1e-6)
    assert 0.15 * Steer().estimate_changes(tokens).item() == pytest.approx(-exact.item(), abs=1e-9)


def test_steer_takes_the_old_probability_in_the_denominator_only():
    tokens = select_tokens(*one_row([0.6], [0.7], [2.0], old_probs=[0.3]))
    assert Steer().estimate_changes(tokens).item() == pytest.approx(2 / 0.3 * 0.6 * 0.4 * (math.log(0.6) + 0.7))


def test_a_quiet_batch_stays_near_weight_one():
    quiet = one_row([0.999, 0.999], [0.01, 0.012], [0.1, -0.1])
    weights = Steer()(*quiet)[0]
    assert weights.min() > 0.98
    assert Steer(floor=1e-9)(*quiet)[0].min().item() == pytest.approx(0.8)


def test_equal_changes_get_the_middle_under_the_linear_map():
    assert (
        Steer(map="linear", lowest=0.5, highest=2.0)(*one_row([0.5] * 3, [0.9] * 3, [1.0] * 3))[0].tolist()
        == [1.25] * 3
    )


@pytest.mark.parametrize("steer", [Steer(), Steer(map="linear")])
def test_tokens_without_a_finite_change_keep_weight_one_and_do_not_disturb_others(steer):
    given = one_row([0.9, 0.5, 0.2, 0.1], [0.3, 0.9, 1.0, math.nan], [1.0, 1.0, -1.0, 1.0])
    given[3][0, 1] = math.inf
    clean = one_row([0.9, 0.2], [0.3, 1.0], [1.0, -1.0])
    weights = steer(*given)[0]
    assert weights[[1, 3]].tolist() == [1.0, 1.0]
    torch.testing.assert_close(weights[[0, 2]], steer(*clean)[0])


def test_probabilities_of_zero_and_one_are_survived():
    logps_BT = torch.tensor([[0.0, -math.inf, -1.0]])
    weights = Steer()(logps_BT, logps_BT, torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([1.0]), torch.ones(1, 3))
    assert weights.isfinite().all()
    assert weights.min() == pytest.approx(0.8)


COV_TOKENS = one_row([0.95, 0.5, 0.05, 0.9, 0.4, 0.02], [1.0] * 6, [1, 1, 1, -1, -1, -1])


def test_golden_covariances_and_who_is_chosen():
    tokens = select_tokens(*COV_TOKENS)
    expected = [1.394348, 0.752494, -1.550091, -1.340281, -0.529350, 2.466382]
    assert token_covariances(tokens).tolist() == pytest.approx(expected, abs=1e-6)
    assert KlCov().is_chosen(tokens).tolist() == [False] * 5 + [True]
    assert ClipCov().is_candidate(tokens).tolist() == [True, False, False, False, False, True]


def test_clip_cov_silences_one_candidate_at_random():
    torch.manual_seed(0)
    draws = [ClipCov()(*COV_TOKENS)[0] for _ in range(60)]
    assert all(weights.sum() == 5 for weights in draws)
    chosen = [int(weights.argmin()) for weights in draws]
    assert set(chosen) == {0, 5}
    assert 15 < chosen.count(0) < 45


def test_clip_cov_replays_from_the_saved_generator_state():
    state = torch.get_rng_state()
    first = [ClipCov()(*COV_TOKENS).tolist() for _ in range(5)]
    torch.set_rng_state(state)
    assert [ClipCov()(*COV_TOKENS).tolist() for _ in range(5)] == first


@pytest.mark.parametrize(("fraction", "num_chosen"), [(0.01, 1), (0.5, 3), (1.0, 4)])
def test_clip_cov_takes_its_share_of_all_tokens_but_no_more_than_there_are_candidates(fraction, num_chosen):
    given = one_row([0.9, 0.9, 0.9, 0.1, 0.1, 0.1], [1.0] * 6, [1, 1, -1, -1, -1, 1])
    weights = ClipCov(fraction=fraction, low=0.3, high=5.0)(*given)[0]
    assert (weights == 0).sum() == num_chosen
    assert weights[[2, 5]].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("advantages", "old_probs", "is_candidate"),
    [
        ([1, -1], [0.9, 0.02], [True, True]),
        ([1, -1], [0.7, 0.02], [False, True]),
        ([1, -1], [0.9, 0.03], [True, False]),
        ([1, -1], [1.0, 0.01], [True, True]),
    ],
)
def test_tokens_that_the_surrogate_has_clipped_are_no_candidates(advantages, old_probs, is_candidate):
    given = one_row([0.9, 0.02], [1.0, 1.0], advantages, old_probs=old_probs)
    weight = ClipCov(low=0.5, high=5.0, clip_low=0.2, clip_high=0.2)
    assert weight.is_candidate(select_tokens(*given)).tolist() == is_candidate


def test_clip_cov_without_candidates_leaves_all_alone():
    assert ClipCov()(*one_row([0.5, 0.5], [1.0, 1.0], [1, -1]))[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("num_tokens", "percent", "num_chosen"), [(6, 0.2, 1), (1000, 0.2, 2), (1999, 0.2, 3), (10, 50, 5)]
)
def test_kl_cov_reads_its_share_in_percent(num_tokens, percent, num_chosen):
    tokens = select_tokens(*one_row(np.linspace(0.1, 0.9, num_tokens), [1.0] * num_tokens, np.arange(num_tokens)))
    assert KlCov(percent=percent).is_chosen(tokens).sum() == num_chosen


def test_kl_cov_penalises_the_drift_of_the_chosen_alone():
    logps_BT, _, entropies_BT, advantages_BT, mask_BT = COV_TOKENS
    logps_BT = logps_BT.clone().requires_grad_()
    old_BT = (logps_BT.detach() + 0.25).requires_grad_()
    penalties_BT = KlCov(coef=2.0).penalties(logps_BT, old_BT, entropies_BT, advantages_BT, mask_BT)
    penalties_BT.sum().backward()
    assert penalties_BT[0].tolist() == pytest.approx([0, 0, 0, 0, 0, 0.5])
    assert logps_BT.grad[0].tolist() == [0, 0, 0, 0, 0, -2.0]
    assert old_BT.grad is None
    assert KlCov()(*COV_TOKENS)[0].tolist() == [1.0] * 6


def test_kl_cov_holds_nothing_in_the_first_pass():
    logps_BT, _, *rest = COV_TOKENS
    logps_BT = logps_BT.clone().requires_grad_()
    penalties_BT = KlCov().penalties(logps_BT, logps_BT.detach().clone(), *rest)
    penalties_BT.sum().backward()
    assert penalties_BT.sum() == 0
    assert logps_BT.grad.abs().sum() == 0


def test_only_kl_cov_takes_the_clip_away_and_only_by_default():
    assert not KlCov().clips
    assert KlCov(clips=True).clips
    assert all(weight.clips for weight in WEIGHTS if not isinstance(weight, KlCov))
    assert Steer().penalties(*COV_TOKENS) is None


def test_tokens_of_unknown_advantage_stay_out_of_the_covariance():
    given = one_row([0.95, 0.5, 0.05, 0.9, 0.4, 0.02, 0.3], [1.0] * 7, [1, 1, 1, -1, -1, -1, math.nan])
    assert KlCov(percent=100).is_chosen(select_tokens(*given)).tolist() == [True] * 6 + [False]
    assert ClipCov().is_candidate(select_tokens(*given)).tolist() == [True, *[False] * 4, True, False]


@given(st.lists(st.floats(0, 8), min_size=1, max_size=50), st.floats(0.01, 1))
def test_top_entropy_keeps_what_reaches_the_quantile(entropies, quantile):
    num_tokens = len(entropies)
    given = one_row([0.5] * num_tokens, entropies, [1.0] * num_tokens)
    threshold = torch.quantile(given[2][0], 1 - quantile)
    kept = TopEntropy(quantile)(*given)[0]
    assert set(kept.tolist()) <= {0.0, 1.0}
    is_off_the_edge = (given[2][0] - threshold).abs() > 1e-9
    assert ((kept == 1) == (given[2][0] >= threshold))[is_off_the_edge].all()
    assert kept[int(given[2][0].argmax())] == 1


def test_top_entropy_keeps_a_fifth_and_silences_the_unknown():
    entropies = [*np.arange(10.0), math.nan]
    kept = TopEntropy(0.2)(*one_row([0.5] * 11, entropies, [1.0] * 11))[0]
    assert kept.tolist() == [0.0] * 8 + [1.0, 1.0, 0.0]
    assert TopEntropy(1.0)(*one_row([0.5] * 3, [0.0, 1.0, 2.0], [1.0] * 3))[0].tolist() == [1.0] * 3
    assert TopEntropy()(*one_row([0.5] * 2, [math.nan] * 2, [1.0] * 2))[0].tolist() == [0.0, 0.0]


def random_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logps_BT, old_BT = (-4 * torch.rand(3, 5, generator=generator) for _ in range(2))
    entropies_BT = 3 * torch.rand(3, 5, generator=generator)
    mask_BT = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    return logps_BT, old_BT, entropies_BT, torch.tensor([1.0, -0.5, 2.0]), mask_BT


@pytest.mark.parametrize("weight", WEIGHTS, ids=ids)
class TestLaws:
    def test_weights_are_constants_of_the_right_shape(self, weight):
        given = [values.clone().requires_grad_() if values.is_floating_point() else values for values in random_batch()]
        weights_BT = weight(*given)
        assert weights_BT.shape == (3, 5)
        assert not weights_BT.requires_grad
        assert (weights_BT >= 0).all()
        assert (weights_BT[given[-1] == 0] == 1).all()

    def test_what_stands_in_padding_does_not_matter(self, weight):
        logps_BT, old_BT, entropies_BT, advantages_B, mask_BT = random_batch()
        for junk in (math.nan, math.inf, -math.inf, 99.0):
            spoilt = [values.masked_fill(mask_BT == 0, junk) for values in (logps_BT, old_BT, entropies_BT)]
            torch.manual_seed(1)
            expected = weight(logps_BT, old_BT, entropies_BT, advantages_B, mask_BT)
            torch.manual_seed(1)
            assert torch.equal(weight(*spoilt, advantages_B, mask_BT), expected)
            penalties, clean = (
                weight.penalties(*values, advantages_B, mask_BT)
                for values in (spoilt, (logps_BT, old_BT, entropies_BT))
            )
            assert (penalties is None and clean is None) or torch.equal(penalties, clean)

    @pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
    def test_masks_and_advantages_of_any_form_say_the_same(self, weight, dtype):
        logps_BT, old_BT, entropies_BT, advantages_B, mask_BT = random_batch()
        expected = None
        for advantages in (advantages_B, advantages_B[:, None], advantages_B[:, None].expand(3, 5)):
            torch.manual_seed(1)
            weights_BT = weight(logps_BT, old_BT, entropies_BT, advantages, mask_BT.to(dtype))
            assert expected is None or torch.equal(weights_BT, expected)
            expected = weights_BT

    def test_a_batch_without_tokens_and_half_precision_are_taken(self, weight):
        logps_BT, old_BT, entropies_BT, advantages_B, mask_BT = random_batch()
        assert (weight(logps_BT, old_BT, entropies_BT, advantages_B, 0 * mask_BT) == 1).all()
        penalties_BT = weight.penalties(logps_BT, old_BT, entropies_BT, advantages_B, 0 * mask_BT)
        assert penalties_BT is None or (penalties_BT == 0).all()
        halves = (values.bfloat16() for values in (logps_BT, old_BT, entropies_BT, advantages_B))
        assert weight(*halves, mask_BT).dtype == torch.float32


@pytest.mark.parametrize("weight", [weight for weight in WEIGHTS if not isinstance(weight, ClipCov)])
def test_order_of_completions_does_not_matter_where_nothing_is_drawn(weight):
    given, order = random_batch(), torch.tensor([2, 0, 1])
    torch.testing.assert_close(weight(*(values[order] for values in given)), weight(*given)[order])


@pytest.mark.parametrize("weight", [Steer(), TopEntropy()])
def test_missing_entropies_are_named(weight):
    logps_BT, old_BT, _, advantages_B, mask_BT = random_batch()
    with pytest.raises(MissingInputError, match="entropies"):
        weight(logps_BT, old_BT, None, advantages_B, mask_BT)
    assert KlCov()(logps_BT, old_BT, None, advantages_B, mask_BT).shape == (3, 5)


def test_names_files_and_functions_resolve(tmp_path):
    assert resolve_token_weight("steer") == Steer()
    assert resolve_token_weight({"name": "kl_cov", "percent": 0.02}) == KlCov(percent=0.02)
    known = {Steer, ClipCov, KlCov, Repo, TopEntropy}
    assert {type(resolve_token_weight(name)) for name in TOKEN_WEIGHTS.names()} == known
    (tmp_path / "mine.py").write_text(
        "def double(logps, old, entropies, advantages, mask):\n    return 2 + 0 * logps\n"
    )
    mine = resolve_token_weight(f"{tmp_path}/mine.py:double")
    assert isinstance(mine, FunctionWeight)
    assert isinstance(mine, TokenWeight)
    logps_BT, *rest = random_batch()
    weights_BT = mine(logps_BT.requires_grad_(), *rest)
    assert (weights_BT == 2).all()
    assert not weights_BT.requires_grad
    assert mine.penalties(logps_BT, *rest) is None
    assert mine.clips


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: Steer(map="exp"), ConfigError, "map='exp'"),
        (lambda: Steer(lowest=0), ConfigError, "above 0"),
        (lambda: Steer(lowest=1.1), ConfigError, "above 0, at most 1"),
        (lambda: Steer(lowest=math.nan), ConfigError, "lowest=nan"),
        (lambda: Steer(highest=0.5), ConfigError, "at least 0.8"),
        (lambda: Steer(floor=0), ConfigError, "floor=0"),
        (lambda: Steer(squared=1), ConfigError, "true or false"),
        (lambda: ClipCov(fraction=0), ConfigError, "fraction=0"),
        (lambda: ClipCov(fraction=True), ConfigError, "fraction=True"),
        (lambda: ClipCov(low=2, high=1), ConfigError, "at least 2"),
        (lambda: ClipCov(clip_low=2), ConfigError, "from 0 to 1"),
        (lambda: ClipCov(clip_high=-1), ConfigError, "clip_high=-1"),
        (lambda: KlCov(percent=0), ConfigError, "percent=0"),
        (lambda: KlCov(percent=101), ConfigError, "above 0, at most 100"),
        (lambda: KlCov(coef="1"), ConfigError, "coef='1'"),
        (lambda: KlCov(clips=None), ConfigError, "true or false"),
        (lambda: TopEntropy(0), ConfigError, "quantile=0"),
        (lambda: TopEntropy(1.5), ConfigError, "above 0, at most 1"),
        (lambda: resolve_token_weight("stear"), PluginError, "Did you mean 'steer'"),
        (lambda: resolve_token_weight({"name": "steer", "low": 1}), PluginError, "no parameter 'low'"),
        (lambda: resolve_token_weight(0.8), PluginError, "cannot be called"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(build, error, words):
    with pytest.raises(error, match=words):
        build()
