from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.report.scales import Scale, nice_domain, nice_ticks, powers_of_two, shorten, spread, thin


def test_scales_map_ends_to_ends_and_powers_of_two_evenly():
    linear, log2 = Scale(0, 10, 100, 0), Scale(1, 128, 0, 70, is_log2=True)
    assert [linear(0), linear(5), linear(10)] == [100, 50, 0]
    assert [round(log2(2**i)) for i in range(8)] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert Scale(3, 3, 0, 50)(3) == 25


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.3, 1, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (1, 60, [10, 20, 30, 40, 50, 60]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers_inside(low, high, ticks):
    assert nice_ticks(low, high) == ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_lie_inside_and_are_not_too_many(low, span, count):
    ticks = nice_ticks(low, low + span, count)
    slack = 1e-6 * span + 1e-14 * abs(low)  # far from zero, floats are coarser than a narrow span
    assert all(low - slack <= tick <= low + span + slack for tick in ticks)
    assert len(ticks) <= 2 * count + 2


def test_a_domain_holds_its_values_even_when_they_are_all_equal():
    assert nice_domain([1.0, 3.0], pad=0.5) == (0.0, 4.0)
    assert nice_domain([]) == (0.0, 1.0)
    low, high = nice_domain([0.0, 0.0])
    assert low < 0.0 < high


def test_powers_of_two():
    assert powers_of_two(20) == [1, 2, 4, 8, 16]
    assert powers_of_two(0.5) == []


def test_thinning_keeps_the_ends_and_the_order():
    ks = list(range(1, 1025))
    kept = thin(ks, 50)
    assert kept[0] == 1
    assert kept[-1] == 1024
    assert kept == sorted(set(kept))
    assert 30 <= len(kept) <= 52
    assert thin(ks[:40], 50) == ks[:40]


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12), st.floats(1, 40))
def test_spread_labels_keep_apart_inside_and_in_order(positions, gap):
    moved = spread(positions, gap, 0.0, 300.0)
    ranked = [moved[i] for i in sorted(range(len(positions)), key=lambda i: positions[i])]
    fits = min(gap, 300.0 / max(len(positions) - 1, 1))
    assert all(b - a >= fits - 1e-6 for a, b in itertools.pairwise(ranked))
    assert all(-1e-6 <= at <= 300 + 1e-6 for at in moved)


def test_positions_that_are_far_enough_apart_do_not_move():
    assert spread([10.0, 100.0, 50.0], 20, 0, 200) == [10.0, 100.0, 50.0]


def test_long_names_keep_both_ends():
    assert shorten("grpo", 8) == "grpo"
    assert shorten("darling_learning_rate_2e-4", 12) == "darlin…_2e-4"
    assert all(len(shorten("x" * 40, limit)) == limit for limit in range(3, 40))
