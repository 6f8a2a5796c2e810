"""System message and chat template: put in where prompts are chats, refused where they would do nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.encoding import encode_prompts, load_tokenizer
from rlkit.types import Row

CHAT: Row = {"id": "x", "prompt": [{"role": "user", "content": "a"}], "gold": 1}
TEMPLATE = "{% for m in messages %}{{ m.content }} {% endfor %}{% if loud %}h h{% else %}g{% endif %}"


def test_a_system_message_comes_first_and_replaces_the_one_there() -> None:
    other = {"id": "y", "prompt": [{"role": "system", "content": "old"}, *CHAT["prompt"]]}
    first, second = ChatFormat(system="b").apply_system([CHAT, other])
    assert first == {**CHAT, "prompt": [{"role": "system", "content": "b"}, {"role": "user", "content": "a"}]}
    assert second["prompt"] == first["prompt"]
    assert CHAT["prompt"] == [{"role": "user", "content": "a"}]


def test_without_settings_nothing_changes() -> None:
    rows = [CHAT, {"id": "y", "prompt": "plain"}]
    assert ChatFormat().apply_system(rows) == rows
    assert ChatFormat().as_json() == {}


@pytest.mark.parametrize("chat", [ChatFormat(system="b"), ChatFormat(template="t"), ChatFormat(template_args={"a": 0})])
def test_plain_prompts_are_refused_where_a_setting_would_do_nothing(chat: ChatFormat) -> None:
    with pytest.raises(ConfigError, match=r"'y' is plain text, on which .* would have no effect"):
        chat.apply_system([CHAT, {"id": "y", "prompt": "a"}])


def test_the_template_is_used_and_told(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    (plain,) = encode_prompts(tokenizer, [CHAT], 48, ChatFormat(template=TEMPLATE))
    (loud,) = encode_prompts(tokenizer, [CHAT], 48, ChatFormat(template=TEMPLATE, template_args={"loud": True}))
    assert tokenizer.decode(plain).split() == ["a", "g"]
    assert tokenizer.decode(loud).split() == ["a", "h", "h"]


@pytest.mark.parametrize("template", ["{% for", "{{ raise_exception('no system') }}", "{{ 1 / 0 }}"])
def test_a_template_that_fails_is_one_sentence(tiny_model: Path, template: str) -> None:
    with pytest.raises(ConfigError, match="The chat template fails on the prompt of problem 'x'"):
        encode_prompts(load_tokenizer(str(tiny_model)), [CHAT], 48, ChatFormat(template=template))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"system": ""}, "system was given as ''"),
        ({"template": 3}, "template was given as 3"),
        ({"template_args": {"a b": 1}}, "key=value"),
        ({"template_args": [1]}, "key=value"),
        ({"template_args": {"a": {1}}}, "no JSON value"),
        ({"template_args": {"a": float("nan")}}, "no JSON value"),
    ],
)
def test_fields_are_checked(fields: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ChatFormat(**fields)
