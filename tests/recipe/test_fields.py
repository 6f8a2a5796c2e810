"""Values judged by a dataclass's own annotations."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from rlkit.errors import ConfigError
from rlkit.recipe.fields import check_fields, check_value, describe


class Strategy(enum.Enum):
    STEPS = "steps"
    NO = "no"


@dataclass
class Settings:
    rate: float = 1.0
    steps: int = 1
    flag: bool | None = None
    name: str = ""
    limit: int | None = None
    strategy: Strategy | str = "no"
    loss: Literal["a", "bb"] = "a"
    weights: list[float] | None = None
    modules: list[str] | str | None = None
    options: dict[str, Any] | str | None = None
    anything: Any = None
    hidden: int = field(default=0, init=False)


def check(**values):
    return check_fields(values, Settings, "train")


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("rate", 3, 3.0),
        ("rate", 1e-4, 1e-4),
        ("steps", 1e3, 1000),
        ("flag", True, True),
        ("flag", None, None),
        ("limit", None, None),
        ("strategy", "steps", "steps"),
        ("loss", "bb", "bb"),
        ("weights", [1, 0.5], [1.0, 0.5]),
        ("modules", "all-linear", "all-linear"),
        ("modules", ["q"], ["q"]),
        ("options", {"a": 1}, {"a": 1}),
        ("anything", [object], [object]),
    ],
)
def test_values_that_fit_are_kept_in_the_kind_the_field_wants(key, value, kept):
    checked = check(**{key: value})[key]
    assert checked == kept
    assert type(checked) is type(kept)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rate", "fast", "'fast', which is text; it takes a number"),
        ("rate", True, "given as True; it takes a number"),
        ("steps", "ten", "it takes a whole number"),
        ("steps", 1.5, "it takes a whole number"),
        ("steps", True, "it takes a whole number"),
        ("steps", None, "given as None; it takes a whole number"),
        ("flag", "no", "true or false or null"),
        ("flag", 1, "true or false or null"),
        ("name", 3, "it takes text"),
        ("strategy", "step", "Did you mean 'steps'"),
        ("loss", "b", "Did you mean 'bb'|Allowed: a, bb"),
        ("weights", ["x"], "a list, each a number or null"),
        ("weights", 1.0, "a list, each a number or null"),
        ("options", 3, "a mapping or text or null"),
        ("rat", 1, "no setting 'rat'. Did you mean 'rate'"),
        ("hidden", 1, "no setting 'hidden'"),
        ("zzzz", 1, r"no setting 'zzzz'\.$"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_words(key, value, said):
    with pytest.raises(ConfigError, match=said) as caught:
        check(**{key: value})
    assert str(caught.value).startswith(("train has", f"train.{key} was given as"))


def test_a_field_may_take_something_else_than_its_annotation_says():
    assert check_fields({"name": False}, Settings, "train", {"name": bool | Literal["x"]}) == {"name": False}
    with pytest.raises(ConfigError, match="Did you mean 'xyz'"):
        check_fields({"name": "xy"}, Settings, "train", {"name": bool | Literal["xyz"]})


def test_an_exact_fit_goes_before_a_converted_one():
    assert type(check_value(3, float | int, "x")) is int


def test_annotations_in_words():
    assert describe(float | None) == "a number or null"
    assert describe(list[str] | str) == "a list, each text or text"
    assert describe(Literal["a", "b"]) == "'a' or 'b'"
