"""REPO: advantages that do not go with how likely a token was already, so that entropy is kept or raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from rlkit.errors import ConfigError
from rlkit.objective.base import Tokens, TokenWeight
from rlkit.parameters import check_number, show


@dataclass(frozen=True)
class Repo(TokenWeight):
    """Take log-probability out of the advantage, in proportion to it: REPO-R (arXiv 2603.11682).

    To first order a step changes the entropy by minus the mean of A times the centred log-prob. With lp the token's
    log-prob, detached, REPO-R has max(A (1 - zeta lp), 0) where A > 0 and min(A (1 + zeta lp), 0) where A < 0: rare
    tokens of good completions count more and those of bad ones less. As a weight: max(1 - sign(A) zeta lp, 0). Above 0
    zeta raises the entropy, below 0 it lowers it. Beyond lp = -1 / zeta a bad token counts nothing.

    With a `target`, zeta moves after every optimizer step: doubled where the entropy was below the target, halved
    where it was above, its sign turned once it is as small as `lowest`. From `lowest` to `highest` are 9 doublings. The
    entropy is the mean over the tokens that were learnt from, the one that is logged. Token entropy is not the
    diversity of solutions.

    Groups without differences have no advantage, and none here. The formula is second hand, from a reimplementation of
    the paper's; there the controller moves once an iteration.

    Raises:
        ConfigError: a value is out of range, or zeta is outside of where the target may move it.
    """

    zeta: float = 0.001
    """Strength: any finite number, or with a target where it starts."""
    target: float | str | None = None
    """Entropy to hold, nats a token: a number above 0, or `initial`, that of the first step; None leaves zeta alone."""
    lowest: float = 1e-4
    """The smallest |zeta| under a target, above 0."""
    highest: float = 0.05
    """The largest |zeta| under a target."""

    def __post_init__(self) -> None:
        check_number("repo", "zeta", self.zeta)
        if self.target is None:
            return
        if isinstance(self.target, str) and self.target != "initial":
            raise ConfigError(f"repo was given target={show(self.target)}; write a number above 0, or initial.")
        if not isinstance(self.target, str):
            check_number("repo", "target", self.target, above=0)
        check_number("repo", "lowest", self.lowest, above=0)
        check_number("repo", "highest", self.highest, at_least=self.lowest)
        check_number("repo", "zeta", abs(self.zeta), at_least=self.lowest, at_most=self.highest)

    def weigh(self, tokens: Tokens) -> torch.Tensor:
        weights_N = (1 - tokens.advantages_N.sign() * self.zeta * tokens.logps_N).clamp(min=0)
        return weights_N.masked_fill(~weights_N.isfinite(), 1.0)

    def start(self) -> dict[str, float]:
        if self.target is None:
            return {}
        return {"zeta": float(self.zeta)} | ({} if isinstance(self.target, str) else {"target": float(self.target)})

    def at(self, state: Mapping[str, float]) -> Repo:
        return replace(self, zeta=state["zeta"]) if "zeta" in state else self

    def move(self, state: Mapping[str, float], entropy: float) -> dict[str, float]:
        if "zeta" not in state or entropy != entropy:
            return dict(state)
        state = {"target": entropy, **state}
        if entropy == state["target"]:
            return state
        zeta, direction = state["zeta"], 1.0 if entropy < state["target"] else -1.0
        if zeta * direction > 0:
            zeta = direction * min(abs(zeta) * 2, self.highest)
        elif abs(zeta) <= self.lowest:
            zeta = direction * self.lowest
        else:
            zeta = -direction * max(abs(zeta) / 2, self.lowest)
        return state | {"zeta": zeta}
