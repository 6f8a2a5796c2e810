r"""maj@k: the probability that the most frequent answer among k samples is correct, exactly.

k of n samples are drawn without replacement. Samples with one answer are a class; those without an answer abstain. The
class drawn most often wins, ties are broken at random: the credit of a draw is the share of correct classes among the
winners, and 0 where all abstain.

**How.** Let class l have c_l samples. The draws in which a correct class j wins with m samples and t others tie with it
are counted by the coefficient of z^k y^t in

    C(c_j, m) z^m * (1+z)^a * prod_{l != j} ( sum_{x < m} C(c_l, x) z^x  +  y C(c_l, m) z^m ),

a being the number that abstain, and each counts 1 / (t + 1) = integral of y^t over [0, 1]. So y is a quadrature node
(Gauss-Legendre, exact for polynomials), z a polynomial of degree k, and one pass over the classes keeps two products,
with and without a marked correct class. Every term is positive, so nothing cancels; with z tilted to p = k / n the
coefficients are binomial probabilities, so nothing overflows either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.draws import as_integers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EXACT_OPERATIONS = 100_000_000
"""Multiplications that an exact value may cost, about a tenth of a second; beyond, draws are simulated."""

_LONGEST_SHIFTED = 4
_MATRIX_ENTRIES = 1 << 19
"""Of all matrices that are kept for one k."""


@dataclass(frozen=True)
class MajorityVote:
    """maj@k of one problem for several k, and how exact it is."""

    values_K: FloatArray
    """maj@k; NaN where k exceeds the number of samples."""
    errors_K: FloatArray
    """Standard error of simulated values; 0 where exact, NaN where undefined."""


def majority_vote(
    counts: ArrayLike,
    is_correct: ArrayLike,
    ks: ArrayLike,
    num_abstained: int = 0,
    *,
    max_operations: int = EXACT_OPERATIONS,
    num_draws: int = 1000,
    seed: int = 0,
) -> MajorityVote:
    """Return maj@k of one problem for each k.

    Args:
        counts: samples of each answer, shape (C,), integers >= 0.
        is_correct: whether that answer is correct, shape (C,).
        ks: budgets, integers >= 1, shape (K,).
        num_abstained: samples without an answer.
        max_operations: a k whose exact value costs more is simulated.
        num_draws: draws of k samples to simulate.
        seed: of the draws.

    Returns:
        Values and their standard errors. Unbiased for k fresh samples.

    Raises:
        ConfigError: the shapes differ, a count is no integer or negative, or a k is below 1.

    Source: self-consistency, Wang et al. 2022, https://arxiv.org/abs/2203.11171; the exact expectation is ours.
    """
    counts_C, correct_C, ks_K = _checked_classes(counts, is_correct, ks, num_abstained)
    total = int(counts_C.sum()) + num_abstained
    values_K, errors_K = np.full(len(ks_K), np.nan), np.full(len(ks_K), np.nan)
    for at, k in enumerate(ks_K.tolist()):
        if k > total:
            continue
        # Where the draw leaves nothing to chance, or cannot be right or wrong, the answer is known.
        known = _known_value(counts_C, correct_C, k, num_abstained)
        if known is not None:
            values_K[at], errors_K[at] = known, 0.0
        elif exact_operations(counts_C, correct_C, k) <= max_operations:
            values_K[at], errors_K[at] = _exact(counts_C, correct_C, k, num_abstained), 0.0
        else:
            rng = np.random.default_rng([seed, k])
            values_K[at], errors_K[at] = _simulated(counts_C, correct_C, k, num_abstained, num_draws, rng)
    return MajorityVote(values_K, errors_K)


def exact_operations(counts: ArrayLike, is_correct: ArrayLike, k: int) -> int:
    """Return about how many multiplications the exact maj@k takes: at most counts.sum() products of degree k."""
    counts_C, correct_C = np.asarray(counts, dtype=np.int64), np.asarray(is_correct, dtype=bool)
    most = int(min(k, counts_C[correct_C].max(initial=0)))
    operations = 0
    for m in range(1, most + 1):
        num_large = int((counts_C >= m).sum())
        length = m + 1 if m < _LONGEST_SHIFTED else k + 1
        operations += 2 * _num_nodes(num_large, k, m) * num_large * length * (k + 1)
    return operations


def _checked_classes(
    counts: ArrayLike, is_correct: ArrayLike, ks: ArrayLike, num_abstained: int
) -> tuple[IntArray, NDArray[np.bool_], IntArray]:
    counts_C, ks_K = as_integers("counts", counts), as_integers("k", ks)
    correct_C = np.asarray(is_correct, dtype=bool)
    if counts_C.shape != correct_C.shape or counts_C.ndim != 1:
        raise ConfigError(
            f"A vote needs one count and one flag an answer, but shapes are {counts_C.shape} and {correct_C.shape}."
        )
    if np.any(counts_C < 0) or num_abstained < 0:
        raise ConfigError("Counts of answers and num_abstained cannot be negative.")
    if np.any(ks_K < 1):
        raise ConfigError(f"k must be at least 1, but {int(ks_K.min())} was given.")
    voted = counts_C > 0
    return counts_C[voted], correct_C[voted], ks_K


def _known_value(counts_C: IntArray, correct_C: NDArray[np.bool_], k: int, num_abstained: int) -> float | None:
    if not correct_C.any():
        return 0.0
    if correct_C.all() and num_abstained == 0:
        return 1.0
    if k == counts_C.sum() + num_abstained:
        winners_C = counts_C == counts_C.max()
        return float(correct_C[winners_C].mean())
    return None


def _exact(counts_C: IntArray, correct_C: NDArray[np.bool_], k: int, num_abstained: int) -> float:
    total = int(counts_C.sum()) + num_abstained
    binomials = _binomials(total, k)
    # Classes of one size lie together, so that what is made of a size serves all of them.
    order = np.argsort(counts_C, kind="stable")
    sizes, flags = counts_C[order], correct_C[order]
    most = int(min(k, counts_C[correct_C].max()))
    # Fewer cannot win: k samples among so few classes put at least this many into one.
    least = max(1, -(-(k - num_abstained) // len(sizes)))
    won = 0.0
    for m in range(least, most + 1):
        # Classes of fewer than m samples are below the winner whatever is drawn: one pool with those that abstain.
        first = int(np.searchsorted(sizes, m))
        pool = binomials.of(int(sizes[:first].sum()) + num_abstained)
        if m == 1:
            won += _won_by_one(sizes, flags, pool, binomials)
            continue
        classes = list(zip(sizes[first:].tolist(), flags[first:].tolist(), strict=True))
        won += _won_with(m, classes, pool, binomials)
    return min(won / float(binomials.of(total)[k]), 1.0)


@lru_cache(maxsize=8)
def _binomials(total: int, k: int) -> _Binomials:
    """Return the table for draws of k of a number of samples, which is most often that of every problem."""
    return _Binomials(total, k)


class _Binomials:
    """Probabilities of 0..k successes at the rate k / total, for groups of any size, each worked out once."""

    def __init__(self, total: int, k: int) -> None:
        self.k = k
        self._log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
        self._log_odds = np.log(k / total), np.log1p(-k / total)
        self._known: dict[int, FloatArray] = {}
        self._below: dict[tuple[int, int], FloatArray] = {}
        self._powers: dict[tuple[int, int], FloatArray] = {}

    def of(self, size: int) -> FloatArray:
        """Return the probabilities of 0..k successes among `size`, shape (k + 1,)."""
        if size not in self._known:
            hits = np.arange(min(size, self.k) + 1)
            misses = size - hits
            logs = self._log_factorials[size] - self._log_factorials[hits] - self._log_factorials[misses]
            self._known[size] = np.zeros(self.k + 1)
            self._known[size][: len(hits)] = np.exp(logs + hits * self._log_odds[0] + misses * self._log_odds[1])
        return self._known[size]

    def power(self, size: int, count: int) -> FloatArray:
        """Return (a + b z) ** count by ascending powers up to k, of the chances of no and of one success of `size`."""
        if (size, count) not in self._powers:
            if (len(self._powers) + 1) * (self.k + 1) > _MATRIX_ENTRIES:
                self._powers.clear()
            none, one = np.log(self.of(size)[:2])
            drawn = np.arange(min(count, self.k) + 1)
            logs = self._log_factorials[count] - self._log_factorials[drawn] - self._log_factorials[count - drawn]
            self._powers[size, count] = np.exp(logs + drawn * one + (count - drawn) * none)
        return self._powers[size, count]

    def below(self, size: int, m: int) -> FloatArray:
        """Return the matrix that multiplies a polynomial by 0..m-1 successes among `size`, shape (k + 1, k + 1)."""
        if (size, m) not in self._below:
            if (len(self._below) + 1) * (self.k + 1) ** 2 > _MATRIX_ENTRIES:
                self._below.clear()
            self._below[size, m] = _matrix_of(self.of(size)[:m], self.k + 1)
        return self._below[size, m]


def _won_by_one(sizes: IntArray, flags: NDArray[np.bool_], pool: FloatArray, binomials: _Binomials) -> float:
    """Return `_won_with(1, ...)`, in which every class takes part, without a step a class.

    All that are drawn tie, so j drawn classes have j winners. Classes of one size are a power of one linear factor.
    """
    distinct, starts, counts = np.unique(sizes, return_index=True, return_counts=True)
    correct = np.add.reduceat(flags.astype(np.int64), starts)
    before = [np.ones(1)]
    for size, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        before.append(_product(before[-1], binomials.power(size, count), binomials.k))
    # How many of the correct classes of a size are among j drawn ones, times the chance of these j, summed over sizes.
    marked, after = np.zeros(binomials.k + 1), np.ones(1)
    for at in range(len(distinct) - 1, -1, -1):
        size, count = int(distinct[at]), int(counts[at])
        if correct[at]:
            others = _product(_product(before[at], after, binomials.k), binomials.power(size, count - 1), binomials.k)
            others = others[: binomials.k]
            marked[1 : len(others) + 1] += correct[at] * binomials.of(size)[1] * others
        after = _product(after, binomials.power(size, count), binomials.k)
    shares = marked[1:] / np.arange(1, binomials.k + 1)
    return float(shares @ pool[binomials.k - 1 :: -1])


def _product(left: FloatArray, right: FloatArray, degree: int) -> FloatArray:
    """Return the product of two polynomials by ascending powers, cut at a degree."""
    return np.asarray(np.convolve(left, right)[: degree + 1], dtype=np.float64)


def _won_with(m: int, classes: list[tuple[int, bool]], pool: FloatArray, binomials: _Binomials) -> float:
    """Return the credit of all draws of k whose winners have m samples each, in tilted units."""
    k = binomials.k
    nodes_Q, weights_Q = _quadrature(_num_nodes(len(classes), k, m))
    # Products without and with a marked correct class, for each node.
    products_2QK = np.zeros((2, len(nodes_Q), k + 1))
    products_2QK[0] = pool
    made_for, table, below_KK = 0, pool, None
    for size, is_correct in classes:
        if size != made_for:
            made_for, table = size, binomials.of(size)
            below_KK = None if m < _LONGEST_SHIFTED else binomials.below(size, m)
        winning_2QK = table[m] * products_2QK[:, :, : k + 1 - m]
        if below_KK is None:
            products_2QK = _times_short(products_2QK, table[:m])
        else:
            products_2QK = (products_2QK.reshape(-1, k + 1) @ below_KK).reshape(products_2QK.shape)
        products_2QK[:, :, m:] += nodes_Q[:, None] * winning_2QK
        if is_correct:
            products_2QK[1, :, m:] += winning_2QK[0]
    return float(weights_Q @ products_2QK[1, :, k])


def _times_short(polynomials_2QK: FloatArray, factor_X: FloatArray) -> FloatArray:
    """Return each polynomial times a short factor, both by ascending powers, cut at the degree of the polynomials."""
    size = polynomials_2QK.shape[-1]
    product = factor_X[0] * polynomials_2QK
    for power in range(1, min(len(factor_X), size)):
        product[:, :, power:] += factor_X[power] * polynomials_2QK[:, :, : size - power]
    return product


def _matrix_of(factor_X: FloatArray, size: int) -> FloatArray:
    """Return the matrix by which a polynomial, as a row of `size` powers, is multiplied by a factor.

    Row i holds the factor shifted by i: a product of positive numbers, exact to rounding, unlike an FFT.
    """
    padded = np.zeros(2 * size - 1)
    padded[size - 1 : size - 1 + len(factor_X)] = factor_X[:size]
    strides = (-padded.itemsize, padded.itemsize)
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(padded[size - 1 :], (size, size), strides))


def _num_nodes(num_large: int, k: int, m: int) -> int:
    """Return how many nodes integrate y^t exactly: t others tie, no more than there are or than k samples allow."""
    most_tied = max(0, min(num_large, k // m) - 1)
    return most_tied // 2 + 1


@lru_cache(maxsize=1024)
def _quadrature(num_nodes: int) -> tuple[FloatArray, FloatArray]:
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    return (nodes + 1) / 2, weights / 2


def _simulated(
    counts_C: IntArray,
    correct_C: NDArray[np.bool_],
    k: int,
    num_abstained: int,
    num_draws: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    drawn_RC = rng.multivariate_hypergeometric(np.append(counts_C, num_abstained), k, size=num_draws)[:, :-1]
    most_R1 = drawn_RC.max(axis=1, keepdims=True)
    winners_RC = (drawn_RC == most_R1) & (most_R1 > 0)
    credits_R = (winners_RC & correct_C).sum(axis=1) / np.maximum(winners_RC.sum(axis=1), 1)
    # Draws that all agree are no proof of certainty: then the spread is that of one more success and one more failure.
    share = (credits_R.sum() + 1.0) / (num_draws + 2.0)
    deviation = credits_R.std(ddof=1) or np.sqrt(share * (1.0 - share))
    return float(credits_R.mean()), float(deviation / np.sqrt(num_draws))
