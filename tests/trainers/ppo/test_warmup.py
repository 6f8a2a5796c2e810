"""How long the policy waits for its critic."""

from __future__ import annotations

import math

from rlkit.trainers.ppo.warmup import Warmup


def test_no_steps_are_no_wait():
    assert not Warmup().is_on(0)


def test_it_waits_for_so_many_steps_and_never_again():
    warmup = Warmup(steps=2)
    assert [warmup.is_on(step) for step in (0, 1, 2)] == [True, True, False]
    assert not warmup.is_on(0)


def test_it_ends_when_the_critic_foretells_well_enough():
    warmup = Warmup(steps=10, until=0.5)
    for value in (0.1, math.nan, 0.49):
        warmup.observe(value)
        assert warmup.is_on(1)
    warmup.observe(0.5)
    assert not warmup.is_on(2)
    warmup.observe(0.1)
    assert not warmup.is_on(3)


def test_without_a_bound_only_steps_count():
    warmup = Warmup(steps=3)
    warmup.observe(1.0)
    assert warmup.is_on(1)


def test_a_continued_run_does_not_wait_again(tmp_path):
    warmup = Warmup(steps=5, until=0.5)
    warmup.observe(0.9)
    warmup.save(tmp_path)
    other = Warmup(steps=5, until=0.5)
    other.load(tmp_path / "nothing")
    assert other.is_on(1)
    other.load(tmp_path)
    assert not other.is_on(1)
