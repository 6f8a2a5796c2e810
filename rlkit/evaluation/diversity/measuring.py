"""Diversity of an evaluation's outputs: within prompts, over all outputs and over correct ones, and across prompts.

per_problem, report = measure_diversity("runs/base/eval", rows)
report["correct"]["simpson"]["value"]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.diversity import HashedNgrams, resolve_embedding
from rlkit.estimators import mean_interval
from rlkit.evaluation.diversity.samples_pass import DiversityConfig, DiversityPass, Values
from rlkit.evaluation.metrics.cells import CellJson
from rlkit.evaluation.samples.grouping import SampleSource, group_samples
from rlkit.parameters import name_in_recipes
from rlkit.types import Row

__all__ = ["HEADLINE", "SCOPES", "DiversityConfig", "measure_diversity"]

HEADLINE = ("simpson", "distinct_classes_at_8", "distance_hashed_ngrams", "vendi_1_hashed_ngrams_at_4", "ead_at_4")
"""The measures that are shown first, one of each kind: classes that differ, how many, unlike texts, unlike words."""

SCOPES = ("all", "correct", "finished")
"""All outputs; correct ones; those not cut off at the token limit and, for classes, with an answer."""


def measure_diversity(
    source: SampleSource,
    rows: Sequence[Row],
    *,
    embedding: Any = None,
    config: DiversityConfig | None = None,
    seed: int = 0,
) -> tuple[list[dict[str, Values]], dict[str, Any]]:
    """Measure the diversity of the samples of a task's rows; needs no model unless an embedding has one.

    A name that ends in `_at_K` is a mean over blocks of K samples, so it means the same with any number of samples and
    in any scope; so do the others, which do not grow with that number. Truncated samples are in `all`, as they are
    outputs, and not in `finished`. In `all`, samples without an answer are one class; `correct` and `finished` leave
    them out.

    Args:
        source: a directory with samples.jsonl, which is read one prompt at a time, or lines of it.
        rows: the problems, in the order of the result.
        embedding: a sentence embedding as in a recipe, measured beside the hashed n-grams that need no model.
        config: what is measured of the texts.
        seed: of the intervals.

    Returns:
        For each row `{"all": {metric: value}, "correct": {...}, "finished": {...}}`, None where undefined; and the
        report's `diversity`: the same with a cell a metric, `cross_input` (one sample a prompt, a number a metric),
        `formats` (of all completions) and `settings`.

    Raises:
        StoreError: there is no such directory, or it holds something other than samples.
        ConfigError, PluginError: there is no such embedding, or a setting is not allowed.
    """
    measuring = start_measuring(rows, embedding=embedding, config=config)
    for prompt_id, records in group_samples(source, [row["id"] for row in rows]):
        measuring.add(prompt_id, records)
    return finish_measuring(measuring, seed)


def start_measuring(
    rows: Sequence[Row], *, embedding: Any = None, config: DiversityConfig | None = None
) -> DiversityPass:
    """Return what takes the samples of the rows, one problem at a time in any order."""
    return DiversityPass(config or DiversityConfig(), _embeddings(embedding), [row["id"] for row in rows])


def finish_measuring(measuring: DiversityPass, seed: int = 0) -> tuple[list[dict[str, Values]], dict[str, Any]]:
    """Return what `measure_diversity` does, of the samples that were taken."""
    per_problem = measuring.describe_problems()
    report = {scope: _cells([values[scope] for values in per_problem], seed) for scope in SCOPES}
    return per_problem, report | measuring.summarise()


def _embeddings(spec: Any) -> dict[str, Any]:
    embeddings: dict[str, Any] = {"hashed_ngrams": HashedNgrams()}
    if spec is not None:
        embedding = resolve_embedding(spec)
        model = getattr(embedding, "model", None)
        embeddings[Path(str(model)).name if model else name_in_recipes(embedding)] = embedding
    return embeddings


def _cells(values: Sequence[Values], seed: int) -> dict[str, CellJson]:
    """Return a cell a metric."""
    names = list(values[0]) if values else []
    columns = np.array(
        [[math.nan if row[name] is None else row[name] for name in names] for row in values], dtype=float
    )
    return {
        name: mean_interval(columns[:, at], bounds=_bounds(name), seed=seed).as_cell() for at, name in enumerate(names)
    }


def _bounds(name: str) -> tuple[float, float]:
    if "distance_" in name:
        return (0.0, 2.0)
    if name.startswith(("vendi_", "hill_", "distinct_classes_")):
        return (1.0, float(name.rpartition("_")[2]))
    return (0.0, math.inf) if name.startswith(("ead_", "compression_", "semantic_")) else (0.0, 1.0)
