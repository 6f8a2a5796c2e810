"""Anchors that a user wrote: what they override gives finite numbers (B, T), or stops the run with one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from rlkit.errors import PluginError, RlkitError
from rlkit.parameters import show
from rlkit.plugins import blame_plugin


def watch_method(method: Callable[..., Any]) -> Callable[..., torch.Tensor]:
    """Return a method `f(self, logps_BT, ref_logps_BT)` of a user's anchor, watched.

    It is given copies that keep the gradient; what it returns where a log-prob is not finite does not matter.

    Raises:
        PluginError: it raises, or returns other than one finite number a token.
    """

    def watched(self: Any, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        what = f"The anchor {type(self).__name__!r}"
        try:
            found = method(self, logps_BT.clone(), ref_logps_BT.clone())
        except RlkitError:
            raise
        except Exception as error:
            raise blame_plugin(error, what) from error
        if not isinstance(found, torch.Tensor) or found.shape != logps_BT.shape or found.is_complex():
            kind = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else show(found)
            raise PluginError(
                f"{what} returned {kind}; return one number a token, a tensor of shape {tuple(logps_BT.shape)}."
            )
        is_known_BT = (logps_BT.isfinite() & ref_logps_BT.isfinite()).detach()
        # Padding is masked later, and may hold anything.
        found = torch.where(is_known_BT, found.to(torch.promote_types(logps_BT.dtype, torch.float32)), 0.0)
        if not found.isfinite().all():
            bad = int((~found.isfinite()).sum())
            raise PluginError(f"{what} returned {bad} values that are NaN or infinite; return a finite number a token.")
        return found

    watched.__doc__, watched.is_watched = method.__doc__, True  # type: ignore[attr-defined]
    return watched
