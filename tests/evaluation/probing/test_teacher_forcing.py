"""Reading in chunks over a cache against one plain forward pass a text; last states against the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from rlkit.evaluation.engines.truncation import sampling_probabilities
from rlkit.evaluation.probing.reencoding import Scorable
from rlkit.evaluation.probing.states import last_states, rank_section
from rlkit.evaluation.probing.teacher_forcing import read_completions
from rlkit.evaluation.probing.token_measure import TokenMeasure
from rlkit.evaluation.sampling import SamplingConfig


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def samples() -> list[Scorable]:
    rng = np.random.default_rng(0)
    lengths = [(1, 1), (3, 20), (7, 2), (12, 9), (2, 1), (1, 30), (5, 5)]
    return [Scorable({}, rng.integers(2, 10, p).tolist(), rng.integers(1, 10, c).tolist()) for p, c in lengths]


def whole_logits(model: PreTrainedModel, sample: Scorable) -> torch.Tensor:
    with torch.no_grad():
        logits = model(torch.tensor([sample.prompt_ids + sample.completion_ids])).logits[0]
    return logits[len(sample.prompt_ids) - 1 : -1]


@pytest.mark.parametrize(("batch_tokens", "chunk_entries"), [(None, None), (40, None), (200, 30), (1, 1)])
def test_chunks_and_batches_equal_one_pass_a_text(
    model: PreTrainedModel, samples: list[Scorable], batch_tokens: int | None, chunk_entries: int | None
) -> None:
    sampling = SamplingConfig(temperature=0.8, top_p=0.9)
    batches = read_completions(
        [model], samples, TokenMeasure(sampling), batch_tokens=batch_tokens, chunk_entries=chunk_entries
    )
    found = dict(pair for batch in batches for pair in batch)
    assert found.keys() == set(range(len(samples)))
    for index, sample in enumerate(samples):
        logits = whole_logits(model, sample)
        logps = torch.log_softmax(logits, dim=-1)
        tokens = torch.tensor(sample.completion_ids)[:, None]
        drawn = sampling_probabilities(logits, sampling)
        for name, expected in {
            "logps": logps.gather(-1, tokens)[:, 0],
            "entropies": -(logps.exp() * logps).sum(-1),
            "top_mass": torch.ones(len(tokens)),
            "sampling_logps": drawn.gather(-1, tokens)[:, 0].log(),
            "sampling_entropies": torch.special.entr(drawn).sum(-1),
        }.items():
            np.testing.assert_allclose(found[index][name], expected.numpy(), atol=2e-5, err_msg=name)


def test_two_models_are_read_side_by_side(model: PreTrainedModel, samples: list[Scorable]) -> None:
    batches = read_completions([model, model], samples, TokenMeasure(), chunk_entries=50)
    for _, values in (pair for batch in batches for pair in batch):
        np.testing.assert_array_equal(values["logps"], values["other_logps"])
        assert values["kl"].max() == 0.0
        assert "sampling_logps" not in values


def test_last_states_are_those_of_an_unpadded_pass(model: PreTrainedModel, samples: list[Scorable]) -> None:
    prompts = [sample.prompt_ids for sample in samples]
    states = last_states(model, prompts, batch_tokens=20)
    for state, prompt in zip(states, prompts, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([prompt]), output_hidden_states=True).hidden_states[-1][0, -1]
        np.testing.assert_allclose(state, expected.numpy(), atol=1e-5)


def test_the_rank_section_says_what_limits_it() -> None:
    rng = np.random.default_rng(0)
    few, many = (rng.normal(size=(size, 16)).astype(np.float32) for size in (8, 400))
    assert "8 prompts for states of width 16" in rank_section(few, None)["caution"]
    found = rank_section(many, few)
    assert found["caution"] is None
    assert found["base"]["rank_me"] <= 8.01
    assert 15.0 < found["model"]["rank_me"] <= 16.01
    assert found["model"]["rank_me_covariance"] < found["model"]["rank_me"]
