"""The shape every token weight has.

Statistics are over the tokens handed in, a micro-batch, as in the released code of all of the papers here: gradient
accumulation and the number of ranks therefore change them. Padding takes no part and gets weight 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from rlkit.errors import MissingInputError


class Tokens(NamedTuple):
    """The tokens of a micro-batch that count, in row order; N of them, detached, float32 or wider."""

    logps_N: torch.Tensor
    old_logps_N: torch.Tensor
    entropies_N: torch.Tensor | None
    advantages_N: torch.Tensor


@dataclass(frozen=True)
class TokenWeight:
    """A pure function of log-probs, entropies and advantages; subclasses implement `weigh`."""

    clips = True
    """Whether the surrogate keeps its clip beside this weight."""

    def __call__(
        self,
        logps_BT: torch.Tensor,
        old_logps_BT: torch.Tensor,
        entropies_BT: torch.Tensor | None,
        advantages: torch.Tensor,
        mask_BT: torch.Tensor,
    ) -> torch.Tensor:
        """Return the factor of every token's surrogate.

        Args:
            logps_BT: log-probs of the tokens under the policy.
            old_logps_BT: the same under the policy that generated them.
            entropies_BT: entropy of the policy's next-token distributions, nats; None where the weight can do without.
            advantages: shape (B,), (B, 1) or (B, T).
            mask_BT: bool, int or float; a token counts where it is not 0.

        Returns:
            Shape (B, T), 0 or more, without gradient, float32 or wider; 1 at padding.

        Raises:
            MissingInputError: the weight needs entropies and there are none.
        """
        tokens = select_tokens(logps_BT, old_logps_BT, entropies_BT, advantages, mask_BT)
        weights_BT = torch.ones(logps_BT.shape, dtype=tokens.logps_N.dtype, device=logps_BT.device)
        if tokens.logps_N.numel():
            with torch.no_grad():
                weights_BT[mask_BT != 0] = self.weigh(tokens)
        return weights_BT

    def weigh(self, tokens: Tokens) -> torch.Tensor:
        """Return the weights of the tokens that count, shape (N,); there is at least one."""
        raise NotImplementedError

    def penalties(
        self,
        logps_BT: torch.Tensor,
        old_logps_BT: torch.Tensor,
        entropies_BT: torch.Tensor | None,
        advantages: torch.Tensor,
        mask_BT: torch.Tensor,
    ) -> torch.Tensor | None:
        """Return what is added to the loss of every token, (B, T) with gradient and 0 at padding; None for nothing."""
        return None

    def start(self) -> dict[str, float]:
        """Return what of the weight moves over a run, by name, as it is at first; nothing for most."""
        return {}

    def at(self, state: Mapping[str, float]) -> TokenWeight:
        """Return the weight as it is where what moves is so."""
        return self

    def move(self, state: Mapping[str, float], entropy: float) -> dict[str, float]:
        """Return what moves as it is for the next optimizer step.

        Args:
            state: as it was.
            entropy: of the policy in this step, nats, mean over the tokens that were learnt from; NaN where unknown.
        """
        return dict(state)


@dataclass(frozen=True)
class FunctionWeight(TokenWeight):
    """A bare function of the five tensors, as a user writes one, made a token weight."""

    function: Callable[..., torch.Tensor]

    def __call__(self, *given: Any) -> torch.Tensor:
        return self.function(*given).detach()


def select_tokens(
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    entropies_BT: torch.Tensor | None,
    advantages: torch.Tensor,
    mask_BT: torch.Tensor,
) -> Tokens:
    """Return the tokens whose mask is not 0, each with its completion's advantage."""
    dtype = torch.promote_types(logps_BT.dtype, torch.float32)
    columns = advantages.unsqueeze(1) if advantages.dim() == 1 else advantages
    is_counted_BT = mask_BT != 0

    def pick(values_BT: torch.Tensor) -> torch.Tensor:
        return values_BT.detach().expand(mask_BT.shape)[is_counted_BT].to(dtype)

    entropies_N = None if entropies_BT is None else pick(entropies_BT)
    return Tokens(pick(logps_BT), pick(old_logps_BT), entropies_N, pick(columns))


def require_entropies(tokens: Tokens, owner: str) -> torch.Tensor:
    """Return the entropies.

    Raises:
        MissingInputError: there are none.
    """
    if tokens.entropies_N is None:
        raise MissingInputError(f"The token weight {owner} needs the entropies of the next-token distributions.")
    return tokens.entropies_N
