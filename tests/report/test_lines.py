from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import pytest

from rlkit.report.frame import Frame
from rlkit.report.lines import LineChart, Series, draw, hover

CHART = LineChart(
    "c",
    "pass@k <of> all",
    "a & b",
    Frame(200, 100, left=20, right=20, top=10, bottom=30),
    xs=[1, 2, 4],
    series=[
        Series(0, "base", [0.0, 0.5, 1.0], [0.0, 0.4, 0.9], [0.1, 0.6, 1.0]),
        Series(1, "<b>grpo", [0.2, None, 0.4]),
    ],
    y_limits=(0.0, 1.0),
    x_ticks=[1, 2, 4],
    y_ticks=[0, 1],
    x_name="k =",
    is_log2=True,
    noisy_from=2,
    noisy_label="noisy",
    has_labels=True,
)


def test_the_chart_is_well_formed_and_names_itself():
    svg = ElementTree.fromstring(draw(CHART))
    assert svg.find("title").text == "pass@k <of> all"
    assert svg.find("desc").text == "a & b"
    assert svg.get("aria-labelledby").split() == [svg.find("title").get("id"), svg.find("desc").get("id")]
    assert [text.text for text in svg.iter("text") if text.get("class") == "run-label"] == ["base", "<b>grpo"]


def test_the_noisy_region_reaches_from_its_start_to_the_right_edge():
    (rect,) = ElementTree.fromstring(draw(CHART)).iter("rect")
    assert float(rect.get("x")) == 100  # k = 2 lies halfway between 1 and 4 in log2
    assert float(rect.get("x")) + float(rect.get("width")) == 180
    without = dataclasses.replace(CHART, noisy_from=None)
    assert not list(ElementTree.fromstring(draw(without)).iter("rect"))


def test_bands_are_drawn_only_where_there_are_intervals():
    paths = [p for p in ElementTree.fromstring(draw(CHART)).iter("path") if "band" in (p.get("class") or "")]
    assert [path.get("class") for path in paths] == ["band run run-0"]


def test_the_readout_has_pixels_and_texts_for_every_x():
    data = hover(CHART)
    assert data["x"] == [20, 100, 180]
    assert data["heads"] == ["k = 1", "k = 2", "k = 4"]
    base, grpo = data["runs"]
    assert base["y"] == [70, 40, 10]
    assert base["text"][1] == "0.500  [0.400, 0.600]"
    assert grpo["y"] == [58, None, 46]
    assert grpo["text"] == ["0.200", None, "0.400"]


@pytest.mark.parametrize("is_log2", [True, False])
def test_the_drawn_line_goes_through_the_readouts_pixels(is_log2):
    chart = dataclasses.replace(CHART, is_log2=is_log2)
    data = hover(chart)
    line = next(p for p in ElementTree.fromstring(draw(chart)).iter("path") if p.get("class") == "line")
    points = [f"{x:.1f},{y:.1f}" for x, y in zip(data["x"], data["runs"][0]["y"], strict=True)]
    assert line.get("d") == "M" + "L".join(points)
