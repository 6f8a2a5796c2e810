"""What a recipe says of its critic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_count, check_flag, check_number, check_text, show

KINDS = ("shared", "separate", "adapter")
_LEARNING_RATES = {"shared": 1e-3, "separate": 1e-5, "adapter": 1e-4}
"""Of a head alone, of a whole backbone (verl and NeMo-RL: 1e-5), of an adapter (about ten times that)."""
_KEYS = (
    *("kind", "path", "start", "from_reward_model", "learning_rate", "weight_decay", "max_grad_norm", "clip_range"),
    *("epochs", "minibatches", "warmup", "backbone_gradient", "coef"),
)


@dataclass(frozen=True)
class CriticSettings:
    """Where the critic lives and how it learns.

    Raises:
        ConfigError: a value is out of range, or of a key that the kind has no use for.
    """

    kind: str = "shared"
    """`shared`: a head on the policy's last hidden state; `separate`: a backbone of its own; `adapter`: a second LoRA
    adapter with a head, on the policy's frozen base."""
    path: str | None = None
    """Of `separate`: its backbone, any that has the policy's tokenizer; None is the policy's own start."""
    start: str | None = None
    """A critic that was saved alone, by `save_critic` or in a run's output, to begin with."""
    from_reward_model: bool = False
    """Of `separate`: whether `path` is a reward model whose head is the critic's first one."""
    learning_rate: float | None = None
    """Constant; None is 1e-3 for `shared`, 1e-5 for `separate`, 1e-4 for `adapter`."""
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    """Largest norm of the critic's gradient; it is clipped apart from the policy's."""
    clip_range: float | None = 0.5
    """How far a value may move from what it was before the batch; 0.5 is verl's, AReaL's and OpenRLHF's. None: as far
    as it likes. No value is clipped while the policy waits for its critic."""
    epochs: int = 1
    """Passes over each generation batch."""
    minibatches: int | None = None
    """Optimizer steps a pass; None is as many as the policy takes of a generation batch."""
    warmup_steps: int = 0
    """Optimizer steps in which the policy stands still and the critic learns."""
    warmup_until: float | None = None
    """Explained variance at which it ends sooner."""
    backbone_gradient: bool = False
    """Of `shared`: whether the critic's loss moves the policy's backbone too."""
    coef: float = 0.1
    """Weight of that loss beside the policy's; TRL's and the first PPO code's 0.1."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"critic was given kind {show(self.kind)}.{suggest(str(self.kind), KINDS)}")
        for key in ("path", "start"):
            if getattr(self, key) is not None:
                check_text("critic", key, getattr(self, key))
        for key in ("from_reward_model", "backbone_gradient"):
            check_flag("critic", key, getattr(self, key))
        self._check_numbers()
        for key, kind in (("path", "separate"), ("from_reward_model", "separate"), ("backbone_gradient", "shared")):
            if getattr(self, key) and self.kind != kind:
                raise ConfigError(f"critic.{key} is of kind {kind}, but kind is {self.kind}; leave it out.")
        if self.from_reward_model and self.path is None:
            raise ConfigError("critic.from_reward_model needs the reward model itself; write path: and its directory.")
        if self.backbone_gradient and self.warmup_steps:
            raise ConfigError(
                "critic.backbone_gradient moves the policy, so that it cannot wait for its critic; leave warmup out."
            )

    def _check_numbers(self) -> None:
        if self.learning_rate is not None:
            check_number("critic", "learning_rate", self.learning_rate, above=0)
        check_number("critic", "weight_decay", self.weight_decay, at_least=0)
        for key in ("max_grad_norm", "coef"):
            check_number("critic", key, getattr(self, key), above=0)
        if self.clip_range is not None:
            check_number("critic", "clip_range", self.clip_range, above=0)
        check_count("critic", "epochs", self.epochs)
        if self.minibatches is not None:
            check_count("critic", "minibatches", self.minibatches)
        check_count("critic", "warmup.steps", self.warmup_steps, smallest=0)
        if self.warmup_until is not None:
            check_number("critic", "warmup.until", self.warmup_until, at_most=1)

    @property
    def learning_rate_now(self) -> float:
        """The learning rate, the kind's own where none is given."""
        return _LEARNING_RATES[self.kind] if self.learning_rate is None else self.learning_rate


def read_critic(given: Any) -> CriticSettings:
    """Return what a recipe's `critic` says.

    Args:
        given: a kind, or `{kind: ..., key: ...}`; `warmup` is a number of steps or `{steps: ..., until: ...}`, and
            `from` a critic that was saved.

    Raises:
        ConfigError: an unknown key, or a value that does not fit.
    """
    if isinstance(given, CriticSettings):
        return given
    if isinstance(given, str):
        return CriticSettings(kind=given)
    if not isinstance(given, Mapping):
        raise ConfigError(f"critic was given as {show(given)}; write shared, separate, adapter or {{kind: ...}}.")
    values = {("start" if key == "from" else key): value for key, value in given.items()}
    for key in values:
        if key not in _KEYS:
            raise ConfigError(f"critic has no key {str(key)!r}.{suggest(str(key), [*_KEYS, 'from'])}")
    warmup = values.pop("warmup", 0)
    return CriticSettings(**values, **_read_warmup(warmup))


def _read_warmup(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        check_count("critic", "warmup", given, smallest=0)
        return {"warmup_steps": given}
    for key in given:
        if key not in ("steps", "until"):
            raise ConfigError(f"critic.warmup has no key {str(key)!r}.{suggest(str(key), ('steps', 'until'))}")
    if "steps" not in given:
        raise ConfigError("critic.warmup needs a limit; write {steps: 50, until: 0.5}.")
    return {"warmup_steps": given["steps"], "warmup_until": given.get("until")}
