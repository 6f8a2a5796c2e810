"""Rows become the tokens that sampling would meet: seam, end token, chat template, length."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError
from rlkit.tasks.demonstrations import Demonstration
from rlkit.trainers.sft.encoding import Encoder, fit_lengths, make_examples, pack_examples
from tests.trainers.sft.rows import encode, list_rows
from tests.trainers.tiny import build_tokenizer

TEMPLATE = (
    "{% for m in messages %}{{ '( ' if m.role == 'user' else ') ' }}{{ m.content }} "
    "{{ '<eos> ' if m.role == 'assistant' else '' }}{% endfor %}{% if add_generation_prompt %}{{ ') ' }}{% endif %}"
)


def encoder(tokenizer=None):
    tokenizer = tokenizer or build_tokenizer()
    return Encoder(tokenizer, frozenset([tokenizer.eos_token_id]), {})


def words(ids):
    return build_tokenizer().convert_ids_to_tokens(ids)


@pytest.mark.parametrize("answer", ["3 + 5", " 3 + 5", "3 + 5 <eos>"])
def test_a_text_answer_begins_with_its_own_token_and_ends_once(answer):
    (row,) = encoder().encode([Demonstration("1 2", answer)])
    assert words(row.prompt_ids) == ["1", "2"]
    assert words(row.completion_ids) == ["3", "+", "5", "<eos>"]


def chat(answer):
    tokenizer = build_tokenizer()
    tokenizer.chat_template = TEMPLATE
    return encoder(tokenizer).encode([Demonstration([{"role": "user", "content": "1 2"}], answer)])[0]


@pytest.mark.parametrize("answer", ["3 + 5", [{"role": "assistant", "content": "3 + 5"}]])
def test_an_answer_to_a_chat_follows_the_generation_prompt_and_ends_once(answer):
    row = chat(answer)
    assert words(row.prompt_ids) == ["(", "1", "2", ")"]
    assert words(row.completion_ids) == ["3", "+", "5", "<eos>"]


def test_a_chat_without_a_template_and_a_tokenizer_without_an_end_are_refused():
    with pytest.raises(ConfigError, match="no chat template"):
        encoder().encode([Demonstration([{"role": "user", "content": "1"}], "3", place="row 1")])
    tokenizer = build_tokenizer()
    ends = frozenset([tokenizer.eos_token_id])
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match="no end token"):
        Encoder(tokenizer, ends, {}).encode([Demonstration("1", "3")])


def test_only_the_answer_is_learnt_and_its_end_too():
    examples = make_examples(encoder().encode([Demonstration("1 2", "3 + 5", weight=-0.5)]))
    assert [label != -100 for label in examples["labels"][0]] == [False, False, True, True, True, True]
    assert examples["weights"] == [[0.5]]


def test_rows_too_long_are_refused_or_counted_and_never_cut(capsys):
    rows = encode(list_rows())
    limit = 8
    long = [row for row in rows if row.length > limit]
    with pytest.raises(ConfigError, match=f"{len(long)} of the 8 rows of data are longer than 8 tokens"):
        fit_lengths(rows, limit, "refuse")
    assert fit_lengths(rows, limit, "drop") == [row for row in rows if row.length <= limit]
    assert f"{len(long)} of the 8 rows" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="8 of the 8"):
        fit_lengths(rows, 1, "drop")
    assert fit_lengths(rows, None, "refuse") == rows


def test_packing_keeps_every_row_whole_and_leaves_little_room():
    rows = encode(list_rows(40))
    packed = pack_examples(rows, 20)
    assert sum(map(len, packed["seq_lengths"])) == len(rows)
    cut = []
    for ids, lengths in zip(packed["input_ids"], packed["seq_lengths"], strict=True):
        assert sum(lengths) == len(ids) <= 20
        starts = [sum(lengths[:at]) for at in range(len(lengths))]
        cut += [ids[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    assert sorted(cut) == sorted([*row.prompt_ids, *row.completion_ids] for row in rows)
    assert len(packed["input_ids"]) <= 1.25 * sum(row.length for row in rows) / 20 + 1
