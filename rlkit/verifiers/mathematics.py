"""Whether a mathematical answer equals the gold one, as the library math-verify judges, without hanging or lying.

    judge_answers(["0.5", "\\\\frac{2}{4}", "3", None], ["1/2"] * 4)     # correct, correct, wrong_answer, no_answer

The library runs in worker processes with a deadline, so it may be asked from any thread. What provably needs no library
is answered at once: the same text, and plain numbers. A pair is judged once, however often it is asked.

Outcomes: `correct`, `wrong_answer`, `no_answer`; and, not judged, `timeout` and `grader_error`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec

from rlkit.errors import ConfigError
from rlkit.types import Grade
from rlkit.verifiers.answers import extract_final_answer, said_number
from rlkit.verifiers.expressions import squeeze
from rlkit.verifiers.quantities import read_quantity, same_quantity
from rlkit.verifiers.spelling import tidy
from rlkit.workers.pool import WorkerPool

DEADLINE_S = 5.0
"""Seconds that one comparison may take."""
_NUM_WORKERS = 2
_MOST_REMEMBERED = 100_000


def judge_answers(
    answers: Sequence[str | None], golds: Sequence[str], *, deadline_s: float = DEADLINE_S
) -> list[Grade]:
    """Return the grade of each answer against its gold one.

    Args:
        answers: B final answers as written, without `\\boxed`; None where a completion gives none.
        golds: B gold answers.
        deadline_s: seconds that one comparison may take.

    Returns:
        B grades. `answer` is a key of classes: all correct answers share the gold answer's, wrong ones share one where
        SymPy brings them to the same form. It is None without an answer.

    Raises:
        ConfigError: math-verify is not installed.
    """
    pairs = [(_without_words(answer, gold), gold) for answer, gold in zip(answers, golds, strict=True)]
    asked = {(answer, gold) for answer, gold in pairs if answer is not None}
    grades = _judge_pairs(sorted(asked), deadline_s)
    return [Grade(False, "no_answer") if answer is None else grades[answer, gold] for answer, gold in pairs]


def _without_words(answer: str | None, gold: str) -> str | None:
    """Return the number of an answer that is a sentence, unless the gold answer is one too."""
    if answer is None or said_number(gold) is not None:
        return answer
    return said_number(answer) or answer


def judge_completions(
    completions: Sequence[str],
    golds: Sequence[str],
    *,
    last_number: bool = False,
    deadline_s: float = DEADLINE_S,
) -> list[Grade]:
    """Return the grade of each completion's final answer; see `extract_final_answer` and `judge_answers`."""
    answers = [extract_final_answer(text, last_number=last_number) for text in completions]
    return judge_answers(answers, golds, deadline_s=deadline_s)


def check_installed() -> None:
    """Raise ConfigError unless math-verify can be imported."""
    if find_spec("math_verify") is None:
        raise ConfigError(
            "Mathematical answers are judged by math-verify, which is not installed; install math-verify."
        )


def _judge_pairs(pairs: Sequence[tuple[str, str]], deadline_s: float) -> dict[tuple[str, str], Grade]:
    grades: dict[tuple[str, str], Grade] = {}
    late = []
    for pair in dict.fromkeys(pairs):
        grade = _judge_at_once(*pair) or _memory.get((*pair, deadline_s))
        if grade is None:
            late.append(pair)
        else:
            grades[pair] = grade
    if late:
        grades |= _ask_library(late, deadline_s)
    return grades


def _judge_at_once(answer: str, gold: str) -> Grade | None:
    """Return the grade of a pair that needs no library, None for other pairs."""
    if _text_key(answer) == _text_key(gold) and any(sign.isalnum() for sign in answer):
        return Grade(True, "correct", _text_key(gold))
    value, wanted = read_quantity(answer), read_quantity(gold)
    if value is None or wanted is None:
        return None
    if same_quantity(value, wanted):
        return Grade(True, "correct", wanted.key)
    return Grade(False, "wrong_answer", value.key)


def _ask_library(pairs: list[tuple[str, str]], deadline_s: float) -> dict[tuple[str, str], Grade]:
    results = _pool(deadline_s).map([{"answer": answer, "gold": gold} for answer, gold in pairs])
    grades = {}
    for (answer, gold), result in zip(pairs, results, strict=True):
        if result.status == "ok":
            grade = _grade(answer, gold, **result.value)
        else:
            grade = Grade(None, "timeout" if result.status == "timeout" else "grader_error", _text_key(answer))
        grades[answer, gold] = grade
        _memory.put((answer, gold, deadline_s), grade)
    return grades


def _grade(answer: str, gold: str, equal: bool, key: str | None) -> Grade:
    if equal:
        return Grade(True, "correct", _text_key(gold))
    key = _text_key(answer) if key is None else key
    # A wrong answer never votes with the right ones, even where SymPy writes both alike.
    return Grade(False, "wrong_answer", f"{key} (not equal)" if key == _text_key(gold) else key)


def _text_key(answer: str) -> str:
    value = read_quantity(answer)
    return value.key if value is not None else squeeze(tidy(answer))


class _Memory:
    """The grades of the pairs judged last."""

    def __init__(self) -> None:
        self._grades: OrderedDict[tuple[str, str, float], Grade] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str, float]) -> Grade | None:
        """Return the grade of a pair, None when it has not been judged lately."""
        with self._lock:
            return self._grades.get(key)

    def put(self, key: tuple[str, str, float], grade: Grade) -> None:
        """Remember a grade, and forget the oldest of too many."""
        with self._lock:
            self._grades[key] = grade
            if len(self._grades) > _MOST_REMEMBERED:
                self._grades.popitem(last=False)


_memory = _Memory()
_pools: dict[float, WorkerPool] = {}
_pools_lock = threading.Lock()


def _pool(deadline_s: float) -> WorkerPool:
    check_installed()
    with _pools_lock:
        if deadline_s not in _pools:
            _pools[deadline_s] = WorkerPool(
                "rlkit.verifiers.mathematics_library:compare",
                num_workers=_NUM_WORKERS,
                deadline_s=deadline_s,
                preload=("math_verify",),
            )
        return _pools[deadline_s]
