"""REPO-R: worked numbers, what it does to the entropy, and its controller."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.objective import resolve_objective
from rlkit.objective.decorrelation import Repo
from rlkit.objective.loss import clipped


def weigh(zeta, logps, advantages):
    logps_BT, advantages_BT = torch.tensor([logps], dtype=torch.float64), torch.tensor([advantages])
    return Repo(zeta=zeta)(logps_BT, logps_BT, None, advantages_BT, torch.ones(1, len(logps)))[0]


@pytest.mark.parametrize(
    ("zeta", "expected"), [(0.05, [1.005, 1.15, -0.995, -0.85]), (-0.05, [0.995, 0.85, -1.005, -1.15])]
)
def test_worked_advantages(zeta, expected):
    advantages = [1.0, 1, -1, -1]
    weights = weigh(zeta, [-0.1, -3, -0.1, -3], advantages)
    assert (weights * torch.tensor(advantages)).tolist() == pytest.approx(expected)


def test_very_rare_tokens_of_wrong_answers_count_nothing():
    assert weigh(0.05, [-25.0, -25.0], [1.0, -1.0]).tolist() == pytest.approx([2.25, 0])


@given(
    st.lists(st.tuples(st.floats(-30, 0), st.floats(-3, 3)), min_size=1, max_size=20),
    st.floats(-0.1, 0.1),
    st.sampled_from([0.5, 1.0, 1.5]),
)
def test_as_a_weight_of_the_clipped_surrogate_it_is_the_papers_advantage_in_it(tokens, zeta, ratio):
    logps, advantages = (torch.tensor([values], dtype=torch.float64) for values in zip(*tokens, strict=True))
    old, mask = logps - math.log(ratio), torch.ones_like(logps)
    rows = []
    for lp, a in tokens:
        rows.append(max(a * (1 - zeta * lp), 0) if a > 0 else min(a * (1 + zeta * lp), 0))
    expected = clipped(logps, old, torch.tensor([rows], dtype=torch.float64), mask)
    ours = clipped(logps, old, advantages, mask) * Repo(zeta=zeta)(logps, old, None, advantages, mask)
    torch.testing.assert_close(ours, expected)


def test_above_0_it_raises_the_entropy_that_a_step_leaves_and_below_0_it_lowers_it():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0], dtype=torch.float64)
    correct = torch.tensor([True, False, True, False])

    def entropy_after(zeta):
        moving = logits.clone().requires_grad_()
        logps = torch.log_softmax(moving, 0)
        probs = logps.exp().detach()
        advantages = correct.double() - (probs * correct).sum()
        weights = Repo(zeta=zeta)(logps[None], logps[None], None, advantages[None], torch.ones(1, 4))[0]
        (probs * weights * advantages * logps).sum().backward()
        after = torch.log_softmax(logits + 0.1 * moving.grad, 0)
        return -(after.exp() * after).sum().item()

    assert entropy_after(-0.2) < entropy_after(0.0) < entropy_after(0.2)


def test_the_controller_doubles_halves_and_turns_its_sign_at_the_lower_bound():
    repo = Repo(zeta=0.001, target=0.3)
    state, seen = repo.start(), []
    for entropy in [0.2] * 7 + [0.4] * 12 + [0.2]:
        state = repo.move(state, entropy)
        seen.append(state["zeta"])
    assert seen[:7] == pytest.approx([0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05])
    assert seen[7:16] == pytest.approx([0.05 / 2**k for k in range(1, 9)] + [1e-4])
    assert seen[16:19] == pytest.approx([-1e-4, -2e-4, -4e-4])
    assert seen[19] == pytest.approx(-2e-4)
    assert repo.at(state).zeta == state["zeta"]


def test_nine_doublings_lie_between_the_bounds():
    repo, steps = Repo(zeta=1e-4, target=0.3), 0
    state = repo.start()
    while state["zeta"] < 0.05:
        state, steps = repo.move(state, 0.1), steps + 1
    assert steps == 9


def test_the_initial_target_is_the_entropy_of_the_first_step_that_has_one():
    repo = Repo(target="initial")
    state = repo.move(repo.start(), math.nan)
    assert state == {"zeta": 0.001}
    state = repo.move(state, 0.7)
    assert state == {"zeta": 0.001, "target": 0.7}
    assert repo.move(state, 0.6) == {"zeta": 0.002, "target": 0.7}
    assert repo.move(state, math.nan) == state
    assert repo.move(state, 0.7) == state


def test_a_fixed_one_does_not_move():
    assert Repo(zeta=0.3).start() == {}
    assert Repo(zeta=0.3).move({}, 0.1) == {}
    assert Repo(zeta=0.3).at({}) == Repo(zeta=0.3)
    assert resolve_objective({"name": "repo", "zeta": 0.3}).token_weights == (Repo(zeta=0.3),)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"zeta": math.inf}, "zeta=inf"),
        ({"target": 0.0}, r"target=0\.0"),
        ({"target": "first"}, "target='first'; write a number above 0, or initial"),
        ({"target": True}, "target=True"),
        ({"target": 0.3, "zeta": 0.5}, r"zeta=0\.5; write a number from 0\.0001 to 0\.05"),
        ({"target": 0.3, "highest": 1e-5}, "highest=1e-05"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_with_a_sentence(params, words):
    with pytest.raises(ConfigError, match=words):
        Repo(**params)
