"""Reasoning is left out of what is graded; what is left is what stands outside it, and nothing where it never ends."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.verifiers.thinking import check_thinking_tag, strip_thinking


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("42", "42"),
        ("", ""),
        ("<think>6 * 7</think>42", "42"),
        ("<think></think>42", "42"),
        ("<think>a</think>4<think>b</think>2", "42"),
        ("<think>never ends", None),
        ("  <think>never ends", None),
        ("42 <think>was that right", "42 "),
        ("opened by the template</think> 42", " 42"),
        ("<think>a</think> b </think> 42", " 42"),
        ("<think>I write <think> here</think>42", "42"),
        ("<think>a</think>", ""),
        ("<think>a</think><think>b", None),
        ("< think>a</ think>42", "< think>a</ think>42"),
        ("<thinking>a</thinking>42", "<thinking>a</thinking>42"),
    ],
)
def test_what_is_left(text: str, said: str | None) -> None:
    assert strip_thinking(text) == said


def test_the_tag_can_be_another() -> None:
    assert strip_thinking("<reason.x>a</reason.x>42", "reason.x") == "42"
    assert strip_thinking("<think>a</think>42", "reason") == "<think>a</think>42"


@given(st.lists(st.sampled_from(["<think>", "</think>", "x", " ", "<", "think>"]), max_size=12))
def test_no_closed_reasoning_and_no_tag_survives(parts: list[str]) -> None:
    said = strip_thinking("".join(parts))
    if said is not None:
        assert not re.match(r"<think>.*</think>$", said)
        assert len(said) <= len("".join(parts))
        # Closed blocks, the usual case, are what the usual expression cuts out.
        if re.fullmatch(r"(<think>[x ]*</think>|[x ])*", "".join(parts)):
            assert said == re.sub(r"<think>.*?</think>", "", "".join(parts))


def test_long_texts_take_linear_time() -> None:
    start = time.process_time()
    strip_thinking("<think>" * 200_000)
    strip_thinking("</think>" * 200_000)
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize("tag", ["<think>", "", "a b", 3, "1x"])
def test_tags_are_names(tag: object) -> None:
    with pytest.raises(ConfigError, match="the tag's name without brackets"):
        check_thinking_tag(tag)
    check_thinking_tag(None)
    check_thinking_tag("think")
