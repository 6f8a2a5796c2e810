"""YAML read as people mean it."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.recipe.yaml_text import format_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2E5", -2e5),
        ("4.0e-4", 4e-4),
        (".5", 0.5),
        ("10", 10),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("null", None),
        ("'1e-4'", "1e-4"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
    ],
)
def test_scalars_are_what_they_look_like(text, value):
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


def test_infinity_and_nan_are_numbers():
    assert parse_yaml(".inf", "here") == math.inf
    assert math.isnan(parse_yaml(".nan", "here"))


def test_other_users_of_pyyaml_keep_their_rules():
    parse_yaml("a: no", "here")
    assert yaml.safe_load("a: no") == {"a": False}


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: {a: 1, a: 1}"])
def test_a_key_written_twice_is_refused(text):
    with pytest.raises(ConfigError, match="'a' is written twice"):
        parse_yaml(text, "mine.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 5000 + "]" * 5000, "nests lists or mappings too deeply"),
        (f"a: {'9' * 5000}", "cannot be read: .*digits"),
        ("a: 2024-99-99", "cannot be read"),
        ("a: !!bool maybe", "cannot be read"),
        ("a: !!int ''", "cannot be read"),
        ("a: !!timestamp soon", "cannot be read"),
    ],
)
def test_what_python_cannot_hold_is_one_sentence(text, said):
    with pytest.raises(ConfigError, match=rf"^mine\.yaml .*{said}"):
        parse_yaml(text, "mine.yaml")


def test_a_syntax_error_names_place_and_line():
    with pytest.raises(ConfigError, match=r"mine\.yaml, line 2 is not valid YAML"):
        parse_yaml("a: 1\nb: [", "mine.yaml")


@pytest.mark.parametrize("text", ["{[1, 2]: 3}", "? {a: 1}\n: 2", "!!python/object:os.system {}"])
def test_keys_and_tags_beyond_plain_data_are_refused(text):
    with pytest.raises(ConfigError):
        parse_yaml(text, "mine.yaml")


TEXTS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(TEXTS, VALUES))
@example({"": "0E0"})
@example({"1e5": "no"})
def test_what_is_written_is_read_back(values):
    assert parse_yaml(format_yaml(values), "here") == values
