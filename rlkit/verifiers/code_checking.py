"""Tests Python code that a model wrote, in the sandbox: programs by what they print, functions by what they return.

A crash, a time-out, an early exit or a printed claim is never a pass. For functions the tests run in another process
than the code (`code_harness.py`), so that replacing `assert`, `__eq__` or the tests themselves changes nothing.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlkit.verifiers.code_fences import extract_code as extract_code
from rlkit.verifiers.sandbox import Limits, SandboxResult, run_python, run_sandboxed

_HARNESS = Path(__file__).with_name("code_harness.py")
_UNJUDGED = ("untestable", "bad_tests")
_NUMBER = re.compile(r"[-+]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})(?:[eE][-+]?\d{1,3})?")
_CLOSE, _NOTHING = 5e-6, 1e-12
"""Relative difference of numbers that agree in six significant digits, and what counts as 0."""


@dataclass(frozen=True)
class JudgedCode:
    """What became of some code under its tests."""

    label: str
    """`passed`, `wrong_answer`, `crashed`, `timeout`, `output` (wrote too much), `no_function`, `no_code`; or, where it
    cannot be judged, `untestable` (tests that hand over what is no plain data) or `bad_tests`. What the code returns
    never escapes being judged: an object of its own, or values without an end, equal nothing."""
    num_passed: int
    num_tests: int
    detail: str | None = None
    """The first failure, in a line."""

    @property
    def passed(self) -> bool | None:
        """Whether all tests passed; None where that cannot be said."""
        return None if self.label in _UNJUDGED else self.label == "passed"

    @property
    def verdict(self) -> str:
        """The older name of `label`, for plug-ins that read it."""
        return self.label


def check_outputs(code: str | None, cases: Sequence[Mapping[str, Any]], limits: Limits | None = None) -> JudgedCode:
    """Run a program once a case and compare what it prints.

    Args:
        code: the program.
        cases: `{"input": text, "output": text}` each; a number counts as its text, a list as its lines. Outputs agree
            when they do line by line but for blanks at line ends and empty lines at the end, and word by word where
            one of two decimals rounds to the other in six significant digits.
        limits: of each run.

    Returns:
        `passed` when every case printed the right text and ended with exit code 0; the first failure otherwise.
    """
    if not cases:
        return JudgedCode("bad_tests", 0, 0, "there are no cases")
    texts = [(_as_text(case.get("input")), _as_text(case.get("output"))) for case in cases if isinstance(case, Mapping)]
    if len(texts) < len(cases) or any(given is None or wanted is None for given, wanted in texts):
        return JudgedCode("bad_tests", 0, len(cases), "a case has no input or output that is text")
    if code is None or not code.strip():
        return JudgedCode("no_code", 0, len(cases))
    first: JudgedCode | None = None
    num_passed = 0
    for number, (given, wanted) in enumerate(texts, start=1):
        result = run_python(code, stdin=given or "", limits=limits)
        label, detail = _judge_output(result, wanted or "")
        num_passed += label == "passed"
        if label != "passed" and first is None:
            first = JudgedCode(label, 0, len(cases), f"case {number}: {detail}")
            if label in ("timeout", "output"):
                # The rest would most likely take as long again.
                break
    if first is None:
        return JudgedCode("passed", num_passed, len(cases))
    return replace(first, num_passed=num_passed)


def check_functions(
    code: str | None, tests: str, entry_point: str | None = None, prelude: str = "", limits: Limits | None = None
) -> JudgedCode:
    """Run assert-style tests against the functions that some code defines.

    Args:
        code: what the model wrote; executed in a sandbox of its own.
        tests: Python text, trusted: `assert` statements that call the functions by name, and, as in HumanEval, a
            function `check(candidate)` that is called with the entry point.
        entry_point: the function that must be there; None where the tests name what they need.
        prelude: Python text, trusted, executed before the tests: imports and helpers; it may use classes of the code.
            Of a name that both define the tests see the prelude's, except for the entry point.
        limits: of the two processes together.

    Returns:
        `num_tests` counts top-level asserts, and `check` as one.
    """
    if not tests.strip():
        return JudgedCode("bad_tests", 0, 0, "there are no tests")
    if code is None or not code.strip():
        return JudgedCode("no_code", 0, 0)
    job = {"code": code}
    (ask_read, ask_write), (answer_read, answer_write) = os.pipe(), os.pipe()
    report_read, report_write = os.pipe()
    for descriptor in (ask_read, ask_write, answer_read, answer_write, report_write):
        os.set_inheritable(descriptor, True)
    with ThreadPoolExecutor(max_workers=2) as threads, open(report_read, "rb") as report:
        serving = threads.submit(_run_harness, "serve", (ask_read, answer_write), job, limits)
        judged = {"tests": tests, "entry_point": entry_point, "prelude": prelude}
        judging = threads.submit(_run_harness, "judge", (ask_write, answer_read, report_write), judged, limits)
        line = report.read()
        served, result = serving.result(), judging.result()
    for end in (served, result):
        if end.status in ("timeout", "output"):
            return JudgedCode(end.status, 0, 0)
    if not line.endswith(b"\n"):
        return JudgedCode("bad_tests", 0, 0, _last_line(result.stderr))
    found = json.loads(line)
    return JudgedCode(found["label"], found["num_passed"], found["num_tests"], found["detail"])


def _run_harness(
    role: str, descriptors: tuple[int, ...], job: Mapping[str, str | None], limits: Limits | None
) -> SandboxResult:
    report_fd = descriptors[2] if len(descriptors) > 2 else -1
    words = ["{python}", "-I", "harness.py", role, *map(str, (*descriptors[:2], report_fd))]
    files = {"harness.py": _HARNESS.read_text(encoding="utf-8"), "job.json": json.dumps(job)}
    return run_sandboxed(words, files=files, limits=limits, pass_fds=descriptors)


def _judge_output(result: SandboxResult, expected: str) -> tuple[str, str | None]:
    if result.status != "finished":
        return result.status, _last_line(result.stderr)
    if _agree(_lines(result.stdout), _lines(expected)):
        return "passed", None
    return "wrong_answer", f"printed {result.stdout[:100]!r}"


def _agree(printed: list[str], expected: list[str]) -> bool:
    """Return whether lines are equal, or word by word equal or decimals that round to each other."""
    if printed == expected:
        return True
    if len(printed) != len(expected):
        return False
    pairs = [(left.split(), right.split()) for left, right in zip(printed, expected, strict=True)]
    return all(len(left) == len(right) and all(map(_same_word, left, right)) for left, right in pairs)


def _same_word(printed: str, expected: str) -> bool:
    if printed == expected:
        return True
    if not (_NUMBER.fullmatch(printed) and _NUMBER.fullmatch(expected)) or not re.search("[.eE]", printed + expected):
        return False
    return math.isclose(float(printed), float(expected), rel_tol=_CLOSE, abs_tol=_NOTHING)


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(line, str | int | float) for line in value):
        return "\n".join(map(str, value))
    return str(value) if isinstance(value, int | float) else None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _last_line(text: str) -> str | None:
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), None)
