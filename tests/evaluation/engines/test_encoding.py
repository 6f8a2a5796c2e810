"""Prompts to token ids and back: plain and chat, end tokens, stop texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.encoding import (
    context_length,
    decode_completions,
    encode_prompts,
    end_token_ids,
    load_error,
    load_tokenizer,
)

TEMPLATE = "{% for m in messages %}{{ m['content'] }} {% endfor %}{% if add_generation_prompt %}h{% endif %}"


@pytest.fixture
def tokenizer(tiny_model: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_model)


def test_plain_prompts_are_encoded_as_they_are(tokenizer: PreTrainedTokenizerBase) -> None:
    assert encode_prompts(tokenizer, [{"id": "x", "prompt": "a b h"}], 48) == [[2, 3, 9]]


def test_chat_prompts_go_through_the_template_and_ask_for_an_answer(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = [{"id": "x", "prompt": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]}]
    with pytest.raises(ConfigError, match="has no chat template"):
        encode_prompts(tokenizer, rows, 48)
    tokenizer.chat_template = TEMPLATE
    assert encode_prompts(tokenizer, rows, 48) == [[2, 3, 9]]


def test_texts_are_cut_at_the_first_stop_and_hold_no_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = [[2, 3, 4, 1], [4, 3, 2, 1], [1], [0, 2]]
    assert decode_completions(tokenizer, tokens, ()) == ["a b c", "c b a", "", "a"]
    assert decode_completions(tokenizer, tokens, ("c", "b")) == ["a ", "", "", "a"]


@pytest.mark.parametrize(("stated", "ids"), [(None, [1]), (1, [1]), (7, [1, 7]), ([9, 7], [1, 7, 9])])
def test_every_end_token_counts(tokenizer: PreTrainedTokenizerBase, stated: object, ids: list[int]) -> None:
    assert end_token_ids(tokenizer, stated) == ids


def test_the_context_is_the_model_s_own() -> None:
    assert context_length(LlamaConfig(max_position_embeddings=77)) == 77


def test_what_does_not_load_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not load"):
        load_tokenizer(str(tmp_path))
    assert "no directory, not bundled" in str(load_error("org/name", OSError("offline\nmore lines")))
    assert "more lines" not in str(load_error("org/name", OSError("offline\nmore lines")))
