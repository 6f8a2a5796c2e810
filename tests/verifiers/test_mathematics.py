"""The verifier of mathematical answers against the library called directly, off the main thread, and when it hangs."""

from __future__ import annotations

import random
import threading
import time
from fractions import Fraction

import pytest
from math_verify import parse, verify

from rlkit.verifiers.mathematics import judge_answers, judge_completions
from rlkit.verifiers.quantities import plain_number

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

# Answer, gold, whether they are equal: kinds of answers that mathematics benchmarks hold, and near misses.
CASES = [
    ("7", "7", True),
    ("-7", "7", False),
    ("1,234,567", "1234567", True),
    ("12.50", r"\frac{25}{2}", True),
    ("0.333333", "1/3", True),
    ("0.33", "1/3", False),
    (r"\dfrac{2}{6}", r"\frac13", True),
    (r"\frac{3}{4}", "0.75", True),
    (r"-\frac{10}{4}", "-5/2", True),
    (r"2\frac{1}{2}", "5/2", True),
    (r"\sqrt{12}", r"2\sqrt{3}", True),
    (r"\sqrt{12}", r"3\sqrt{2}", False),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}", True),
    (r"\pi r^2", r"r^2\pi", True),
    (r"\frac{\pi}{3}", r"\frac{\pi}{4}", False),
    ("x^2+2x+1", "(x+1)^2", True),
    ("x^2+2x+1", "(x-1)^2", False),
    ("a(b+c)", "ab+ac", True),
    ("x=5", "5", True),
    ("y = 2x + 1", "y=1+2x", True),
    ("(3, 4)", "(3,4)", True),
    ("(4, 3)", "(3,4)", False),
    (r"\{1,2,3\}", r"\{3,2,1\}", True),
    (r"\{1,2\}", r"\{1,2,3\}", False),
    ("1,2,3", "3,2,1", True),
    ("[0,1)", "[0,1)", True),
    ("[0,1]", "[0,1)", False),
    (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty)\cup(-\infty,2)", True),
    ("28\\%", "28", True),
    ("28\\%", "0.28", True),
    ("90^\\circ", "90", True),
    (r"15\text{ cm}^2", "15", True),
    (r"\text{Evelyn}", "Evelyn", True),
    (r"\text{Carla}", "Evelyn", False),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", True),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 5 \end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", False),
    ("2^{10}", "1024", True),
    ("10!", "3628800", True),
    (r"\binom{5}{2}", "10", True),
    (r"\log_2 8", "3", True),
    (r"\sin(\frac{\pi}{6})", "1/2", True),
    ("3+4i", "4i+3", True),
    ("3-4i", "3+4i", False),
    (r"1\pm\sqrt{19}", r"1 \pm \sqrt{19}", True),
    ("x > 3", "3 < x", True),
    ("x > 3", "x < 3", False),
    (r"\$18", "18", True),
    (r"2\sin b\cos a", r"2\cos a\sin b", True),
    ("5^2", "24", False),
    ("not a formula at all", "12", False),
]


def library(answer: str, gold: str) -> bool:
    """Ask the library itself, on the main thread, with its own timers."""
    return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(f"\\boxed{{{answer}}}")))


def test_these_verdicts_are_the_librarys_own():
    grades = judge_answers([answer for answer, _, _ in CASES], [gold for _, gold, _ in CASES], deadline_s=30.0)
    for (answer, gold, expected), grade in zip(CASES, grades, strict=True):
        assert grade.correct == library(answer, gold), (answer, gold, grade)
        assert grade.correct == expected, (answer, gold, grade)
        assert grade.label == ("correct" if expected else "wrong_answer")


def write_number(draw: random.Random, value: Fraction) -> str:
    """Write a number in one of the forms that need no library."""
    forms = [f"{value.numerator}/{value.denominator}", f"\\frac{{{value.numerator}}}{{{value.denominator}}}"]
    if value < 0:
        forms.append(f"-\\frac{{{-value.numerator}}}{{{value.denominator}}}")
    if value.denominator == 1:
        forms += [str(value.numerator), f"{value.numerator:,}", f"{value.numerator}.0"]
    if 10**4 % value.denominator == 0:
        forms.append(f"{float(value):.4f}")
    return draw.choice(forms)


def test_plain_numbers_are_judged_without_the_library_as_the_library_judges_them():
    draw = random.Random(0)
    at_once = 0
    for _ in range(600):
        value = Fraction(draw.randint(-400, 400) * draw.choice([1, 1, 977]), draw.randint(1, 16))
        near = value + draw.choice([0, 0, Fraction(1, draw.randint(1, 99)), Fraction(1, 10**4), 1])
        answer, gold = write_number(draw, value), write_number(draw, near)
        read, wanted = plain_number(answer), plain_number(gold)
        if read is None or wanted is None:
            continue
        at_once += 1
        assert read == value
        assert (read == wanted) == library(answer, gold), (answer, gold)
    assert at_once > 300


@pytest.mark.parametrize("text", ["5 pi", "1/0", "1,2", "52_8", "12\\%", "5 km", "x", "", "1" * 500])
def test_what_is_no_plain_number(text):
    assert plain_number(text) is None


def test_an_answer_can_be_judged_from_any_thread():
    grades = []
    thread = threading.Thread(target=lambda: grades.extend(judge_answers([r"\sqrt{81}"], ["9"])))
    thread.start()
    thread.join()
    assert grades[0].correct is True


def test_a_comparison_that_never_ends_is_a_timeout_and_the_next_one_is_judged():
    start = time.monotonic()
    hanging, fine = judge_answers(["9^{9^{9^{9^9}}}", r"\sqrt{16}"], ["7", "4"], deadline_s=3.0)
    assert (hanging.correct, hanging.label) == (None, "timeout")
    assert fine.correct is True
    assert time.monotonic() - start < 30


def test_a_gold_answer_that_cannot_be_read_blames_nobody():
    (grade,) = judge_answers(["12"], [" "])
    assert (grade.correct, grade.label) == (None, "grader_error")


def test_a_pair_is_judged_once():
    pair = ([r"\frac{6}{\sqrt{3}}"], [r"2\sqrt{3}"])
    judge_answers(*pair)
    start = time.perf_counter()
    grades = judge_answers(pair[0] * 1000, pair[1] * 1000)
    assert all(grade.correct for grade in grades)
    assert time.perf_counter() - start < 0.5


def test_correct_answers_share_one_class_and_wrong_ones_never_join_it():
    answers = ["1/2", "0.5", r"\frac{\sqrt{4}}{4}", "0.25", r"\frac14", "x+1", "1+x", None]
    grades = judge_answers(answers, ["0.5"] * len(answers))
    assert [grade.correct for grade in grades] == [True] * 3 + [False] * 5
    assert {grade.answer for grade in grades[:3]} == {"1/2"}
    assert grades[3].answer == grades[4].answer == "1/4"
    assert grades[5].answer == grades[6].answer
    assert grades[7].answer is None
    assert grades[7].label == "no_answer"


def test_completions_are_judged_by_their_final_answer():
    texts = [r"so \boxed{\frac{4}{8}}", "The answer is 0.5.", "0.5", "#### 2"]
    assert [g.label for g in judge_completions(texts, ["1/2"] * 4)] == [
        "correct",
        "correct",
        "no_answer",
        "wrong_answer",
    ]
    assert judge_completions(["I get 0.5"], ["1/2"], last_number=True)[0].correct is True
