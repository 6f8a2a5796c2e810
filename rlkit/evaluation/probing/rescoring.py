"""The stored samples of an evaluation through a model again: what each token was worth, and which samples to trust."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.errors import StoreError
from rlkit.evaluation.probing.policy import Policy
from rlkit.evaluation.probing.reencoding import encode_samples, is_same, summarise_reencoding
from rlkit.evaluation.probing.selection import Selection, encode_selected
from rlkit.evaluation.probing.teacher_forcing import TokenValues, read_completions
from rlkit.evaluation.probing.token_cells import Scored
from rlkit.evaluation.probing.token_measure import TokenMeasure
from rlkit.evaluation.progress import SamplingProgress
from rlkit.evaluation.samples.reading import Record
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.types import Row

_PLAIN = SamplingConfig()


@dataclass(frozen=True)
class Rescored:
    """Token quantities of the samples that encode to what was drawn."""

    groups_M: list[list[Scored]]
    """By prompt, in the order of the rows; empty for a prompt whose samples were all left out."""
    reencoding: dict[str, Any]
    """How many were left out and why, JSON-ready."""


def rescore(
    selection: Selection,
    rows: Sequence[Row],
    records: Sequence[Record],
    policies: Sequence[Policy],
    title: str,
    *,
    batch_tokens: int | None = None,
) -> Rescored:
    """Read samples through the model that drew them, and through a second one beside it where there are two.

    Args:
        selection: the evaluation that the samples are of.
        rows: its prompts to look at.
        records: their samples.
        policies: the model that drew them first.
        title: what the progress is called.
        batch_tokens: as in `read_completions`.

    Raises:
        ConfigError: prompts that do not fit the model.
        StoreError: no sample could be given its tokens back.
    """
    drawer = policies[0]
    prompts = encode_selected(selection, drawer, rows)
    samples = encode_samples(drawer.tokenizer, drawer.end_ids, rows, prompts, records, selection.sampling.stop)
    measure = TokenMeasure(None if is_plain(selection.sampling) else selection.sampling)
    found: list[tuple[Record, TokenValues]] = []
    with SamplingProgress(title, len(samples)) as progress:
        for batch in read_completions([each.model for each in policies], samples, measure, batch_tokens=batch_tokens):
            found.extend((samples[index].record, values) for index, values in batch)
            progress.advance(len(batch), sum(len(samples[index].completion_ids) for index, _ in batch))
    kept = [(record, values) for record, values in found if is_same(record, values["logps"])]
    if not kept:
        raise StoreError(
            f"None of the {len(records)} samples in {selection.directory} encodes to tokens of the log-probability it "
            f"was drawn with: the model {drawer.name!r} or its tokenizer is not the one that drew them."
        )
    groups: defaultdict[str, list[Scored]] = defaultdict(list)
    for record, values in kept:
        groups[record["prompt_id"]].append((record, values))
    return Rescored(
        [groups[row["id"]] for row in rows],
        summarise_reencoding(len(records), [(record, values["logps"]) for record, values in found], len(samples)),
    )


def context_obstacle(selection: Selection, drawer: Policy, other: Policy) -> str | None:
    """Return why a second model cannot read an evaluation's samples, as a sentence; None where it can."""
    if other.context is None:
        return None
    prompts = dict(
        zip((row["id"] for row in selection.rows), encode_selected(selection, drawer, selection.rows), strict=True)
    )
    longest = max(len(prompts[record["prompt_id"]]) + record["num_tokens"] for record in selection.records)
    if longest <= other.context:
        return None
    return f"A sample and its prompt have {longest} tokens, but the context of {other.name} is {other.context}."


def is_plain(sampling: SamplingConfig) -> bool:
    """Return whether tokens were drawn from the model's own distribution: temperature 1, no truncation."""
    return all(getattr(sampling, name) == getattr(_PLAIN, name) for name in ("temperature", "top_p", "top_k", "min_p"))
