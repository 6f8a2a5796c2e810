"""What a run can be told beyond TRL's own options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from rlkit.errors import ConfigError
from rlkit.parameters import check_count, check_number
from rlkit.recipe.yaml_text import parse_yaml
from rlkit.trainers.ranges import check_combinations

_SPECS = ("advantage", "objective", "archive", "sampler", "partition", "answers", "embedding", "monitor")
"""What is named as in a recipe. The order of its types is what a command line's parser needs to take it as text."""


@dataclass
class DiverseGRPOConfig(GRPOConfig):
    """TRL's `GRPOConfig` and fourteen keys; with all of them at their defaults, training is TRL's to rounding.

    With `fast_path: false` too it is TRL's to the last bit. Plug-ins are only named here: the trainer
    builds them, once.

    Raises:
        ConfigError: a number is out of range, or settings contradict each other.
    """

    advantage: dict | str | list | None = field(
        default=None,
        metadata={
            "help": "Advantage chain: a name, {name: ..., param: ...} or a list of those. None: TRL's own advantages."
        },
    )
    objective: dict | str | list | None = field(
        default=None,
        metadata={
            "help": "What the loss holds beside the surrogate: a preset's name, or {token_weights: [...], anchor: ..., "
            "rehearsal: ...}. None: TRL's own loss."
        },
    )
    archive: dict | str | list | None = field(
        default=None,
        metadata={
            "help": "Solutions to learn from beside the rollouts: {from: [PATH], coef: 1.0, rows_per_step: 256, "
            "uses_per_solution: 3, ...}, or paths alone. None: none."
        },
    )
    sampler: dict | str | None = field(
        default=None,
        metadata={
            "help": "Who draws the rollouts: policy, frozen (the initial weights), {ema: 0.99} (a moving average) or "
            "{every: 50} (a copy, renewed every 50 optimizer steps). None: the policy."
        },
    )
    partition: dict | str | list | None = field(
        default=None,
        metadata={"help": "What counts as different: partition name or {name: ...}. None: nothing is compared."},
    )
    answers: dict | str | list | None = field(
        default=None,
        metadata={"help": "Partition that reads the final answer. None: final_answer, where the chain asks for it."},
    )
    embedding: dict | str | list | None = field(
        default=None,
        metadata={"help": "How completions become vectors, for chains that measure similarity. None: they do not."},
    )
    correct_reward: int | str | None = field(
        default=None,
        metadata={
            "help": "Which reward says whether an answer is correct: its index or its function's name. None: the only "
            "one there is, or the only one that is a known verifier."
        },
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
    monitor: dict | str | None = field(
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

    skip_steps_without_signal: bool = field(
        default=False,
        metadata={
            "help": "On the fast path, leave out optimizer steps in which no row weighs anything. false: gradients of "
            "zero, with which an optimizer goes on by its momentum, as TRL's."
        },
    )

    def __post_init__(self) -> None:
        for key in _SPECS:
            setattr(self, key, read_text(getattr(self, key)))
        if isinstance(self.correct_reward, str) and self.correct_reward.isdecimal():
            self.correct_reward = int(self.correct_reward)
        if isinstance(self.correct_reward, bool) or not isinstance(self.correct_reward, int | str | None):
            raise ConfigError(f"correct_reward was given {self.correct_reward!r}; write a reward's index or its name.")
        if self.max_tokens_per_microbatch is not None:
            check_count("train", "max_tokens_per_microbatch", self.max_tokens_per_microbatch)
        check_number("train", "max_error_rate", self.max_error_rate, at_least=0, at_most=1)
        check_combinations(self)
        super().__post_init__()


def read_text(spec: Any) -> Any:
    """Return a mapping or list that was written on a command line; a name, and what is built, as they are."""
    if not isinstance(spec, str) or not spec.strip().startswith(("{", "[")):
        return spec
    return parse_yaml(spec, "a command line's value")
