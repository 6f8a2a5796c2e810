"""Rows to learn are checked at the door: what is wrong is named by row and column."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError
from rlkit.tasks.demonstrations import Columns, Demonstration, part_signs, read_demonstrations

USER, ASSISTANT = {"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5"}


def read(*records, **columns):
    return list(read_demonstrations(records, "it.jsonl", Columns(**columns)))


def test_texts_messages_and_weights_are_read():
    rows = read(
        {"prompt": "a", "completion": "b"},
        {"prompt": [USER], "completion": "5", "weight": 2, "logp": -3.5},
        {"prompt": [USER], "completion": [ASSISTANT]},
        {"messages": [USER, ASSISTANT], "weight": None},
    )
    assert rows[0] == Demonstration("a", "b", 1.0, None, "Row 1 of it.jsonl")
    assert (rows[1].weight, rows[1].logp) == (2.0, -3.5)
    assert (rows[2].prompt, rows[2].completion) == (rows[3].prompt, rows[3].completion) == ([USER], [ASSISTANT])


def test_columns_may_have_other_names():
    assert read({"q": "a", "a": "b", "w": 3}, prompt="q", completion="a", weight="w")[0].weight == 3.0
    with pytest.raises(ConfigError, match="data was given prompt=''"):
        Columns(prompt="")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, "neither 'prompt' and 'completion' nor 'messages'"),
        ({"prompt": "a"}, "no column 'completion'"),
        ({"completion": "a"}, "no column 'prompt'"),
        ({"prompt": "a", "completion": ""}, "nothing in its column 'completion'"),
        ({"prompt": "a", "completion": 3}, "in its column 'completion'; write a text"),
        ({"prompt": "a", "completion": "\ud800"}, "half a surrogate pair"),
        ({"prompt": [USER], "completion": [USER]}, "messages of the assistant"),
        ({"prompt": [USER], "completion": [{"role": "assistant", "content": " "}]}, "messages of the assistant"),
        ({"prompt": "a", "completion": [ASSISTANT]}, "write both as text or both as messages"),
        ({"prompt": {"a": 1}, "completion": "b"}, "write a text, or a list of messages"),
        ({"messages": [ASSISTANT]}, "at least two messages"),
        ({"messages": [ASSISTANT, USER]}, "the last of the assistant"),
        ({"messages": "hello"}, "at least two messages"),
        ({"prompt": "a", "completion": "b", "weight": "much"}, "in its column 'weight'; write a finite number"),
        ({"prompt": "a", "completion": "b", "weight": True}, "in its column 'weight'"),
        ({"prompt": "a", "completion": "b", "weight": float("nan")}, "in its column 'weight'"),
        ({"prompt": "a", "completion": "b", "logp": float("-inf")}, "in its column 'logp'"),
    ],
)
def test_what_cannot_be_learnt_is_named_by_row_and_column(record, said):
    with pytest.raises(ConfigError, match=said) as refused:
        read({"prompt": "a", "completion": "b"}, record)
    assert "row 2 of it.jsonl" in str(refused.value).lower()


def test_weights_below_zero_need_somebody_who_pushes():
    rows = read({"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "c", "weight": -2})
    with pytest.raises(ConfigError, match=r"Row 2 of it.jsonl weighs -2"):
        part_signs(rows, negatives_given=False)
    assert part_signs(rows, negatives_given=True) == (rows[:1], rows[1:])
    with pytest.raises(ConfigError, match="weighs more than 0"):
        part_signs(rows[1:], negatives_given=True)
