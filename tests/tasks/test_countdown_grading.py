"""Each way to be wrong has its verdict; no text makes the verifier crash, hang, or accept what the solver rejects."""

from __future__ import annotations

import functools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.arithmetic import parse
from rlkit.tasks.countdown_grading import grade_chat, grade_tokens
from rlkit.tasks.countdown_solver import SolutionRules, solutions_by_target, write_expression, write_steps
from rlkit.verifiers import solution_key

NUMBERS, TARGET, BOUND = [2, 3, 5, 8], 24, 100
GOLD_STEPS = "3 + 5 [8] [8] * 2 [16] [16] + 8 [24]"


def grade_steps(text, numbers=NUMBERS, target=TARGET, use_all=True):
    return grade_tokens(text, numbers, target, use_all=use_all, max_intermediate=BOUND)


def grade_words(text, numbers=NUMBERS, target=TARGET, use_all=True):
    return grade_chat(text, numbers, target, use_all=use_all)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (GOLD_STEPS, "correct"),
        (f"  {GOLD_STEPS}\n", "correct"),
        ("2 * 8 [16] 5 + [16] [21] 3 + [21] [24]", "correct"),
        ("", "empty"),
        (" \n", "empty"),
        ("3 + 5", "malformed"),
        ("3+5 [8]", "malformed"),
        ("24", "malformed"),
        ("3 + 5 [8] [8] *", "malformed"),
        ("3 + 5 = [8]", "malformed"),
        (f"{GOLD_STEPS} 8", "trailing_text"),
        (f"{GOLD_STEPS} ok", "trailing_text"),
        (f"{GOLD_STEPS} [24] + 2 [26]", "wrong_numbers"),
        ("3 + 5 [9] [9] * 2 [18] [18] + 8 [26]", "wrong_step"),
        ("8 / 3 [2] [2] * 5 [10] [10] + 2 [12]", "wrong_step"),
        ("8 - 8 [0] 5 / [0] [1]", "division_by_zero"),
        ("3 - 3 [0]", "out_of_bounds"),
        ("8 * 5 [40] [40] * 3 [120] [120] / 2 [60]", "out_of_bounds"),
        ("3 + 5 [8] 8 * 2 [16] [16] + 8 [24]", "wrong_numbers"),
        ("3 + 5 [8] 8 * 3 [24]", "wrong_numbers"),
        ("8 * 3 [24]", "wrong_numbers"),
        ("3 + 5 [8] [7] * 2 [14] [14] + 8 [22]", "wrong_numbers"),
        ("9 + 5 [14] [14] + 2 [16] [16] + 8 [24]", "wrong_numbers"),
        ("3 + 5 [8] [8] + 2 [10] [10] + 8 [18]", "wrong_target"),
    ],
)
def test_verdicts_of_steps(text, verdict):
    assert grade_steps(text).label == verdict
    assert grade_steps(text).correct == (verdict == "correct")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (r"Let me see. 3+5 is 8. \boxed{(3+5)*2+8}", "correct"),
        (r"\boxed{8 / (2 - \frac{5}{3})} uses all.", "correct"),
        (r"$$\boxed{2 \times (3 + 5) + 8 = 24}$$", "correct"),
        ("<answer>2·8+5+3</answer>", "correct"),
        (r"\boxed{1+1} wait, <answer>2*8+5+3</answer>", "correct"),
        (r"<answer>2*8+5+3</answer> or rather \boxed{1+1}", "wrong_numbers"),
        ("", "empty"),
        ("2*8+5+3", "no_answer"),
        (r"\boxed{2*8+5+3", "no_answer"),
        ("<answer>2*8+5+3", "correct"),
        (r"\boxed{}", "malformed"),
        (r"\boxed{2*8+5+}", "malformed"),
        (r"\boxed{2(8)+5+3}", "malformed"),
        (r"\boxed{2*8+5+3 I think}", "trailing_text"),
        (r"\boxed{2*8+5+3, 2*(3+5)+8}", "trailing_text"),
        (r"\boxed{2*8+5+3 = }", "trailing_text"),
        (r"\boxed{2*8+5+3 = 24 = 24}", "trailing_text"),
        (r"\boxed{8/(5-2-3)}", "division_by_zero"),
        (r"\boxed{2*8+5+3 = 25}", "wrong_step"),
        (r"\boxed{2*8+5-3 = 24}", "wrong_step"),
        (r"\boxed{24}", "wrong_numbers"),
        (r"\boxed{8*3}", "wrong_numbers"),
        (r"\boxed{2*8+5+3+3-3}", "wrong_numbers"),
        (r"\boxed{2*8+5-3}", "wrong_target"),
    ],
)
def test_verdicts_of_expressions(text, verdict):
    assert grade_words(text).label == verdict
    assert grade_words(text).correct == (verdict == "correct")


def test_numbers_may_be_left_over_when_the_variant_says_so():
    assert grade_steps("8 * 3 [24]", use_all=False).label == "correct"
    assert grade_words(r"\boxed{8*3}", use_all=False).label == "correct"
    assert grade_words(r"\boxed{8*3*3/3}", use_all=False).label == "wrong_numbers"
    # A step whose result goes nowhere is not part of any solution.
    assert grade_steps("2 + 5 [7] 8 * 3 [24]", use_all=False).label == "wrong_numbers"


@pytest.mark.parametrize(
    "text", [GOLD_STEPS, r"\boxed{8+2*(3+5)}", "3 + 5 [8] [8] + 2 [10] [10] + 8 [18]", r"\boxed{2*8+5-3}"]
)
def test_the_answer_is_the_canonical_key(text):
    grade = grade_steps(text) if "[" in text else grade_words(text)
    assert grade.answer == solution_key(text) is not None


SIGNS = [
    *(*map(str, range(14)), *(f"[{value}]" for value in range(0, 101, 4)), *"+-*/()=[]{} .x"),
    *("\\boxed{", "<answer>", "</answer>", "\\frac", "−", "٣", "\x00", "\ud800", "9" * 40, "(" * 60),
]


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(SIGNS), max_size=30).map(" ".join)
    | st.binary(max_size=60).map(lambda b: b.decode("latin-1"))
)
@settings(max_examples=600, deadline=None)
def test_any_text_gets_a_verdict(text):
    for grade in (
        grade_steps(text),
        grade_words(text),
        grade_words(f"\\boxed{{{text}}}"),
        grade_words(f"<answer>{text}</answer>"),
    ):
        assert isinstance(grade.correct, bool)
        assert grade.label.isidentifier()
        if grade.correct:
            assert grade.answer in known_solutions((2, 3, 5, 8), 24, False) | known_solutions((2, 3, 5, 8), 24, True)


@functools.cache
def known_solutions(numbers, target, natural):
    rules = SolutionRules(True, "natural", BOUND) if natural else SolutionRules(True)
    return set(solutions_by_target(numbers, (target,), rules).get(target, {}))


@pytest.mark.parametrize("seed", range(8))
def test_mutated_solutions_are_accepted_only_when_the_solver_knows_them(seed):
    """Damage true answers, a few characters or words each, and compare every acceptance with the full solution set."""
    generator = random.Random(seed)
    numbers = tuple(sorted(generator.randint(1, 13) for _ in range(4)))
    solutions = {natural: solutions_by_target(numbers, range(10, 51), _rules(natural)) for natural in (False, True)}
    accepted = 0
    for natural, by_target in solutions.items():
        for target, trees in list(by_target.items())[:12]:
            for tree in list(trees.values())[:4]:
                gold = write_steps(tree) if natural else f"\\boxed{{{write_expression(tree)}}}"
                for _ in range(20):
                    text = _damage(gold, generator)
                    grade = grade_steps(text, numbers, target) if natural else grade_words(text, numbers, target)
                    accepted += bool(grade.correct)
                    assert not grade.correct or grade.answer in trees
    assert accepted > 0  # some damage does no harm, such as swapping two addends


def _rules(natural):
    return SolutionRules(True, "natural", BOUND) if natural else SolutionRules(True)


def _damage(text, generator):
    pieces = text.split(" ") if generator.random() < 0.5 else list(text)
    for _ in range(generator.randint(1, 3)):
        place = generator.randrange(len(pieces))
        kind = generator.randrange(4)
        if kind == 0:
            pieces[place] = generator.choice(SIGNS)
        elif kind == 1:
            pieces.insert(place, generator.choice(pieces))
        elif kind == 2 and len(pieces) > 1:
            pieces.pop(place)
        else:
            other = generator.randrange(len(pieces))
            pieces[place], pieces[other] = pieces[other], pieces[place]
    return (" " if pieces != list("".join(pieces)) else "").join(pieces)


@pytest.mark.parametrize(
    "unit",
    ["1 + 1 [2] ", "((((", "\\boxed{", "<answer>", "</answer>", "\\boxed{1}", "9", "{", "-", "=", "\\frac{", "[2] "],
)
def test_long_hostile_text_is_judged_quickly(unit):
    started = time.perf_counter()
    for text in (unit * 300_000, f"\\boxed{{{unit * 300_000}}}", f"<answer>{unit * 300_000}</answer>"):
        assert not grade_steps(text).correct
        assert not grade_words(text).correct
    assert time.perf_counter() - started < 3.0


def test_grading_is_fast_enough_for_every_rollout():
    started = time.perf_counter()
    for _ in range(2000):
        grade_steps(GOLD_STEPS)
    assert (
        time.perf_counter() - started
    ) / 2000 < 300e-6  # about 25 us when nothing else runs; a loose bound for busy machines


def test_value_is_exact():
    assert parse("1/3+1/3+1/3").value == 1
    assert not grade_words(r"\boxed{999999999/999999998*24}", [999999999, 999999998, 24], 24).correct
