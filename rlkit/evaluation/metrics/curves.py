"""Families of report cells over budgets k and thresholds tau, each with its interval over problems.

All but `best_of_k_cells` are functions of the `problems` of report.json, and need neither samples nor texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import (
    MajorityVote,
    bayes_benchmark_pass_at_k,
    bayes_pass_at_k,
    cover_at_tau,
    cover_posterior_at_tau,
    g_pass_at_k,
    majority_vote,
    mean_intervals,
    mg_pass_at_k,
    pass_hat_k,
)
from rlkit.evaluation.metrics.cells import CellJson, Problem, class_flags
from rlkit.evaluation.metrics.problems import UNANSWERED
from rlkit.evaluation.metrics.scored import SCORERS, ScoredSamples

FloatArray = NDArray[np.float64]
Cells = dict[str, CellJson]

G_PASS_TAUS = (0.25, 0.5, 0.75, 1.0)
"""Shares of k that G-Pass@k asks for."""

COVER_TAUS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Success rates that cover@tau asks for; 0 stands for any success at all."""


def pass_hat_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> Cells:
    """Return the cell of mean pass^k, that all k samples are correct, for each k."""
    return _cells(np.asarray(pass_hat_k(*_counts(problems), np.asarray(ks))), ks, seed)


def mg_pass_at_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> Cells:
    """Return the cell of mean mG-Pass@k for each k."""
    return _cells(np.asarray(mg_pass_at_k(*_counts(problems), np.asarray(ks))), ks, seed)


def g_pass_at_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> dict[str, Cells]:
    """Return the cell of mean G-Pass@k_tau for each k and threshold."""
    counts = _counts(problems)
    by_tau = [np.asarray(g_pass_at_k(*counts, np.asarray(ks), tau)) for tau in G_PASS_TAUS]
    return {str(k): _cells(np.stack([each[:, at] for each in by_tau], 1), G_PASS_TAUS, seed) for at, k in enumerate(ks)}


def bayes_pass_at_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> Cells:
    """Return the cell of the mean posterior pass@k under Jeffreys' prior for each k.

    There are no limits: the mean is drawn towards the prior, and an interval of it over problems seldom holds what
    other problems of this kind would give. `sd` is the posterior standard deviation, problems fixed. Problems without
    a scored sample, of which the posterior is the prior, are left out.
    """
    n_M1, c_M1 = _counts(problems)
    seen_M = n_M1[:, 0] > 0
    values_MK = np.full((len(problems), len(ks)), np.nan)
    values_MK[seen_M] = bayes_pass_at_k(n_M1[seen_M], c_M1[seen_M], np.asarray(ks))
    cells = _without_limits(_cells(values_MK, ks, seed))
    for k in ks:
        sd = bayes_benchmark_pass_at_k(n_M1[seen_M, 0], c_M1[seen_M, 0], k).sd
        cells[str(k)]["sd"] = None if np.isnan(sd) else sd
    return cells


def cover_at_tau_cells(problems: Sequence[Problem], seed: int = 0) -> Cells:
    """Return the cell of the share of problems whose success rate reaches tau, for each threshold."""
    n_M1, c_M1 = _counts(problems)
    values = [np.asarray(cover_at_tau(n_M1[:, 0], c_M1[:, 0], tau)) for tau in COVER_TAUS]
    return _cells(np.stack(values, axis=1), COVER_TAUS, seed)


def cover_posterior_at_tau_cells(problems: Sequence[Problem], seed: int = 0) -> Cells:
    """Return the cell of the mean posterior probability of reaching tau; without 0 and 1, where nothing is at stake.

    There are no limits, for the reason given at `bayes_pass_at_k_cells`.
    """
    taus = [tau for tau in COVER_TAUS if 0.0 < tau < 1.0]
    n_M1, c_M1 = _counts(problems)
    values = [np.asarray(cover_posterior_at_tau(n_M1[:, 0], c_M1[:, 0], tau)) for tau in taus]
    return _without_limits(_cells(np.stack(values, axis=1), taus, seed))


def maj_at_k_votes(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> list[MajorityVote]:
    """Return the vote of each problem for each k.

    An answer counts as correct when most of its samples were graded so. A problem is undefined where a correct sample
    has no answer, or no sample of any problem has one: then the task gives none to vote on.
    """
    has_answers = any(key != UNANSWERED for problem in problems for key in problem["answers"])
    return [_vote(problem, ks, seed) if has_answers else _no_vote(ks) for problem in problems]


def maj_at_k_columns(problems: Sequence[Problem], ks: Sequence[int]) -> FloatArray:
    """Return maj@k of each problem, shape (M, K): as the report keeps it, or worked out where it does not.

    An exact vote takes about a millisecond, and a report is compared many times.
    """
    kept = [problem.get("majority") or {} for problem in problems]
    if all(str(k) in values for values in kept for k in ks):
        return np.array([[values[str(k)] for k in ks] for values in kept], dtype=np.float64).reshape(-1, len(ks))
    return np.array([vote.values_K for vote in maj_at_k_votes(problems, ks)]).reshape(-1, len(ks))


def keep_votes(problems: Sequence[dict[str, Any]], votes: Sequence[MajorityVote], ks: Sequence[int]) -> None:
    """Put what `maj_at_k_columns` reads into the problems of a report."""
    for problem, vote in zip(problems, votes, strict=True):
        values = zip(ks, vote.values_K.tolist(), strict=True)
        problem["majority"] = {str(k): None if np.isnan(value) else value for k, value in values}


def maj_at_k_cells(votes: Sequence[MajorityVote], ks: Sequence[int], seed: int = 0) -> Cells:
    """Return the cell of mean maj@k for each k, from the votes of all problems.

    `simulation_error` beside the interval is the standard error of the mean by draws that were simulated; 0 where all
    values are exact.
    """
    values_MK = np.stack([vote.values_K for vote in votes]) if votes else np.empty((0, len(ks)))
    errors_MK = np.stack([vote.errors_K for vote in votes]) if votes else np.empty((0, len(ks)))
    cells = _cells(values_MK, ks, seed)
    for at, k in enumerate(ks):
        defined = ~np.isnan(errors_MK[:, at])
        error = float(np.sqrt(np.sum(errors_MK[defined, at] ** 2)) / defined.sum()) if defined.any() else None
        cells[str(k)]["simulation_error"] = error
    return cells


def best_of_k_cells(samples: Sequence[ScoredSamples], ks: Sequence[int], seed: int = 0) -> dict[str, Cells]:
    """Return, for each scorer, the cell of the success of the highest-scored of k samples, for each k."""
    families = {}
    for scorer in SCORERS:
        values = [each.best_of(scorer, ks) for each in samples]
        families[scorer] = _cells(np.asarray(values).reshape(len(samples), len(ks)), ks, seed)
    return families


def _vote(problem: Problem, ks: Sequence[int], seed: int) -> MajorityVote:
    answers: Mapping[str, Any] = problem["answers"]
    num_abstained, num_keyless = answers.get(UNANSWERED, (0, 0))
    if num_keyless:
        return _no_vote(ks)
    counts = [count for key, (count, _) in answers.items() if key != UNANSWERED]
    return majority_vote(counts, class_flags(problem), ks, num_abstained, seed=seed)


def _no_vote(ks: Sequence[int]) -> MajorityVote:
    return MajorityVote(np.full(len(ks), np.nan), np.full(len(ks), np.nan))


def _counts(problems: Sequence[Problem]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return n and c of each problem, shapes (M, 1), to be broadcast against budgets."""
    pairs = [(problem["num_samples"], problem["num_correct"]) for problem in problems]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, :1], table[:, 1:]


def _cells(values_MK: FloatArray, keys: Sequence[float], seed: int) -> Cells:
    intervals = mean_intervals(values_MK, bounds=(0.0, 1.0), seed=seed)
    return {
        f"{key:g}" if isinstance(key, float) else str(key): each.as_cell()
        for key, each in zip(keys, intervals, strict=True)
    }


def _without_limits(cells: Cells) -> Cells:
    return {key: cell | {"low": None, "high": None} for key, cell in cells.items()}
