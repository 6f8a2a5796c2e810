"""A sampling loop over a key-value cache: prompts are read once each, finished rows leave the batch.

Compared with `model.generate`: a prompt is prefilled once for all its samples; log-probs and entropies are taken while
the logits are at hand instead of being kept; and each row draws from noise of its own, so that a sample does not depend
on which others share its batch.

R counts the rows (samples) of a batch, S the slots of the running forward pass, V the vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlkit.evaluation.engines.truncation import draw, sampling_probabilities
from rlkit.evaluation.sampling import SamplingConfig

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Noise = Callable[[int], NDArray[np.float64]]
"""Step -> one uniform number in [0, 1) for each row of the batch, shape (R,)."""

StopTest = Callable[[list[int]], bool]
"""Token ids drawn so far for a row -> whether their text holds a stop text."""

# Dropping finished rows copies the cache; that pays once a quarter of the slots computes for nothing.
_COMPACT_BELOW = 0.75


@dataclass(frozen=True)
class Draws:
    """What was drawn for the rows of one batch."""

    tokens: list[list[int]]
    """Per row, the end token included."""
    stopped: list[bool]
    """Per row: ended by itself, rather than cut."""
    logp_sums: list[float]
    """Per row, natural log, of the model at temperature 1."""
    entropy_sums: list[float]
    """Per row, nats, of the model at temperature 1."""


def draw_rows(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    prompt_of_R: Sequence[int],
    limits_R: Sequence[int],
    noise: Noise,
    sampling: SamplingConfig,
    end_ids: Sequence[int],
    holds_stop: StopTest | None = None,
) -> Draws:
    """Draw one completion for each row.

    Args:
        model: a causal language model, on its device, in evaluation mode.
        prompts: token ids of each prompt, none empty.
        prompt_of_R: index of each row's prompt.
        limits_R: most tokens to draw for each row, at least 1.
        noise: uniform numbers by step; a row's token depends on its own number only.
        sampling: temperature and truncation; its `max_tokens`, `stop` and `seed` are not read here.
        end_ids: tokens that end a completion.
        holds_stop: finds stop texts; None when there are none.
    """
    import torch

    with torch.inference_mode():
        batch = _Batch(model, end_ids, limits_R)
        logits_SV = batch.prefill(prompts, prompt_of_R)
        for step in range(max(limits_R)):
            tokens_S = batch.draw_step(logits_SV, torch.from_numpy(noise(step)), sampling, holds_stop)
            if not batch.is_live_S.any():
                break
            logits_SV = batch.advance(batch.compact(tokens_S))
    return batch.draws()


class _Batch:
    """The slots of the running forward pass, and the books of the rows in them."""

    def __init__(self, model: PreTrainedModel, end_ids: Sequence[int], limits_R: Sequence[int]) -> None:
        import torch

        self.model, self.device = model, model.device
        # Most models can skip the logits of all but the last position, the largest tensor of a prefill.
        can_skip = "logits_to_keep" in inspect.signature(model.forward).parameters
        self.options: dict[str, Any] = {"logits_to_keep": 1} if can_skip else {}
        self.end_ids = torch.tensor(list(end_ids), dtype=torch.long, device=self.device)
        self.limits_R = torch.tensor(list(limits_R), device=self.device)
        self.tokens: list[list[int]] = [[] for _ in limits_R]
        self.stopped_R = torch.zeros(len(limits_R), dtype=torch.bool, device=self.device)
        self.logp_sums_R = torch.zeros(len(limits_R), dtype=torch.float64, device=self.device)
        self.entropy_sums_R = torch.zeros_like(self.logp_sums_R)
        self.row_of_S = torch.arange(len(limits_R), device=self.device)
        self.is_live_S = torch.ones_like(self.stopped_R)

    def prefill(self, prompts: Sequence[Sequence[int]], prompt_of_R: Sequence[int]) -> torch.Tensor:
        """Read each prompt once, give each row a copy of its cache, and return the logits of the first token."""
        import torch

        from rlkit.evaluation.engines.kv_cache import new_cache

        longest = max(map(len, prompts))
        pads = [longest - len(ids) for ids in prompts]
        ids_PL = torch.tensor([[0] * pad + list(ids) for pad, ids in zip(pads, prompts, strict=True)])
        mask_PL = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads], device=self.device)
        self.cache = new_cache(self.model.config)
        # Without a mask attention takes its faster path, and batches of one prompt length are the common case.
        self.mask_SL = mask_PL if any(pads) else None
        self.position_S = mask_PL.sum(dim=-1)
        positions_PL = (mask_PL.cumsum(dim=-1) - 1).clamp(min=0) if any(pads) else None
        logits_PV = self._forward(ids_PL.to(self.device), positions_PL)
        slots_S = torch.tensor(list(prompt_of_R), device=self.device)
        self._keep(slots_S)
        return logits_PV[slots_S]

    def draw_step(
        self, logits_SV: torch.Tensor, uniforms_R: torch.Tensor, sampling: SamplingConfig, holds_stop: StopTest | None
    ) -> torch.Tensor:
        """Draw a token for each slot, enter it in its row's books, and mark the rows that end with it."""
        import torch

        logps_SV = torch.log_softmax(logits_SV, dim=-1)
        tokens_S = draw(sampling_probabilities(logits_SV, sampling), uniforms_R.to(self.device)[self.row_of_S])
        logps_S = logps_SV.gather(-1, tokens_S[:, None]).squeeze(-1)
        entropies_S = torch.special.entr(logps_SV.exp()).sum(dim=-1)
        rows_A, live_A = self.row_of_S[self.is_live_S], self.is_live_S.nonzero().squeeze(-1)
        self.logp_sums_R[rows_A] += logps_S[live_A].double()
        self.entropy_sums_R[rows_A] += entropies_S[live_A].double()
        written = [self.tokens[row] for row in rows_A.tolist()]
        for ids, token in zip(written, tokens_S[live_A].tolist(), strict=True):
            ids.append(token)
        stopped_A = torch.isin(tokens_S[live_A], self.end_ids)
        if holds_stop is not None:
            stopped_A |= torch.tensor([holds_stop(ids) for ids in written], device=self.device)
        self.stopped_R[rows_A] = stopped_A
        self.is_live_S[live_A] = ~stopped_A & (self.limits_R[rows_A] > len(written[0]))
        return tokens_S

    def compact(self, tokens_S: torch.Tensor) -> torch.Tensor:
        """Drop finished slots once they are many; return the tokens of those that stay."""
        if self.is_live_S.float().mean() >= _COMPACT_BELOW:
            return tokens_S
        kept = self.is_live_S.nonzero().squeeze(-1)
        self.row_of_S, self.is_live_S = self.row_of_S[kept], self.is_live_S[kept]
        self._keep(kept)
        return tokens_S[kept]

    def advance(self, tokens_S: torch.Tensor) -> torch.Tensor:
        """Read one token a slot; return the logits of the next."""
        import torch

        if self.mask_SL is not None:
            self.mask_SL = torch.cat([self.mask_SL, self.mask_SL.new_ones(len(tokens_S), 1)], dim=-1)
        positions_S1 = self.position_S[:, None] if self.mask_SL is not None else None
        logits_SV = self._forward(tokens_S[:, None], positions_S1)
        self.position_S = self.position_S + 1
        return logits_SV

    def draws(self) -> Draws:
        """Return the books."""
        sums = self.logp_sums_R.tolist(), self.entropy_sums_R.tolist()
        return Draws(self.tokens, self.stopped_R.tolist(), *sums)

    def _forward(self, ids_SL: torch.Tensor, positions_SL: torch.Tensor | None) -> torch.Tensor:
        options = {**self.options, "attention_mask": self.mask_SL, "past_key_values": self.cache}
        if positions_SL is not None:
            options["position_ids"] = positions_SL
        output = self.model(input_ids=ids_SL, use_cache=True, **options)
        return output.logits[:, -1].float()

    def _keep(self, slots: torch.Tensor) -> None:
        self.cache.batch_select_indices(slots)
        self.position_S = self.position_S[slots]
        if self.mask_SL is not None:
            self.mask_SL = self.mask_SL[slots]
