"""Another algorithm in a subclass, by the public seams alone: its advantages a token, and a critic with a loss."""

from __future__ import annotations

import pytest
import torch

from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from rlkit.trainers.loss import token_mask
from tests.trainers.test_grpo import count_fours
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments


class ActorCritic(DiverseGRPOTrainer):
    """A small actor-critic: each token's advantage is the completion's reward less what a critic expects of it."""

    def __init__(self, **given):
        super().__init__(**given)
        self.batches, self.seen = [], []

    def value(self, model, rows):
        ids = torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1)
        mask = torch.cat([rows["prompt_mask"], rows["completion_mask"]], dim=1)
        hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state.detach()
        return model.critic(hidden)[:, -rows["completion_ids"].size(1) :, 0]

    def compute_advantages(self, batch):
        assert batch.groups.summed_rewards_PG.shape == batch.groups.rewards_PGK.shape[:2]
        rewards_B = batch.groups.summed_rewards_PG.flatten()[batch.place].float()
        with torch.no_grad():
            values_BT = self.value(self.model, batch.rows)
        batch.rows["returns"] = rewards_B
        advantages_BT = (rewards_B[:, None] - values_BT) * token_mask(batch.rows)
        # A row without any advantage, whose value is to be learnt all the same.
        advantages_BT[0] = 0.0
        self.batches.append(advantages_BT)
        return advantages_BT

    def auxiliary_losses(self, model, rows):
        mask_BT = token_mask(rows)
        self.seen.append(int(mask_BT.any(dim=1).sum()))
        errors_BT = (self.value(model, rows) - rows["returns"][:, None]) ** 2 * mask_BT
        return {"critic": (errors_BT.sum(dim=1) * rows["row_weights"]).sum()}


def build(tmp_path, fast_path):
    torch.manual_seed(0)
    model = build_model()
    model.critic = torch.nn.Linear(32, 1)
    settings = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 3}
    return ActorCritic(
        model=model,
        reward_funcs=count_fours,
        args=DiverseGRPOConfig(**training_arguments(str(tmp_path), fast_path=fast_path, **settings)),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )


def train(trainer):
    torch.manual_seed(7)
    trainer.train()
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


@pytest.mark.parametrize("fast_path", [False, True])
def test_a_critic_is_trained_beside_the_policy(tmp_path, fast_path):
    trainer = build(tmp_path, fast_path)
    critic, policy = (
        [p.detach().clone() for p in part.parameters()] for part in (trainer.model.critic, trainer.model.model)
    )
    train(trainer)
    for before, part in ((critic, trainer.model.critic), (policy, trainer.model.model)):
        assert any(not torch.equal(old, new) for old, new in zip(before, part.parameters(), strict=True))
    assert all(entry["loss/critic"] > 0 for entry in trainer.state.log_history[:3])
    # Returns are above what an untrained critic says, so that it learns to say more.
    assert trainer.model.critic.bias > critic[1]
    assert sum(trainer.seen) == 3 * 8, "every row, those without any advantage too"
    assert all(batch.shape == (8, batch.size(1)) for batch in trainer.batches)


def test_how_rows_are_cut_into_passes_changes_neither_loss(tmp_path):
    slow, fast = train(build(tmp_path, fast_path=False)), train(build(tmp_path, fast_path=True))
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=0)
