"""An archive that is learnt by heart is said once, and noise is not."""

from __future__ import annotations

import json
import random

from rlkit.trainers.overfitting import OverfittingWatch


def watch(archived, fresh, watcher=None):
    watcher = watcher or OverfittingWatch()
    said = []
    for known, new in zip(archived, fresh, strict=True):
        watcher.observe_archived(known)
        said.append(watcher.observe_fresh(new))
    return [(place, sentence) for place, sentence in enumerate(said) if sentence]


def noise(level, seed=0):
    rng = random.Random(seed)
    return [value + rng.gauss(0, 0.02) for value in level]


FALLING = [1.0 - 0.01 * step for step in range(60)]
PARTING = [1.0 - 0.01 * min(step, 25) + 0.01 * max(0, step - 25) for step in range(60)]


def test_parting_likelihoods_are_said_once():
    said = watch(FALLING, noise(PARTING))
    assert len(said) == 1
    assert 28 <= said[0][0] < 50
    assert "learnt by heart" in said[0][1]


def test_what_falls_together_or_only_varies_or_rises_together_is_not_said():
    assert not watch(FALLING, noise(FALLING))
    assert not any(watch(FALLING, noise([1.0] * 60, seed)) for seed in range(5))
    rising = [1.0 + 0.01 * step for step in range(60)]
    assert not watch(rising, noise(rising))


def test_batches_without_a_number_say_nothing():
    nan = float("nan")
    assert not watch([nan] * 60, PARTING)
    assert not watch(FALLING, [nan] * 60)


def test_a_continued_run_says_it_at_the_same_place():
    fresh = noise(PARTING)
    whole = watch(FALLING, fresh)
    watcher = OverfittingWatch()
    assert not watch(FALLING[:20], fresh[:20], watcher)
    continued = OverfittingWatch()
    continued.restore(json.loads(json.dumps(watcher.to_json())))
    (rest,) = watch(FALLING[20:], fresh[20:], continued)
    assert (rest[0] + 20, rest[1]) == whole[0]
