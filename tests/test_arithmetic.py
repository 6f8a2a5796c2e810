"""The parser is exact, the keys are the laws of commutativity and associativity, and hostile text costs nothing."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.arithmetic import (
    MAX_CHARACTERS,
    MalformedExpressionError,
    parse,
    replay_steps,
    split_steps,
)
from rlkit.verifiers import solution_key

leaves = st.integers(min_value=0, max_value=99)
trees = st.recursive(leaves, lambda inner: st.tuples(st.sampled_from("+-*/"), inner, inner), max_leaves=8)


def write(tree, minus="-", opener="(", closer=")"):
    """Write a tree with every parenthesis, so that precedence cannot be wrong."""
    if isinstance(tree, int):
        return str(tree)
    operation, left, right = tree
    parts = write(left, minus, opener, closer), write(right, minus, opener, closer)
    return f"{opener}{parts[0]} {minus if operation == '-' else operation} {parts[1]}{closer}"


def value_of(tree) -> Fraction:
    if isinstance(tree, int):
        return Fraction(tree)
    operation, left, right = tree
    a, b = value_of(left), value_of(right)
    return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[operation]()


def rearrange(tree, generator: random.Random):
    """Apply random commutations and associations everywhere in a tree; the value does not change."""
    if isinstance(tree, int):
        return tree
    operation, left, right = tree[0], rearrange(tree[1], generator), rearrange(tree[2], generator)
    inner = left[0] if isinstance(left, tuple) else ""
    inverse = {"+": "-", "-": "+", "*": "/", "/": "*"}
    if inner and inner in operation + inverse[operation] and generator.random() < 0.5:
        if inner == "+" or inner == "*":  # (a + b) - c = a + (b - c)
            return (inner, left[1], (operation, left[2], right))
        # (a - b) + c = a - (b - c);  (a - b) - c = a - (b + c)
        return (inner, left[1], (inverse[operation], left[2], right))
    if operation in "+*" and generator.random() < 0.5:
        left, right = right, left
    return (operation, left, right)


@settings(deadline=None)
@given(trees)
def test_value_equals_a_direct_evaluation(tree):
    try:
        expected = value_of(tree)
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            parse(write(tree))
    else:
        assert parse(write(tree)).value == expected


@settings(deadline=None)
@given(trees, st.randoms(use_true_random=False))
def test_commuting_and_associating_keeps_the_key(tree, generator):
    rearranged = rearrange(tree, generator)
    try:
        expected = parse(write(tree)), parse(write(rearranged))
    except ZeroDivisionError:
        return
    assert expected[0].key == expected[1].key
    assert sorted(expected[0].numbers) == sorted(expected[1].numbers)


@settings(deadline=None)
@given(trees, trees)
def test_equal_keys_have_equal_values(one, other):
    try:
        first, second = parse(write(one)), parse(write(other))
    except ZeroDivisionError:
        return
    assert first.key != second.key or first.value == second.value


@pytest.mark.parametrize(("num_operands", "num_classes"), [(1, 1), (2, 6), (3, 68), (4, 1170)])
def test_number_of_keys_is_the_number_of_different_functions(num_operands, num_classes):
    """Over independent operands, two expressions are one function exactly when their keys are equal (OEIS A140606)."""
    operands = [1013, 27644437, 15587277, 982451653][:num_operands]
    keys, values = set(), set()
    for tree in every_tree(operands):
        expression = parse(write(tree))
        keys.add(expression.key)
        values.add(expression.value)
    assert len(keys) == len(values) == num_classes


def every_tree(operands):
    """Yield each way of writing all operands once, by brute force over orders, operations and parentheses."""
    if len(operands) == 1:
        yield operands[0]
    for size in range(1, len(operands)):
        for left_part in itertools.combinations(operands, size):
            right_part = [operand for operand in operands if operand not in left_part]
            for left, right in itertools.product(every_tree(list(left_part)), every_tree(right_part)):
                yield from ((operation, left, right) for operation in "+-*/")


@pytest.mark.parametrize("text", ["(3+5)*2+8", "8+2*(5+3)", "2*(3+5)+8", "2×(3 + 5) − −8", r"2\cdot\left(3+5\right)+8"])
def test_golden_key(text):
    assert parse(text).key == "S(+8,+P(*2,*S(+3,+5)))"


@pytest.mark.parametrize(
    "same",
    [
        ["a-(b-c)", "a-b+c", "c-(b-a)", "a+c-b", "a-b--c"],
        ["(-a)*b", "a*(-b)", "-(a*b)", "-a*b", "b*-a"],
        ["(a-b)*(c-d)", "(b-a)*(d-c)", "-(a-b)*(d-c)"],
        ["a/(b/c)", "a*c/b", "c/b*a", "a/b*c"],
        ["a/(b-c)", "-a/(c-b)", "a/-(c-b)"],
        ["+a", "a", "--a", "(a)"],
    ],
)
def test_expressions_that_differ_only_in_writing_share_a_key(same):
    texts = [text.translate({97: "11", 98: "5", 99: "3", 100: "2"}) for text in same]
    assert len({parse(text).key for text in texts}) == 1
    assert len({parse(text).value for text in texts}) == 1


@pytest.mark.parametrize(
    "different", [["8*1", "8/1", "8"], ["3+5", "5-3", "3-5", "3*5", "3/5", "5/3"], ["2*3+4", "2*(3+4)"]]
)
def test_nothing_is_computed_away(different):
    assert len({parse(text).key for text in different}) == len(different)


MALFORMED = [
    *(
        "",
        " ",
        "+",
        "3+",
        "*3",
        "(3",
        "3)",
        "()",
        "3 5",
        "2(3)",
        "3.5",
        "3^2",
        "3**2",
        "3//4",
        "1e3",
        "1_000",
        "a",
        "3=3",
    ),
    *("(3}", "{3)", r"\frac{1}", r"\frac 1 2", r"\boxed", "\\", "٣+1", "²", "∞", "nan", "\x00", "3;3", "9" * 10),
    "__import__('os')",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_anything_else_is_malformed(text):
    with pytest.raises(MalformedExpressionError):
        parse(text)


@pytest.mark.parametrize("text", ["1/0", "3/(5-5)", "1/(0/3)", r"\frac{1}{2-2}", "0/0"])
def test_division_by_zero_is_its_own_failure(text):
    with pytest.raises(ZeroDivisionError):
        parse(text)


def test_latex_fractions_divide():
    assert parse(r"\frac{3+5}{2}*\dfrac{6}{3}").value == 8


@pytest.mark.parametrize(
    "unit", ["(", "-", "1+", "(1+", "9", r"\frac{", "[", "\\boxed{", "<answer>", "1 + 1 [2] ", "{"]
)
def test_hostile_repetition_is_refused_quickly(unit):
    started = time.perf_counter()
    assert solution_key(unit * 200_000) is None
    with pytest.raises(MalformedExpressionError):
        parse(unit * 200_000)
    with pytest.raises((MalformedExpressionError, ZeroDivisionError)):
        parse((unit * MAX_CHARACTERS)[:MAX_CHARACTERS] if unit != "9" else "9" * MAX_CHARACTERS)
    assert time.perf_counter() - started < 1.0


@given(st.text(max_size=60) | st.text(alphabet="0123456789+-*/()[]{}\\ =.x×fracboxed<answer>", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(text):
    key = solution_key(text)
    assert key is None or isinstance(key, str)
    with contextlib.suppress(MalformedExpressionError, ZeroDivisionError):
        assert isinstance(parse(text).value, Fraction)


def test_steps_and_expression_of_one_solution_share_a_key():
    assert solution_key("3 + 5 [8] [8] * 2 [16] [16] + 8 [24]") == solution_key("(3+5)*2+8")
    assert solution_key("3 + 5 [8] 8 * 2 [16] [16] + [8] [24]") == solution_key("8*2+(3+5)")


def test_of_two_equal_results_the_later_is_meant():
    steps, rest = split_steps("3 + 5 [8] 4 * 2 [8] [8] + 1 [9] [8] * [9] [72]")
    assert rest == ""
    assert solution_key("3 + 5 [8] 4 * 2 [8] [8] + 1 [9] [8] * [9] [72]") == parse("(3+5)*(4*2+1)").key
    assert replay_steps(steps).unused == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [("3 + 5 [9]", "false_result"), ("3 + [5] [8]", "unknown_result"), ("3 - 3 [0] 5 / [0] [1]", "division_by_zero"),
     ("3 + 5 [8] [8] + [8] [16]", "unknown_result"), ("5 / 2 [2]", "false_result"), ("3 - 5 [2]", "false_result")],
)  # fmt: skip
def test_faulty_traces_have_no_key(text, fault):
    assert replay_steps(split_steps(text)[0]).fault == fault
    assert solution_key(text) is None


def test_unused_results_are_reported():
    replay = replay_steps(split_steps("3 + 5 [8] 4 * 2 [8] 1 + [8] [9]")[0])
    assert [term.numbers for term in replay.unused] == [(3, 5)]


@pytest.mark.parametrize(
    "text",
    [r"\boxed{(3+5)*2+8 = 24}", "<answer>8+2*(5+3)</answer>", "(3+5)*2+8", " 3 + 5 [8] [8] * 2 [16]  [16] + 8 [24] "],
)
def test_every_way_to_answer_has_the_same_key(text):
    assert solution_key(text) == "S(+8,+P(*2,*S(+3,+5)))"
