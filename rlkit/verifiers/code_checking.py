"""Tests Python code that a model wrote, in the sandbox: programs by what they print, functions by what they return.

A crash, a time-out, an early exit or a printed claim is never a pass. For functions the tests run in another process
than the code (`code_harness.py`), so that replacing `assert`, `__eq__` or the tests themselves changes nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rlkit.verifiers.sandbox import Limits, SandboxResult, run_python, run_sandboxed

_HARNESS = Path(__file__).with_name("code_harness.py")
_FENCE = re.compile(r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_PYTHON = ("", "python", "python3", "py")
_UNJUDGED = ("untestable", "bad_tests")


@dataclass(frozen=True)
class JudgedCode:
    """What became of some code under its tests."""

    label: str
    """`passed`, `wrong_answer`, `crashed`, `timeout`, `output` (wrote too much), `no_function`, `no_code`; or, where it
    cannot be judged, `untestable` (values that are no plain data) or `bad_tests`."""
    num_passed: int
    num_tests: int
    detail: str | None = None
    """The first failure, in a line."""

    @property
    def passed(self) -> bool | None:
        """Whether all tests passed; None where that cannot be said."""
        return None if self.label in _UNJUDGED else self.label == "passed"


def extract_code(text: str) -> str | None:
    """Return the last block of Python between code fences, or the whole text where there is no fence; None for neither.

    A fence that is never closed runs to the end of the text.
    """
    blocks = _FENCE.findall(text)
    if not blocks and "```" not in text:
        return text if text.strip() else None
    python = [code for language, code in blocks if language.lower() in _PYTHON and code.strip()]
    return python[-1] if python else None


def check_outputs(code: str | None, cases: Sequence[Mapping[str, str]], limits: Limits | None = None) -> JudgedCode:
    """Run a program once a case and compare what it prints.

    Args:
        code: the program.
        cases: `{"input": text, "output": text}` each. Outputs agree when they do line by line but for blanks at line
            ends and empty lines at the end.
        limits: of each run.

    Returns:
        `passed` when every case printed the right text and ended with exit code 0; the first failure otherwise.
    """
    if not cases:
        return JudgedCode("bad_tests", 0, 0, "there are no cases")
    if code is None or not code.strip():
        return JudgedCode("no_code", 0, len(cases))
    first: JudgedCode | None = None
    num_passed = 0
    for number, case in enumerate(cases, start=1):
        result = run_python(code, stdin=case["input"], limits=limits)
        label, detail = _judge_output(result, case["output"])
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
        prelude: Python text, trusted, executed before the tests: imports and helpers. Of a name that both define the
            tests see the prelude's, except for the entry point.
        limits: of the two processes together.

    Returns:
        `num_tests` counts top-level asserts, and `check` as one.
    """
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
    if _lines(result.stdout) == _lines(expected):
        return "passed", None
    return "wrong_answer", f"printed {result.stdout[:100]!r}"


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _last_line(text: str) -> str | None:
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), None)
