"""Hold a reward plug-in to its contract: its cases, hostile texts, order, repetition, threads, processes, time.

from rlkit.testing import check_reward

def test_my_reward():
    check_reward("my_reward.py:my_reward")
"""

from __future__ import annotations

import copy
import inspect
import math
import random
import sys
import threading
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from rlkit.errors import ConfigError, PluginError
from rlkit.parameters import check_number, show
from rlkit.rewards import BoundReward, bind_reward
from rlkit.rewards.calls import Invoke
from rlkit.rewards.outcomes import Outcome
from rlkit.testing.examination import RewardReport
from rlkit.testing.hostile_texts import gaming_texts, hostile_texts
from rlkit.testing.trials import Trial, call, gold_columns, judge, read_cases, reorder, vary
from rlkit.types import completion_text
from rlkit.workers.pool import WorkerPool
from rlkit.workers.wire import pack

BUDGET_S = 10.0
"""Seconds that one call may take, of a completion of a megabyte as well."""
_LOAD_S = 60.0
"""Seconds for the first call in another process, which loads what it needs."""
_CLOSE = 1e-9


def check_reward(reward: Any, cases: Sequence[Any] | None = None, *, budget_s: float = BUDGET_S) -> RewardReport:
    """Examine a reward and raise if it does not hold to its contract; returns the report otherwise.

    Args:
        reward: the function, or how a recipe names it: `"name"`, `"file.py:fn"`, `{"name": ..., parameter: ...}`.
        cases: `(text, score)` or `({keyword: value, ...}, score)` pairs, with lists of `completions` and scores for
            batch and group forms; None takes `CASES` of the file that the function is in.
        budget_s: seconds that one call may take.

    Raises:
        RewardCheckError: an `AssertionError` that lists every failure; its `report` has all checks.
        ConfigError: there are no cases, or one cannot be read.
        PluginError: there is no such reward.
    """
    report = examine_reward(reward, cases, budget_s=budget_s)
    report.raise_failures()
    return report


def examine_reward(reward: Any, cases: Sequence[Any] | None = None, *, budget_s: float = BUDGET_S) -> RewardReport:
    """Examine a reward and return the report, whatever it says; see `check_reward`."""
    check_number("check_reward", "budget_s", budget_s, above=0)
    bound = bind_reward(reward)
    trials = read_cases(bound, find_cases(bound) if cases is None else cases)
    if not trials:
        raise ConfigError(
            f"{bound.name} has no cases; write CASES = [(text, score), ...] beside it, with some of each."
        )
    report = RewardReport(bound.name, bound.form, bound.role, bound.run.isolation, len(trials))
    _Examination(bound, trials, report, budget_s).run()
    return report


def find_cases(bound: BoundReward) -> Sequence[Any]:
    """Return `CASES` of the file that a reward is in.

    Raises:
        ConfigError: there are none.
    """
    cases = getattr(find_home(bound), "CASES", None)
    if cases is None:
        raise ConfigError(f"There is no CASES beside {bound.name}; write CASES = [(text, score), ...], or give cases.")
    if not isinstance(cases, list | tuple):
        raise ConfigError(f"CASES beside {bound.name} is {show(cases)}; write a list of (text, score) pairs.")
    return cases


def find_home(bound: BoundReward) -> ModuleType | None:
    """Return the module of a reward: the plug-in file with CASES that holds it, else where its function is written."""
    function = plain_function(bound)
    own = sys.modules.get(function.__module__)
    files = [module for name, module in sys.modules.items() if name.startswith("rlkit_plugin_")]
    for module in [own, *files]:
        held = [inspect.unwrap(thing) for thing in vars(module or object).values() if inspect.isroutine(thing)]
        if function in held and hasattr(module, "CASES"):
            return module
    return own


def plain_function(bound: BoundReward) -> Any:
    """Return a reward's function as its author wrote it, without what a recipe or decorator put around it."""
    function = bound.function
    while hasattr(function, "func"):
        function = function.func
    return inspect.unwrap(function)


class _Examination:
    """One reward under examination."""

    def __init__(self, bound: BoundReward, cases: list[Trial], report: RewardReport, budget_s: float) -> None:
        self.bound, self.cases, self.report, self.budget_s = bound, cases, report, budget_s
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
        self._try_here()
        self._check_cases()
        self._check_contract()
        self._check_again()
        self._check_order()
        self._check_chat()
        self._check_gaming()

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
        pool = WorkerPool(Invoke(bound.function), num_workers=1, deadline_s=_LOAD_S, memory_mb=bound.run.memory_mb)
        with pool:
            is_warm = False
            for place, trial in enumerate(self.trials):
                if not is_warm and place and 0 not in self.unsafe:
                    # A process that replaces one that was ended loads everything anew.
                    pool.map([{"args": (), "kwargs": self.trials[0].given}], end_at=time.monotonic() + _LOAD_S)
                is_warm = self._try_in(pool, place, trial, self.budget_s if is_warm or place else _LOAD_S)

    def _try_in(self, pool: WorkerPool, place: int, trial: Trial, limit: float) -> bool:
        """Call one trial in a worker and return whether the worker outlived it."""
        (result,) = pool.map([{"args": (), "kwargs": trial.given}], end_at=time.monotonic() + limit)
        if result.status == "timeout":
            self._fail_time(trial)
            self.unsafe.add(place)
            return False
        if result.status == "ok":
            self.elsewhere[place] = judge(self.bound, result.value, len(trial.texts))
            return True
        if "raised" not in (result.reason or "") and result.traceback is None:
            self.unsafe.add(place)
            self.report.fail(
                trial.check, f"On {trial.label} its process ended: {result.reason} Catch what kills it, or return None."
            )
            return False
        self.elsewhere[place] = [Outcome.error(result.reason or "")] * len(trial.texts)
        return True

    def _fail_time(self, trial: Trial) -> None:
        self.report.fail(
            "time",
            f"On {trial.label}{self._length(trial)} it took more than {self.budget_s:g} seconds; read a bounded part "
            "of the text, mend regular expressions that backtrack, or give budget_s.",
        )

    def _length(self, trial: Trial) -> str:
        longest = max((len(completion_text(text)) for text in trial.texts), default=0)
        return f" of {longest} characters" if longest > 1000 else ""

    def _try_here(self) -> None:
        for place, trial in self._safe():
            given = copy.deepcopy(trial.given)
            started = time.monotonic()
            self.outcomes[place] = call(self.bound, given)
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
                if outcome.status == "error" and trial.expected is None:
                    reason = (outcome.reason or "").rstrip(".")
                    self.report.fail(
                        trial.check,
                        f"On {trial.label}{self._length(trial)}: {reason}; return a number for any text, or "
                        "None where there is nothing to judge.",
                    )

    def _light(self) -> list[tuple[int, Trial]]:
        return [(place, trial) for place, trial in self._safe() if trial.check != "huge"]

    def _check_again(self) -> None:
        for place, trial in self._light():
            again = call(self.bound, copy.deepcopy(trial.given))
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

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
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
            straight = call(self.bound, copy.deepcopy(trial.given))
            order = [*range(len(trial.texts))]
            for _ in range(2):
                random.Random(len(order)).shuffle(order)
                moved = call(self.bound, copy.deepcopy(reorder(trial, order).given))
                if not _same(moved, [straight[place] for place in order]):
                    self.report.fail(
                        "order",
                        f"On {trial.label} it gives {_show(straight)}, but other scores to the same completions in "
                        "another order; let a score depend on the completions, not on their places.",
                    )
                order.reverse()

    def _check_other_order_of_calls(self) -> None:
        for place, trial in reversed(self._light()):
            again = call(self.bound, copy.deepcopy(trial.given))
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
            if not _same(found := call(self.bound, given), self.outcomes[place]):
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
            for outcome in call(self.bound, trial.given):
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
