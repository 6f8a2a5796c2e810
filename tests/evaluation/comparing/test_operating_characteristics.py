"""How often each word comes on simulated models of which the truth is known; the table is in docs/comparing.md."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "verdict_words.py"
REPETITIONS = 40

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]


@cache
def words(scenario: str, num_problems: int, n: int) -> Counter[str]:
    spec = importlib.util.spec_from_file_location("verdict_words", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["verdict_words"] = module
    spec.loader.exec_module(module)
    found: Counter[str] = module.count_words(scenario, num_problems, n, REPETITIONS, seed=1)
    return found


@pytest.mark.parametrize(("num_problems", "n"), [(30, 16), (30, 64), (200, 16), (500, 64)])
def test_a_model_is_hardly_ever_better_or_worse_than_itself(num_problems: int, n: int) -> None:
    found = words("identical", num_problems, n)
    assert found["no difference"] + found["not settled"] >= REPETITIONS - 2


@pytest.mark.parametrize(("num_problems", "n"), [(30, 16), (30, 64), (500, 16), (500, 64)])
def test_better_everywhere_with_a_little_less_coverage_is_never_bad(num_problems: int, n: int) -> None:
    found = words("better at every k, 5 % less coverage", num_problems, n)
    assert not {"collapsed", "narrower", "worse"} & {*found}
    if num_problems == 500:
        assert found["better and broader"] >= 0.9 * REPETITIONS


@pytest.mark.parametrize("n", [16, 64])
def test_mild_narrowing_with_a_gain_is_a_trade(n: int) -> None:
    assert words("mild narrowing", 500, n)["sharper"] >= 0.8 * REPETITIONS


@pytest.mark.parametrize("n", [16, 64])
def test_a_true_collapse_is_found(n: int) -> None:
    assert words("collapse", 500, n)["collapsed"] >= 0.9 * REPETITIONS
    # On few problems it is called less, or nothing, but never good.
    assert not {"better", "better and broader", "broader", "no difference"} & {*words("collapse", 30, n)}
