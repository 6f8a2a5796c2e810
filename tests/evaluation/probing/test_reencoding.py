"""Texts back to tokens: ends, stop texts, spelled otherwise, and what is counted as left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rlkit.evaluation.probing.reencoding import encode_samples, is_same, summarise_reencoding
from tests.evaluation.conftest import WORDS

ROWS = [{"id": "p", "prompt": "a b"}]
A, B, C = (WORDS.index(word) for word in "abc")
END = WORDS.index("<end>")


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_model)


def record(completion: str, num_tokens: int, finish_reason: str = "stop", **others: Any) -> dict[str, Any]:
    return {
        "prompt_id": "p",
        "completion": completion,
        "num_tokens": num_tokens,
        "finish_reason": finish_reason,
        **others,
    }


def tokens_of(tokenizer: PreTrainedTokenizerBase, stop: tuple[str, ...] = (), **fields: Any) -> list[int] | None:
    found = encode_samples(tokenizer, [END], ROWS, [[A, B]], [record(**fields)], stop)
    return found[0].completion_ids if found else None


def test_a_completion_that_ended_gets_its_end_token_and_a_cut_one_does_not(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokens_of(tokenizer, completion="c a", num_tokens=3) == [C, A, END]
    assert tokens_of(tokenizer, completion="c a", num_tokens=2, finish_reason="length") == [C, A]
    assert tokens_of(tokenizer, completion="", num_tokens=1) == [END]


def test_a_stop_text_is_put_back(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokens_of(tokenizer, (" b c",), completion="a", num_tokens=3) == [A, B, C]
    assert tokens_of(tokenizer, (" b c",), completion="a", num_tokens=2) == [A, END]


def test_what_encodes_to_another_number_of_tokens_is_left_out(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokens_of(tokenizer, completion="c", num_tokens=5) is None
    assert tokens_of(tokenizer, completion="", num_tokens=0, finish_reason="length") is None


def test_a_log_probability_tells_other_tokens_of_the_same_number() -> None:
    logps = np.full(4, -1.0, dtype=np.float32)
    assert is_same(record("c", 4, logp_sum=-4.19), logps)
    assert not is_same(record("c", 4, logp_sum=-4.21), logps)
    assert is_same(record("c", 4, logp_sum=None), logps)


def test_every_sample_is_in_one_count() -> None:
    logps = np.full(4, -1.0, dtype=np.float32)
    scored = [(record("c", 4, logp_sum=value), logps) for value in (-4.0, -4.1, -9.0, None)]
    found = summarise_reencoding(6, scored, 4)
    assert {name: found[name] for name in ("num_used", "num_other_length", "num_other_logp", "num_unchecked")} == {
        "num_used": 3,
        "num_other_length": 2,
        "num_other_logp": 1,
        "num_unchecked": 1,
    }
    assert found["share_left_out"] == 0.5
    assert found["logp_difference"]["largest"] == pytest.approx(0.1)


def test_a_tokenizer_that_marks_the_beginning_of_a_text_encodes_prompt_and_completion_together() -> None:
    vocabulary = {"\u2581": 0, "a": 1, "b": 2, "<end>": 3, "ab": 4, "bb": 5}
    backend = Tokenizer(models.BPE(vocabulary, [("a", "b"), ("b", "b")]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    marking = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    assert marking("b")["input_ids"] == [0, 2]

    def tokens(prompt: str, completion: str, num_tokens: int) -> list[int] | None:
        rows = [{"id": "p", "prompt": prompt}]
        prompts = [marking(prompt)["input_ids"]]
        found = encode_samples(marking, [3], rows, prompts, [record(completion, num_tokens, "length")], ())
        return found[0].completion_ids if found else None

    assert tokens("b a", "a", 1) == [1]
    assert tokens("b", "ab", 1) == [4]
    # "a" and "b" drawn apart, where the tokenizer merges them: two other tokens, which only their log-prob gives away.
    assert tokens("b", "ab", 2) == [0, 4]
