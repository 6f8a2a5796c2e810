"""References: what recipes may say of them, and when a number has stalled."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError, PluginError
from rlkit.objective.references import REFERENCES, AdapterOff, Ema, Initial, Reset, resolve_reference


def watch(reset, values):
    """Which observations were stalls."""
    state, stalls = {}, []
    for value in values:
        # As a checkpoint would keep it.
        state, is_stalled = reset.observe(json.loads(json.dumps(state)), value)
        stalls.append(is_stalled)
    return stalls


def test_a_stall_is_patience_observations_without_a_gain():
    values = [0.1, 0.2, 0.2, 0.19, 0.3, 0.3, 0.3, 0.3]
    assert [index for index, stalled in enumerate(watch(Reset(patience=3), values)) if stalled] == [7]


def test_a_gain_must_exceed_the_least_gain_over_the_best():
    values = [0.0, 0.05, 0.1, 0.15]
    assert watch(Reset(patience=2, min_gain=0.1), values) == [False, False, True, False]
    assert watch(Reset(patience=2, min_gain=0.09), values) == [False] * 4


def test_after_a_stall_everything_starts_anew():
    values = [1.0, 0.0, 0.0, 0.5, 0.6, 0.7, 0.7, 0.7]
    assert watch(Reset(patience=2), values) == [False, False, True, False, False, False, False, True]


def test_nan_says_nothing():
    assert watch(Reset(patience=2), [math.nan, 1.0, math.nan, 0.5, math.nan, 0.5]) == [False] * 5 + [True]


def test_a_schedule_alone_never_stalls():
    assert not any(watch(Reset(every=5), [0.0] * 50))


@given(st.lists(st.floats(-10, 10), max_size=40), st.integers(1, 5), st.floats(0, 1))
def test_stalls_equal_a_plain_search_of_the_history(values, patience, min_gain):
    expected, history, last_gain, max_gained = [], [], 0, 0.0
    for value in values:
        history.append(value)
        if len(history) == 1 or value > max_gained + min_gain:
            max_gained, last_gain = value, len(history)
        expected.append(len(history) - last_gain >= patience)
        if expected[-1]:
            history = []
    assert watch(Reset(patience=patience, min_gain=min_gain), values) == expected


def test_observing_leaves_the_given_state_alone():
    state = {"best": 1.0, "without_gain": 0}
    Reset(patience=2).observe(state, 0.0)
    assert state == {"best": 1.0, "without_gain": 0}


def test_names_resolve():
    assert resolve_reference("initial") == Initial()
    assert resolve_reference("adapter_off") == AdapterOff()
    assert resolve_reference({"name": "ema", "decay": 0.9}) == Ema(decay=0.9, every=1)
    assert resolve_reference({"name": "reset", "every": 100}) == Reset(every=100)
    assert resolve_reference(Ema()) == Ema(0.99, 1)
    assert REFERENCES.names() == ["adapter_off", "ema", "initial", "reset"]


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("emma", PluginError, "Did you mean 'ema'"),
        ({"name": "ema", "decay": 1}, ConfigError, "between 0 and 1"),
        ({"name": "ema", "decay": True}, ConfigError, "decay=True"),
        ({"name": "ema", "every": 0}, ConfigError, "every=0"),
        ("reset", ConfigError, "neither every nor patience"),
        ({"name": "reset", "every": 1.5}, ConfigError, "whole number"),
        ({"name": "reset", "patience": 0}, ConfigError, "patience=0"),
        ({"name": "reset", "every": 2, "min_gain": -1}, ConfigError, "at least 0"),
        ({"name": "reset", "every": 2, "min_gain": math.nan}, ConfigError, "min_gain=nan"),
        ({"name": "reset", "every": 2, "reset_optimizer": "yes"}, ConfigError, "true or false"),
        ({"name": "reset", "every": 2, "stall_metric": ""}, ConfigError, "such as 'reward'"),
        (None, PluginError, "write adapter_off, ema, initial, reset"),
        (0.99, PluginError, "write adapter_off"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(spec, error, words):
    with pytest.raises(error, match=words):
        resolve_reference(spec)
