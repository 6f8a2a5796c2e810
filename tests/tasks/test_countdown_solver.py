"""The solver finds every distinct solution and nothing else: compared with brute force over all expressions."""

from __future__ import annotations

import itertools
import random

import pytest

from rlkit.arithmetic import parse
from rlkit.errors import ConfigError
from rlkit.tasks.countdown import solve
from rlkit.tasks.countdown_solver import SolutionRules, solutions_by_target, write_expression, write_steps
from rlkit.verifiers import solution_key


def brute_force(numbers, target, *, use_all=True, natural=False, bound=None):
    """Return the keys of all solutions: every order, every operation, every parenthesisation, no memory."""
    sizes = [len(numbers)] if use_all else range(1, len(numbers) + 1)
    texts = [
        text
        for size in sizes
        for order in itertools.permutations(numbers, size)
        for text in texts_of(order, natural, bound)
    ]
    return {parse(text).key for text, value in texts if value == target}


def texts_of(order, natural, bound):
    """Yield (text, value) of every expression over the numbers in this order."""
    if len(order) == 1:
        yield str(order[0]), order[0]
    for cut in range(1, len(order)):
        for (left, _), (right, b) in itertools.product(
            texts_of(order[:cut], natural, bound), texts_of(order[cut:], natural, bound)
        ):
            for operation in "+-*/":
                if operation == "/" and b == 0:
                    continue
                text = f"({left}{operation}{right})"
                value = parse(text).value
                if natural and not (value.denominator == 1 and 1 <= value <= (bound or value)):
                    continue
                yield text, value


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("natural", [False, True])
@pytest.mark.parametrize("use_all", [False, True])
def test_same_solutions_as_brute_force(seed, natural, use_all):
    generator = random.Random(seed)
    numbers = [generator.randint(1, 13) for _ in range(3)]
    bound = generator.choice([None, 30]) if natural else None
    rules = SolutionRules(use_all, "natural" if natural else "rational", bound)
    for target in range(1, 40):
        expected = brute_force(numbers, target, use_all=use_all, natural=natural, bound=bound)
        assert solutions_by_target(numbers, (target,), rules).get(target, {}).keys() == expected


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize(("numbers", "target"), [([2, 3, 5, 8], 24), ([4, 4, 6, 12], 20), ([1, 5, 5, 5], 24)])
@pytest.mark.parametrize("natural", [False, True])
def test_same_solutions_as_brute_force_with_four_numbers(numbers, target, natural):
    expected = brute_force(numbers, target, natural=natural)
    found = solve(numbers, target, intermediates="natural" if natural else "rational")
    assert {parse(text).key for text in found} == expected
    assert len(found) == len(expected)
    assert expected or natural


@pytest.mark.parametrize(
    ("numbers", "target", "solution"), [([8, 3, 8, 3], 24, "8/(3-8/3)"), ([1, 5, 5, 5], 24, "5*(5-1/5)")]
)
def test_famous_problems_that_need_fractions(numbers, target, solution):
    assert {parse(text).key for text in solve(numbers, target)} == {parse(solution).key}
    assert solve(numbers, target, intermediates="natural") == []


@pytest.mark.parametrize("use_all", [False, True])
def test_every_solution_is_one(use_all):
    numbers, target = [2, 3, 5, 8, 10], 60
    found = solve(numbers, target, use_all=use_all)
    read = [parse(text) for text in found]
    assert len({expression.key for expression in read}) == len(found) > 10
    assert all(expression.value == target for expression in read)
    for expression in read:
        left_over = list(numbers)
        for number in expression.numbers:
            left_over.remove(number)
        assert not (use_all and left_over)


def test_both_ways_of_writing_a_solution_are_read_as_itself():
    """Five numbers, so that equal intermediate results occur and the traces must say which one is meant."""
    rules = SolutionRules(True, "natural", 100)
    for numbers in ([3, 5, 4, 2, 1], [2, 2, 2, 4, 8]):
        for trees in solutions_by_target(numbers, range(10, 80), rules).values():
            for key, tree in trees.items():
                assert parse(write_expression(tree)).key == key
                assert solution_key(write_steps(tree)) == key


def test_order_of_numbers_does_not_matter():
    assert {parse(text).key for text in solve([8, 5, 3, 2], 24)} == {
        parse(text).key for text in solve([2, 3, 5, 8], 24)
    }


@pytest.mark.parametrize(
    ("numbers", "rules"),
    [
        ([], {}),
        ([1] * 7, {}),
        ([0, 1, 2], {}),
        ([1.5, 2, 3], {}),
        ([1, 2], {"intermediates": "real"}),
        ([1, 2], {"max_intermediate": 9}),
    ],
)
def test_bad_input_is_a_sentence(numbers, rules):
    with pytest.raises(ConfigError, match=r"write|takes"):
        solve(numbers, 10, **rules)
