"""1 when the Python code of a completion passes the row's tests in a sandbox, else 0 (or the share of tests passed).

    rewards: [{name: code_tests, wall_s: 5}]

Rows bring `cases` (`[{"input": ..., "output": ...}]`, compared with what the program prints), or `tests` (asserts that
call its functions) and, where the tests expect one, `entry_point` and `prelude`. See docs/isolation.md for what the
sandbox is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import rlkit
from rlkit.types import Completion
from rlkit.verifiers.code_checking import extract_code
from rlkit.verifiers.code_executor import check_here, check_remotely
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text
from rlkit.verifiers.sandbox import Limits

_ADD = "assert add(1, 2) == 3\nassert add(0, 0) == 0"
CASES = [
    ({"completion": "```python\ndef add(a, b):\n    return a + b\n```", "tests": _ADD}, 1.0),
    ({"completion": "def add(a, b):\n    return 3", "tests": _ADD}, 0.0),
    ({"completion": "def add(a, b):\n    return 3", "tests": _ADD, "partial": True}, 0.5),
    ({"completion": "import sys\nsys.exit(0)", "tests": _ADD}, 0.0),
    ({"completion": "print(input())", "cases": [{"input": "7", "output": "7"}]}, 1.0),
    ({"completion": "no code here, ```text\nonly text```", "tests": _ADD}, 0.0),
    ({"completion": "def add(a, b):\n    return object()", "tests": _ADD}, 0.0),
    ({"completion": "def add(a, b):\n    return 3", "tests": ""}, None),
]
"""What it must say of each call."""


@rlkit.reward(isolation="inline")
def code_tests(
    completion: Completion,
    cases: Sequence[Mapping[str, Any]] | None = None,
    tests: str | None = None,
    entry_point: str | None = None,
    prelude: str = "",
    *,
    partial: bool = False,
    wall_s: float = 10.0,
    memory_mb: int = 512,
    sandbox: str = "strong",
    executor_url: str | None = None,
    thinking_tag: str | None = USUAL_TAG,
) -> float | None:
    """Return 1.0 where all tests passed, 0.0 where one failed, crashed or ran out of time; None where there are none.

    Args:
        completion: text with a code block, or bare code.
        cases, tests, entry_point, prelude: the row's, as `rlkit.verifiers.code_checking` takes them.
        partial: whether to return the share of tests passed.
        wall_s: seconds by the clock a run.
        memory_mb: of address space a process.
        sandbox: `weak` runs code also where this machine cannot shut it off from files and network.
        thinking_tag: of the reasoning that is left out, `think` for the usual ones; None takes completions whole.
        executor_url: where code runs instead of here, for code that could be hostile; see docs/isolation.md.
    """
    limits = Limits(wall_s=wall_s, cpu_s=max(1, round(wall_s)), memory_mb=memory_mb, sandbox=sandbox)
    job: dict[str, Any] = {"code": extract_code(answer_text(completion, thinking_tag), entry_point), "cases": cases}
    job |= {"tests": tests or "", "entry_point": entry_point, "prelude": prelude}
    judged = check_remotely(executor_url, job, limits) if executor_url else check_here(job, limits)
    if judged.passed is None:
        return None
    return judged.num_passed / judged.num_tests if partial and judged.num_tests else float(judged.passed)
