"""What a run can be told beyond TRL's own options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from rlkit.errors import ConfigError
from rlkit.parameters import check_count, check_number
from rlkit.trainers.ranges import check_combinations


@dataclass
class DiverseGRPOConfig(GRPOConfig):
    """TRL's `GRPOConfig` and eleven keys; with all of them at their defaults, training is TRL's to rounding.

    With `fast_path: false` too it is TRL's to the last bit. Plug-ins are only named here: the trainer
    builds them, once.

    Raises:
        ConfigError: a number is out of range, or settings contradict each other.
    """

    advantage: Any = field(
        default=None,
        metadata={
            "help": "Advantage chain: a name, {name: ..., param: ...} or a list of those. None: TRL's own advantages."
        },
    )
    objective: Any = field(
        default=None,
        metadata={
            "help": "What the loss holds beside the surrogate: a preset's name, or {token_weights: [...], anchor: ..., "
            "rehearsal: ...}. None: TRL's own loss."
        },
    )
    partition: Any = field(
        default=None,
        metadata={"help": "What counts as different: partition name or {name: ...}. None: nothing is compared."},
    )
    answers: Any = field(
        default=None,
        metadata={"help": "Partition that reads the final answer. None: final_answer, where the chain asks for it."},
    )
    embedding: Any = field(
        default=None,
        metadata={"help": "How completions become vectors, for chains that measure similarity. None: they do not."},
    )
    correct_reward: int | str = field(
        default=0,
        metadata={"help": "Which reward says whether an answer is correct: its index or its function's name."},
    )
    correct_above: float = field(
        default=0.5, metadata={"help": "A completion is correct when that reward is greater than this."}
    )
    max_error_rate: float = field(
        default=0.05,
        metadata={
            "help": "Greatest share of a reward's calls of the last 20 batches that may fail before the run stops."
        },
    )
    monitor: Any = field(
        default=None,
        metadata={
            "help": "When to warn of a hacked reward: {held_out: a reward that is not trained on, variance_share: 0.5, "
            "length_correlation: 0.6, failure_rate: 0.2, held_out_gap: 0.1}. None: these numbers, nothing held out."
        },
    )

    fast_path: bool = field(
        default=True,
        metadata={
            "help": "Leave out rows that weigh nothing, cut micro-batches by length, and do no forward pass twice; the "
            "gradient is the same to rounding. false: TRL's own update."
        },
    )
    max_tokens_per_microbatch: int | None = field(
        default=None,
        metadata={
            "help": "Most tokens of one micro-batch of the fast path, padding included. None: what "
            "per_device_train_batch_size rows of the generation batch take."
        },
    )

    def __post_init__(self) -> None:
        if isinstance(self.correct_reward, bool) or not isinstance(self.correct_reward, int | str):
            raise ConfigError(f"correct_reward was given {self.correct_reward!r}; write a reward's index or its name.")
        if self.max_tokens_per_microbatch is not None:
            check_count("train", "max_tokens_per_microbatch", self.max_tokens_per_microbatch)
        check_number("train", "max_error_rate", self.max_error_rate, at_least=0, at_most=1)
        check_combinations(self)
        super().__post_init__()
