"""The rank section of probe.json: how many dimensions the states of prompts fill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import alpha_req, rank_me, rank_me_covariance, singular_spectrum

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BATCH_TOKENS = 8192
# The first directions hold what all prompts share, the last ones are cut by the number of prompts.
_WINDOW = (3, 50)


def last_states(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], batch_tokens: int | None = None
) -> NDArray[np.float32]:
    """Return the state of each prompt's last token, after the last layer and its norm, shape (N, D).

    Args:
        model: in evaluation mode.
        prompts: token ids of each prompt, none empty.
        batch_tokens: tokens of a batch, padding included.
    """
    import torch

    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    states: dict[int, NDArray[np.float32]] = {}
    while order:
        longest = len(prompts[order[0]])
        rows = max(1, (batch_tokens or _BATCH_TOKENS) // longest)
        batch, order = order[:rows], order[rows:]
        # Padded on the right, where a row's own tokens cannot see it.
        ids_RL = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, index in enumerate(batch):
            ids_RL[row, : len(prompts[index])] = torch.tensor(list(prompts[index]))
        last_R = torch.tensor([len(prompts[index]) - 1 for index in batch])
        with torch.inference_mode():
            hidden_RLD = model.base_model(input_ids=ids_RL.to(model.device), use_cache=False).last_hidden_state
        found_RD = hidden_RLD[torch.arange(len(batch)), last_R.to(hidden_RLD.device)].float().cpu().numpy()
        states |= dict(zip(batch, found_RD, strict=True))
    return np.stack([states[index] for index in range(len(prompts))])


def rank_section(states_ND: NDArray[np.float32], base_states_ND: NDArray[np.float32] | None) -> dict[str, Any]:
    """Return RankMe in both forms and alpha of the model's states and, where given, of the base's."""
    num_states, width = states_ND.shape
    return {
        "state": "last token of the prompt, after the last layer and its norm",
        "num_states": num_states,
        "width": width,
        "model": _spectrum(states_ND),
        "base": None if base_states_ND is None else _spectrum(base_states_ND),
        "caution": None
        if num_states >= width
        else f"{num_states} prompts for states of width {width}: their number, not the model, limits these ranks.",
    }


def _spectrum(states_ND: NDArray[np.float32]) -> dict[str, Any]:
    plain, centred = (singular_spectrum(states_ND, centred=is_centred) for is_centred in (False, True))
    return {
        "rank_me": _or_none(rank_me(plain)),
        "rank_me_centred": _or_none(rank_me(centred)),
        "rank_me_covariance": _or_none(rank_me_covariance(plain)),
        "rank_me_covariance_centred": _or_none(rank_me_covariance(centred)),
        "alpha_req": {
            "value": _or_none(alpha_req(centred, *_WINDOW)),
            "first": _WINDOW[0],
            "last": _WINDOW[1],
            "centred": True,
        },
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
