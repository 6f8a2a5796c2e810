"""What a chain is given beside rewards: the reference's log-probs, and what was seen of each prompt before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlkit.advantages import Transform
from tests.trainers.test_grpo import build_trainer, count_fours


class Recorded(Transform):
    """Pass values through and keep the contexts."""

    def __init__(self, *fields):
        object.__setattr__(self, "fields", frozenset(fields))
        object.__setattr__(self, "seen", [])

    @property
    def needs(self):
        return self.fields

    def __call__(self, values_PG, ctx=None):
        self.seen.append(ctx)
        return values_PG - values_PG.nanmean(dim=1, keepdim=True)


@pytest.mark.parametrize("objective", [None, {"anchor": {"name": "k2", "coef": 0.1}}], ids=["alone", "anchored"])
@pytest.mark.parametrize("fast_path", [True, False])
def test_a_chain_that_asks_for_it_knows_the_reference(tmp_path, fast_path, objective):
    spy = Recorded("mean_logps_PG", "ref_mean_logps_PG")
    trainer = build_trainer(
        tmp_path, count_fours, advantage=[spy], objective=objective, fast_path=fast_path, max_steps=3, learning_rate=0.1
    )
    assert trainer.beta == 0
    trainer.train()
    first, *later = ((ctx.require("mean_logps_PG", "it"), ctx.require("ref_mean_logps_PG", "it")) for ctx in spy.seen)
    # The policy is the reference before the first step, and has left it afterwards.
    torch.testing.assert_close(*first, atol=1e-5, rtol=0)
    assert len(later) == 2
    assert all((policy - reference).abs().max() > 1e-3 for policy, reference in later)
    assert all((reference <= 0).all() for _, reference in later)
    spy.seen.clear()
    trainer.evaluate()
    for ctx in spy.seen:
        policy, reference = ctx.require("mean_logps_PG", "it"), ctx.require("ref_mean_logps_PG", "it")
        assert (policy - reference).abs().max() > 1e-3
    assert spy.seen


def test_no_reference_is_loaded_for_a_chain_that_does_not_ask(tmp_path):
    assert build_trainer(tmp_path / "without", count_fours, advantage="grpo").ref_model is None
    assert build_trainer(tmp_path / "with", count_fours, advantage="flow_rl").ref_model is not None


def test_counts_of_a_prompt_are_of_the_batches_before(tmp_path, monkeypatch):
    spy, drawn = Recorded("pass_counts_P2"), []
    trainer = build_trainer(tmp_path, count_fours, advantage=[spy], max_steps=10, correct_above=0.3)
    add_batch = trainer.memory.add_batch
    monkeypatch.setattr(trainer.memory, "add_batch", lambda ids, *rest: (drawn.append(ids), add_batch(ids, *rest)))
    trainer.train()
    table: dict[str, np.ndarray] = {}
    num_known = 0
    for ctx, ids in zip(spy.seen, drawn, strict=True):
        counts, correct = ctx.require("pass_counts_P2", "it").numpy(), ctx.correct_PG.numpy()
        for p, prompt in enumerate(ids):
            np.testing.assert_array_equal(counts[p], table.get(prompt, np.zeros(2)))
            num_known += counts[p, 1] > 0
        for p, prompt in enumerate(ids):
            table[prompt] = table.get(prompt, np.zeros(2)) + np.array([correct[p].sum(), correct.shape[1]])
    assert num_known > 0


def test_a_moving_token_weight_is_logged_and_follows_the_entropy(tmp_path):
    objective = {"name": "repo", "target": 100.0, "zeta": 0.001}
    trainer = build_trainer(tmp_path, count_fours, advantage="grpo", objective=objective, max_steps=4)
    trainer.train()
    logged = [entry["token_weight/zeta"] for entry in trainer.state.log_history if "token_weight/zeta" in entry]
    assert logged == pytest.approx([0.001, 0.002, 0.004, 0.008])
    assert trainer.memory.token_weights == [{"zeta": pytest.approx(0.016), "target": 100.0}]
    weights = [entry["token_weight/mean"] for entry in trainer.state.log_history if "token_weight/mean" in entry]
    assert len(weights) == 4
    assert abs(weights[3] - 1) > abs(weights[0] - 1)
