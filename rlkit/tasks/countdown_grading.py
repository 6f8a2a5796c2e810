"""The Countdown verifier: what one completion is worth, in either format, with a word for each way to be wrong.

Verdicts, in the order they are looked for:

- `empty`: nothing but blanks.
- `no_answer` (chat): no `\\boxed{}` that is closed and no `<answer>`.
- `malformed`: not an expression, or not a chain of steps, or beyond the limits of `rlkit.arithmetic`.
- `trailing_text`: a correct solution with something else behind it (chat: inside the box; text around the box is free).
- `division_by_zero`.
- `wrong_step`: an announced result is not what the operation gives (chat: `expression = number` with a false number).
- `out_of_bounds` (tokens): an intermediate result is not in 1..max_intermediate.
- `wrong_numbers`: a number that was not given or used too often, a result that is not at hand, or something left over.
- `wrong_target`: a sound solution of another problem.
- `correct`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rlkit.arithmetic import (
    Expression,
    MalformedExpressionError,
    Step,
    finish,
    parse,
    parse_prefix,
    replay_steps,
    split_steps,
)
from rlkit.types import Grade
from rlkit.verifiers.announcements import find_marked

_FAULT_VERDICTS = {
    "unknown_result": "wrong_numbers",
    "false_result": "wrong_step",
    "division_by_zero": "division_by_zero",
}


def grade_tokens(text: str, numbers: Sequence[int], target: int, *, use_all: bool, max_intermediate: int) -> Grade:
    """Grade an answer in the token format; never raises on any text."""
    if not text.strip():
        return Grade(False, "empty")
    steps, rest = split_steps(text)
    if not steps:
        return Grade(False, "malformed")
    grade = _grade_steps(steps, numbers, target, use_all, max_intermediate)
    if rest:
        return Grade(False, "trailing_text" if grade.correct else "malformed")
    return grade


def _grade_steps(steps: list[Step], numbers: Sequence[int], target: int, use_all: bool, max_intermediate: int) -> Grade:
    replay = replay_steps(steps)
    if replay.last is None:
        return Grade(False, _FAULT_VERDICTS[replay.fault])
    solution = finish(replay.last)
    if not all(1 <= step.claimed <= max_intermediate for step in steps):
        return Grade(False, "out_of_bounds", solution.key)
    if replay.unused:  # work that does not belong to the solution
        return Grade(False, "wrong_numbers", solution.key)
    return _grade_solution(solution, numbers, target, use_all)


def grade_chat(text: str, numbers: Sequence[int], target: int, *, use_all: bool) -> Grade:
    """Grade an answer in the chat format; never raises on any text."""
    if not text.strip():
        return Grade(False, "empty")
    found = find_marked(text)
    if found is None:
        return Grade(False, "no_answer")
    return grade_expression(found.content, numbers, target, use_all=use_all)


def grade_expression(answer: str, numbers: Sequence[int], target: int, *, use_all: bool) -> Grade:
    """Grade one bare expression, which may be followed by `= number`; never raises on any text."""
    written, equals, claim = answer.partition("=")
    try:
        solution, follower = parse_prefix(written)
    except MalformedExpressionError:
        return Grade(False, "malformed")
    except ZeroDivisionError:
        return Grade(False, "division_by_zero")
    grade = _grade_solution(solution, numbers, target, use_all)
    if follower:
        return Grade(False, "trailing_text" if grade.correct else "malformed")
    return _check_claim(grade, solution, claim) if equals else grade


def _check_claim(grade: Grade, solution: Expression, claim: str) -> Grade:
    """Return the grade unless what stands behind `=` is not a number, or another one than the expression's value."""
    try:
        claimed = parse(claim)
    except (MalformedExpressionError, ZeroDivisionError):
        return Grade(False, "trailing_text" if grade.correct else "malformed")
    return grade if claimed.value == solution.value else Grade(False, "wrong_step")


def _grade_solution(solution: Expression, numbers: Sequence[int], target: int, use_all: bool) -> Grade:
    used, given = Counter(solution.numbers), Counter(numbers)
    if not used <= given or (use_all and used != given):
        return Grade(False, "wrong_numbers", solution.key)
    if solution.value != target:
        return Grade(False, "wrong_target", solution.key)
    return Grade(True, "correct", solution.key)
