"""The distribution tokens are drawn from, against definitions written out, and the drawing itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlkit.evaluation.engines.truncation import draw, sampling_probabilities
from rlkit.evaluation.sampling import SamplingConfig

PROBABILITIES = [0.4, 0.1, 0.3, 0.15, 0.05]
LOGITS = torch.tensor([PROBABILITIES]).log()


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({}, PROBABILITIES),
        ({"temperature": 2.0}, [math.sqrt(p) for p in PROBABILITIES]),
        ({"top_k": 2}, [0.4, 0, 0.3, 0, 0]),
        ({"top_k": 9}, PROBABILITIES),
        ({"top_p": 0.7}, [0.4, 0, 0.3, 0, 0]),
        ({"top_p": 0.71}, [0.4, 0, 0.3, 0.15, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0, 0]),
        ({"min_p": 0.3}, [0.4, 0, 0.3, 0.15, 0]),
        ({"top_k": 3, "top_p": 0.8}, [0.4, 0, 0.3, 0, 0]),
        ({"temperature": 0.0}, [1, 0, 0, 0, 0]),
    ],
)
def test_distribution_by_definition(settings: dict[str, float], weights: list[float]) -> None:
    expected = np.array(weights) / sum(weights)
    actual = sampling_probabilities(LOGITS, SamplingConfig(**settings))[0].numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_rows_are_independent() -> None:
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0))
    sampling = SamplingConfig(temperature=0.7, top_k=5, top_p=0.9, min_p=0.05)
    whole = sampling_probabilities(logits, sampling)
    each = torch.cat([sampling_probabilities(row[None], sampling) for row in logits])
    torch.testing.assert_close(whole, each)
    torch.testing.assert_close(whole.sum(-1), torch.ones(6))


def test_draws_have_the_frequencies_asked_for() -> None:
    uniforms = torch.from_numpy(np.random.default_rng(0).random(50_000))
    tokens = draw(torch.tensor([PROBABILITIES]).expand(50_000, -1), uniforms)
    np.testing.assert_allclose(np.bincount(tokens, minlength=5) / 50_000, PROBABILITIES, atol=0.008)


def test_a_token_of_no_probability_is_never_drawn() -> None:
    probabilities = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).expand(3, -1)
    assert draw(probabilities, torch.tensor([0.0, 0.5, 1.0 - 1e-16], dtype=torch.float64)).tolist() == [1, 3, 3]


def test_the_tail_of_a_large_vocabulary_keeps_its_mass() -> None:
    probabilities = torch.full((1, 200_001), 2.5e-8)
    probabilities[0, 0] = 1 - 2.5e-8 * 200_000
    uniforms = torch.linspace(0, 1, 2001, dtype=torch.float64)[:-1]
    tokens = draw(probabilities.expand(2000, -1), uniforms)
    assert (tokens > 0).double().mean().item() == pytest.approx(2.5e-8 * 200_000, abs=1e-3)
