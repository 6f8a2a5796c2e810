"""One pass over the problems of an evaluation: each is measured and let go, but for a few samples and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from rlkit.diversity import read_vectors
from rlkit.diversity.compression import SMALLEST_BYTES
from rlkit.diversity.cosine import mean_cosine_distance, place_on_sphere
from rlkit.diversity.cross_input import measure_across_prompts
from rlkit.diversity.formats import classify_format, dominant_share, effective_formats, format_shares
from rlkit.diversity.lexical import DEFAULT_VOCABULARY, EAD_ORDERS, distinct_n, expectation_adjusted_distinct
from rlkit.diversity.vendi import vendi_score
from rlkit.evaluation.diversity.classes import measure_classes
from rlkit.evaluation.diversity.texts import BLOCKS, SELF_BLEU_TEXTS, TextTable, distance_name
from rlkit.evaluation.samples.reading import Record
from rlkit.parameters import check_choice, check_count
from rlkit.verifiers.reasoning import split_reasoning

Values = dict[str, float | None]
"""The metrics of one problem in one scope; None where undefined."""

PARTS = ("completion", "reasoning", "answer")


@dataclass(frozen=True)
class DiversityConfig:
    """What is measured of the texts; two evaluations compare when these are equal.

    Raises:
        ConfigError: a value is not allowed.
    """

    part: str = "completion"
    """`completion`, or of completions with `<think>` marks the `reasoning` or the `answer` alone."""
    vocabulary_size: int = DEFAULT_VOCABULARY
    """V of `ead`, one for all models."""
    max_texts: int = 64
    """Samples of a problem, of all and of each other scope, of which texts are measured; the first ones."""
    max_prompts: int = 500
    """Prompts that are compared with each other; the first ones."""
    num_draws: int = 8
    """Draws of one sample a prompt that the comparison across prompts is averaged over."""

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice("diversity", "part", self.part, PARTS)
        check_count("diversity", "vocabulary_size", self.vocabulary_size, smallest=2)
        check_count("diversity", "max_texts", self.max_texts, smallest=max(BLOCKS))
        check_count("diversity", "max_prompts", self.max_prompts, smallest=2)
        check_count("diversity", "num_draws", self.num_draws)

    def text_of(self, record: Mapping[str, Any]) -> str:
        """Return what is measured of a completion."""
        if self.part == "completion":
            return str(record["completion"])
        reasoning, answer = split_reasoning(record["completion"])
        return (reasoning if self.part == "reasoning" else answer or "").strip()


@dataclass
class DiversityPass:
    """What one pass over the problems keeps: a few samples of each prompt, and counts of formats."""

    config: DiversityConfig
    embeddings: Mapping[str, Any]
    drawn_texts: list[list[str]] = field(default_factory=list)
    drawn_rows: dict[str, list[np.ndarray]] = field(default_factory=dict)
    formats: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    self_bleu_version: str | None = field(default_factory=lambda: _version_of("sacrebleu"))

    def add(self, records: Sequence[Record], has_classes: bool) -> dict[str, Values]:
        """Measure one problem."""
        scopes = {
            "all": list(range(len(records))),
            "correct": [at for at, record in enumerate(records) if record["correct"]],
            "finished": [at for at, record in enumerate(records) if record["finish_reason"] != "length"],
        }
        chosen = {scope: places[: self.config.max_texts] for scope, places in scopes.items()}
        used = sorted({place for places in chosen.values() for place in places})
        texts = [self.config.text_of(records[place]) for place in used]
        unit_NE = {name: _embed(embedding, texts) for name, embedding in self.embeddings.items()}
        table = TextTable.build(texts, unit_NE)
        measured: dict[tuple[int, ...], dict[str, float]] = {}
        result = {}
        for scope, places in scopes.items():
            # Where nothing was cut off, `finished` is `all`.
            key = tuple(np.searchsorted(used, chosen[scope]).tolist())
            if key not in measured:
                measured[key] = table.measure(
                    np.array(key, dtype=np.int64), self.config.vocabulary_size, self.self_bleu_version is not None
                )
            values = measured[key] | self._classes(scope, [records[place] for place in places], has_classes)
            result[scope] = {name: None if math.isnan(value) else value for name, value in values.items()}
        self._keep(texts, unit_NE)
        self._count_formats([records[place] for place in chosen["all"]])
        return result

    def summarise(self) -> dict[str, Any]:
        """Return what is not a mean over problems."""
        across = {
            "distinct_2": self._across(self.drawn_texts, lambda draw: distinct_n(draw, 2)),
            "ead": self._across(
                self.drawn_texts, lambda draw: expectation_adjusted_distinct(draw, self.config.vocabulary_size)
            ),
        }
        for name, rows in self.drawn_rows.items():
            for metric, measure in ((distance_name(name), mean_cosine_distance), (f"vendi_1_{name}", vendi_score)):
                across[metric] = self._across(rows, lambda draw, measure=measure: measure(np.stack(draw)))
        shares = format_shares([*self.formats.elements()])
        return {
            "cross_input": {name: _or_none(value) for name, value in across.items()},
            "formats": {
                "shares": shares,
                "accuracy": {name: self.right[name] / self.judged[name] for name in shares if self.judged[name]},
                "dominant_share": _or_none(dominant_share(shares)),
                "effective": _or_none(effective_formats(shares)),
            },
            "settings": self._settings(),
        }

    def _across(self, items_P: Sequence[Any], measure: Callable[..., float]) -> float:
        return measure_across_prompts(items_P, measure, self.config.num_draws)

    def _classes(self, scope: str, records: Sequence[Record], has_classes: bool) -> dict[str, float]:
        without_class = "own" if scope == "all" else "left_out"
        values = measure_classes(records, without_class=without_class, max_samples=self.config.max_texts)
        return values if has_classes else dict.fromkeys(values, math.nan)

    def _keep(self, texts: Sequence[str], unit_NE: Mapping[str, np.ndarray]) -> None:
        if len(self.drawn_texts) < self.config.max_prompts:
            num = self.config.num_draws
            self.drawn_texts.append(list(texts[:num]))
            for name, rows in unit_NE.items():
                self.drawn_rows.setdefault(name, []).append(rows[:num].copy())

    def _count_formats(self, records: Sequence[Record]) -> None:
        for record in records:
            name = classify_format(record["completion"])
            self.formats[name] += 1
            self.judged[name] += record["correct"] is not None
            self.right[name] += record["correct"] is True

    def _settings(self) -> dict[str, Any]:
        bleu = self.self_bleu_version
        return {
            **asdict(self.config),
            "tokens": "words between white space, after NFKC and case folding",
            "ead_orders": list(EAD_ORDERS),
            "blocks": list(BLOCKS),
            "compression": f"zlib 9, at least {SMALLEST_BYTES} bytes a block",
            "self_bleu": f"sacrebleu {bleu}, 13a, exp; {SELF_BLEU_TEXTS} texts"
            if bleu
            else "sacrebleu is not installed",
            "embeddings": {name: repr(embedding) for name, embedding in self.embeddings.items()},
            "num_prompts_across": sum(1 for texts in self.drawn_texts if texts),
        }


def _embed(embedding: Any, texts: Sequence[str]) -> np.ndarray:
    """Return unit vectors, equal texts being embedded once: a collapsed model's outputs are mostly copies."""
    first: dict[str, int] = {}
    where = [first.setdefault(text, len(first)) for text in texts]
    return place_on_sphere(read_vectors(embedding, [*first]))[where]


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
