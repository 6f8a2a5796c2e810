"""What is taken of each next-token distribution while its logits are at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlkit.estimators import exact_kl, top_k_of_logps
from rlkit.evaluation.engines.truncation import sampling_probabilities
from rlkit.evaluation.sampling import SamplingConfig

if TYPE_CHECKING:
    import torch

TOP_K = 10


@dataclass(frozen=True)
class TokenMeasure:
    """Quantities of one token, all in float32 and nats, from the logits of one model or two.

    Of the first model, at temperature 1 without truncation: `logps` of the drawn token, `entropies`, and of the ten
    most likely tokens `top_mass`, `top_entropies`, `top_entropies_renormalised`. With `sampling`: `sampling_logps` and
    `sampling_entropies` of the distribution that was drawn from. With a second model: its `other_logps` of the drawn
    token and `kl`, KL(first || second) over the vocabulary.
    """

    sampling: SamplingConfig | None = None
    """Temperature and truncation the samples were drawn with; None where they are the model's own distribution."""

    def __call__(self, logits: list[torch.Tensor], tokens_N: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the quantities, each of shape (N,)."""
        import torch

        logps_NV = torch.log_softmax(logits[0].float(), dim=-1)
        top = top_k_of_logps(logps_NV, TOP_K)
        found = {
            "logps": _at(logps_NV, tokens_N),
            "entropies": torch.special.entr(logps_NV.exp()).sum(dim=-1),
            "top_mass": top.mass,
            "top_entropies": top.entropy_nats,
            "top_entropies_renormalised": top.entropy_renormalised_nats,
        }
        if self.sampling is not None:
            drawn_NV = sampling_probabilities(logits[0].float(), self.sampling)
            found["sampling_logps"] = _at(drawn_NV, tokens_N).log()
            found["sampling_entropies"] = torch.special.entr(drawn_NV).sum(dim=-1)
        if len(logits) > 1:
            other_NV = torch.log_softmax(logits[1].float(), dim=-1)
            found["other_logps"] = _at(other_NV, tokens_N)
            found["kl"] = exact_kl(logps_NV, other_NV)
        return found


def _at(values_NV: torch.Tensor, tokens_N: torch.Tensor) -> torch.Tensor:
    return values_NV.gather(-1, tokens_N[:, None]).squeeze(-1)
