"""A run against the base's front over temperature: what is read off it, what is claimed, and what is not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.errors import ConfigError, StoreError
from rlkit.evaluation import compare_several
from rlkit.evaluation.comparing.front import compare_with_front
from rlkit.evaluation.comparing.margins import MARGINS
from rlkit.evaluation.comparing.models import Model, gather_models, read_model
from tests.evaluation.simulated import make_problem, make_report

NUM, N = 400, 64


def report(
    name: str, accuracy: float, solved: float, temperature: float, seed: int, num: int = NUM, **changes: Any
) -> dict[str, Any]:
    """Return an evaluation in which a share of problems can be solved at all, all of them alike often."""
    rng = np.random.default_rng(seed)
    is_solvable = np.arange(num) < round(solved * num)
    correct = rng.binomial(N, np.where(is_solvable, accuracy / solved, 0.0))
    problems = [make_problem(at, N, int(c), 1.0) for at, c in enumerate(correct)]
    sampling = {"temperature": temperature, "seed": 0}
    return make_report(f"{name} t{temperature:g}", N, problems, sampling=sampling, **{"model": name} | changes)


def model(name: str, *points: tuple[float, float, float], num: int = NUM) -> Model:
    """Return a model by its points `(temperature, pass@1, share of problems solved at all)`."""
    ordered = sorted(points, reverse=True)
    return Model(tuple(report(name, a, s, t, at + 7 * len(name), num) for at, (t, a, s) in enumerate(ordered)))


BASE = model("base", (1.0, 0.30, 0.90), (0.6, 0.40, 0.80), (0.3, 0.50, 0.60))


def verdict_of(run: Model, base: Model = BASE) -> dict[str, Any]:
    found: dict[str, Any] = compare_several(base, [run])["comparisons"][0]["verdict"]
    return found


def test_the_base_is_read_where_its_accuracy_is_the_runs() -> None:
    run = model("run", (1.0, 0.45, 0.80))
    (point,) = compare_with_front(BASE, run, 32, "distinct_correct", MARGINS, 0.95, 0)
    passes = [np.mean([p["num_correct"] / N for p in each["problems"]]) for each in (*BASE.reports, *run.reports)]
    share = (passes[3] - passes[1]) / (passes[2] - passes[1])
    assert point.base_temperature == pytest.approx(0.6 - 0.3 * share)
    assert point.questions["pass@1"].change.value == pytest.approx(0.0)
    # Nearly every problem that can be solved is solved in 32 samples: .8 against a point between .8 and .6.
    assert point.questions["pass@k"].base == pytest.approx(0.8 - 0.2 * share, abs=0.01)
    assert point.questions["pass@k"].change.value == pytest.approx(0.2 * share, abs=0.01)
    assert point.share_unreached < 0.01


def test_beyond_the_front_is_better() -> None:
    found = verdict_of(model("run", (1.0, 0.45, 0.85)))
    assert (found["word"], found["front"]["stands"]) == ("better", "beyond")
    assert found["sentence"].startswith("The base sampled at T = 0.4")
    assert "no temperature of the base does as well" in found["sentence"]


def test_what_a_lower_temperature_does_too_is_not_better() -> None:
    found = verdict_of(model("run", (1.0, 0.42, 0.70)))
    assert (found["word"], found["front"]["stands"]) == ("sharper", "matched")
    assert "this training bought nothing that a lower temperature does not" in found["sentence"]
    assert "has the same pass@1, solves" in found["sentence"]


def test_one_of_several_temperatures_beyond_the_front_is_enough() -> None:
    found = verdict_of(model("run", (1.0, 0.31, 0.90), (0.5, 0.45, 0.85)))
    assert found["word"] == "better"
    assert [point["is_beyond"] for point in found["front"]["points"]] == [False, True]


def test_beyond_the_last_temperature_no_number_is_made_up() -> None:
    run = model("run", (1.0, 0.58, 0.80))
    found = verdict_of(run)
    (point,) = found["front"]["points"]
    assert (point["base_temperature"], point["questions"]["pass@k"]["change"]) == (None, None)
    assert point["share_unreached"] == 1.0
    assert found["front"]["stands"] == "not settled"
    assert "lower ones were not sampled" in found["sentence"]
    greedy = model("base", (1.0, 0.30, 0.90), (0.05, 0.50, 0.60))
    assert verdict_of(run, greedy)["word"] == "better"
    json.dumps(found, allow_nan=False)


def test_below_the_base_it_is_compared_at_the_highest_temperature() -> None:
    run = model("run", (1.0, 0.20, 0.90))
    (point,) = compare_with_front(BASE, run, 32, "distinct_correct", MARGINS, 0.95, 0)
    assert point.base_temperature == 1.0
    assert point.questions["pass@1"].change.value == pytest.approx(-0.1, abs=0.02)
    assert not point.is_beyond


def test_an_identical_model_is_never_beyond_its_own_front() -> None:
    words = []
    for seed in range(12):
        points = [(1.0, 0.30, 0.90), (0.6, 0.40, 0.80), (0.3, 0.50, 0.60)]
        base, run = (
            Model(tuple(report(name, a, s, t, 100 * seed + 10 * at + side, 100) for at, (t, a, s) in enumerate(points)))
            for side, name in enumerate(("base", "run"))
        )
        words.append(verdict_of(run, base)["word"])
    assert "better" not in words


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    hits = 0
    for seed in range(60):
        rates = np.random.default_rng(seed).random(120) < 0.5
        reports = []
        for at, (temperature, accuracy) in enumerate([(1.0, 0.3), (0.5, 0.5), (1.0, 0.4)]):
            correct = np.random.default_rng([seed, at + 1]).binomial(N, np.where(rates, accuracy + 0.1, accuracy - 0.1))
            problems = [make_problem(i, N, int(c), 1.0) for i, c in enumerate(correct)]
            reports.append(make_report(str(at), N, problems, sampling={"temperature": temperature}, model=str(at)))
        (point,) = compare_with_front(
            Model((reports[0], reports[1])), Model((reports[2],)), 2, None, MARGINS, 0.95, seed
        )
        # Rates .4/.2, .6/.4 and .5/.3: at equal pass@1 the base has the mean of its two pass@2.
        passes = [1 - (1 - np.array([a + 0.1, a - 0.1])) ** 2 for a in (0.3, 0.5, 0.4)]
        truth = passes[2].mean() - (passes[0].mean() + passes[1].mean()) / 2
        change = point.questions["pass@k"].change
        hits += change.low <= truth <= change.high
    assert hits >= 53


def test_without_temperatures_on_record_there_is_no_front() -> None:
    unknown = Model(tuple({**each, "sampling": {}} for each in BASE.reports))
    assert compare_with_front(unknown, BASE, 32, None, MARGINS, 0.95, 0) == []


# Which evaluations are one model.


def write(folder: Path, content: dict[str, Any], fingerprint: str | None = None) -> None:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(content))
    if fingerprint:
        header = {"hash": "0", "config": {"model_fingerprint": fingerprint}}
        (folder / "config.json").write_text(json.dumps(header))


def test_a_directory_of_temperatures_is_one_model(tmp_path: Path) -> None:
    for temperature in (0.4, 1.0, 0.8):
        write(tmp_path / "base" / "eval" / f"t{temperature:g}", report("eval", 0.3, 0.9, temperature, 1, 9))
    for directory in (tmp_path / "base", tmp_path / "base" / "eval"):
        found = read_model(directory)
        assert (found.name, found.temperatures, found.main_temperature) == ("base", (1.0, 0.8, 0.4), 1.0)
    assert found.main(0.4)["sampling"]["temperature"] == 0.4
    assert read_model(tmp_path / "base" / "eval" / "t0.8").temperatures == (0.8,)
    with pytest.raises(StoreError):
        read_model(tmp_path)


def test_other_models_in_one_directory_are_refused(tmp_path: Path) -> None:
    for temperature, name in ((0.4, "a"), (1.0, "b")):
        write(tmp_path / f"t{temperature:g}", report(name, 0.3, 0.9, temperature, 1, 9))
    with pytest.raises(ConfigError, match="different models"):
        read_model(tmp_path)


def test_evaluations_of_one_model_are_joined_where_another_is_compared() -> None:
    base, cold, run = (Model((each,), ({},), (Path(),)) for each in (*BASE.reports[:2], report("x", 0.3, 0.9, 1.0, 1)))
    joined, runs = gather_models(base, [cold, run])
    assert joined.temperatures == (1.0, 0.6)
    assert [each.name for each in runs] == ["x t1"]
    # Where there is no other model, the temperatures are what is compared.
    alone, runs = gather_models(base, [cold])
    assert (alone.temperatures, len(runs)) == ((1.0,), 1)
    # Two evaluations at one temperature cannot both be it.
    again, runs = gather_models(base, [base, run])
    assert (again.temperatures, len(runs)) == ((1.0,), 2)


def test_fronts_of_unequal_n_are_compared_at_the_smaller() -> None:
    wide = report("run", 0.45, 0.85, 1.0, 3)
    for problem in wide["problems"]:
        problem.update(num_samples=2 * N, num_correct=2 * problem["num_correct"])
        problem["classes"] = {name: 2 * count for name, count in problem["classes"].items()}
    (point,) = compare_with_front(BASE, Model(({**wide, "n": 2 * N},)), 32, "distinct_correct", MARGINS, 0.95, 0)
    assert math.isfinite(point.questions["diversity"].change.value)
    assert point.questions["diversity"].run == pytest.approx(0.85 * 3, abs=0.1)
