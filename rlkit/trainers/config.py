"""What a run can be told beyond TRL's own options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from rlkit.advantages import resolve as resolve_advantage
from rlkit.diversity import resolve_partition
from rlkit.errors import ConfigError


@dataclass
class DiverseGRPOConfig(GRPOConfig):
    """TRL's `GRPOConfig` and four keys; with all of them at their defaults, training is TRL's to the last bit.

    Raises:
        PluginError: `advantage` or `partition` names something that does not exist.
        ConfigError: `correct_reward` is neither an index nor a name.
    """

    advantage: Any = field(
        default=None,
        metadata={
            "help": "Advantage chain: a name, {name: ..., param: ...} or a list of those. None: TRL's own advantages."
        },
    )
    partition: Any = field(
        default=None,
        metadata={"help": "What counts as different: partition name or {name: ...}. None: nothing is compared."},
    )
    correct_reward: int | str = field(
        default=0,
        metadata={"help": "Which reward says whether an answer is correct: its index or its function's name."},
    )
    correct_above: float = field(
        default=0.5, metadata={"help": "A completion is correct when that reward is greater than this."}
    )

    def __post_init__(self) -> None:
        if self.advantage is not None:
            resolve_advantage(self.advantage)
        if self.partition is not None:
            resolve_partition(self.partition)
        if isinstance(self.correct_reward, bool) or not isinstance(self.correct_reward, int | str):
            raise ConfigError(f"correct_reward was given {self.correct_reward!r}; write a reward's index or its name.")
        super().__post_init__()
