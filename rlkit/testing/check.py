"""Hold a reward plug-in to its contract: its cases, hostile texts, order, repetition, threads, processes, time.

from rlkit.testing import check_reward

def test_my_reward():
    check_reward("my_reward.py:my_reward")

The whole examination, with the import of the file, runs in a process that is ended from outside: a reward may hang,
exit, fork, spin, flood or crash, and there is a verdict all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rlkit import errors
from rlkit.errors import ConfigError, PluginError, RlkitError
from rlkit.parameters import check_number, show
from rlkit.rewards import bind_reward, find_reward
from rlkit.rewards.forms import name_of
from rlkit.testing.battery import LOAD_S, MOST_PRINTED, Battery
from rlkit.testing.examination import RewardReport
from rlkit.testing.homes import find_cases
from rlkit.testing.trials import read_cases, stand_in
from rlkit.workers.pool import WorkerPool
from rlkit.workers.wire import Reply, pack, tell

BUDGET_S = 10.0
"""Seconds that one call may take, of a completion of a megabyte as well."""
DEADLINE_S = 300.0
"""Seconds for the whole examination."""
_MEMORY_MB = 4096
"""MiB of writable memory of the process that examines."""
_ALL_PRINTED = 10 * MOST_PRINTED
"""Bytes that a reward may print in all of an examination."""


def check_reward(
    reward: Any, cases: Sequence[Any] | None = None, *, budget_s: float = BUDGET_S, deadline_s: float = DEADLINE_S
) -> RewardReport:
    """Examine a reward and raise if it does not hold to its contract; returns the report otherwise.

    Args:
        reward: the function, or how a recipe names it: `"name"`, `"file.py:fn"`, `{"name": ..., parameter: ...}`; also
            `"file.py"` where the file has one reward.
        cases: `(text, score)` or `({keyword: value, ...}, score)` pairs, with lists of `completions` and scores for
            batch and group forms; None takes `CASES` of the file that the function is in, and without any makes the
            checks that need none.
        budget_s: seconds that one call may take.
        deadline_s: seconds for the whole examination. A function that can only be called here, such as a closure, is
            called here, and nothing ends it.

    Raises:
        RewardCheckError: an `AssertionError` that lists every failure; its `report` has all checks.
        ConfigError: a case cannot be read.
        PluginError: there is no such reward.
    """
    report = examine_reward(reward, cases, budget_s=budget_s, deadline_s=deadline_s)
    report.raise_failures()
    return report


def examine_reward(
    reward: Any, cases: Sequence[Any] | None = None, *, budget_s: float = BUDGET_S, deadline_s: float = DEADLINE_S
) -> RewardReport:
    """Examine a reward and return the report, whatever it says; see `check_reward`."""
    check_number("check_reward", "budget_s", budget_s, above=0)
    check_number("check_reward", "deadline_s", deadline_s, above=0)
    given = {"reward": reward, "cases": cases, "budget_s": budget_s}
    try:
        pack(given)
    except PluginError:
        return _examine(**given)
    name = reward if isinstance(reward, str) else name_of(reward) if callable(reward) else show(reward)
    listener = _Listener(RewardReport(name, "", "", "", 0))
    limit_s = min(LOAD_S, deadline_s)
    with WorkerPool(examine_and_tell, num_workers=1, deadline_s=limit_s, memory_mb=_MEMORY_MB) as pool:
        end_at = time.monotonic() + deadline_s
        (reply,) = pool.map([given], end_at=end_at, on_part=listener.take)
    if reply.status == "error" and not reply.has_ended and not listener.report.form and listener.refused is None:
        # It is there in this program only, such as a function of a test that no other process can import.
        return _examine(**given)
    return listener.conclude(reply, deadline_s)


def examine_and_tell(reward: Any, cases: Sequence[Any] | None, budget_s: float) -> None:
    """In a worker, examine a reward and tell what is found as it is found."""
    try:
        _examine(reward, cases, budget_s, tell)
    except RlkitError as error:
        tell({"refused": [type(error).__name__, str(error)]})
    else:
        tell({"done": True})


def _examine(
    reward: Any, cases: Sequence[Any] | None, budget_s: float, tell: Callable[[Any], object] | None = None
) -> RewardReport:
    is_file = isinstance(reward, str) and reward.endswith(".py")
    bound = bind_reward(find_reward(reward) if is_file else reward)
    given = find_cases(bound) if cases is None else cases
    if given is not None and not given:
        raise ConfigError(
            f"{bound.name} has no cases; write CASES = [(text, score), ...] beside it, with some of each."
        )
    trials = read_cases(bound, given or [])
    report = RewardReport(bound.name, bound.form, bound.role, bound.run.isolation, len(trials), tell=tell)
    report.begin()
    if given is None:
        said = f"there is no CASES beside {bound.name}; write CASES = [(text, score), ...]"
        for check in ("cases", "chat", "gaming"):
            report.skip(check, said)
    Battery(bound, trials or [stand_in(bound)], report, budget_s).run()
    report.begin()
    return report


class _Listener:
    """Takes what an examination tells, and makes a report of it, however it ends."""

    def __init__(self, report: RewardReport) -> None:
        """Take the report to fill in."""
        self.report = report
        self.at = ("process", "loading it")
        self.refused: RlkitError | None = None
        self.is_done = False

    def take(self, part: Any) -> float:
        """Take one thing that was told, and return the seconds until the next is due."""
        patience_s = LOAD_S
        for kind, value in part.items() if isinstance(part, dict) else ():
            try:
                if kind == "at":
                    self.at, patience_s = (str(value[0]), str(value[1])), min(float(value[2]), LOAD_S + 30)
                elif kind == "begun":
                    self.report.take(value)
                elif kind in ("fail", "skip"):
                    getattr(self.report, kind)(str(value[0]), str(value[1]))
                elif kind == "refused":
                    self.refused = getattr(errors, value[0])(value[1])
                self.is_done |= kind == "done"
            except (LookupError, TypeError, ValueError, AttributeError):
                # The reward has spoken in our place.
                self.report.fail("process", "It writes to descriptors that are not its own.")
        return patience_s

    def conclude(self, reply: Reply, deadline_s: float) -> RewardReport:
        """Return the report; what an examination that was ended did not come to is not passed."""
        if self.refused is not None:
            raise self.refused
        if reply.status != "ok" or not self.is_done:
            check, label = self.at
            if reply.status == "timeout":
                said = f"did not come back in time (the examination has {deadline_s:g} seconds) and was ended"
                self.report.fail("time", f"When {label} it {said}{_where(reply)}.")
            else:
                reason = (reply.reason or "It ended the examination.").rstrip(".")
                self.report.fail(check, f"When {label} it ended the process that calls it: {reason}.")
            self.report.leave_open("the examination was ended before it could be made")
        if reply.num_printed > _ALL_PRINTED:
            self.report.fail(
                "output",
                f"It printed {reply.num_printed:,} bytes; a reward is called thousands of times, and is silent.",
            )
        return self.report


def _where(reply: Reply) -> str:
    """Return the innermost place of a stack that was asked for, as the end of a sentence."""
    lines = [line.strip() for line in (reply.traceback or "").splitlines() if line.strip().startswith("File ")]
    return f", in {lines[0].removeprefix('File ')}" if lines else ""
