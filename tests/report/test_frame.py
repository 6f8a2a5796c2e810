from __future__ import annotations

from rlkit.report.frame import Frame, band_data, colour, mark, path_data, run_class, tick_labels


def test_lines_break_where_a_value_is_undefined():
    assert path_data([(0, 1), (1, 2), (2, None), (3, 4), (4, 5)]) == "M0.0,1.0L1.0,2.0M3.0,4.0L4.0,5.0"


def test_bands_close_around_each_stretch_with_both_ends():
    assert band_data([(0, 1, 3), (1, 2, 4), (2, None, 5), (3, 1, 2)]) == "M0.0,3.0L1.0,4.0L1.0,2.0L0.0,1.0Z"


def test_tick_labels_have_as_many_decimals_as_they_need():
    assert tick_labels([0.0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_labels([1.0, 128.0]) == ["1", "128"]
    assert tick_labels([-0.1, 0.1]) == ["−0.1", "0.1"]


def test_upwards_is_smaller_pixels():
    frame = Frame(400, 300)
    y = frame.y_scale(0, 1)
    assert y(1) == frame.top < y(0) == frame.height - frame.bottom


def test_no_run_shares_the_references_colour():
    assert run_class(0) == "run run-0"
    assert [colour(slot) for slot in range(1, 10)] == [1, 2, 3, 4, 5, 6, 7, 1, 2]


def test_runs_of_one_colour_differ_in_shape():
    pairs = {(colour(slot), mark(slot, 0, 0)) for slot in range(40)}
    assert len(pairs) == 40
