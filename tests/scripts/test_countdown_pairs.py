"""The script that makes labelled Countdown pairs: rewritings keep the solution, labels are the canonical form's."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.tasks.countdown_solver import SolutionRules, solutions_by_target, write_steps
from rlkit.verifiers import solution_key

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))  # as `python scripts/...` has it

from pairs.drawing import draw_balanced, draw_natural
from pairs.rewriting import rewrite

RULES = SolutionRules(True, "natural", 100)
NUMBERS = [(2, 3, 5, 8), (1, 4, 6, 12), (3, 7, 11, 13)]


@given(st.sampled_from(NUMBERS), st.integers(0, 10_000))
def test_a_rewriting_is_the_same_solution(numbers, seed):
    generator = random.Random(seed)
    for trees in solutions_by_target(numbers, (24, 30), RULES).values():
        for key, tree in trees.items():
            assert solution_key(write_steps(rewrite(tree, RULES, generator))) == key


def test_rewritings_regroup_as_well_as_swap():
    tree = ("+", ("+", ("+", 1, 2), 3), 4)
    texts = {write_steps(rewrite(tree, RULES, random.Random(seed))) for seed in range(3000)}
    # Binary trees over four labelled leaves, sides told apart: 4! orders times 5 shapes.
    assert len(texts) == 120


@pytest.fixture
def texts():
    trees = solutions_by_target((2, 3, 5, 8), (24,), RULES)[24]
    return [write_steps(rewrite(tree, RULES, random.Random(seed))) for tree in trees.values() for seed in range(4)]


def test_balanced_pairs_are_half_the_same_and_truly_so(texts):
    pairs = draw_balanced(texts, 10, random.Random(0))
    assert len(pairs) == 10
    assert sum(same for _, _, same in pairs) == 5
    assert all(a != b and same == (solution_key(a) == solution_key(b)) for a, b, same in pairs)


def test_natural_pairs_leave_out_equal_texts_only():
    pairs = draw_natural(["3+5", "5+3", "4*2", "3+5"], 100, random.Random(0))
    assert sorted(pairs) == [
        ("3+5", "4*2", False),
        ("3+5", "5+3", True),
        ("4*2", "3+5", False),
        ("5+3", "3+5", True),
        ("5+3", "4*2", False),
    ]
