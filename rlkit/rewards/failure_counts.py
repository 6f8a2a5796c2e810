"""How often each reward failed, in plain numbers that ranks can add up before they decide, all alike, to stop.

    failures.add("math_verify", outcomes_B)
    counts_KS = all_reduce(failures.counts(names))    # on every rank
    failures.stop_if_failing(names, counts_KS, max_error_rate=0.05)

A reward that fails gives no score, and a run without scores learns nothing, or worse, learns to make the verifier fail.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence

from rlkit.errors import RewardError
from rlkit.parameters import check_count, check_number
from rlkit.rewards.outcomes import STATUSES, Outcome, Status, count_outcomes

_FEWEST_FAILURES = 3
"""Failures below which only a reward that never worked is stopped: one flake of a small batch says little."""


class FailureCounts:
    """Counts of outcomes of each reward over the last batches, and the first failure of each.

    Raises:
        ConfigError: a window of no batch.
    """

    def __init__(self, window: int = 20) -> None:
        """Start empty.

        Args:
            window: batches that count.
        """
        check_count("FailureCounts", "window", window)
        self._window = window
        self._batches: dict[str, deque[list[int]]] = {}
        self._first: dict[str, Outcome] = {}

    def add(self, name: str, outcomes: Sequence[Outcome]) -> None:
        """Enter one batch of one reward."""
        counted = count_outcomes(outcomes)
        batches = self._batches.setdefault(name, deque(maxlen=self._window))
        batches.append([counted[status] for status in STATUSES])
        for outcome in outcomes:
            if outcome.status in ("error", "timeout"):
                self._first.setdefault(name, outcome)
                return

    def counts(self, names: Sequence[str]) -> list[list[int]]:
        """Return how many outcomes of each reward are in the window, (K, 4), in the order of `STATUSES`."""
        return [[sum(column) for column in zip(*self._batches.get(name, [[0] * 4]), strict=True)] for name in names]

    def stop_if_failing(self, names: Sequence[str], counts: Sequence[Sequence[int]], max_error_rate: float) -> None:
        """Raise where counts, this rank's or all ranks' sum, say that a reward fails too often.

        Args:
            names: the rewards.
            counts: (K, 4), as `counts` gives them.
            max_error_rate: greatest share of errors and timeouts that is allowed, from 0 to 1.

        Raises:
            RewardError: a reward failed too often; the sentence holds what its first failure said, and where.
        """
        failing = decide(dict(zip(names, map(name_counts, counts), strict=True)), max_error_rate)
        if not failing:
            return
        name, row = failing[0], name_counts(counts[[*names].index(failing[0])])
        total = sum(row.values())
        failures = f"{row['error'] + row['timeout']} of {total} completions"
        kinds = f"{row['error']} errors, {row['timeout']} timeouts"
        raise RewardError(
            f"The reward {name} failed for {failures} ({kinds}), and a share of {max_error_rate:.3g} may: "
            f"{_essence(self._first.get(name))}; mend it, or allow more with max_error_rate."
        )


def name_counts(row: Sequence[int]) -> dict[Status, int]:
    """Return counts by status from a row of `FailureCounts.counts`."""
    return {status: int(count) for status, count in zip(STATUSES, row, strict=True)}


def rates(counts: Mapping[Status, int]) -> dict[Status, float]:
    """Return the share of each status, NaN where nothing was counted."""
    total = sum(counts.values())
    return {status: counts[status] / total if total else float("nan") for status in STATUSES}


def decide(counts: Mapping[str, Mapping[Status, int]], max_error_rate: float) -> list[str]:
    """Return the rewards that fail too often, worst first; the same on every rank that gives the same counts.

    A reward does when its share of errors and timeouts is above the limit, and there were at least three of them or
    nothing else.

    Raises:
        ConfigError: the limit is not from 0 to 1.
    """
    check_number("decide", "max_error_rate", max_error_rate, at_least=0, at_most=1)
    failing = []
    for name, row in counts.items():
        total, failures = sum(row.values()), row["error"] + row["timeout"]
        is_much = failures >= _FEWEST_FAILURES or failures == total
        if total and failures > max_error_rate * total and is_much:
            failing.append((-failures / total, name))
    return [name for _, name in sorted(failing)]


def _essence(failure: Outcome | None) -> str:
    """Return what a failure said and in which line of which function, on one line."""
    if failure is None:
        return "the first failure was on another rank"
    said = (failure.reason or "it failed").rstrip(".")
    # Raised exceptions end with the innermost call; a stack that was asked for begins with it.
    places = re.findall(r'File "([^"]+)", line (\d+),? in (\S+)', failure.traceback or "")
    if not places:
        return said
    file, line, function = places[0 if "most recent call first" in (failure.traceback or "") else -1]
    return f"{said} (line {line} of {file}, in {function})"
