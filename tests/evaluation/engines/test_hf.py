"""The transformers engine: reproducible whatever the batches, honest about log-probs, memory and bad prompts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlkit.errors import ConfigError
from rlkit.evaluation import Sample, SamplingConfig
from rlkit.evaluation.engines.contract import Engine, resolve_engine
from rlkit.evaluation.engines.hf import HfEngine, _Loaded
from rlkit.types import Row
from tests.evaluation.conftest import FirstLetter, build_tiny_model

SAMPLING = SamplingConfig(max_tokens=20, seed=1)


def draw_all(
    model: Path,
    rows: list[Row],
    n: int,
    sampling: SamplingConfig = SAMPLING,
    done: frozenset[tuple[str, int]] = frozenset(),
    **settings: object,
) -> dict[tuple[str, int], Sample]:
    batches = HfEngine(**settings).sample(str(model), rows, n, sampling, done)
    samples = [sample for batch in batches for sample in batch]
    assert len({sample.key for sample in samples}) == len(samples)
    return {sample.key: sample for sample in samples}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return FirstLetter().load("test")


@pytest.fixture(scope="module")
def samples(tiny_model: Path, rows: list[Row]) -> dict[tuple[str, int], Sample]:
    return draw_all(tiny_model, rows, 6)


def assert_same(one: dict[tuple[str, int], Sample], other: dict[tuple[str, int], Sample]) -> None:
    assert one.keys() == other.keys()
    for key, sample in one.items():
        assert sample.completion == other[key].completion
        assert sample.logp_sum == pytest.approx(other[key].logp_sum, abs=1e-4)


def test_every_sample_of_every_prompt(samples: dict[tuple[str, int], Sample], rows: list[Row]) -> None:
    assert samples.keys() == {(row["id"], number) for row in rows for number in range(6)}


def test_samples_do_not_depend_on_batches_or_on_how_many_are_asked_for(
    tiny_model: Path, rows: list[Row], samples: dict[tuple[str, int], Sample]
) -> None:
    assert_same(samples, draw_all(tiny_model, rows, 6, batch_tokens=70))
    assert_same({key: samples[key] for key in samples if key[1] < 2}, draw_all(tiny_model, rows, 2))


def test_the_seed_decides(tiny_model: Path, rows: list[Row], samples: dict[tuple[str, int], Sample]) -> None:
    other = draw_all(tiny_model, rows, 6, SamplingConfig(max_tokens=20, seed=2))
    assert {key: s.completion for key, s in samples.items()} != {key: s.completion for key, s in other.items()}
    assert len({sample.completion for sample in samples.values()}) > 10


def test_batches_that_are_done_are_not_drawn(
    tiny_model: Path, rows: list[Row], samples: dict[tuple[str, int], Sample]
) -> None:
    missing = ("test-0", 3)
    again = draw_all(tiny_model, rows, 6, done=frozenset(samples.keys() - {missing}), batch_tokens=63)
    assert missing in again
    assert len(again) <= 3
    assert again[missing].completion == samples[missing].completion


def test_books_agree_with_a_forward_pass(
    tiny_model: Path, rows: list[Row], samples: dict[tuple[str, int], Sample]
) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    prompts = {row["id"]: tokenizer(row["prompt"])["input_ids"] for row in rows}
    checked = 0
    for sample in samples.values():
        ids = tokenizer(sample.completion)["input_ids"] + [1]
        if sample.finish_reason != "stop" or len(ids) != sample.num_tokens:
            continue  # the text does not give back skipped special tokens in the middle
        prompt = prompts[sample.prompt_id]
        with torch.inference_mode():
            logps = torch.log_softmax(model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1], -1)
        assert sample.logp_sum == pytest.approx(float(logps[range(len(ids)), ids].sum()), abs=1e-4)
        assert sample.entropy_mean == pytest.approx(float(-(logps.exp() * logps).sum(-1).mean()), abs=1e-4)
        checked += 1
    assert checked > 10


def test_the_context_cuts_what_max_tokens_would_not(tmp_path: Path, rows: list[Row]) -> None:
    model = build_tiny_model(tmp_path, context=10)
    drawn = draw_all(model, rows, 20, SamplingConfig(max_tokens=10_000)).values()
    cut = [sample for sample in drawn if sample.finish_reason == "length"]
    lengths = {row["id"]: len(row["prompt"].split()) for row in rows}
    assert cut
    assert all(sample.num_tokens + lengths[sample.prompt_id] == 10 for sample in cut)


def test_stop_texts_end_completions_and_are_not_part_of_them(tiny_model: Path, rows: list[Row]) -> None:
    drawn = draw_all(tiny_model, rows, 6, SamplingConfig(max_tokens=20, seed=1, stop=("b", "c d"))).values()
    assert all("b" not in sample.completion and "c d" not in sample.completion for sample in drawn)
    assert any(sample.finish_reason == "stop" and sample.num_tokens > 1 for sample in drawn)


def test_running_out_of_memory_halves_the_batch(
    tiny_model: Path, rows: list[Row], samples: dict[tuple[str, int], Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = _Loaded._draw

    def draw_small_batches_only(self: _Loaded, batch: list, *others: object) -> object:
        if sum(span.count for span in batch) > 4:
            raise torch.OutOfMemoryError("simulated: needs a GPU to happen")
        return draw(self, batch, *others)

    monkeypatch.setattr(_Loaded, "_draw", draw_small_batches_only)
    assert_same(samples, draw_all(tiny_model, rows, 6))


def test_chat_prompts_need_a_chat_template(tiny_model: Path) -> None:
    rows = [{"id": "x", "prompt": [{"role": "user", "content": "a b"}]}]
    with pytest.raises(ConfigError, match="no chat template"):
        draw_all(tiny_model, rows, 1)


def test_prompts_without_tokens_or_room_are_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="has no tokens"):
        draw_all(tiny_model, [{"id": "x", "prompt": ""}], 1)
    with pytest.raises(ConfigError, match="48 tokens, but the model's context is 48"):
        draw_all(tiny_model, [{"id": "x", "prompt": "a " * 48}], 1)


def test_a_damaged_model_directory_is_one_sentence(tmp_path: Path, rows: list[Row]) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="does not load"):
        draw_all(tmp_path, rows, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_sentence(tiny_model: Path, rows: list[Row]) -> None:
    with pytest.raises(ConfigError, match="this machine has no GPU"):
        draw_all(tiny_model, rows, 1, device="cuda")


def test_engines_are_named_like_other_plug_ins() -> None:
    assert resolve_engine({"name": "hf", "batch_tokens": 100}) == HfEngine(batch_tokens=100)
    assert isinstance(HfEngine(), Engine)
    for spec, said in (
        ({"name": "hf", "dtype": "fp32"}, "dtype='fp32'.*float32"),
        ({"name": "hf", "dtype": ["float32"]}, "was given dtype="),
        ({"name": "hf", "batch_tokens": True}, "at least 1"),
        ({"name": "hf", "batch_tokens": 8.0}, "whole number"),
        ({"name": "hf", "device": 0}, "write cpu, cuda"),
        ({"name": "hf", "batch_tokens": 0}, "at least 1"),
        ({"name": "hf", "device": "gpu"}, "write cpu, cuda"),
    ):
        with pytest.raises(ConfigError, match=said):
            resolve_engine(spec)
    with pytest.raises(LookupError, match="Did you mean 'vllm'"):
        resolve_engine("vlm")
    with pytest.raises(LookupError, match="without check"):
        resolve_engine(object())
