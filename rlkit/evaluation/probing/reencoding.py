"""Stored texts back to the tokens that were drawn, where the text still tells them, and a check that it does.

A completion is kept as text. Encoding it again gives other tokens where the model spelled a word in another way than
the tokenizer would, where special tokens were skipped, or where a stop text was cut off. Such samples are found by
their number of tokens, or by a log-probability other than the stored one, and left out with a count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlkit.evaluation.samples.reading import Record
from rlkit.types import Prompt, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOLERANCE_PER_ROOT_TOKEN = 0.1
"""Nats: a sample's log-probs may differ by this times the root of its length. Rounding of bfloat16 adds up to less, a
text of other tokens is off by several nats."""


@dataclass(frozen=True)
class Scorable:
    """A sample whose tokens are known again."""

    record: Record
    prompt_ids: list[int]
    completion_ids: list[int]
    """At least one token."""

    @property
    def prompt_id(self) -> str:
        """The id of the sample's prompt."""
        return str(self.record["prompt_id"])


def encode_samples(
    tokenizer: PreTrainedTokenizerBase,
    end_ids: Sequence[int],
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    records: Sequence[Record],
    stop: Sequence[str],
) -> list[Scorable]:
    """Return the samples whose text encodes to as many tokens as were drawn.

    Args:
        tokenizer: of the model that drew them.
        end_ids: tokens that end a completion, the likeliest first.
        rows: `id` and `prompt` of the prompts.
        prompts: their token ids, in the same order.
        records: lines of samples.jsonl of these prompts.
        stop: texts that ended a completion and are not part of it.
    """
    by_id = {row["id"]: (row["prompt"], ids) for row, ids in zip(rows, prompts, strict=True)}
    found = []
    for record in records:
        prompt, prompt_ids = by_id[record["prompt_id"]]
        for ids in _candidates(tokenizer, end_ids, prompt, prompt_ids, record, stop):
            if ids and len(ids) == record["num_tokens"]:
                found.append(Scorable(record, prompt_ids, ids))
                break
    return found


def is_same(record: Record, logps_T: NDArray[np.float32]) -> bool:
    """Return whether re-scored log-probs add up to the stored sum; true where none is stored."""
    if record.get("logp_sum") is None:
        return True
    difference = abs(float(logps_T.sum(dtype=np.float64)) - record["logp_sum"])
    return difference <= TOLERANCE_PER_ROOT_TOKEN * math.sqrt(len(logps_T))


def summarise_reencoding(
    num_samples: int, scored: Sequence[tuple[Record, NDArray[np.float32]]], num_encoded: int
) -> dict[str, Any]:
    """Return the counts of a probe's samples, JSON-ready.

    Args:
        num_samples: stored samples that were looked at.
        scored: record and log-probs of each sample that encoded to as many tokens as were drawn.
        num_encoded: how many those are.
    """
    checked = [(record, logps) for record, logps in scored if record.get("logp_sum") is not None]
    used = [
        abs(float(logps.sum(dtype=np.float64)) - each["logp_sum"]) for each, logps in checked if is_same(each, logps)
    ]
    num_other_logp = len(checked) - len(used)
    num_other_length = num_samples - num_encoded
    return {
        "num_samples": num_samples,
        "num_used": num_encoded - num_other_logp,
        "num_other_length": num_other_length,
        "num_other_logp": num_other_logp,
        "num_unchecked": num_encoded - len(checked),
        "share_left_out": (num_other_length + num_other_logp) / num_samples if num_samples else None,
        "tolerance_per_root_token": TOLERANCE_PER_ROOT_TOKEN,
        "logp_difference": {"mean": float(np.mean(used)), "largest": float(np.max(used))} if used else None,
    }


def _candidates(
    tokenizer: PreTrainedTokenizerBase,
    end_ids: Sequence[int],
    prompt: Prompt,
    prompt_ids: list[int],
    record: Record,
    stop: Sequence[str],
) -> Iterator[list[int]]:
    """Yield the ways the completion may have been spelled, the likeliest first."""
    text = record["completion"]
    for spelling in _spellings(tokenizer, prompt, prompt_ids, text):
        if record["finish_reason"] == "stop":
            yield from ([*spelling, end] for end in end_ids)
        else:
            yield spelling
    if record["finish_reason"] == "stop":
        for ending in stop:
            yield from _spellings(tokenizer, prompt, prompt_ids, text + ending)


def _spellings(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, prompt_ids: list[int], text: str
) -> Iterator[list[int]]:
    if isinstance(prompt, str):
        # A tokenizer that marks words by the space before them spells a text differently at its own beginning.
        joint = list(tokenizer(prompt + text)["input_ids"])
        if joint[: len(prompt_ids)] == prompt_ids:
            yield joint[len(prompt_ids) :]
    yield list(tokenizer(text, add_special_tokens=False)["input_ids"])
