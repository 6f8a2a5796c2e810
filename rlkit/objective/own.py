"""Token weights and anchors that a user wrote: whatever they do, the loss is finite numbers (B, T) or one sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from rlkit.errors import ConfigError, PluginError, RlkitError
from rlkit.objective.base import TokenWeight
from rlkit.parameters import show
from rlkit.plugins import blame_plugin

_GIVEN = ("logps_BT", "old_logps_BT", "entropies_BT", "advantages", "mask_BT")
_CALL = f"f({', '.join(_GIVEN)})"


@dataclass(frozen=True)
class OwnWeight(TokenWeight):
    """A user's function of the five tensors, or a token weight of the user's own, watched.

    It is given copies, so that nothing it writes to is anybody else's; what stands at padding does not matter.
    """

    function: Callable[..., Any]
    clips: bool = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be a token weight, before anything is loaded."""
        if not callable(self.function) or inspect.isclass(self.function):
            raise PluginError(f"The token weight {show(self.function)} cannot be called as {_CALL}.")
        try:
            inspect.signature(self.function).bind(*_GIVEN)
        except TypeError as error:
            raise PluginError(f"{self._what} cannot be called as {_CALL}: {error}.") from error
        except ValueError:
            # Something compiled, which does not say what it takes.
            pass
        clips: Any = getattr(self.function, "clips", True)
        if not isinstance(clips, bool):
            raise PluginError(f"{self._what} has clips={show(clips)}; write True or False.")
        object.__setattr__(self, "clips", clips)

    @property
    def _what(self) -> str:
        return f"The token weight {_name(self.function)!r}"

    def __call__(self, *given: Any) -> torch.Tensor:
        """Return the weights, (B, T) or (B, 1), detached; 1 at padding.

        Raises:
            PluginError: it raises, or returns other than one number of at least 0 a token.
        """
        logps_BT, mask_BT = given[0], given[-1]
        returned = _call(self._what, self.function, given, with_gradient=False)
        weights = _read(self._what, returned, logps_BT, mask_BT, padding=1.0).detach()
        if (weights < 0).any():
            raise PluginError(
                f"{self._what} returned {int((weights < 0).sum())} negative weights, which would train away from what "
                "was rewarded; return 0 or more, 1 for no change."
            )
        return weights

    def penalties(self, *given: Any) -> torch.Tensor | None:
        """Return what is added to the loss of every token, with gradient and 0 at padding; None for nothing."""
        penalise = getattr(self.function, "penalties", None)
        returned = None if penalise is None else _call(self._what, penalise, given, with_gradient=True)
        return None if returned is None else _read(self._what, returned, given[0], given[-1], padding=0.0)


def watch_method(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method `f(self, logps_BT, ref_logps_BT)` of a user's anchor that returns numbers (B, T) or raises.

    Raises:
        PluginError: it raises, or returns other than one finite number a token that both policies can come to.
    """

    def watched(self: Any, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        what = f"The anchor {type(self).__name__!r}"
        returned = _call(what, method, (logps_BT, ref_logps_BT), with_gradient=True, owner=self)
        # Padding is masked later, and may hold anything.
        is_known_BT = (logps_BT.isfinite() & ref_logps_BT.isfinite()).detach()
        return _read(what, returned, logps_BT, is_known_BT, padding=0.0)

    watched.__doc__, watched.is_watched = method.__doc__, True  # type: ignore[attr-defined]
    return watched


def _call(what: str, function: Callable[..., Any], given: Any, *, with_gradient: bool, owner: Any = None) -> Any:
    copies = [None if each is None else (each if with_gradient else each.detach()).clone() for each in given]
    try:
        return function(*copies) if owner is None else function(owner, *copies)
    except RlkitError:
        raise
    except Exception as error:
        raise blame_plugin(error, what) from error


def _read(what: str, returned: Any, logps_BT: torch.Tensor, mask_BT: torch.Tensor, padding: float) -> torch.Tensor:
    """Return what a plug-in returned as floats beside the log-probs, or refuse it."""
    shape = tuple(logps_BT.shape)
    try:
        values = returned if isinstance(returned, torch.Tensor) else torch.as_tensor(returned)
    except (TypeError, ValueError, RuntimeError):
        raise PluginError(f"{what} returned {show(returned)}; return one number a token, shape {shape}.") from None
    if values.shape not in (logps_BT.shape, (shape[0], 1)) or values.is_complex():
        kind = ", complex ones" if values.is_complex() else ""
        raise PluginError(
            f"{what} returned values of shape {tuple(values.shape)}{kind}; return one number a token, shape {shape}."
        )
    values = values.to(device=logps_BT.device, dtype=torch.promote_types(logps_BT.dtype, torch.float32))
    values = torch.where(mask_BT != 0, values, padding)
    if not values.isfinite().all():
        bad = int((~values.isfinite()).sum())
        raise ConfigError(f"{what} returned {bad} values that are NaN or infinite; return a finite number a token.")
    return values


def _name(thing: Any) -> str:
    return getattr(thing, "__name__", None) or type(thing).__name__
