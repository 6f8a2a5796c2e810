"""What a trainer remembers of each prompt: how often each answer was given, and how often it was right.

Both tables are plain data keyed by prompt id (never by the templated text, which changes with the template). They hold
no randomness and no order: the same batches give the same table and, through `to_json`, the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.parameters import check_number

Answers = Sequence[Sequence[str | None]]
"""(P, G): the key of each completion's final answer, None where there is none."""


class AnswerCounts:
    """How often each answer was given to each prompt: {prompt id: {answer key: count}}.

    Memory grows with the number of *distinct* answers, by some 60 bytes each where answers are short: 100,000 prompts
    with 20 answers each take about 130 MB. Nothing is ever forgotten.
    """

    def __init__(self, no_answer_key: str | None = None) -> None:
        """Start empty.

        Args:
            no_answer_key: the key under which completions without an answer are counted together; None leaves them
                out.
        """
        self.no_answer_key = no_answer_key
        self._counts: dict[str, dict[str, int]] = {}

    def lookup(self, prompt_ids_P: Sequence[str], answers_PG: Answers) -> NDArray[np.float64]:
        """Return how often each answer had been given, shape (P, G): 0 where never, NaN where there is no answer.

        Nothing is added, so a prompt that is there twice in a batch meets the same counts both times.

        Raises:
            ConfigError: not one row of answers a prompt, rows of different lengths, or an answer that is no text.
        """
        keys_PG = self._keys(prompt_ids_P, answers_PG)
        rows = [
            [math.nan if key is None else self._counts.get(prompt_id, {}).get(key, 0) for key in keys_G]
            for prompt_id, keys_G in zip(prompt_ids_P, keys_PG, strict=True)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)

    def add(self, prompt_ids_P: Sequence[str], answers_PG: Answers) -> None:
        """Count the answers of a batch.

        Raises:
            ConfigError: not one row of answers a prompt, rows of different lengths, or an answer that is no text.
        """
        for prompt_id, keys_G in zip(prompt_ids_P, self._keys(prompt_ids_P, answers_PG), strict=True):
            for key in keys_G:
                if key is not None:
                    counts = self._counts.setdefault(prompt_id, {})
                    counts[key] = counts.get(key, 0) + 1

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the table as plain data with sorted keys; `no_answer_key` comes from the recipe and is not in it."""
        return {prompt_id: dict(sorted(counts.items())) for prompt_id, counts in sorted(self._counts.items())}

    @classmethod
    def from_json(cls, data: Mapping[str, Mapping[str, int]], no_answer_key: str | None = None) -> AnswerCounts:
        """Return the table that `to_json` gave.

        Raises:
            ConfigError: the data is not {prompt id: {answer key: count >= 1}}.
        """
        table = cls(no_answer_key)
        for prompt_id, counts in _items(data):
            for _, count in _items(counts):
                if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                    raise ConfigError(f"The answer counts of {prompt_id!r} hold {count!r}; counts are integers from 1.")
            table._counts[prompt_id] = dict(counts)
        return table

    def _keys(self, prompt_ids_P: Sequence[str], answers_PG: Answers) -> list[list[str | None]]:
        _check_rows(prompt_ids_P, answers_PG)
        for answer in (answer for answers_G in answers_PG for answer in answers_G):
            # JSON would turn the key 7 into "7", and a resumed run would start counting it anew.
            if answer is not None and not isinstance(answer, str):
                raise ConfigError(f"An answer was given as {answer!r}; write its key as a text, or None for no answer.")
        return [[self.no_answer_key if answer is None else answer for answer in answers_G] for answers_G in answers_PG]


class PassRates:
    """How often each prompt was answered correctly: {prompt id: [num_correct, num_scored]}."""

    def __init__(self, decay: float = 1.0) -> None:
        """Start empty.

        Args:
            decay: in (0, 1]; what is remembered of a prompt is multiplied by it before each batch that judges the
                prompt, so that the rate follows the policy. 1 forgets nothing; 0.5 halves the weight of each earlier
                visit.

        Raises:
            ConfigError: the decay is not in (0, 1].
        """
        check_number("pass_rates", "decay", decay, above=0, at_most=1)
        self.decay = decay
        self._totals: dict[str, list[float]] = {}

    def add(self, prompt_ids_P: Sequence[str], correct_PG: ArrayLike) -> None:
        """Count the verdicts of a batch: 1 correct, 0 wrong, NaN unknown and not counted.

        A prompt that is there twice is one visit; one without any verdict is left as it was.

        Raises:
            ConfigError: not one row of verdicts a prompt.
        """
        verdicts_PG = np.asarray(correct_PG, dtype=np.float64)
        _check_rows(prompt_ids_P, verdicts_PG.tolist())
        visits: dict[str, list[float]] = {}
        for prompt_id, verdicts_G in zip(prompt_ids_P, verdicts_PG, strict=True):
            visit = visits.setdefault(prompt_id, [0.0, 0.0])
            visit[0] += float((verdicts_G > 0.5).sum())
            visit[1] += float((~np.isnan(verdicts_G)).sum())
        for prompt_id, (num_correct, num_scored) in visits.items():
            if num_scored:
                before = self._totals.get(prompt_id, [0.0, 0.0])
                self._totals[prompt_id] = [before[0] * self.decay + num_correct, before[1] * self.decay + num_scored]

    def counts(self, prompt_ids_P: Sequence[str]) -> NDArray[np.float64]:
        """Return how many completions of each prompt were correct and how many were judged, (P, 2); 0 for new ones."""
        totals = [self._totals.get(prompt_id, [0.0, 0.0]) for prompt_id in prompt_ids_P]
        return np.array(totals, dtype=np.float64).reshape(len(totals), 2)

    def rates(self, prompt_ids_P: Sequence[str]) -> NDArray[np.float64]:
        """Return the share of correct completions, shape (P,), range [0, 1]; NaN where a prompt was never judged."""
        totals = (self._totals.get(prompt_id) for prompt_id in prompt_ids_P)
        return np.array([math.nan if total is None else total[0] / total[1] for total in totals], dtype=np.float64)

    def to_json(self) -> dict[str, list[float]]:
        """Return the table as plain data with sorted keys; `decay` comes from the recipe and is not in it."""
        return {prompt_id: list(total) for prompt_id, total in sorted(self._totals.items())}

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[float]], decay: float = 1.0) -> PassRates:
        """Return the table that `to_json` gave.

        Raises:
            ConfigError: the data is not {prompt id: [num_correct, num_scored]}, or the decay is not in (0, 1].
        """
        table = cls(decay)
        for prompt_id, total in _items(data):
            try:
                num_correct, num_scored = (float(number) for number in total)
            except (TypeError, ValueError):
                num_correct, num_scored = math.nan, math.nan
            if not 0 <= num_correct <= num_scored or not 0 < num_scored < math.inf:
                raise ConfigError(f"The pass rates of {prompt_id!r} hold {total!r}; write [num_correct, num_scored].")
            table._totals[prompt_id] = [num_correct, num_scored]
        return table


def _items(data: Any) -> list[tuple[str, Any]]:
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"A table of prompts was given as {str(data)[:60]}; write a mapping with texts as keys.")
    return list(data.items())


def _check_rows(prompt_ids_P: Sequence[str], rows_PG: Sequence[Sequence[Any]]) -> None:
    if isinstance(prompt_ids_P, str) or not all(isinstance(prompt_id, str) for prompt_id in prompt_ids_P):
        raise ConfigError(f"Prompt ids were given as {str(prompt_ids_P)[:60]}; write a list of texts, one a prompt.")
    if len(prompt_ids_P) != len(rows_PG) or len({len(row_G) for row_G in rows_PG}) > 1:
        lengths = sorted({len(row_G) for row_G in rows_PG})
        raise ConfigError(
            f"{len(prompt_ids_P)} prompts came with {len(rows_PG)} rows of lengths {lengths}; write one row of G "
            "entries for each prompt."
        )
