"""Rewards of completions handed back along their tokens."""

from __future__ import annotations

import pytest
import torch

from rlkit.returns import read_lambda
from rlkit.trainers.ppo.crediting import CreditSettings, assign_credit

VALUES_BT = torch.tensor([[0.5, 0.6, 0.7, 9.0], [0.5, 0.6, 0.7, 9.0]])
MASK_BT = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
PENALTIES_BT = 0.1 * torch.tensor([[0.1, 0.2, 0.3, 5.0], [0.0, 0.0, 0.0, 0.0]])
REWARDS_B = torch.tensor([1.0, 1.0])


def settings(policy=0.95, value=1.0, kl_in_gae=False):
    return CreditSettings(1.0, read_lambda(policy, "policy"), read_lambda(value, "value"), kl_in_gae)


def test_returns_and_advantages_have_lambdas_of_their_own():
    credit = assign_credit(settings(), REWARDS_B, VALUES_BT, MASK_BT)
    torch.testing.assert_close(credit.advantages_BT[0], torch.tensor([0.46575, 0.385, 0.3, 0.0]))
    torch.testing.assert_close(credit.returns_BT[0], torch.tensor([1.0, 1.0, 1.0, 0.0]))
    assert credit.lambdas_B.tolist() == pytest.approx([0.95, 0.95])


def test_penalties_are_off_the_advantages_or_part_of_the_returns():
    outside = assign_credit(settings(), REWARDS_B, VALUES_BT, MASK_BT, penalties_BT=PENALTIES_BT)
    torch.testing.assert_close(outside.advantages_BT[0], torch.tensor([0.45575, 0.365, 0.27, 0.0]))
    torch.testing.assert_close(outside.returns_BT[0], torch.tensor([1.0, 1.0, 1.0, 0.0]))
    inside = assign_credit(settings(kl_in_gae=True), REWARDS_B, VALUES_BT, MASK_BT, penalties_BT=PENALTIES_BT)
    torch.testing.assert_close(inside.advantages_BT[0], torch.tensor([0.409675, 0.3365, 0.27, 0.0]))
    torch.testing.assert_close(inside.returns_BT[0], torch.tensor([0.94, 0.95, 0.97, 0.0]))


def test_while_the_policy_waits_the_critic_learns_plain_returns():
    given = (settings(value=0.0), REWARDS_B, VALUES_BT, MASK_BT)
    torch.testing.assert_close(assign_credit(*given).returns_BT[0], torch.tensor([0.6, 0.7, 1.0, 0.0]))
    waiting = assign_credit(*given, is_monte_carlo=True)
    torch.testing.assert_close(waiting.returns_BT[0], torch.tensor([1.0, 1.0, 1.0, 0.0]))


def test_only_what_ran_out_of_room_goes_on_from_the_critics_word():
    values_BT, mask_BT = torch.tensor([[0.3, 0.4, 0.5]]).repeat(2, 1), torch.ones(2, 3)
    bootstrap_B = torch.tensor([0.45, 0.0])
    credit = assign_credit(settings(), torch.zeros(2), values_BT, mask_BT, bootstrap_B)
    torch.testing.assert_close(credit.advantages_BT[0], torch.tensor([0.149875, 0.0525, -0.05]))
    torch.testing.assert_close(credit.advantages_BT[1], torch.tensor([-0.25625, -0.375, -0.5]))
    torch.testing.assert_close(credit.returns_BT[0], torch.full((3,), 0.45))


def test_a_lambda_may_depend_on_the_length():
    mask_BT = torch.tensor([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    given = settings(policy={"relative_position": 0.25})
    credit = assign_credit(given, REWARDS_B, torch.zeros(2, 4), mask_BT)
    assert credit.lambdas_B.tolist() == pytest.approx([0.5, 1.0])
    # A quarter of the reward reaches the first token, however long the completion is.
    torch.testing.assert_close(credit.advantages_BT[0], torch.tensor([0.25, 0.5, 1.0, 0.0]))
