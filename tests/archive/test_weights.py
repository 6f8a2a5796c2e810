"""What each rule makes of an easy, a middling and a hard problem, against worked numbers."""

from __future__ import annotations

import math

import pytest

from rlkit.archive import WEIGHTS, Problem, Solution


def problem(id, drawn, counts):
    solutions = tuple(Solution(f"{number}", "text", count) for number, count in enumerate(counts))
    return Problem(id, "prompt", drawn, sum(counts), solutions)


PROBLEMS = [
    problem("easy", 32, [20, 4, 2, 1, 1, 1]),
    problem("mid", 32, [2, 2, 2, 1, 1, 1, 1, 0]),
    problem("hard", 32, [1]),
]


def shares(rule):
    masses = [sum(WEIGHTS[rule](each, s, len(each.solutions)) for s in each.solutions) for each in PROBLEMS]
    return [mass / sum(masses) for mass in masses]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("as_drawn", (0.725, 0.25, 0.025)),
        ("equal", (0.4, 0.533, 0.067)),
        ("capped", (0.444, 0.444, 0.111)),
        ("per_problem", (1 / 3, 1 / 3, 1 / 3)),
        ("hard_first", (0.068, 0.39, 0.542)),
    ],
)
def test_the_mass_of_each_problem(rule, expected):
    # c of n = 29, 10 and 1 of 32, with 6, 8 and 1 solutions.
    assert [each.correct for each in PROBLEMS] == [29, 10, 1]
    assert shares(rule) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("rule", "effective"), [("as_drawn", 2.48), ("sqrt_count", 3.47), ("equal", 4.0)])
def test_the_spread_within_one_problem(rule, effective):
    one = problem("one", 40, [20, 5, 3, 1])
    weights = [WEIGHTS[rule](one, solution, 4) for solution in one.solutions]
    entropy = -sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights)
    assert math.exp(entropy) == pytest.approx(effective, abs=0.01)
