"""What a PPO run can be told beyond what a GRPO run can."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlkit.trainers.config import DiverseGRPOConfig, read_text
from rlkit.trainers.ppo.checking import check_scalars


@dataclass
class DiversePPOConfig(DiverseGRPOConfig):
    """`DiverseGRPOConfig` with a critic and what advantages of tokens are computed by.

    Unlike under GRPO `num_generations` may be 1, where nothing in the chain compares completions. TRL's names for the
    rest of PPO: `epsilon` and `epsilon_high` (clip range), `delta` (dual clip), `num_iterations` (policy epochs).

    Raises:
        ConfigError: a number is out of range, or the critic is none of those that exist.
    """

    critic: dict | str = field(
        default="shared",
        metadata={
            "help": "Where the critic lives and how it learns: shared, separate, adapter, or {kind: ..., "
            "learning_rate: ..., epochs: ..., clip_range: ..., warmup: ...}."
        },
    )
    gamma: float = field(default=1.0, metadata={"help": "Discount of a reward per token, from 0 to 1."})
    lambda_policy: float | dict | str = field(
        default=0.95,
        metadata={
            "help": "How far an advantage looks past the critic, from 0 (one step) to 1 (the end): a number, "
            "{length_adaptive: alpha} or {relative_position: q}."
        },
    )
    lambda_value: float | dict | str = field(
        default=1.0,
        metadata={"help": "The same for the returns that the critic learns; 1 are Monte Carlo returns."},
    )
    shaping: str = field(
        default="reward",
        metadata={
            "help": "Where what the advantage chain makes of a reward goes: reward (the last token earns it, and the "
            "critic learns it) or advantage (the critic learns the plain reward; the difference, centred over the "
            "prompt, is added to the advantages)."
        },
    )
    kl_in_gae: bool = field(
        default=False,
        metadata={
            "help": "Whether an anchor with where: reward is part of what the critic learns; false takes each token's "
            "divergence off its own advantage only."
        },
    )
    bootstrap_truncated: bool = field(
        default=False,
        metadata={"help": "Let the critic say what a completion that ran out of room would still have earned."},
    )
    whiten_advantages: bool = field(
        default=True, metadata={"help": "Scale advantages to mean 0 and variance 1 over all tokens of the batch."}
    )
    positive_nll_coef: float = field(
        default=0.0, metadata={"help": "Weight of the negative log-likelihood of correct completions in the loss."}
    )

    def __post_init__(self) -> None:
        for key in ("critic", "lambda_policy", "lambda_value"):
            setattr(self, key, read_text(getattr(self, key)))
        check_scalars(self)
        is_alone = getattr(self, "num_generations", None) == 1
        if is_alone:
            setattr(self, "num_generations", _Alone(1))  # noqa: B010, its type is TRL's
        super().__post_init__()
        if is_alone:
            setattr(self, "num_generations", 1)  # noqa: B010


class _Alone(int):
    """1, where TRL's configuration asks whether that is less than the 2 that a baseline over siblings takes."""

    def __lt__(self, other: int) -> bool:
        return other != 2 and int(self) < other
