"""The sampling loop against plain forward passes over whole sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from rlkit.evaluation.engines.generation import Draws, draw_rows
from rlkit.evaluation.engines.truncation import draw, sampling_probabilities
from rlkit.evaluation.sampling import SamplingConfig

END = 1
PROMPTS = [[2, 3, 4], [5], [9, 8, 7, 6, 5]]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def noise_of(num_rows: int, num_steps: int = 64) -> np.ndarray:
    return np.random.default_rng(0).random((num_rows, num_steps))


def run(
    model: LlamaForCausalLM, prompt_of: list[int], limits: list[int], noise: np.ndarray, **settings: float
) -> Draws:
    return draw_rows(model, PROMPTS, prompt_of, limits, lambda step: noise[:, step], SamplingConfig(**settings), [END])


@torch.inference_mode()
def draw_slowly(
    model: LlamaForCausalLM, prompt: list[int], limit: int, uniforms: np.ndarray, sampling: SamplingConfig
) -> tuple[list[int], float, float]:
    """Draw one row by a full forward pass a token: no cache, no batch, no padding."""
    tokens, logp_sum, entropy_sum = [], 0.0, 0.0
    for step in range(limit):
        logits = model(torch.tensor([prompt + tokens])).logits[:, -1].double()
        token = int(draw(sampling_probabilities(logits.float(), sampling), torch.tensor([uniforms[step]])))
        logps = torch.log_softmax(logits, -1)[0]
        tokens.append(token)
        logp_sum += float(logps[token])
        entropy_sum -= float((logps.exp() * logps).sum())
        if token == END:
            break
    return tokens, logp_sum, entropy_sum


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.02}])
def test_batched_rows_equal_rows_drawn_one_by_one(model: LlamaForCausalLM, settings: dict[str, float]) -> None:
    prompt_of = [0] * 8 + [1] * 8 + [2] * 8
    limits = [30, 3, 12, 30] * 6
    noise = noise_of(24)
    drawn = run(model, prompt_of, limits, noise, **settings)
    for row, (prompt, limit) in enumerate(zip(prompt_of, limits, strict=True)):
        expected = draw_slowly(model, PROMPTS[prompt], limit, noise[row], SamplingConfig(**settings))
        assert drawn.tokens[row] == expected[0]
        assert drawn.logp_sums[row] == pytest.approx(expected[1], abs=1e-4)
        assert drawn.entropy_sums[row] == pytest.approx(expected[2], abs=1e-4)
        assert drawn.stopped[row] == (expected[0][-1] == END)


def test_some_rows_end_early_and_some_are_cut(model: LlamaForCausalLM) -> None:
    drawn = run(model, [0, 1, 2] * 10, [12] * 30, noise_of(30))
    lengths = [len(ids) for ids in drawn.tokens]
    assert 0 < sum(drawn.stopped) < 30
    assert len(set(lengths)) > 3
    assert all(length == 12 for length, stopped in zip(lengths, drawn.stopped, strict=True) if not stopped)


def test_greedy_is_the_most_likely_token_each_time(model: LlamaForCausalLM) -> None:
    (tokens,) = run(model, [2], [10], noise_of(1), temperature=0.0).tokens
    with torch.inference_mode():
        logits = model(torch.tensor([PROMPTS[2] + tokens])).logits[0, len(PROMPTS[2]) - 1 : -1]
    assert tokens == logits.argmax(-1).tolist()


def test_a_stop_text_ends_a_row_as_an_end_token_does(model: LlamaForCausalLM) -> None:
    noise = noise_of(12)
    drawn = draw_rows(
        model, PROMPTS, [0] * 12, [20] * 12, lambda step: noise[:, step], SamplingConfig(), [END], lambda ids: 4 in ids
    )
    for ids, stopped in zip(drawn.tokens, drawn.stopped, strict=True):
        assert 4 not in ids[:-1]
        assert stopped == (ids[-1] in (4, END))
