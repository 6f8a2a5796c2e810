"""Coefficients: closed forms of the schedules, and the controller against a simulated policy."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from rlkit.errors import ConfigError, PluginError
from rlkit.objective.coefficients import COEFFICIENTS, Constant, Cosine, Linear, TargetKL, resolve_coefficient


def roll(coefficient, num_steps, measured_kl=0.1):
    """The number in use at each optimizer step."""
    values = [coefficient.initial()]
    for step in range(1, num_steps):
        values.append(coefficient.update(values[-1], step, measured_kl))
    return values


def test_a_constant_stays():
    assert roll(Constant(0.3), 4) == [0.3] * 4


def test_a_line_reaches_its_end_and_stays():
    assert roll(Linear(1.0, 0.2, 4), 7) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2])


def test_half_a_cosine_is_flat_at_both_ends_and_half_way_in_the_middle():
    values = roll(Cosine(0.0, 2.0, 10), 13)
    assert values == pytest.approx([1 - math.cos(math.pi * min(step, 10) / 10) for step in range(13)])
    assert values[5] == pytest.approx(1.0)


@pytest.mark.parametrize("coefficient", [Linear(1.0, 0.0, 5), Cosine(1.0, 0.0, 5)])
def test_schedules_forget_the_past_and_the_kl(coefficient):
    assert coefficient.update(99.0, 3, math.nan) == coefficient.update(0.0, 3, 7.0)
    assert coefficient.initial() == coefficient.update(0.0, 0, 0.0)


@pytest.mark.parametrize(
    ("measured_kl", "factor"),
    [(0.2, 1.02), (5.0, 1.02), (0.0, 0.98), (-1.0, 0.98), (0.1, 1.0), (0.11, 1.01), (0.09, 0.99)],
)
def test_the_controller_moves_in_proportion_up_to_a_fifth_over_the_horizon(measured_kl, factor):
    assert TargetKL(target=0.1, start=0.01).update(0.01, 1, measured_kl) == pytest.approx(0.01 * factor)


def test_the_controller_finds_the_coefficient_that_meets_its_target():
    controller = TargetKL(target=0.1, start=1e-3, horizon=5)
    coef = controller.initial()
    for step in range(1, 2000):
        coef = controller.update(coef, step, 0.002 / coef)
    assert coef == pytest.approx(0.02, rel=1e-3)


def test_the_controller_stays_without_a_measurement_and_within_its_bounds():
    controller = TargetKL(target=0.1, start=0.5, horizon=1, lowest=0.4, highest=0.55)
    assert controller.update(0.5, 1, math.nan) == 0.5
    assert roll(controller, 20, 9.0)[-1] == 0.55
    assert roll(controller, 20, 0.0)[-1] == 0.4
    assert controller.update(0.5, 1, math.inf) == 0.55


def test_numbers_names_and_objects_resolve():
    assert resolve_coefficient(0.5) == Constant(0.5)
    assert resolve_coefficient(0) == Constant(0)
    given = {"name": "target_kl", "target": 0.05}
    assert resolve_coefficient(given) == TargetKL(0.05)
    assert given == {"name": "target_kl", "target": 0.05}
    assert resolve_coefficient(Linear(1, 0, 2)) == Linear(1, 0, 2)
    assert COEFFICIENTS.names() == ["constant", "cosine", "linear", "target_kl"]


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        (-0.1, ConfigError, "at least 0"),
        (math.nan, ConfigError, "value=nan"),
        (math.inf, ConfigError, "value=inf"),
        (True, ConfigError, "value=True"),
        (None, ConfigError, "write a number"),
        ([1, 2], ConfigError, "write a number"),
        ("0.1", PluginError, "No coefficient is called '0.1'"),
        ({"name": "linear", "start": 1}, PluginError, "needs 'end'"),
        ({"name": "linear", "start": 1, "end": 0, "steps": 0}, ConfigError, "steps=0"),
        ({"name": "cosine", "start": 1, "end": 0, "steps": True}, ConfigError, "cosine was given steps=True"),
        ({"name": "cosine", "start": "a", "end": 0, "steps": 2}, ConfigError, "start='a'"),
        ({"name": "target_kl", "target": 0}, ConfigError, "above 0"),
        ({"name": "target_kl", "target": 1, "lowest": 0}, ConfigError, "lowest=0"),
        ({"name": "target_kl", "target": 1, "start": 2}, ConfigError, "from 1e-06 to 1"),
        ({"name": "target_kl", "target": 1, "horizon": 0.5}, ConfigError, "at least 1"),
        (SimpleNamespace(update=len), PluginError, "no initial"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(spec, error, words):
    with pytest.raises(error, match=words):
        resolve_coefficient(spec)


@pytest.mark.parametrize("given", [math.nan, math.inf, -0.1, True, None, "x", [1.0, 2.0]])
def test_a_coefficient_of_ones_own_that_is_no_number_stops_the_run(given):
    own = resolve_coefficient(SimpleNamespace(initial=lambda: 0.5, update=lambda coef, step, kl: given))
    assert own.initial() == 0.5
    with pytest.raises(PluginError, match=r"The coefficient 'SimpleNamespace' (gave|failed)"):
        own.update(0.5, 1, 0.1)


def test_a_coefficient_of_ones_own_that_raises_is_named():
    own = resolve_coefficient(SimpleNamespace(initial=lambda: 1 / 0, update=len))
    with pytest.raises(PluginError, match=r"'SimpleNamespace' failed in line .*ZeroDivisionError"):
        own.initial()
