"""The checks of one reward: cases, hostile texts, order, repetition, threads, processes, time, and what it leaves."""

from __future__ import annotations

import copy
import inspect
import math
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rlkit.errors import PluginError
from rlkit.rewards import BoundReward
from rlkit.rewards.calls import Invoke
from rlkit.rewards.guard import guarded
from rlkit.rewards.outcomes import Outcome
from rlkit.testing.examination import RewardReport
from rlkit.testing.hostile_texts import gaming_texts, hostile_texts
from rlkit.testing.remains import find_remains, read_remains
from rlkit.testing.trials import Trial, call, gold_columns, judge, reorder, vary
from rlkit.types import completion_text
from rlkit.workers.pool import WorkerPool
from rlkit.workers.wire import Reply, pack

LOAD_S = 60.0
"""Seconds in which a file must be imported."""
_FIRST = 4.0
"""Budgets that the first call in a process may take, which loads what it needs."""
MOST_PRINTED = 100_000
"""Bytes that one call may print."""
_MOST_ENDED = 3
"""Calls that had to be ended, after which no more is tried."""
_GRACE_S = 5.0
"""Seconds beyond a call's budget after which it is ended from outside."""
_CLOSE = 1e-9


class Battery:
    """Every check of one reward, in turn; what it finds goes into the report."""

    def __init__(self, bound: BoundReward, cases: list[Trial], report: RewardReport, budget_s: float) -> None:
        """Take the reward and what it is to be called with first."""
        self.bound, self.cases, self.report, self.budget_s = bound, cases, report, budget_s
        self.first_s = _FIRST * budget_s
        self.before = read_remains()
        self.num_calls = 0
        self.outcomes: dict[int, list[Outcome]] = {}
        """What came out here, by the trial's place."""
        self.elsewhere: dict[int, list[Outcome]] = {}
        """What came out in another process."""
        self.unsafe: set[int] = set()
        """Trials that would hang or end this process."""
        self.like = next((trial for trial in cases if trial.texts), cases[0])
        self.trials = [*cases, *self._hostile()]

    def run(self) -> None:
        """Make every check."""
        self.report.num_trials = len(self.trials)
        if not self._call_the_first():
            return
        self._try_elsewhere()
        if self._is_hopeless() or not self._try_here():
            self.report.leave_open("it was not tried any further")
            return
        self._check_cases()
        self._check_contract()
        self._check_again()
        self._check_order()
        self._check_chat()
        self._check_gaming()
        self._check_remains()
        if self.unsafe:
            self.report.leave_open("calls that this is about had to be ended")

    def _hostile(self) -> list[Trial]:
        texts = [completion_text(text) for trial in self.cases for text in trial.texts]
        trials = []
        for check, hostile in hostile_texts(texts).items():
            for text in hostile:
                shown = repr(text[:40]) + ("..." if len(text) > 40 else "")
                group = [text, *texts[:2]] if self.bound.form == "group" else [text]
                trials.append(vary(self.bound, self.like, check, shown, group))
        return trials

    def _call_the_first(self) -> bool:
        """Return whether the first case can be called at all; if not, nothing else says anything new."""
        bound, (first, *_) = self.bound, self.cases
        named = inspect.signature(bound.function)
        try:
            named.bind(**first.given)
        except TypeError as error:
            self.report.fail(
                "cases",
                f"{bound.name} cannot be called with the keywords {', '.join(first.given)} of its first case: {error}; "
                "give each column that it reads in the case, as ({'completion': ..., 'column': ...}, score).",
            )
            for check in self.report.checks.values():
                if check.name != "cases":
                    check.skipped = "its first case cannot be called"
            return False
        return True

    def _try_elsewhere(self) -> None:
        report, bound = self.report, self.bound
        if bound.is_async:
            for check in ("pickle", "process"):
                report.skip(check, "async rewards run in an event loop, not in processes")
            return
        try:
            pack(bound.function)
        except PluginError as error:
            report.fail("pickle", f"{error} Write it at the top level of a file, without lambdas and closures.")
            report.skip("process", "it cannot be sent to one")
            return
        pool = WorkerPool(Invoke(bound.function), num_workers=1, deadline_s=self.first_s, memory_mb=bound.run.memory_mb)
        with pool:
            is_warm = False
            for place, trial in enumerate(self.trials):
                if self._is_hopeless():
                    return
                if not is_warm and not self._warm_up(pool, place):
                    return
                is_warm = self._try_in(pool, place, trial, self.budget_s if is_warm or place else self.first_s)
                if not place and is_warm and not self._leaves_nothing():
                    return

    def _warm_up(self, pool: WorkerPool, place: int) -> bool:
        """Start a process, and have one that replaces an ended one load everything anew; return whether it started."""
        self.report.at("process", "loaded in another process", LOAD_S)
        try:
            pool.start()
        except PluginError as error:
            self.report.fail("process", f"{error} It must be importable in another process.")
            return False
        if place:
            self.report.at("process", "called again in another process", self.first_s + _GRACE_S)
            pool.map([{"args": (), "kwargs": self.trials[0].given}], end_at=time.monotonic() + self.first_s)
        return True

    def _try_in(self, pool: WorkerPool, place: int, trial: Trial, limit: float) -> bool:
        """Call one trial in a worker and return whether the worker outlived it."""
        self.report.at(trial.check, f"called with {trial.label} in another process", limit + LOAD_S)
        (reply,) = pool.map([{"args": (), "kwargs": trial.given}], end_at=time.monotonic() + limit)
        self._look_at_output(trial, reply)
        if reply.status == "timeout":
            self._fail_time(trial)
            self.unsafe.add(place)
            return False
        if reply.status == "ok":
            self.elsewhere[place] = judge(self.bound, reply.value, len(trial.texts))
            return True
        if reply.has_ended or (reply.reason or "").startswith("MemoryError"):
            self.unsafe.add(place)
            self.report.fail(
                trial.check, f"On {trial.label} its process ended: {reply.reason} Catch what kills it, or return None."
            )
            return False
        self.elsewhere[place] = [Outcome.error(reply.reason or "")] * len(trial.texts)
        return True

    def _is_hopeless(self) -> bool:
        """Return whether nothing more is to be learnt by calling it."""
        failures = {name: len(check.failures) for name, check in self.report.checks.items()}
        is_ended = 0 in self.unsafe or len(self.unsafe) >= _MOST_ENDED
        return is_ended or bool(failures["remains"]) or failures["output"] >= _MOST_ENDED

    def _leaves_nothing(self) -> bool:
        """Call the first trial here, once it is known to come back, and return whether nothing of it stays behind."""
        first = self.trials[0]
        self._call(replace(first, given=copy.deepcopy(first.given)), "remains", self.first_s)
        self._check_remains()
        return not self.report.checks["remains"].failures

    def _check_remains(self) -> None:
        for sentence in find_remains(self.before):
            self.report.fail("remains", sentence)

    def _look_at_output(self, trial: Trial, reply: Reply) -> None:
        if reply.num_printed > MOST_PRINTED:
            self.report.fail(
                "output",
                f"On {trial.label} it printed {reply.num_printed:,} bytes; a reward is called thousands of times.",
            )

    def _call(self, trial: Trial, check: str, load_s: float = 0.0) -> list[Outcome]:
        """Call a trial here, with inputs of its own, and look at what it changes."""
        self.report.at(check, f"called with {trial.label}", self.budget_s + load_s + _GRACE_S)
        self.num_calls += 1
        # Numbers drawn at random differ from call to call, as they do from batch to batch.
        with guarded(str(self.num_calls)) as changed:
            outcomes = call(self.bound, trial.given)
        words = [word for word in sorted(changed) if not word.startswith("random numbers")]
        # What is loaded by the first call may set up things for itself.
        if words and self.num_calls > 1:
            self.report.fail("state", f"On {trial.label} it changes {', '.join(words)}; leave the program as it was.")
        return outcomes

    def _fail_time(self, trial: Trial) -> None:
        self.report.fail(
            "time",
            f"On {trial.label}{self._length(trial)} it took more than {self.budget_s:g} seconds; read a bounded part "
            "of the text, mend regular expressions that backtrack, or give budget_s.",
        )

    def _length(self, trial: Trial) -> str:
        longest = max((len(completion_text(text)) for text in trial.texts), default=0)
        return f" of {longest} characters" if longest > 1000 else ""

    def _try_here(self) -> bool:
        """Call every trial here and return whether the calls leave nothing behind."""
        for place, trial in self._safe():
            given = copy.deepcopy(trial.given)
            started = time.monotonic()
            self.outcomes[place] = self._call(replace(trial, given=given), trial.check, 0.0 if place else self.first_s)
            if not place and not self.report.checks["remains"].failures:
                self._check_remains()
            if time.monotonic() - started > self.budget_s and place not in self.elsewhere:
                self._fail_time(trial)
            if given != trial.given:
                self.report.fail(
                    "inputs",
                    f"On {trial.label} it changes what it is given, which other rewards see; work on a copy.",
                )
            if place in self.elsewhere and not _same(self.elsewhere[place], self.outcomes[place]):
                self.report.fail(
                    "process",
                    f"On {trial.label} it gives {_show(self.outcomes[place])} here and {_show(self.elsewhere[place])} "
                    "in another process; keep no state outside the function, and read none.",
                )
            if self.report.checks["remains"].failures:
                return False
        return True

    def _safe(self) -> list[tuple[int, Trial]]:
        return [(place, trial) for place, trial in enumerate(self.trials) if place not in self.unsafe]

    def _check_cases(self) -> None:
        for place, trial in self._safe():
            if trial.expected is not None and not _holds(self.outcomes[place], trial.expected):
                want = ", ".join(map(str, trial.expected))
                self.report.fail(
                    "cases", f"{trial.label.capitalize()} says {want}, but it gives {_show(self.outcomes[place])}."
                )

    def _check_contract(self) -> None:
        for place, trial in self._safe():
            for outcome in self.outcomes[place]:
                is_nan = outcome.status == "abstain" and outcome.reason is not None
                if (outcome.status == "error" or is_nan) and trial.expected is None:
                    reason = (outcome.reason or "").rstrip(".")
                    self.report.fail(
                        trial.check,
                        f"On {trial.label}{self._length(trial)}: {reason}; return a number for any text, or "
                        "None where there is nothing to judge.",
                    )

    def _copy_and_call(self, trial: Trial, check: str) -> list[Outcome]:
        return self._call(replace(trial, given=copy.deepcopy(trial.given)), check)

    def _light(self) -> list[tuple[int, Trial]]:
        return [(place, trial) for place, trial in self._safe() if trial.check != "huge"]

    def _check_again(self) -> None:
        for place, trial in self._light():
            again = self._copy_and_call(trial, "determinism")
            if not _same(again, self.outcomes[place]):
                self.report.fail(
                    "determinism",
                    f"On {trial.label} it gives {_show(self.outcomes[place])} and then {_show(again)}; seed what is "
                    "random from the text, and keep no state between calls.",
                )
        found: dict[int, list[Outcome]] = {}

        def work() -> None:
            for place, trial in self._light():
                found[place] = call(self.bound, copy.deepcopy(trial.given))

        self.report.at("thread", "called in a thread", LOAD_S)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(LOAD_S)
        if thread.is_alive():
            self.report.fail("thread", f"Off the main thread it did not come back within {LOAD_S:g} seconds.")
            return
        for place, trial in self._light():
            if not self.report.checks["determinism"].failures and not _same(found[place], self.outcomes[place]):
                self.report.fail(
                    "thread",
                    f"On {trial.label} it gives {_show(self.outcomes[place])} on the main thread and "
                    f"{_show(found[place])} off it; do without signals, and leave deadlines to isolation: process.",
                )

    def _check_order(self) -> None:
        if self.report.checks["determinism"].failures:
            self.report.skip("order", "it does not give the same twice")
            return
        texts = [completion_text(trial.texts[0]) for _, trial in self._light() if trial.texts]
        if self.bound.form == "completion":
            self._check_other_order_of_calls()
            return
        whole = vary(self.bound, self.like, "order", "a batch", texts)
        groups = [trial for _, trial in self._light() if len(trial.texts) > 1]
        for trial in [whole, *groups] if self.bound.form == "batch" else groups:
            if any(len(value) != len(trial.texts) for value in trial.given.values() if isinstance(value, list)):
                continue
            straight = self._copy_and_call(trial, "order")
            order = [*range(len(trial.texts))]
            for _ in range(2):
                random.Random(len(order)).shuffle(order)
                moved = self._copy_and_call(reorder(trial, order), "order")
                if not _same(moved, [straight[place] for place in order]):
                    self.report.fail(
                        "order",
                        f"On {trial.label} it gives {_show(straight)}, but other scores to the same completions in "
                        "another order; let a score depend on the completions, not on their places.",
                    )
                order.reverse()

    def _check_other_order_of_calls(self) -> None:
        for place, trial in reversed(self._light()):
            again = self._copy_and_call(trial, "determinism")
            if not _same(again, self.outcomes[place]):
                self.report.fail(
                    "order",
                    f"On {trial.label} it gives {_show(self.outcomes[place])}, and {_show(again)} when called in "
                    "another order; keep no state between calls.",
                )

    def _check_chat(self) -> None:
        for place, trial in self._safe():
            if trial.expected is None or not all(isinstance(text, str) for text in trial.texts):
                continue
            chats = [[{"role": "assistant", "content": text}] for text in trial.texts]
            key = "completions" if "completions" in trial.given else "completion"
            given = {**copy.deepcopy(trial.given), key: chats if key == "completions" else chats[0]}
            found = self._call(replace(trial, given=given), "chat")
            if not _same(found, self.outcomes[place]):
                self.report.fail(
                    "chat",
                    f"{trial.label.capitalize()} gives {_show(self.outcomes[place])}, but {_show(found)} as a list of "
                    "messages; read it with rlkit.types.completion_text.",
                )

    def _check_gaming(self) -> None:
        values = [value for trial in self.cases for value in trial.expected or () if isinstance(value, int | float)]
        golds = gold_columns(self.bound, self.like)
        if self.bound.role != "base" or not golds or len({*values}) < 2:
            self.report.skip("gaming", "no case with a column that holds an answer and scores of two kinds")
            return
        top = max(values)
        for trick, text in gaming_texts(golds).items():
            trial = vary(self.bound, self.like, "gaming", trick, [text])
            for outcome in self._call(trial, "gaming"):
                if outcome.value is not None and outcome.value >= top - _CLOSE:
                    self.report.fail(
                        "gaming",
                        f"It gives {outcome.value:g}, the most that any case earns, to a text that {trick}; read the "
                        "one final answer, as rlkit.verifiers.extract_final_answer does.",
                    )


def _same(left: Sequence[Outcome], right: Sequence[Outcome]) -> bool:
    if len(left) != len(right):
        return False
    return all(
        one.status == other.status and (one.value is None or _close(one.value, other.value))
        for one, other in zip(left, right, strict=True)
    )


def _holds(outcomes: Sequence[Outcome], expected: Sequence[Any]) -> bool:
    if len(outcomes) != len(expected):
        return False
    return all(
        outcome.status == "abstain" if value is None else outcome.status == "ok" and _close(outcome.value, value)
        for outcome, value in zip(outcomes, expected, strict=True)
    )


def _close(value: float | None, other: Any) -> bool:
    return value is not None and other is not None and math.isclose(value, other, rel_tol=_CLOSE, abs_tol=_CLOSE)


def _show(outcomes: Sequence[Outcome]) -> str:
    said = [
        str(outcome.value) if outcome.status == "ok" else "None" if outcome.status == "abstain" else str(outcome.reason)
        for outcome in outcomes
    ]
    return ", ".join(said[:6]) + (", ..." if len(said) > 6 else "")
