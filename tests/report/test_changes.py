from __future__ import annotations

import pytest

from rlkit.report.changes import read_changes
from rlkit.report.columns import Column, diversity_column, headline_ks, pass_at_column
from rlkit.report.differences import Difference

COVERAGE = Column("solution_coverage", "Coverage", "coverage", "", is_higher_better=True)
COLUMNS = [pass_at_column(1), pass_at_column(128), COVERAGE]
UP = Difference(0.2, 0.1, 0.3, before=0.4, after=0.6)
DOWN = Difference(-0.2, -0.3, -0.1, before=0.8, after=0.6)
UNCLEAR = Difference(0.01, -0.1, 0.1, before=0.59, after=0.6)


def changes_of(accuracy: Difference, largest: Difference, coverage: Difference):
    keys = [column.key for column in COLUMNS]
    return read_changes(COLUMNS, dict(zip(keys, (accuracy, largest, coverage), strict=True)))


def test_accuracy_the_largest_k_and_diversity_are_given():
    found = changes_of(UP, UNCLEAR, DOWN)
    assert list(map(str, found.numbers)) == [
        "pass@1 0.400 → 0.600 (+0.200)",
        "pass@128 0.590 → 0.600 (+0.010)",
        "coverage 0.800 → 0.600 (−0.200)",
    ]
    assert found.kept == ("coverage", pytest.approx(0.75))
    assert found.describe_kept("base") == "has 75% of base's coverage"


def test_an_undefined_difference_says_so():
    found = changes_of(UP, UNCLEAR, Difference(None, num_total=9))
    assert found.numbers[2].difference == "undefined"
    assert found.kept is None
    assert found.describe_kept("base") == ""


def test_with_a_single_sample_a_problem_accuracy_is_given_once():
    assert len(read_changes([pass_at_column(1)], {"pass@1": UP}).numbers) == 1


@pytest.mark.parametrize(("n", "ks"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (16, [1, 4, 16]), (128, [1, 16, 128])])
def test_headline_ks(n, ks):
    assert headline_ks(n) == ks


def test_diversity_is_coverage_where_it_is_known():
    distinct = Column("distinct_correct", "", "", "")
    assert diversity_column([distinct, COVERAGE]) is COVERAGE
    assert diversity_column([distinct]) is distinct
    assert diversity_column(COLUMNS[:2]) is None
