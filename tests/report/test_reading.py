from __future__ import annotations

import itertools

import pytest

from rlkit.report.columns import Column, diversity_column, headline_ks, pass_at_column
from rlkit.report.differences import Difference
from rlkit.report.reading import read_differences

COVERAGE = Column("solution_coverage", "Coverage", "coverage", "", is_higher_better=True)
COLUMNS = [pass_at_column(1), pass_at_column(128), COVERAGE]
UP = Difference(0.2, 0.1, 0.3, before=0.4, after=0.6)
DOWN = Difference(-0.2, -0.3, -0.1, before=0.8, after=0.6)
UNCLEAR = Difference(0.01, -0.1, 0.1, before=0.59, after=0.6)


def read(accuracy: Difference, reach: Difference, coverage: Difference):
    keys = [column.key for column in COLUMNS]
    return read_differences(COLUMNS, dict(zip(keys, (accuracy, reach, coverage), strict=True)))


@pytest.mark.parametrize(
    ("accuracy", "reach", "coverage", "verdict", "tone"),
    [
        (UP, UNCLEAR, DOWN, "more accurate, less varied", "mixed"),
        (UP, DOWN, DOWN, "more accurate, less varied, solves fewer problems in 128 samples", "mixed"),
        (UP, UNCLEAR, UNCLEAR, "more accurate, no clear change in diversity", "better"),
        (UP, UP, UP, "more accurate and more varied, solves more problems in 128 samples", "better"),
        (UP, DOWN, UP, "more accurate and more varied, solves fewer problems in 128 samples", "mixed"),
        (UNCLEAR, UNCLEAR, UNCLEAR, "no clear change", "none"),
        (UNCLEAR, DOWN, UNCLEAR, "solves fewer problems in 128 samples", "worse"),
        (UNCLEAR, UNCLEAR, DOWN, "less varied, no more accurate", "worse"),
        (DOWN, DOWN, DOWN, "less accurate and less varied, solves fewer problems in 128 samples", "worse"),
    ],
)
def test_verdicts_follow_the_stated_rule(accuracy, reach, coverage, verdict, tone):
    reading = read(accuracy, reach, coverage)
    assert (reading.verdict, reading.tone) == (verdict, tone)


def test_every_combination_has_a_verdict():
    verdicts = {read(*cells).verdict for cells in itertools.product((UP, DOWN, UNCLEAR), repeat=3)}
    assert len(verdicts) == 27


def test_the_numbers_that_decided_it_are_given():
    reading = read(UP, UNCLEAR, DOWN)
    assert str(reading.changes[0]) == "pass@1 0.400 → 0.600 (+0.200)"
    assert str(reading.changes[2]) == "coverage 0.800 → 0.600 (−0.200)"
    assert reading.kept == ("coverage", pytest.approx(0.75))


def test_an_undefined_difference_is_unclear_and_says_so():
    reading = read(UP, UNCLEAR, Difference(None, num_total=9))
    assert reading.verdict == "more accurate, no clear change in diversity"
    assert reading.changes[2].difference == "undefined"
    assert reading.kept is None


@pytest.mark.parametrize(("n", "ks"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (16, [1, 4, 16]), (128, [1, 16, 128])])
def test_headline_ks(n, ks):
    assert headline_ks(n) == ks


def test_diversity_is_coverage_where_it_is_known():
    distinct = Column("distinct_correct", "", "", "")
    assert diversity_column([distinct, COVERAGE]) is COVERAGE
    assert diversity_column([distinct]) is distinct
    assert diversity_column(COLUMNS[:2]) is None


def test_with_a_single_sample_a_problem_only_accuracy_is_judged():
    columns = [pass_at_column(1)]
    assert read_differences(columns, {"pass@1": UP}).verdict == "more accurate, no clear change in diversity"
