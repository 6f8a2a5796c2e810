"""Per-problem counts from samples: all that the metrics and comparisons need, so that no text is read twice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlkit.estimators import jeffreys_interval, shannon_entropy
from rlkit.evaluation.metrics.scored import ScoredSamples
from rlkit.evaluation.samples.grouping import group_samples
from rlkit.types import Prompt, Row

UNANSWERED = ""
"""Key of the scored samples without an answer, in `answers`."""


@dataclass
class ProblemCounts:
    """What the samples of one problem add up to; unscored ones are in no count of grades but `num_unscored`."""

    id: str
    prompt: Prompt
    num_solutions: int | None = None
    """Size of the set of distinct solutions, where the task knows it."""
    num_samples: int = 0
    """Scored samples, the n of pass@k."""
    num_correct: int = 0
    num_unscored: int = 0
    num_truncated: float = 0
    """NaN where how a sample ended is not known, as in logs of other tools."""
    classes: Counter[str] = field(default_factory=Counter)
    """Correct samples by canonical solution, which is the answer where the task names no other."""
    answers: Counter[str] = field(default_factory=Counter)
    """Scored samples by answer, right or wrong; `UNANSWERED` counts those without one."""
    correct_answers: Counter[str] = field(default_factory=Counter)
    """The correct ones among them."""
    samples: ScoredSamples = field(default_factory=ScoredSamples)
    labels: Counter[str] = field(default_factory=Counter)
    """All samples by label."""
    num_tokens: float = 0
    """Tokens of all samples together; NaN where those of one are not known."""
    logp_sum: float = 0.0
    """Log-probability of all samples together."""
    entropy_sum: float = 0.0
    """Token entropies of all samples together; NaN when the engine did not report one."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one line of samples.jsonl."""
        tokens, entropy, logp = _known(record["num_tokens"]), record["entropy_mean"], record["logp_sum"]
        self.num_tokens += tokens
        self.entropy_sum += math.nan if entropy is None else entropy * tokens
        self.logp_sum += math.nan if logp is None else logp
        self.num_truncated += math.nan if record["finish_reason"] is None else record["finish_reason"] == "length"
        self.labels[record["label"]] += 1
        if record["correct"] is None:
            self.num_unscored += 1
            return
        self.num_samples += 1
        self.samples.add(record)
        answer = record["answer"] or UNANSWERED
        self.answers[answer] += 1
        if record["correct"]:
            self.num_correct += 1
            self.correct_answers[answer] += 1
            # A task without canonical answers has one class, so that distinct solutions are never overstated.
            solution = record.get("class")
            self.classes[answer if solution is None else solution] += 1

    def add_all(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Count several."""
        for record in records:
            self.add(record)

    @property
    def num_drawn(self) -> int:
        """All samples, scored or not."""
        return self.num_samples + self.num_unscored

    def as_json(self) -> dict[str, Any]:
        """Return the problem's entry of report.json; undefined numbers are None."""
        numbers = {
            "answer_entropy": shannon_entropy(list(self.answers.values())),
            "token_entropy": _ratio(self.entropy_sum, self.num_tokens),
            "surprisal": _ratio(-self.logp_sum, self.num_tokens),
            "num_tokens": _ratio(self.num_tokens, self.num_drawn),
            "num_tokens_correct": self.samples.mean_tokens(True),
            "num_tokens_wrong": self.samples.mean_tokens(False),
            "confident_pick": self.samples.pick("logp_mean"),
            "surprising_pick": self.samples.pick("surprisal_mean"),
            "logp_auroc": self.samples.logp_auroc(),
        }
        return {
            "id": self.id,
            "prompt": self.prompt,
            "num_samples": self.num_samples,
            "num_correct": self.num_correct,
            "num_distinct_correct": len(self.classes),
            "num_solutions": self.num_solutions,
            "num_unscored": self.num_unscored,
            "num_truncated": None if math.isnan(self.num_truncated) else int(self.num_truncated),
            "classes": dict(_most_frequent_first(self.classes)),
            "answers": {key: [count, self.correct_answers[key]] for key, count in _most_frequent_first(self.answers)},
            "labels": dict(sorted(self.labels.items())),
            **{name: _or_none(value) for name, value in numbers.items()},
        }


def describe_problems(counts: Sequence[ProblemCounts]) -> list[dict[str, Any]]:
    """Return the entries of report.json: `as_json` of each problem, with Jeffreys' interval of its success rate."""
    table = np.array([(each.num_samples, each.num_correct) for each in counts], dtype=np.int64).reshape(-1, 2)
    pairs, index = np.unique(table, axis=0, return_inverse=True)
    limits = np.stack(jeffreys_interval(pairs[:, 0], pairs[:, 1]), axis=1)[index.reshape(-1)]
    return [
        {**each.as_json(), "pass_rate_low": _or_none(low), "pass_rate_high": _or_none(high)}
        for each, (low, high) in zip(counts, limits.tolist(), strict=True)
    ]


def count_problems(rows: Sequence[Row], records: Iterable[Mapping[str, Any]]) -> list[ProblemCounts]:
    """Return the counts of every row, in order, from lines of samples.jsonl in any order.

    A sample that is there twice, as after joining files, counts once: copies would pass for independent draws.
    """
    counts = start_counts(rows)
    for prompt_id, group in group_samples(records, counts):
        counts[prompt_id].add_all(group)
    return list(counts.values())


def start_counts(rows: Sequence[Row]) -> dict[str, ProblemCounts]:
    """Return empty counts of every row by id, in order."""
    return {row["id"]: ProblemCounts(row["id"], row["prompt"], row.get("num_solutions")) for row in rows}


def _most_frequent_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _ratio(total: float, count: float) -> float:
    return total / count if count else math.nan


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
