"""Every solution comes as often as every other, and a run that stopped goes on in the same order."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from rlkit.trainers.archive_schedule import ReplaySchedule


def take(schedule, steps):
    chosen = []
    for _ in range(steps):
        chosen.append(list(schedule.choose()))
        assert schedule.choose() == chosen[-1]
        schedule.advance()
    return chosen


def build(num_rows, rows_per_step=4, uses=3, seed=0):
    schedule = ReplaySchedule(rows_per_step, uses, seed)
    schedule.add(num_rows)
    return schedule


@pytest.mark.parametrize("num_rows", [1, 3, 4, 10, 11])
@pytest.mark.parametrize("uses", [1, 3])
def test_every_row_is_used_so_often_and_then_retires(num_rows, uses):
    schedule = build(num_rows, uses=uses)
    chosen = take(schedule, 40)
    assert Counter(row for step in chosen for row in step) == dict.fromkeys(range(num_rows), uses)
    assert schedule.num_left == 0
    assert chosen[-1] == []
    assert all(len(step) <= 4 for step in chosen)


def test_without_a_bound_rows_come_again_and_again_evenly():
    chosen = take(build(10, uses=None), 50)
    assert all(len(step) == 4 for step in chosen)
    assert Counter(row for step in chosen for row in step) == dict.fromkeys(range(10), 20)


def test_a_small_archive_is_taken_whole_and_no_row_twice():
    assert all(sorted(step) == [0, 1, 2] for step in take(build(3, rows_per_step=256, uses=None), 5))


def test_orders_differ_from_pass_to_pass_and_from_seed_to_seed():
    chosen = take(build(40, rows_per_step=40), 3)
    assert chosen[0] != chosen[1]
    assert take(build(40, rows_per_step=40), 3) == chosen
    assert take(build(40, rows_per_step=40, seed=1), 3) != chosen


def test_rows_that_are_added_join_the_next_pass_and_are_used_as_often():
    schedule = build(6)
    before = take(schedule, 1)
    schedule.add(5)
    chosen = before + take(schedule, 20)
    assert Counter(row for step in chosen for row in step) == dict.fromkeys(range(11), 3)
    assert all(row < 6 for row in chosen[1][:2])


def test_rows_that_are_added_in_the_middle_of_a_step_do_not_change_it():
    schedule = build(6)
    chosen = schedule.choose()
    schedule.add(5)
    assert schedule.choose() == chosen
    schedule.advance()
    assert Counter(row for step in [chosen, *take(schedule, 20)] for row in step) == dict.fromkeys(range(11), 3)


def test_an_archive_that_starts_empty_fills():
    schedule = build(0)
    assert take(schedule, 3) == [[], [], []]
    schedule.add(2)
    assert sorted(take(schedule, 1)[0]) == [0, 1]


@pytest.mark.parametrize("stop", range(1, 12))
def test_a_continued_schedule_goes_on_in_the_same_order(stop):
    def run(schedule, steps):
        found = []
        for step in steps:
            if step == 3:
                schedule.add(5)
            found += take(schedule, 1)
        return found

    whole = run(build(7), range(14))
    schedule = build(7)
    run(schedule, range(stop))
    state = json.loads(json.dumps(schedule.to_json()))
    continued = build(7)
    if stop > 3:
        continued.add(5)
    continued.restore(state)
    assert run(continued, range(stop, 14)) == whole[stop:]
