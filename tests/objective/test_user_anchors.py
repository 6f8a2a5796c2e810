"""Anchors of a user's own: what they return is checked, and what they do to their arguments stays with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from rlkit.errors import PluginError
from rlkit.objective.anchors import Anchor, resolve_anchor

LOGPS_BT = torch.tensor([[-1.0, -2.0, -0.5], [-1.0, -1.0, -1.0]])
REF_LOGPS_BT = LOGPS_BT - 0.2


@dataclass(frozen=True)
class Squared(Anchor):
    """(log ratio)^2, or what a test puts in its place."""

    answer: object = None

    def losses(self, logps_BT, ref_logps_BT):
        ref_logps_BT.zero_()
        return (logps_BT - ref_logps_BT) ** 2 if self.answer is None else self.answer(logps_BT)


def test_it_is_given_copies_and_keeps_its_gradient():
    logps_BT, ref_logps_BT = LOGPS_BT.clone().requires_grad_(), REF_LOGPS_BT.clone()
    anchor = resolve_anchor(Squared())
    (gradient_BT,) = torch.autograd.grad(anchor.losses(logps_BT, ref_logps_BT).sum(), logps_BT)
    torch.testing.assert_close(gradient_BT, 2 * LOGPS_BT)
    assert torch.equal(ref_logps_BT, REF_LOGPS_BT)
    # What is not overridden stays ours.
    torch.testing.assert_close(anchor.values(LOGPS_BT, REF_LOGPS_BT), Anchor().values(LOGPS_BT, REF_LOGPS_BT))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda logps: None, "The anchor 'Squared' returned None; return one number a token"),
        (lambda logps: 1.0, r"returned 1\.0; return one number a token, a tensor of shape \(2, 3\)"),
        (lambda logps: logps[0], r"a tensor of shape \(3,\)"),
        (lambda logps: logps.sum(), r"a tensor of shape \(\)"),
        (lambda logps: logps.to(torch.complex64), r"a tensor of shape \(2, 3\)"),
        (lambda logps: logps * math.nan, "6 values that are NaN or infinite"),
        (lambda logps: logps / 0, "6 values that are NaN or infinite"),
        (lambda logps: 1 / 0, "The anchor 'Squared' failed in line .*ZeroDivisionError"),
    ],
)
def test_what_is_no_number_a_token_is_refused_in_one_sentence(answer, said):
    with pytest.raises(PluginError, match=said) as error:
        Squared(answer=answer).losses(LOGPS_BT, REF_LOGPS_BT)
    assert "\n" not in str(error.value)


def test_what_stands_where_a_token_cannot_come_does_not_matter():
    logps_BT, ref_logps_BT = torch.tensor([[-1.0, -math.inf]]), torch.tensor([[-2.0, -1.0]])
    assert Squared(answer=lambda logps: logps).losses(logps_BT, ref_logps_BT).tolist() == [[-1, 0]]
