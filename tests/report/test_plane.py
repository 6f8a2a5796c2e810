from __future__ import annotations

from xml.etree import ElementTree

from rlkit.report.cells import Cell
from rlkit.report.columns import Column, pass_at_column
from rlkit.report.frame import Frame
from rlkit.report.plane import Box, Point, draw_plane, place_labels

COVERAGE = Column("solution_coverage", "Coverage", "coverage", "", limits=(0.0, 1.0))
FRAME = Frame(560, 500)


def point(slot: int, name: str, quality: float, diversity: float) -> Point:
    cells = (Cell(value, value - 0.03, value + 0.03, 9, 9) for value in (quality, diversity))
    return Point(slot, name, *cells)


def draw(points: list[Point]) -> ElementTree.Element:
    return ElementTree.fromstring(draw_plane("p", points, pass_at_column(1), COVERAGE, FRAME))


def test_boxes_overlap_by_area():
    assert Box(0, 0, 4, 4).overlap(Box(2, 3, 9, 9)) == 2
    assert Box(0, 0, 1, 1).overlap(Box(2, 0, 3, 1)) == 0


def test_names_of_crowded_points_do_not_cover_each_other():
    points = [point(i, f"run_number_{i}", 0.5 + 0.004 * i, 0.85 + 0.006 * i) for i in range(5)]
    boxes = place_labels(points, FRAME.x_scale(0.4, 0.6), FRAME.y_scale(0.7, 1.0), FRAME)
    assert all(a.overlap(b) == 0 for i, a in enumerate(boxes) for b in boxes[:i])


def test_better_runs_stand_further_right_and_higher():
    svg = draw([point(0, "base", 0.3, 0.9), point(1, "grpo", 0.5, 0.6), point(2, "both", 0.5, 0.95)])
    marks = [p.get("transform")[10:-1].split(") ")[0].split() for p in svg.iter("path") if p.get("class") == "mark"]
    (base_x, base_y), (grpo_x, grpo_y), (both_x, both_y) = [(float(x), float(y.rstrip(")"))) for x, y in marks]
    assert base_x < grpo_x == both_x
    assert both_y < base_y < grpo_y


def test_each_point_has_a_cross_and_a_path_from_the_reference():
    svg = draw([point(0, "base", 0.3, 0.9), point(1, "grpo", 0.5, 0.6)])
    classes = [line.get("class") for line in svg.iter("line")]
    assert classes.count("interval") == 4
    assert classes.count("trail") == 1


def test_a_run_without_a_value_is_left_out():
    missing = Point(1, "gone", Cell(0.4, 0.3, 0.5), Cell(None, num_total=9))
    svg = draw([point(0, "base", 0.3, 0.9), missing])
    assert [text.text for text in svg.iter("text") if text.get("class") == "run-label"] == ["base"]
    assert len(list(draw([missing]).iter("path"))) == 0


def test_further_temperatures_are_small_marks_on_one_line():
    from dataclasses import replace

    main = replace(point(0, "base", 0.3, 0.9), temperature=1.0)
    cold = replace(point(0, "base", 0.45, 0.7), temperature=0.4, is_minor=True)
    run = point(1, "grpo", 0.4, 0.6)
    points = [main, run, cold]
    svg = ElementTree.fromstring(draw_plane("p", points, pass_at_column(1), COVERAGE, FRAME, [[cold, main]]))
    lines = [p for p in svg.iter("path") if (p.get("class") or "").startswith("sweep")]
    texts = [text.text for text in svg.iter("text")]
    assert len(lines) == 1
    assert "base, T 1" in texts
    assert "0.4" in [text.text for text in svg.iter("text") if text.get("class") == "run-label minor"]
    # A run at one temperature is still led to from the reference; crosses are of the main evaluations alone.
    assert sum((p.get("class") or "") == "trail" for p in svg.iter("line")) == 1
    assert sum((p.get("class") or "") == "interval" for p in svg.iter("line")) == 4
