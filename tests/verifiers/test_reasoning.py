"""Reasoning is left out of what is graded; what is left is what stands outside it, and nothing where it never ends."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.verifiers.reasoning import answer_text, check_thinking_tag, split_reasoning


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
        ("<thinking>a</thinking>42", "42"),
        ("<Think>a</THINK>42", "42"),
        ("<reasoning>a</reasoning>42", "42"),
        ("<thought>a</thought>42", "42"),
        ("[THINK]a[/THINK]42", "42"),
        ("<|begin_of_thought|>a<|end_of_thought|>42", "42"),
        ("◁think▷a◁/think▷42", "42"),
        ("<think>a</thinking>42", "42"),
        ("<thinking>never ends", None),
        ("I thought [1] of 42", "I thought [1] of 42"),
    ],
)
def test_what_is_left(text: str, said: str | None) -> None:
    assert split_reasoning(text).answer == said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<think>a</think> b", ("a", " b")),
        ("a</think>b", ("a", "b")),
        ("<think>a", ("a", None)),
        ("b", ("", "b")),
        ("<think>a</think>b<think>c</think>d", ("ac", "bd")),
        ("<think>a</think>b</think>c", ("ab", "c")),
        ("b<think>c", ("c", "b")),
    ],
)
def test_what_is_thought_and_what_is_said(text: str, parts: tuple[str, str | None]) -> None:
    assert split_reasoning(text) == parts


def test_the_tag_can_be_another() -> None:
    assert split_reasoning("<reason.x>a</reason.x>42", "reason.x") == ("a", "42")
    assert split_reasoning("<think>a</think>42", "reason").answer == "<think>a</think>42"


def said(content: str, role: str = "assistant") -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("<think>a</think>42", "42"),
        ("<think>a", ""),
        ([said("<think>a</think>42")], "42"),
        ([said("calling"), said("\\boxed{4}", "tool"), said("I do not know")], "calling\nI do not know"),
        ([said("<think>a"), said("7", "tool"), said("b</think>42")], "\n42"),
        ([said("<think>a</think>4"), said("<think>b")], "4\n"),
        ([said("4", "user"), said("4", "system"), said("4", "tool"), said("4", "function")], ""),
        ([{"role": "assistant", "content": None}, said("42")], "\n42"),
        ([{"role": "assistant", "content": [{"type": "text", "text": "42"}, {"type": "image"}]}], "42"),
        ([{"content": "42"}], "42"),
        ([], ""),
    ],
)
def test_the_answer_is_what_the_policy_said_outside_its_reasoning(completion, answer) -> None:
    assert answer_text(completion) == answer


def test_reasoning_can_be_left_in_or_stand_in_a_tag_of_ones_own() -> None:
    text = "<think>a</think><why>b</why>42"
    assert answer_text(text, None) == text
    assert answer_text(text, "why") == "<think>a</think>42"
    assert answer_text([said(text)], "think") == "<why>b</why>42"


@given(st.lists(st.sampled_from(["<think>", "</think>", "x", " ", "<", "think>"]), max_size=12))
def test_no_closed_reasoning_and_no_tag_survives(parts: list[str]) -> None:
    thought, said = split_reasoning("".join(parts))
    # Every sign stands in one of the two or in a tag.
    assert thought.count("x") + (said or "").count("x") == parts.count("x")
    if said is not None:
        assert not re.match(r"<think>.*</think>$", said)
        assert len(said) <= len("".join(parts))
        # Closed blocks, the usual case, are what the usual expression cuts out.
        if re.fullmatch(r"(<think>[x ]*</think>|[x ])*", "".join(parts)):
            assert said == re.sub(r"<think>.*?</think>", "", "".join(parts))


def test_long_texts_take_linear_time() -> None:
    start = time.process_time()
    split_reasoning("<think>" * 200_000)
    split_reasoning("</think>" * 200_000)
    split_reasoning("x<think>y</think>" * 100_000)
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize("tag", ["<think>", "", "a b", 3, "1x"])
def test_tags_are_names(tag: object) -> None:
    with pytest.raises(ConfigError, match="the tag's name without brackets"):
        check_thinking_tag(tag)
    check_thinking_tag(None)
    check_thinking_tag("think")
