"""One pass over the problems of an evaluation: each is measured and let go, but for a few samples and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
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
from rlkit.evaluation.samples.grouping import class_of
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
    prompt_ids: Sequence[str]
    """The problems, in the order of the result."""
    texts: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Of each problem and scope, what its texts show."""
    classes: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Of each problem and scope, what the classes of its samples show."""
    has_classes: bool = False
    """Whether any sample has a class or an answer: of a task without them, nothing is known of classes."""
    drawn_texts: dict[str, list[str]] = field(default_factory=dict)
    drawn_rows: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    """Of each prompt that is compared with others, the unit vectors of its drawn texts by embedding."""
    formats: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    self_bleu_version: str | None = field(default_factory=lambda: _version_of("sacrebleu"))

    def add(self, prompt_id: str, records: Sequence[Record]) -> None:
        """Measure one problem, its records in order of sample number."""
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
        # Where nothing was cut off, `finished` is `all`.
        keys = {scope: tuple(np.searchsorted(used, places).tolist()) for scope, places in chosen.items()}
        sets = [*dict.fromkeys(keys.values())]
        measured = table.measure(
            [np.array(key, dtype=np.int64) for key in sets],
            self.config.vocabulary_size,
            self.self_bleu_version is not None,
        )
        by_set = dict(zip(sets, measured, strict=True))
        self.texts[prompt_id] = {scope: by_set[keys[scope]] for scope in scopes}
        self.classes[prompt_id] = {
            scope: self._classes(scope, [records[place] for place in places]) for scope, places in scopes.items()
        }
        self.has_classes = self.has_classes or any(class_of(record) is not None for record in records)
        self._keep(prompt_id, texts, unit_NE)
        self._count_formats([records[place] for place in chosen["all"]])

    def describe_problems(self) -> list[dict[str, Values]]:
        """Return the values of each problem by scope, in order; those of none that has samples are undefined."""
        for prompt_id in self.prompt_ids:
            if prompt_id not in self.texts:
                self.add(prompt_id, [])
        return [self._describe(prompt_id) for prompt_id in self.prompt_ids]

    def _describe(self, prompt_id: str) -> dict[str, Values]:
        described = {}
        for scope, values in self.texts[prompt_id].items():
            classes = self.classes[prompt_id][scope]
            known = values | (classes if self.has_classes else dict.fromkeys(classes, math.nan))
            described[scope] = {name: None if math.isnan(value) else value for name, value in known.items()}
        return described

    def summarise(self) -> dict[str, Any]:
        """Return what is not a mean over problems."""
        drawn_texts = [self.drawn_texts[prompt_id] for prompt_id in self._compared if prompt_id in self.drawn_texts]
        across = {
            "distinct_2": self._across(drawn_texts, lambda draw: distinct_n(draw, 2)),
            "ead": self._across(
                drawn_texts, lambda draw: expectation_adjusted_distinct(draw, self.config.vocabulary_size)
            ),
        }
        for name in self.embeddings if self.drawn_rows else ():
            rows = [self.drawn_rows[prompt_id][name] for prompt_id in self._compared if prompt_id in self.drawn_rows]
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

    def _classes(self, scope: str, records: Sequence[Record]) -> dict[str, float]:
        without_class = "own" if scope == "all" else "left_out"
        return measure_classes(records, without_class=without_class, max_samples=self.config.max_texts)

    @cached_property
    def _compared(self) -> dict[str, None]:
        """Prompts that are compared with each other, in order."""
        return dict.fromkeys(self.prompt_ids[: self.config.max_prompts])

    def _keep(self, prompt_id: str, texts: Sequence[str], unit_NE: Mapping[str, np.ndarray]) -> None:
        if prompt_id in self._compared:
            num = self.config.num_draws
            self.drawn_texts[prompt_id] = list(texts[:num])
            self.drawn_rows[prompt_id] = {name: rows[:num].copy() for name, rows in unit_NE.items()}

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
            "num_prompts_across": sum(1 for texts in self.drawn_texts.values() if texts),
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
