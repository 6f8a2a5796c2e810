"""Families of cells: each against the estimator or a second way to the same number, with what is undefined counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlkit.estimators import (
    bayes_pass_at_k,
    best_of_eligible,
    cover_at_tau,
    g_pass_at_k,
    majority_vote,
    mg_pass_at_k,
    pass_at_k,
    pass_hat_k,
)
from rlkit.evaluation.metrics.cells import k_grid, pass_at_k_cells
from rlkit.evaluation.metrics.curves import (
    COVER_TAUS,
    G_PASS_TAUS,
    bayes_pass_at_k_cells,
    best_of_k_cells,
    cover_at_tau_cells,
    cover_posterior_at_tau_cells,
    g_pass_at_k_cells,
    keep_votes,
    maj_at_k_cells,
    maj_at_k_columns,
    maj_at_k_votes,
    mg_pass_at_k_cells,
    pass_hat_k_cells,
)
from rlkit.evaluation.metrics.extrapolation import extrapolate
from rlkit.evaluation.metrics.problems import ProblemCounts, count_problems, describe_problems


def maj_cells(problems: list[dict[str, Any]], ks: list[int]) -> dict[str, Any]:
    return maj_at_k_cells(maj_at_k_votes(problems, ks), ks)


NUM_PROBLEMS, N = 60, 16
KS = k_grid(N)


@pytest.fixture(scope="module")
def counts() -> list[ProblemCounts]:
    """Sixty problems of 16 samples, answers of uneven frequency, some none; one letter is right, or none is."""
    rng = np.random.default_rng(0)
    rows = [{"id": f"p{i}", "prompt": "?"} for i in range(NUM_PROBLEMS)]
    records = []
    for row in rows:
        shares = rng.dirichlet(np.full(5, 0.7))
        solvable = rng.random() < 0.8
        for number in range(N):
            answer = "ABCD "[rng.choice(5, p=shares)].strip() or None
            fields = {"prompt_id": row["id"], "sample": number, "num_tokens": int(rng.integers(1, 9))}
            fields |= {"logp_sum": -float(rng.gamma(3.0)), "entropy_mean": None, "finish_reason": "stop"}
            records.append({**fields, "correct": solvable and answer == "A", "answer": answer, "label": "x"})
    return count_problems(rows, records)


@pytest.fixture(scope="module")
def problems(counts: list[ProblemCounts]) -> list[dict[str, Any]]:
    return describe_problems(counts)


def means(cells: dict[str, dict[str, Any]]) -> list[float]:
    return [cell["value"] for cell in cells.values()]


def test_cells_are_means_of_the_estimators(problems: list[dict[str, Any]]) -> None:
    c = np.array([problem["num_correct"] for problem in problems])[:, None]
    assert means(pass_hat_k_cells(problems, KS)) == pytest.approx(np.mean(pass_hat_k(N, c, KS), axis=0))
    assert means(mg_pass_at_k_cells(problems, KS)) == pytest.approx(np.mean(mg_pass_at_k(N, c, KS), axis=0))
    assert means(bayes_pass_at_k_cells(problems, KS)) == pytest.approx(np.mean(bayes_pass_at_k(N, c, KS), axis=0))
    families = g_pass_at_k_cells(problems, KS)
    assert [*families] == [str(k) for k in KS]
    for at, k in enumerate(KS):
        expected = [np.mean(g_pass_at_k(N, c[:, 0], k, tau)) for tau in G_PASS_TAUS]
        assert [*families[str(k)]] == ["0.25", "0.5", "0.75", "1"]
        assert means(families[str(k)]) == pytest.approx(expected)
        assert families[str(k)]["1"]["value"] == pytest.approx(means(pass_hat_k_cells(problems, KS))[at])


def test_cells_hold_intervals_around_their_means(problems: list[dict[str, Any]]) -> None:
    families = [
        pass_hat_k_cells(problems, KS),
        maj_at_k_cells(maj_at_k_votes(problems, KS), KS),
        cover_at_tau_cells(problems),
    ]
    for cell in [cell for family in families for cell in family.values()]:
        assert 0 <= cell["low"] <= cell["value"] <= cell["high"] <= 1
        assert cell["num_defined"] == cell["num_total"] == NUM_PROBLEMS


def test_cover_falls_with_the_threshold_and_starts_at_any_success(problems: list[dict[str, Any]]) -> None:
    cover, posterior = cover_at_tau_cells(problems), cover_posterior_at_tau_cells(problems)
    assert [*map(float, cover)] == [*COVER_TAUS]
    assert cover["0"]["value"] == np.mean([problem["num_correct"] > 0 for problem in problems])
    assert cover["0"]["value"] == pass_at_k_cells(problems, [N])[str(N)]["value"]
    c = np.array([problem["num_correct"] for problem in problems])
    assert cover["0.25"]["value"] == pytest.approx(np.mean(cover_at_tau(N, c, 0.25)))
    for family in (cover, posterior):
        assert np.all(np.diff(means(family)) <= 0)
    assert not {"0", "1"} & {*posterior}
    assert posterior["0.25"]["value"] == pytest.approx(cover["0.25"]["value"], abs=0.15)


def test_votes_are_on_answers_with_those_without_one_abstaining(problems: list[dict[str, Any]]) -> None:
    votes = maj_at_k_votes(problems, KS)
    cells = maj_at_k_cells(votes, KS)
    for problem, vote in zip(problems, votes, strict=True):
        answers = {key: pair for key, pair in problem["answers"].items() if key}
        flags = [correct > 0 for _, correct in answers.values()]
        sizes = [count for count, _ in answers.values()]
        expected = majority_vote(sizes, flags, KS, problem["answers"].get("", [0, 0])[0]).values_K
        np.testing.assert_allclose(vote.values_K, expected)
    kept = [dict(problem) for problem in problems]
    keep_votes(kept, votes, KS)
    for each in (problems, kept):
        np.testing.assert_array_equal(maj_at_k_columns(each, KS), [vote.values_K for vote in votes])
    passes = pass_at_k_cells(problems, KS)
    assert cells["1"]["value"] == pytest.approx(passes["1"]["value"])
    assert all(cells[str(k)]["value"] <= passes[str(k)]["value"] + 1e-12 for k in KS)
    assert {cell["simulation_error"] for cell in cells.values()} == {0.0}


def test_best_of_k_by_the_model_s_own_confidence(counts: list[ProblemCounts], problems: list[dict[str, Any]]) -> None:
    families = best_of_k_cells([each.samples for each in counts], KS)
    assert [*families] == ["logp_mean", "logp_sum", "surprisal_mean", "surprisal_sum"]
    expected = []
    for each in counts:
        logps = np.array(each.samples.logp_sum) / np.array(each.samples.num_tokens)
        eligible = np.array(each.samples.is_eligible, dtype=bool)
        if eligible.any():
            expected.append(best_of_eligible(logps, each.samples.is_correct, KS, eligible))
    assert means(families["logp_mean"]) == pytest.approx(np.mean(expected, axis=0))
    assert families["logp_mean"]["1"]["num_defined"] == len(expected)
    passes = pass_at_k_cells(problems, [1])
    if len(expected) == NUM_PROBLEMS:
        assert families["logp_sum"]["1"]["value"] == pytest.approx(passes["1"]["value"])


def test_extrapolation_stands_beside_the_estimate_and_goes_on(problems: list[dict[str, Any]]) -> None:
    found, passes = extrapolate(problems, N), pass_at_k_cells(problems, KS)
    assert (found["model"], found["num_samples"]) == ("beta_binomial", N)
    assert [*found["pass_at_k"]] == [str(k) for k in (*KS, 32, 64, 128)]
    for k in KS:
        assert found["pass_at_k"][str(k)]["value"] == pytest.approx(passes[str(k)]["value"], abs=0.05)
    assert np.all(np.diff(means(found["pass_at_k"])) > 0)
    # An interval of the model would not hold the truth: see `extrapolate`.
    assert {(cell["low"], cell["high"]) for cell in found["pass_at_k"].values()} == {(None, None)}


def test_extrapolation_from_nothing_is_undefined(problems: list[dict[str, Any]]) -> None:
    for some in ([], [{**problem, "num_correct": 0} for problem in problems]):
        found = extrapolate(some, N)
        assert (found["a"], found["b"]) == (None, None)
        assert all(cell["value"] is None and cell["num_defined"] == 0 for cell in found["pass_at_k"].values())


def test_budgets_above_the_samples_are_undefined_not_solved(problems: list[dict[str, Any]]) -> None:
    ks = [N, 2 * N]
    families = [pass_hat_k_cells(problems, ks), mg_pass_at_k_cells(problems, ks), maj_cells(problems, ks)]
    families += [{str(k): cells["0.5"] for k, cells in g_pass_at_k_cells(problems, ks).items()}]
    for cells in families:
        assert cells[str(N)]["num_defined"] == NUM_PROBLEMS
        beyond = cells[str(2 * N)]
        assert (beyond["value"], beyond["num_defined"]) == (None, 0)


def test_no_samples_at_all_are_undefined_everywhere() -> None:
    counts = count_problems([{"id": "a", "prompt": "?"}, {"id": "b", "prompt": "?"}], [])
    problems = describe_problems(counts)
    assert problems[0]["pass_rate_low"] is None
    families = [family(problems, [1, 2]) for family in (pass_hat_k_cells, mg_pass_at_k_cells, maj_cells)]
    families += [bayes_pass_at_k_cells(problems, [1, 2]), cover_at_tau_cells(problems)]
    families += [cover_posterior_at_tau_cells(problems), *g_pass_at_k_cells(problems, [1, 2]).values()]
    families += [*best_of_k_cells([each.samples for each in counts], [1, 2]).values()]
    for cell in [cell for family in families for cell in family.values()]:
        assert cell["value"] is None
        assert (cell["num_defined"], cell["num_total"]) == (0, 2)
    assert bayes_pass_at_k_cells(problems, [1])["1"]["sd"] is None
    assert maj_cells(problems, [1])["1"]["simulation_error"] is None


def test_posterior_means_lie_beside_the_unbiased_ones(problems: list[dict[str, Any]]) -> None:
    cells = bayes_pass_at_k_cells(problems, [1, 2])
    c = np.array([problem["num_correct"] for problem in problems])
    assert cells["2"]["value"] == pytest.approx(np.mean(pass_at_k(N, c, 2)), abs=0.05)
    assert 0 < cells["2"]["sd"] < 0.1
    for family in (cells, cover_posterior_at_tau_cells(problems)):
        assert {(cell["low"], cell["high"]) for cell in family.values()} == {(None, None)}
