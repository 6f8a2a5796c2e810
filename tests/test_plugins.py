"""The resolver that every kind of plug-in goes through."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from rlkit.errors import PluginError
from rlkit.plugins import PluginKind, factory, resolve


@dataclass(frozen=True)
class Ruler:
    length: int = 30


@factory
def long_ruler(factor: int = 2):
    return Ruler(30 * factor)


def measure(values, ctx):
    return values


KIND = PluginKind(
    "ruler",
    "rlkit.test_rulers",
    {"ruler": f"{__name__}:Ruler", "long": f"{__name__}:long_ruler", "fn": f"{__name__}:measure"},
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("ruler", Ruler()),
        ({"name": "ruler", "length": 5}, Ruler(5)),
        ("long", Ruler(60)),
        ({"name": "long", "factor": 3}, Ruler(90)),
        (f"{__name__}:Ruler", Ruler()),
        (Ruler(7), Ruler(7)),
        (Ruler, Ruler()),
        ("fn", measure),
    ],
    ids=["name", "params", "factory", "factory-params", "module", "object", "class", "function"],
)
def test_ways_to_name_a_thing(spec, expected):
    assert resolve(spec, KIND) == expected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rulr", "Did you mean 'ruler'"),
        ({"name": "ruler", "lenth": 3}, "Did you mean 'length'"),
        ({"length": 3}, "without a name"),
        ({"name": "fn", "x": 1}, "takes no parameters"),
        ("no_such_module:thing", "cannot be imported"),
        ("json:thing", "has nothing called 'thing'"),
        ("missing.py:thing", "does not exist"),
    ],
    ids=str,
)
def test_what_cannot_be_named_is_refused_in_one_sentence(spec, words):
    with pytest.raises(PluginError, match=words) as caught:
        resolve(spec, KIND)
    assert "\n" not in str(caught.value)


def test_a_file_is_loaded_by_path_and_its_folder_shadows_nothing(tmp_path):
    file = tmp_path / "own rulers.py"
    file.write_text("from dataclasses import dataclass\n@dataclass\nclass Mine:\n    size: int = 1\n")
    before = list(sys.path)
    first, second = resolve(f"{file}:Mine", KIND), resolve({"name": f"{file}:Mine", "size": 4}, KIND)
    assert (first.size, second.size, type(first)) == (1, 4, type(second))
    assert sys.path == [*before, str(tmp_path)]


def test_a_file_that_ends_the_program_is_refused_like_any_that_fails(tmp_path):
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(PluginError, match="SystemExit"):
        resolve(f"{tmp_path}/leaves.py:thing", KIND)


def test_a_file_that_fails_says_why(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(PluginError, match="division by zero"):
        resolve(f"{tmp_path}/broken.py:thing", KIND)
