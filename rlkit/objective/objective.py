"""What the loss holds beside the clipped surrogate: token weights, an anchor, rows that are stored; and their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.objective.anchors import Anchor, resolve_anchor
from rlkit.objective.archive import ArchiveLikelihood
from rlkit.objective.rehearsal import Rehearsal
from rlkit.objective.token_weights import ClipCov, KlCov, Repo, Steer, TokenWeight, resolve_token_weight
from rlkit.plugins import PluginKind, preset
from rlkit.plugins import resolve as resolve_plugin

_PARTS = ("token_weights", "anchor", "rehearsal")
_SET_BY_REHEARSAL = ("alpha", "mastered_above", "rows_per_step", "log_ratio_clamp")
"""What a recipe writes under `rehearsal`, not beside a preset."""
_REHEARSALS = PluginKind("rehearsal", "rlkit.rehearsals", {"rehearsal": "rlkit.objective.rehearsal:Rehearsal"})


@dataclass(frozen=True)
class Objective:
    """Everything that is added to, or multiplied into, the surrogate; empty, the loss is TRL's own."""

    token_weights: tuple[TokenWeight, ...] = ()
    """Each multiplies the surrogate of every token; several multiply together."""
    anchor: Anchor | None = None
    """What the policy is tied to; None leaves it free."""
    rehearsal: Rehearsal | None = None
    """Frozen samples of the initial policy that are trained on beside the rollouts; None for none."""
    archive: ArchiveLikelihood | None = None
    """Solutions that are trained on beside the rollouts; None for none. A recipe has a key `archive` for it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is added to the surrogate."""
        return not self.token_weights and self.anchor is None and self.rehearsal is None and self.archive is None

    def merge(self, other: Objective) -> Objective:
        """Return both together.

        Raises:
            ConfigError: both have an anchor, an archive, or both rehearse.
        """
        for part in ("anchor", "rehearsal", "archive"):
            if getattr(self, part) is not None and getattr(other, part) is not None:
                raise ConfigError(f"The objective is given two {part} parts; keep one.")
        weights = (*self.token_weights, *other.token_weights)
        given = {part: getattr(self, part) or getattr(other, part) for part in ("anchor", "rehearsal", "archive")}
        return Objective(weights, **given)


def _with_weights(weights: Iterable[TokenWeight]) -> Objective:
    return Objective(token_weights=tuple(weights))


def _with_rehearsal(rehearsals: Iterable[Rehearsal]) -> Objective:
    (rehearsal,) = rehearsals
    return Objective(rehearsal=rehearsal)


OBJECTIVES = PluginKind(
    "objective",
    "rlkit.objectives",
    {
        "steer": preset(
            "Shrink tokens that would change the entropy most (arXiv 2510.10150); exponential map, lowest weight 0.8.",
            [Steer],
            _with_weights,
            ("floor", "squared"),
        ),
        "clip_cov": preset(
            "Silence a few tokens of large covariance (arXiv 2505.22617): 2e-4 of them, covariance between 1 and 5.",
            [ClipCov],
            _with_weights,
            ("clip_low", "clip_high"),
        ),
        "kl_cov": preset(
            "Hold the tokens of largest covariance to the old policy (arXiv 2505.22617): the top 0.2 %, coefficient 1.",
            [KlCov],
            _with_weights,
            ("clips",),
        ),
        "repo": preset(
            "Take log-probability out of the advantage (REPO-R, arXiv 2603.11682); zeta 0.001, or held to a target.",
            [Repo],
            _with_weights,
            ("lowest", "highest"),
        ),
        "dph_forward": preset(
            "Rehearse mastered prompts under the forward divergence (DPH-RL, arXiv 2509.07430); coef 0.01 to 0.05.",
            [partial(Rehearsal, divergence="forward")],
            _with_rehearsal,
            _SET_BY_REHEARSAL,
        ),
        "dph_js": preset(
            "Rehearse mastered prompts under the Jensen-Shannon divergence (DPH-RL, arXiv 2509.07430); 0.05 to 0.2.",
            [partial(Rehearsal, divergence="js")],
            _with_rehearsal,
            _SET_BY_REHEARSAL,
            coef=0.1,
        ),
    },
)


def resolve_objective(spec: Any) -> Objective:
    """Build what a recipe's `objective:` describes.

    Args:
        spec: a preset's name, `{name: preset, param: ...}`, a mapping of parts `{token_weights: ..., anchor: ...,
            rehearsal: ...}`, a list of these (taken together), an `Objective`, or None for an empty one.

    Raises:
        PluginError: a name is unknown or its parameters do not fit.
        ConfigError: an unknown part, or a part that is given twice.
    """
    if spec is None:
        return Objective()
    if isinstance(spec, Objective):
        return spec
    if isinstance(spec, Mapping) and "name" not in spec:
        return _build_parts(spec)
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        objective = Objective()
        for part in spec:
            if isinstance(part, Sequence) and not isinstance(part, str):
                raise ConfigError("An objective was given a list inside a list; write one list of presets and parts.")
            objective = objective.merge(resolve_objective(part))
        return objective
    built = resolve_plugin(spec, OBJECTIVES)
    if not isinstance(built, Objective):
        raise ConfigError(f"The objective {spec!r} is {built!r}; a preset returns rlkit.objective.Objective.")
    return built


def _build_parts(parts: Mapping[str, Any]) -> Objective:
    for key in parts:
        if key not in _PARTS:
            raise ConfigError(f"An objective has no part {key!r}.{suggest(str(key), [*_PARTS, 'name'])}")
    weights = parts.get("token_weights") or ()
    listed = weights if isinstance(weights, Sequence) and not isinstance(weights, str) else [weights]
    anchor, rehearsal = parts.get("anchor"), parts.get("rehearsal")
    return Objective(
        token_weights=tuple(resolve_token_weight(weight) for weight in listed),
        anchor=None if anchor is None else resolve_anchor(anchor),
        rehearsal=None if rehearsal is None else _resolve_rehearsal(rehearsal),
    )


def _resolve_rehearsal(spec: Any) -> Rehearsal:
    if isinstance(spec, Mapping) and "name" not in spec:
        spec = {"name": "rehearsal", **spec}
    built = resolve_plugin(spec, _REHEARSALS)
    if not isinstance(built, Rehearsal):
        raise ConfigError(f"rehearsal was given {spec!r}; write a mapping such as {{divergence: forward, coef: 0.02}}.")
    return built
