"""Token weights that a user wrote: the loss goes on with a weight of every token, or stops with a sentence."""

from __future__ import annotations

from typing import Any

import torch

from rlkit.errors import PluginError, RlkitError
from rlkit.objective.base import FunctionWeight, TokenWeight
from rlkit.parameters import show
from rlkit.plugins import blame_plugin


def is_own(weight: TokenWeight) -> bool:
    """Return whether a token weight is not one of ours, which need no watching."""
    return isinstance(weight, FunctionWeight) or not type(weight).__module__.startswith("rlkit.")


def run_own(weight: TokenWeight, given: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return what a user's weight makes of copies of the five tensors: (B, T), without gradient, 1 at padding.

    Args:
        weight: the token weight.
        given: log-probs, old log-probs, entropies, advantages and mask, as `TokenWeight` takes them.

    Raises:
        PluginError: it raises, or does not return one finite number of 0 or more for every token that counts.
    """
    name, mask_BT = name_weight(weight), given[-1]
    weigh = weight.function if isinstance(weight, FunctionWeight) else weight
    try:
        # Copies: what a weight does to its arguments in place must not reach the loss.
        found = weigh(*(None if tensor is None else tensor.detach().clone() for tensor in given))
    except RlkitError:
        raise
    except Exception as error:
        raise blame_plugin(error, f"The token weight {name!r}") from error
    weights_BT = _read(found, name, mask_BT)
    counted_N = weights_BT[mask_BT != 0]
    for is_bad_N, what in ((~counted_N.isfinite(), "that is not finite"), (counted_N < 0, "below 0")):
        if is_bad_N.any():
            # A negative weight would turn the sign of what a token teaches.
            bad = counted_N[is_bad_N][0].item()
            raise PluginError(f"The token weight {name!r} gave a token {bad:g}, a weight {what}; give 0 or more.")
    return weights_BT.masked_fill(mask_BT == 0, 1.0)


def penalise_own(weight: TokenWeight, given: tuple[torch.Tensor, ...]) -> torch.Tensor | None:
    """Return what a user's weight adds to the loss of every token, (B, T) with gradient; None for nothing.

    Raises:
        PluginError: it raises, or returns something else than one finite number a token.
    """
    name, mask_BT = name_weight(weight), given[-1]
    try:
        found = weight.penalties(*given)
    except RlkitError:
        raise
    except Exception as error:
        raise blame_plugin(error, f"The penalties of the token weight {name!r}") from error
    if found is None:
        return None
    if not isinstance(found, torch.Tensor) or found.shape != mask_BT.shape or found.is_complex():
        raise PluginError(
            f"The penalties of the token weight {name!r} are {_describe(found)}; return one number a token, a "
            f"tensor of shape {tuple(mask_BT.shape)}."
        )
    if not found.detach()[mask_BT != 0].isfinite().all():
        raise PluginError(f"The penalties of the token weight {name!r} are not all finite.")
    return found


def name_weight(weight: Any) -> str:
    """Return how messages call a token weight: the name of its function, or of its class."""
    thing = weight.function if isinstance(weight, FunctionWeight) else weight
    name = getattr(thing, "__name__", None)
    return name if isinstance(name, str) else type(thing).__name__


def _read(found: Any, name: str, mask_BT: torch.Tensor) -> torch.Tensor:
    try:
        weights_BT = torch.as_tensor(found, device=mask_BT.device).detach()
    except (TypeError, ValueError, RuntimeError):
        weights_BT = None
    if weights_BT is None or weights_BT.shape != mask_BT.shape or weights_BT.is_complex():
        raise PluginError(
            f"The token weight {name!r} returned {_describe(found)}; return one number a token, shape "
            f"{tuple(mask_BT.shape)}."
        )
    return weights_BT.to(torch.promote_types(weights_BT.dtype, torch.float32))


def _describe(found: Any) -> str:
    return f"a tensor of shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else show(found)
