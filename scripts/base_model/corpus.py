"""Training text of the base model: random walks over training-split numbers, a share of them under a wrong target.

A walk picks two of the numbers at hand and an operation at random among those with a natural result within bounds,
writes the step, and goes on until one number is left; that number is the target. Everything is vectorised: a batch of
walks is a few array operations per step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rlkit.tasks.countdown_format import OPERATORS, result_token, target_token
from rlkit.tasks.countdown_splits import multisets


@dataclass(frozen=True)
class Problems:
    """Which problems the walks are about."""

    num_numbers: int = 4
    max_number: int = 13
    max_intermediate: int = 100
    min_target: int = 10
    max_target: int = 50


def vocabulary(problems: Problems) -> list[str]:
    """Return every token of the token format for these problems; a token's id is its place, special tokens first."""
    words = ["<pad>", "<bos>", "<eos>", "<unk>", *OPERATORS, *map(str, range(1, problems.max_number + 1))]
    words += [result_token(value) for value in range(1, problems.max_intermediate + 1)]
    return words + [target_token(target) for target in range(problems.min_target, problems.max_target + 1)]


class Corpus:
    """An endless, seeded stream of token ids: prompt, answer and end token, all of one length."""

    def __init__(self, problems: Problems, wrong_target_share: float, seed: int, chunk_size: int = 1 << 16) -> None:
        """Prepare the training split's multisets; `wrong_target_share` in [0, 1) of the walks get a random target."""
        self.problems = problems
        self.wrong_target_share = wrong_target_share
        self.chunk_size = chunk_size
        self.prompt_length = problems.num_numbers + 1
        self._generator = np.random.default_rng(seed)
        self._ids = {word: place for place, word in enumerate(vocabulary(problems))}
        self._multisets = np.array(multisets("train", problems.num_numbers, problems.max_number))
        self._weights = _number_of_orders(self._multisets)

    def batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """Yield `(batch_size, prompt + answer + 1)` int64 arrays of token ids for ever."""
        while True:
            chunk = self._draw_chunk()
            for start in range(0, len(chunk) - batch_size + 1, batch_size):
                yield chunk[start : start + batch_size]

    def _draw_chunk(self) -> np.ndarray:
        """Return the walks of one chunk whose end is a legal target, as token ids."""
        generator, ids = self._generator, self._ids
        numbers = self._multisets[generator.choice(len(self._multisets), self.chunk_size, p=self._weights)]
        steps, ends = self._walk(numbers)
        kept = (ends >= self.problems.min_target) & (ends <= self.problems.max_target)
        numbers, steps, targets = numbers[kept], steps[kept], ends[kept]
        wrong = generator.random(len(targets)) < self.wrong_target_share
        anything = generator.integers(self.problems.min_target, self.problems.max_target + 1, len(targets))
        targets = np.where(wrong, anything, targets)
        first_target = ids[target_token(self.problems.min_target)] - self.problems.min_target
        prompt = np.concatenate([numbers + ids["1"] - 1, targets[:, None] + first_target], axis=1)
        return np.concatenate([prompt, steps, np.full((len(targets), 1), ids["<eos>"])], axis=1)

    def _walk(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return one walk a row as token ids `(N, 4 * steps)`, and where each ended `(N,)`, 0 for dead ends."""
        rows = np.arange(len(numbers))
        first_result = self._ids[result_token(1)] - 1
        values, tokens = numbers, numbers + self._ids["1"] - 1
        alive = np.ones(len(numbers), dtype=bool)
        steps = []
        for size in range(numbers.shape[1], 1, -1):
            left, right = np.array([(i, j) for i in range(size) for j in range(size) if i != j]).T
            results = _results(values[:, left], values[:, right], self.problems.max_intermediate)
            flat = results.reshape(len(rows), -1)
            pick = np.where(flat > 0, self._generator.random(flat.shape), -1.0).argmax(axis=1)
            result = flat[rows, pick]
            alive &= result > 0
            operation, pair = np.divmod(pick, len(left))
            i, j = left[pair], right[pair]
            token = np.maximum(result, 1) + first_result
            steps += [tokens[rows, i], self._ids[OPERATORS[0]] + operation, tokens[rows, j], token]
            others = np.array(
                [[k for k in range(size) if k not in (a, b)] for a, b in zip(left, right, strict=True)], dtype=int
            )
            keep = others.reshape(len(left), size - 2)[pair]
            values = np.concatenate([np.take_along_axis(values, keep, 1), result[:, None]], axis=1)
            tokens = np.concatenate([np.take_along_axis(tokens, keep, 1), token[:, None]], axis=1)
        return np.stack(steps, axis=1), np.where(alive, values[:, 0], 0)


def _results(left: np.ndarray, right: np.ndarray, bound: int) -> np.ndarray:
    """Return `(N, 4, pairs)` results in the order of `OPERATORS`, 0 where a result is not natural or above `bound`."""
    divisor = np.maximum(right, 1)
    quotient = np.where((left % divisor == 0) & (right > 0), left // divisor, 0)
    results = np.stack([left + right, left - right, left * right, quotient], axis=1)
    return np.where((results > 0) & (results <= bound), results, 0)


def _number_of_orders(multisets_: np.ndarray) -> np.ndarray:
    """Return the probability of each ascending row when its numbers are drawn one by one and order is forgotten."""
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, multisets_.shape[1] + 1)))])
    counts = (multisets_[:, :, None] == np.arange(multisets_.max() + 1)).sum(axis=1)
    weights = np.exp(log_factorials[multisets_.shape[1]] - log_factorials[counts].sum(axis=1))
    return weights / weights.sum()
