"""Token weights and anchors of a user's own that return, raise or write what they should not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from rlkit.errors import ConfigError, MissingInputError, PluginError
from rlkit.objective import Objective, TokenBatch, compute_token_losses, resolve_anchor, resolve_objective, weigh_tokens
from rlkit.objective.anchors import Anchor
from rlkit.objective.base import TokenWeight
from rlkit.objective.surrogates import clipped
from rlkit.objective.token_weights import resolve_token_weight

HEAD = "import numpy as np\nimport torch\nfrom rlkit.objective.base import TokenWeight\n"
DEFINED = "def mine(logps, old, entropies, advantages, mask):\n    return "


def batch() -> TokenBatch:
    generator = torch.Generator().manual_seed(0)
    logps_BT = -torch.rand((2, 3), generator=generator)
    mask_BT = torch.tensor([[1, 1, 1], [1, 0, 0]])
    given = (logps_BT.clone().requires_grad_(), logps_BT - 0.1, torch.ones(2, 3), torch.tensor([[1.0], [-1.0]]))
    return TokenBatch(*given, mask_BT, ref_logps_BT=logps_BT - 0.2)


def write(tmp_path, body):
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}{body}\n")
    return f"{path}:mine"


def weights_of(spec) -> torch.Tensor:
    weights_BT = weigh_tokens(resolve_objective({"token_weights": [spec]}), batch())
    assert weights_BT is not None
    return weights_BT


@pytest.mark.parametrize(
    "returned",
    [
        "0 * logps + 2",
        "(0 * logps + 2).numpy()",
        "(0 * logps + 2).tolist()",
        "(0 * logps + 2).double()",
        "(0 * logps + 2).bfloat16()",
        "torch.full((2, 3), 2)",
        "torch.full((2, 1), 2.0)",
        "torch.full((2, 3), 2.0, requires_grad=True)",
        "torch.where(mask != 0, 2.0, torch.nan)",
        "torch.where(mask != 0, 2.0, -1.0)",
    ],
)
def test_any_kind_of_numbers_is_taken_and_padding_does_not_matter(tmp_path, returned):
    weights_BT = weights_of(write(tmp_path, DEFINED + returned))
    assert weights_BT.tolist() == [[2, 2, 2], [2, 1, 1]]
    assert weights_BT.dtype == torch.float32
    assert not weights_BT.requires_grad


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("None", "'mine' returned None; return one number a token"),
        ("'x'", "'mine' returned 'x'; return one number a token"),
        ("[[1.0, 2.0], [1.0]]", "return one number a token"),
        ("logps[:, 0]", r"values of shape \(2,\); return one number a token, shape \(2, 3\)"),
        ("logps.T", r"values of shape \(3, 2\)"),
        ("logps.mean()", r"values of shape \(\)"),
        ("logps[0]", r"values of shape \(3,\)"),
        ("logps.to(torch.complex64)", "complex ones"),
        ("logps * torch.nan", "'mine' returned 4 values that are NaN or infinite"),
        ("logps / 0", "returned 4 values that are NaN or infinite"),
        ("logps", "returned 4 negative weights"),
        ("1 / 0", r"'mine' failed in line 5 of .*mine\.py: ZeroDivisionError"),
        ("torch.zeros(2) @ torch.zeros(3)", r"failed in line 5 of .*mine\.py: RuntimeError"),
        ("{}[0]", "KeyError"),
    ],
)
def test_what_is_no_weight_is_refused_in_one_sentence(tmp_path, returned, words):
    with pytest.raises((PluginError, ConfigError), match=words) as error:
        weights_of(write(tmp_path, DEFINED + returned))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("mine = 3", "3 cannot be called as f"),
        ("def mine(logps):\n    return logps", r"'mine' cannot be called as f\(logps_BT.*too many positional"),
        ("class mine:\n    def __init__(self, a): pass", "needs 'a'"),
        ("class mine:\n    pass", "cannot be called as f"),
        ("def mine(*given):\n    return 1\nmine.clips = 'no'", "clips='no'; write True or False"),
    ],
)
def test_what_cannot_be_a_weight_is_refused_before_training(tmp_path, body, words):
    with pytest.raises(PluginError, match=words):
        resolve_token_weight(write(tmp_path, body))


def test_a_subclass_of_ones_own_is_watched_like_a_function(tmp_path):
    body = "class mine(TokenWeight):\n    def weigh(self, tokens):\n        return "
    assert weights_of(write(tmp_path, body + "torch.full_like(tokens.logps_N, 3.0)")).tolist() == [[3, 3, 3], [3, 1, 1]]
    for number, (returned, words) in enumerate(
        [
            ("tokens.logps_N[:2]", "RuntimeError"),
            ("-1.0", "4 negative"),
            ("torch.nan", "4 values that are NaN"),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        with pytest.raises((PluginError, ConfigError), match=words):
            weights_of(write(tmp_path / str(number), body + returned))


def test_errors_meant_for_the_user_pass():
    def mine(*given):
        raise MissingInputError("mine needs entropies.")

    with pytest.raises(MissingInputError, match="mine needs entropies"):
        weights_of(mine)


def test_what_it_writes_to_touches_nobody_else():
    def mine(logps, old, entropies, advantages, mask):
        for each in (logps, old, entropies, advantages, mask):
            each.zero_()
        return logps + 1

    given, before = batch(), batch()
    assert weigh_tokens(Objective(token_weights=(resolve_token_weight(mine),)), given).tolist() == [[1, 1, 1]] * 2
    for one, other in zip(vars(given).values(), vars(before).values(), strict=True):
        assert one is other is None or torch.equal(one, other)


def test_penalties_of_ones_own_keep_their_gradient_and_are_checked():
    class Pay(TokenWeight):
        clips = False

        def __init__(self, factor):
            object.__setattr__(self, "factor", factor)

        def weigh(self, tokens):
            return torch.ones_like(tokens.logps_N)

        def penalties(self, logps_BT, *rest):
            return self.factor * logps_BT

    given = batch()
    objective = resolve_objective({"token_weights": [Pay(2.0)]})
    assert not objective.token_weights[0].clips
    losses_BT = compute_token_losses(objective, clipped, given)
    plain = compute_token_losses(Objective(), lambda *a, clips: clipped(*a, clips=False), given)
    (gradient_BT,) = torch.autograd.grad((losses_BT - plain).sum(), given.logps_BT)
    assert gradient_BT.tolist() == [[2, 2, 2], [2, 0, 0]]
    with pytest.raises(ConfigError, match="'Pay' returned 4 values that are NaN or infinite"):
        compute_token_losses(resolve_objective({"token_weights": [Pay(math.nan)]}), clipped, given)


@dataclass(frozen=True)
class Squared(Anchor):
    """(log ratio)^2, or what a test puts in its place."""

    answer: object = None

    def losses(self, logps_BT, ref_logps_BT):
        ref_logps_BT.zero_()
        return (logps_BT - ref_logps_BT) ** 2 if self.answer is None else self.answer(logps_BT)


def test_an_anchor_of_ones_own_is_given_copies_and_keeps_its_gradient():
    given = batch()
    anchor = resolve_anchor(Squared())
    losses_BT = anchor.losses(given.logps_BT, given.ref_logps_BT)
    (gradient_BT,) = torch.autograd.grad(losses_BT.sum(), given.logps_BT)
    torch.testing.assert_close(gradient_BT, 2 * given.logps_BT.detach())
    assert torch.equal(given.ref_logps_BT, batch().ref_logps_BT)
    assert anchor.values(given.logps_BT, given.ref_logps_BT).shape == (2, 3)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda logps: None, "The anchor 'Squared' returned None; return one number a token"),
        (lambda logps: logps[0], r"values of shape \(3,\)"),
        (lambda logps: logps * math.nan, "6 values that are NaN or infinite"),
        (lambda logps: 1 / 0, "The anchor 'Squared' failed in line .*ZeroDivisionError"),
    ],
)
def test_what_an_anchor_of_ones_own_gets_wrong_is_one_sentence(answer, words):
    given = batch()
    with pytest.raises((PluginError, ConfigError), match=words):
        Squared(answer=answer).losses(given.logps_BT, given.ref_logps_BT)


def test_an_anchor_may_say_anything_where_a_token_cannot_come():
    logps_BT, ref_logps_BT = torch.tensor([[-1.0, -math.inf]]), torch.tensor([[-2.0, -1.0]])
    assert Squared(answer=lambda logps: logps).losses(logps_BT, ref_logps_BT).tolist() == [[-1, 0]]
