"""Our loss against TRL's own on the same micro-batches, where an objective is neutral: values, gradients, metrics."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from trl import GRPOTrainer

from rlkit.objective import Objective, TokenBatch, compute_token_losses, resolve_objective, weigh_tokens
from rlkit.objective.loss import clipped
from rlkit.objective.token_weights import TokenWeight
from rlkit.recipe.fitting import LOSS_TYPES
from tests.trainers.test_grpo import build_trainer, count_fours


@dataclass(frozen=True)
class Neutral(TokenWeight):
    """Weighs every token 1, so that the loss is ours and the numbers are TRL's."""

    def __call__(self, logps_BT, old_logps_BT, entropies_BT, advantages, mask_BT):
        return torch.ones_like(logps_BT)


NEUTRAL = Objective(token_weights=(Neutral(),))


def micro_batch(trainer):
    """Return a micro-batch whose old log-probs are somewhat off, so that ratios clip on both sides."""
    trainer.model.train()
    # What transformers sets when training begins.
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    inputs = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    shape = inputs["completion_ids"].shape
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        logps = trainer.logprobs.of_behaviour(inputs)
    return inputs | {"old_per_token_logps": logps + 0.4 * torch.randn(shape, generator=generator)}


def value_and_gradient(trainer, compute, inputs):
    trainer.model.zero_grad()
    trainer._metrics["train"].clear()
    trainer.entropy_coef, trainer._entropy_window_stats = trainer.args.entropy_coef, None
    trainer._last_world_entropy = 1.0
    loss = compute(trainer.model, inputs)
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])
    return loss.detach(), gradient, {key: list(values) for key, values in trainer._metrics["train"].items()}


def assert_equals_trls(trainer, beta=0.0):
    inputs = micro_batch(trainer)
    ours = value_and_gradient(trainer, trainer._compute_loss, inputs)
    trainer.beta = beta
    theirs = value_and_gradient(trainer, lambda *given: GRPOTrainer._compute_loss(trainer, *given), inputs)
    assert theirs[1].norm() > 1e-4
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-5, atol=1e-7)
    for key, values in theirs[2].items():
        if key != "cispo_clip_ratio":
            assert ours[2][key] == pytest.approx(values, abs=1e-6, nan_ok=True), key


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("level", ["token", "sequence"])
def test_neutral_objective_equals_trls_loss(tmp_path, loss_type, level):
    trainer = build_trainer(
        tmp_path,
        count_fours,
        objective=NEUTRAL,
        loss_type=loss_type,
        importance_sampling_level=level,
        gradient_accumulation_steps=2,
        epsilon_high=0.28,
    )
    assert_equals_trls(trainer)


@pytest.mark.parametrize(
    "changes",
    [
        {"beta": 0.3},
        {"beta": 0.3, "use_bias_correction_kl": True},
        {"entropy_coef": 0.01},
        {"use_adaptive_entropy": True, "entropy_coef": 0.01, "entropy_target": 9.0},
        {"top_entropy_quantile": 0.4, "entropy_coef": 0.01},
        {"off_policy_mask_threshold": 0.01},
        {"delta": 1.5},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_what_trl_adds_to_the_loss_stays_usable(tmp_path, changes):
    trainer = build_trainer(tmp_path, count_fours, objective=NEUTRAL, **changes)
    assert_equals_trls(trainer, changes.get("beta", 0.0))


def test_beta_is_the_k3_anchor(tmp_path):
    by_beta = build_trainer(tmp_path, count_fours, objective=NEUTRAL, beta=0.3)
    anchor = {"name": "k3", "coef": 0.3, "importance_corrected": by_beta.args.use_bias_correction_kl}
    by_anchor = build_trainer(tmp_path, count_fours, objective={"anchor": anchor})
    inputs = micro_batch(by_beta)
    inputs["ref_per_token_logps"] = inputs["ref_per_token_logps"] - 0.5
    one = value_and_gradient(by_beta, by_beta._compute_loss, inputs)
    by_anchor.model.train()
    by_anchor.current_gradient_accumulation_steps = 1
    two = value_and_gradient(by_anchor, by_anchor._compute_loss, inputs)
    assert one[2]["kl"][0] > 0.05
    torch.testing.assert_close(one[:2], two[:2], rtol=1e-6, atol=1e-8)


def random_batch(seed=0, rows=3, tokens=5):
    generator = torch.Generator().manual_seed(seed)

    def draw():
        return torch.randn(rows, tokens, generator=generator)

    mask = torch.ones(rows, tokens)
    mask[1, 3:] = 0
    logps = (-draw().abs()).requires_grad_()
    return TokenBatch(
        logps_BT=logps,
        old_logps_BT=logps.detach() + 0.1 * draw(),
        entropies_BT=draw().abs(),
        advantages=draw()[:, :1],
        mask_BT=mask,
        ref_logps_BT=logps.detach() + 0.5 * draw(),
        anchored_B1=torch.tensor([[1.0], [0.0], [1.0]]),
        importance_BT=draw().exp(),
    )


def test_parts_meet_in_the_stated_order():
    @dataclass(frozen=True)
    class Halve(TokenWeight):
        def __call__(self, logps_BT, *rest):
            return torch.full_like(logps_BT, 0.5)

        def penalties(self, logps_BT, *rest):
            return 3 * logps_BT

    anchor = resolve_objective({"anchor": "k2"}).anchor
    objective, batch = Objective((Halve(), Halve()), anchor), random_batch()
    kept = (torch.arange(5) % 2).float()[None]
    weights_BT = weigh_tokens(objective, batch)
    found = compute_token_losses(objective, clipped, batch, anchor_coef=0.7, weights_BT=weights_BT, kept=kept)
    surrogate = clipped(batch.logps_BT, batch.old_logps_BT, batch.advantages, batch.mask_BT)
    k2 = 0.5 * (batch.logps_BT - batch.ref_logps_BT) ** 2
    expected = 0.25 * surrogate * kept * batch.importance_BT + 2 * 3 * batch.logps_BT + 0.7 * k2 * batch.anchored_B1
    # What a weight of one's own says of padding is not asked; the loss leaves padding out anyway.
    torch.testing.assert_close(found * batch.mask_BT, expected * batch.mask_BT)


def test_rows_outside_the_anchor_get_no_gradient_from_it():
    objective, batch = Objective(anchor=resolve_objective({"anchor": "k2"}).anchor), random_batch()
    without = compute_token_losses(objective, clipped, batch, anchor_coef=0.0).sum()
    with_anchor = compute_token_losses(objective, clipped, batch, anchor_coef=5.0).sum()
    (gradient,) = torch.autograd.grad(with_anchor - without, batch.logps_BT)
    assert (gradient[1] == 0).all()
    assert (gradient[[0, 2]] != 0).all()
