"""When rounds end, and what is said of them."""

from __future__ import annotations

import pytest

from rlkit.rounds.history import describe_round, has_risen, read_history, tabulate, write_history

BASE = {"round": 0, "samples": 0, "correct": 0, "solutions": 0, "pass@1": 0.3, "pass@4": 0.6}
BASE |= {"solution_coverage": None, "distinct_correct": 1.2}
FIRST = BASE | {"round": 1, "samples": 400, "correct": 120, "solutions": 90, "pass@4": 0.7, "stopped": True}
FIRST["changes"] = {"pass@4": {"difference": 0.1, "low": -0.02, "high": 0.22}}


@pytest.mark.parametrize(
    ("lows", "expected"),
    [([0.01, -0.3], True), ([-0.3, 0.01], True), ([-0.01, 0.0], False), ([None, -0.1], False), ([], False)],
)
def test_one_measure_above_its_interval_is_enough(lows, expected):
    changes = {str(at): {"difference": 0.0, "low": low, "high": 1.0} for at, low in enumerate(lows)}
    assert has_risen(changes) is expected


def test_a_round_is_said_with_its_intervals_and_why_it_is_the_last():
    said = describe_round(FIRST)
    assert "90 solutions so far; pass@4 by +0.100 [-0.020, +0.220]" in said
    assert said.endswith("Neither rose beyond its interval, so this is the last round.")
    assert "the last round" not in describe_round(FIRST | {"stopped": False})


def test_the_table_has_a_line_a_round_and_no_column_of_nothing():
    head, base, first = tabulate([BASE, FIRST])
    assert head.split() == ["round", "samples", "solutions", "a", "sample", "pass@1", "pass@4", "distinct"]
    assert base.split() == ["base", "-", "-", "-", "0.300", "0.600", "1.200"]
    assert first.split() == ["1", "400", "90", "0.2250", "0.300", "0.700", "1.200"]
    assert len(head) == len(base) == len(first)


def test_a_history_is_read_back_as_it_was(tmp_path):
    assert read_history(tmp_path / "rounds.json") == []
    write_history(tmp_path / "rounds.json", [BASE, FIRST])
    assert read_history(tmp_path / "rounds.json") == [BASE, FIRST]
