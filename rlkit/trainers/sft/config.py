"""What a run of supervised fine-tuning can be told beyond TRL's own options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trl import SFTConfig

from rlkit.errors import ConfigError
from rlkit.objective.row_weighting import ROW_WEIGHTINGS
from rlkit.parameters import check_choice
from rlkit.recipe.yaml_text import parse_yaml
from rlkit.trainers.sft.encoding import TOO_LONG

_INSTEAD = {
    "assistant_only_loss": "of messages, the last answer is learnt; give each answer a row of its own",
    "dataset_text_field": "rows have a prompt and a completion, or messages; see data",
    "dataset_kwargs": "rows are made ready here",
    "dataset_num_proc": "rows are made ready here, in one process",
    "eos_token": "answers end with the model's own; set it in the tokenizer",
    "chat_template_path": "set the template in the tokenizer",
    "shuffle_dataset": "rows are drawn in a new order in every epoch",
    "padding_free": "packing: true does both",
    "eval_packing": "held-out rows are never packed",
    "label_smoothing_factor": "it has no meaning for rows with weights",
    "pad_token": "set it in the tokenizer",
    "truncation_mode": "no row is ever cut; write too_long",
}
"""Settings of TRL that are not ours to offer, each with what is so instead."""


@dataclass
class DiverseSFTConfig(SFTConfig):
    """TRL's `SFTConfig` and three keys.

    Raises:
        ConfigError: a value is not allowed, or a setting of TRL's that has no meaning here is changed.
    """

    row_weighting: str = field(
        default="sequence_mean",
        metadata={
            "help": "How rows are weighed: sequence_mean (each as its weight says), token_sum (the true "
            "log-likelihood) or trl (the mean over tokens).",
            "choices": list(ROW_WEIGHTINGS),
        },
    )
    too_long: str = field(
        default="refuse",
        metadata={"help": "What is done with rows longer than max_length: refuse or drop.", "choices": list(TOO_LONG)},
    )
    chat_template_kwargs: dict[str, Any] | str | None = field(
        default=None,
        metadata={"help": "What the chat template is told beside the messages, e.g. {enable_thinking: no}"},
    )

    def __post_init__(self) -> None:
        check_choice("train", "row_weighting", self.row_weighting, ROW_WEIGHTINGS)
        check_choice("train", "too_long", self.too_long, TOO_LONG)
        if isinstance(self.chat_template_kwargs, str):
            self.chat_template_kwargs = parse_yaml(self.chat_template_kwargs, "chat_template_kwargs")
        check_settings_of_trl({name: getattr(self, name) for name in (*_INSTEAD, *_ONLY)})
        super().__post_init__()


TRULY_TAKES = {"row_weighting": Literal["sequence_mean", "token_sum", "trl"], "too_long": Literal["refuse", "drop"]}
"""What settings take whose annotation says only `str`, because it is also a command line's."""

_ONLY: Mapping[str, tuple[Any, ...]] = {
    "packing_strategy": ("bfd",),
    "completion_only_loss": (None, True),
    "loss_type": ("nll", "dft"),
}
"""Settings of TRL of which only some values have a meaning here."""


def check_settings_of_trl(given: Mapping[str, Any]) -> None:
    """Raise ConfigError for a setting of TRL's that has no meaning here, unless it is at its default."""
    for name, value in given.items():
        if name in _INSTEAD and value != getattr(SFTConfig, name, None):
            raise ConfigError(f"train.{name} is not among the settings of rlkit sft: {_INSTEAD[name]}.")
        if name in _ONLY and value not in _ONLY[name]:
            allowed = " or ".join(map(repr, _ONLY[name]))
            raise ConfigError(f"train.{name} was given as {value!r}; rlkit sft takes {allowed}.")
