"""Per-problem counts from samples: all that the metrics and comparisons need, so that no text is read twice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlkit.estimators import shannon_entropy
from rlkit.types import Prompt, Row


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
    num_truncated: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    """Correct samples by canonical answer."""
    answers: Counter[str | None] = field(default_factory=Counter)
    """Scored samples by answer, right or wrong; None counts those without one."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """All samples by verdict."""
    num_tokens: int = 0
    """Tokens of all samples together."""
    logp_sum: float = 0.0
    """Log-probability of all samples together."""
    entropy_sum: float = 0.0
    """Token entropies of all samples together; NaN when the engine did not report one."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one line of samples.jsonl."""
        tokens, entropy, logp = record["num_tokens"], record["entropy_mean"], record["logp_sum"]
        self.num_tokens += tokens
        self.entropy_sum += math.nan if entropy is None else entropy * tokens
        self.logp_sum += math.nan if logp is None else logp
        self.num_truncated += record["finish_reason"] == "length"
        self.verdicts[record["verdict"]] += 1
        if record["correct"] is None:
            self.num_unscored += 1
            return
        self.num_samples += 1
        self.answers[record["answer"]] += 1
        if record["correct"]:
            self.num_correct += 1
            # A task without canonical answers has one class, so that distinct solutions are never overstated.
            self.classes[record["answer"] if record["answer"] is not None else ""] += 1

    @property
    def num_drawn(self) -> int:
        """All samples, scored or not."""
        return self.num_samples + self.num_unscored

    def as_json(self) -> dict[str, Any]:
        """Return the problem's entry of report.json; undefined numbers are None."""
        return {
            "id": self.id,
            "prompt": self.prompt,
            "num_samples": self.num_samples,
            "num_correct": self.num_correct,
            "num_distinct_correct": len(self.classes),
            "num_solutions": self.num_solutions,
            "num_unscored": self.num_unscored,
            "num_truncated": self.num_truncated,
            "classes": dict(sorted(self.classes.items(), key=lambda item: (-item[1], item[0]))),
            "verdicts": dict(sorted(self.verdicts.items())),
            "answer_entropy": _or_none(shannon_entropy(list(self.answers.values()))),
            "token_entropy": _or_none(_ratio(self.entropy_sum, self.num_tokens)),
            "surprisal": _or_none(_ratio(-self.logp_sum, self.num_tokens)),
            "num_tokens": _or_none(_ratio(self.num_tokens, self.num_drawn)),
        }


def count_problems(rows: Sequence[Row], records: Iterable[Mapping[str, Any]]) -> list[ProblemCounts]:
    """Return the counts of every row, in order, from lines of samples.jsonl in any order.

    A sample that is there twice, as after joining files, counts once: copies would pass for independent draws.
    """
    counts = {row["id"]: ProblemCounts(row["id"], row["prompt"], row.get("num_solutions")) for row in rows}
    seen: set[tuple[str, int]] = set()
    for record in records:
        key = (record["prompt_id"], record["sample"])
        if record["prompt_id"] in counts and key not in seen:
            seen.add(key)
            counts[record["prompt_id"]].add(record)
    return list(counts.values())


def _ratio(total: float, count: int) -> float:
    return total / count if count else math.nan


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
