"""What an archive is said to hold, against counts by hand."""

from __future__ import annotations

import math

import pytest

from rlkit.archive import Archive, Finding, Solution, Source
from rlkit.archive.summary import summarise


def test_the_numbers_by_hand(tmp_path):
    archive = Archive.create(tmp_path / "a.jsonl", task="t", partition="p")
    worked = [9, 5, 3, 2, 2, 1, 1, 1, 1, 1]
    solutions = tuple(Solution(f"{number}", "text", count) for number, count in enumerate(worked))
    findings = [
        Finding("many", "?", 32, 26, solutions),
        Finding("one", "?", 32, 1, (Solution("a", "text", 1),)),
        Finding("none", "?", 32, 0),
    ]
    archive.add(Source("s", "model", 1.0), findings)
    found = summarise(archive)
    assert (found.num_problems, found.num_solved, found.num_solutions) == (3, 2, 11)
    assert [(each.name, each.num_problems, each.num_solutions) for each in found.bins] == [
        ("never", 1, 0),
        ("0 to 0.1", 1, 1),
        ("0.1 to 0.3", 0, 0),
        ("0.3 to 0.6", 0, 0),
        ("0.6 to 0.9", 1, 10),
        ("0.9 to 1", 0, 0),
    ]
    assert math.isnan(found.bins[2].solutions_per_problem)
    assert found.unsolved_below == pytest.approx(0.089, abs=1e-3)
    (source,) = found.sources
    assert source.num_undefined == 1
    assert source.unseen_mass == pytest.approx(5 / 26)
    assert source.num_left == pytest.approx(6.0, abs=0.05)
    assert source.next_new == pytest.approx(3.4, abs=0.05)
    assert source.growth[-1] == (32, pytest.approx(11 / 3))
    assert source.growth[0] == (1, pytest.approx(27 / 32 / 3))
    assert found.as_json()["bins"][2]["solutions_per_problem"] is None


def test_an_empty_archive_is_said_to_hold_nothing(tmp_path):
    found = summarise(Archive.create(tmp_path / "a.jsonl", task="t", partition="p"))
    assert (found.num_problems, found.num_solutions, found.sources) == (0, 0, ())
    assert found.as_json()["unsolved_below"] is None
