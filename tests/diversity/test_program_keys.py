"""Keys of programs: what a programmer is free to choose changes nothing, what the program does changes the key."""

from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.diversity.program_keys import program_key

TEMPLATES = [
    "def {a}({b}, {c}=2, *{d}, **{e}):\n    return {b} + {c} * len({d}) - len({e})",
    "def {a}({b}):\n    {c} = [{d} * {e} for {d} in {b} if {d} > 1 for {e} in range({d})]\n    return sum({c})",
    "def {a}({b}):\n    def {c}({d}):\n        return {d} + {b}\n    return max({b}, key=lambda {e}: {c}({e}))",
    (
        "def {a}({b}):\n    {c} = 0\n    def {d}({e}):\n"
        "        nonlocal {c}\n        {c} += {e}\n    {d}({b})\n    return {c}"
    ),
    "{a} = 1\ndef {b}({c}):\n    global {d}\n    {d} = {c}\n    return {a}\ndef {e}():\n    return {d}",
    "import math as {a}\ndef {b}({c}):\n    with open({c}) as {d}:\n        return {a}.sqrt(len({d}.read()))",
    "class {a}:\n    def run(self, {b}):\n        return {b}\n{c} = {a}().run(3)\nprint([({d} := {e}) for {e} in {c}])",
    (
        "def {a}({b}):\n    try:\n        return {b}[0]\n"
        "    except KeyError as {c}:\n        {d}, *{e} = {c}.args\n        del {d}"
    ),
    (
        "def {a}({b}):\n    match {b}:\n        case [{c}, *{d}]:\n            return {c} + len({d})\n"
        "        case {e}:\n            return {e}"
    ),
]
NAMES = ["a", "b", "c", "d", "e", "x1", "_y", "total", "Self", "é", "n_n", "lst"]
FIVE = st.permutations(NAMES).map(lambda names: names[:5])


def fill(template, names):
    return template.format(**dict(zip("abcde", names, strict=True)))


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=20)
@given(FIVE, FIVE)
def test_renaming_what_a_program_binds_changes_nothing(template, names, others):
    first, second = fill(template, names), fill(template, others)
    assert program_key(first) == program_key(second) is not None
    assert (program_key(first, keep_names=True) == program_key(second, keep_names=True)) == (names == others)


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=10)
@given(st.sampled_from(["  ", "    ", "\t"]), st.text("abc#'\"", max_size=8))
def test_layout_and_comments_change_nothing(template, indent, comment):
    code = fill(template, ["one", "two", "three", "four", "five"])
    plain = ast.unparse(ast.parse(code))
    loose = "\n".join(f"{line}   # {comment}\n\n" for line in plain.split("\n")).replace("    ", indent)
    assert program_key(loose) == program_key(code)
    assert program_key(loose, keep_names=True) == program_key(code, keep_names=True)


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_use_of_another_variable_is_another_program(template):
    code = fill(template, ["one", "two", "three", "four", "five"])
    tree = ast.parse(code)
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    assert uses
    for node in uses:
        before, node.id = node.id, "another"
        assert program_key(ast.unparse(tree)) != program_key(code), before
        node.id = before
    assert program_key(ast.unparse(tree)) == program_key(code)


SOLUTION = """
def solve(items, limit):
    total = 0
    for item in items:
        if item < limit and not total > 10:
            total += item * 2
        elif item == limit:
            total = -total
    return total, [item / 3 for item in items if item is not None]
"""
SWAPS = {
    ast.Add: ast.Sub, ast.Mult: ast.Pow, ast.Div: ast.FloorDiv, ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.And: ast.Or,
    ast.Not: ast.UAdd, ast.USub: ast.Invert, ast.Eq: ast.NotEq, ast.IsNot: ast.Is,
}  # fmt: skip


@pytest.mark.parametrize("kind", SWAPS, ids=lambda kind: kind.__name__)
def test_another_operator_is_another_program(kind):
    class Swap(ast.NodeTransformer):
        def generic_visit(self, node):
            return SWAPS[kind]() if isinstance(node, kind) else super().generic_visit(node)

    changed = ast.unparse(Swap().visit(ast.parse(SOLUTION)))
    assert changed != ast.unparse(ast.parse(SOLUTION))
    assert program_key(changed) != program_key(SOLUTION)


SAME = {
    "docstring": ("def f(x):\n    return x", "'module'\ndef f(x):\n    '''What it does.'''\n    return x"),
    "annotations": (
        "def f(x, y=1):\n    z = x\n    return z",
        "def f(x: int, y: int = 1) -> int:\n    z: int = x\n    return z",
    ),
    "declared only": ("def f(x):\n    return x", "def f(x):\n    y: int\n    return x"),
    "pass": ("def f(x):\n    if x:\n        pass", "def f(x):\n    pass\n    if x:\n        ..."),
    "quotes and numbers": ("f = 'a', 16, 1_0", 'f = ("a", 0x10, 10)'),
    "unused import": ("def f(x):\n    return x", "from typing import List\ndef f(x):\n    return x"),
    "name of an import": ("import numpy as np\nx = np.ones(2)", "import numpy as n\nx = n.ones(2)"),
    "shadowing": ("def f(x):\n    return [x for x in x]", "def f(x):\n    return [y for y in x]"),
    "names of two functions": (
        "def f(x):\n    return x\ndef g(x):\n    return x",
        "def f(a):\n    return a\ndef g(b):\n    return b",
    ),
}  # fmt: skip
DIFFERENT = {
    "constants": ("x = 1", "x = 2"),
    "kinds of constants": ("x = 1", "x = 1.0"),
    "truth is no number": ("x = 1", "x = True"),
    "order of statements": ("x = f()\ny = g()", "y = g()\nx = f()"),
    "built-ins": ("x = sum([1])", "x = max([1])"),
    "attributes": ("x = a.b", "x = a.c"),
    "methods": ("class A:\n    def f(self): ...", "class A:\n    def g(self): ..."),
    "what is imported": ("from math import floor as f\nx = f(1)", "from math import ceil as f\nx = f(1)"),
    "arguments swapped": ("def f(x, y):\n    return x - y", "def f(x, y):\n    return y - x"),
    "a default": ("def f(x, y=1):\n    return x", "def f(x, y):\n    return x"),
    "whose default": ("def f(*, x=1, y): ...", "def f(*, x, y=1): ..."),
    "keyword only": ("def f(x, *, y): ...", "def f(x, y): ..."),
    "a local in the place of a global": ("x = 1\ndef f():\n    x = 2", "x = 1\ndef f():\n    global x\n    x = 2"),
    "a lambda's argument": ("def f(x):\n    return lambda y: x", "def f(x):\n    return lambda y: y"),
    "else": ("if a:\n    b()\nelse:\n    c()", "if a:\n    b()\nc()"),
    "fields of a class": ("class A:\n    x: int = 1", "class A:\n    x = 1"),
    "another way": (
        "def f(x):\n    return sum(x)",
        "def f(x):\n    s = 0\n    for y in x:\n        s += y\n    return s",
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_free_to_choose_is_left_out(name):
    first, second = SAME[name]
    assert program_key(first) == program_key(second) is not None


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_a_program_does_is_kept(name):
    first, second = DIFFERENT[name]
    assert None is not program_key(first) != program_key(second) is not None


def test_a_parameter_passed_by_keyword_keeps_its_name():
    one, other = (f"def f({name}):\n    return {name}\nprint(f({name}=1))" for name in ("x", "y"))
    assert program_key(one) != program_key(other)


def test_examples_beside_the_definitions_are_left_out_where_asked():
    bare = "def f(x):\n    return x"
    tried = bare + "\nprint(f(1))\nassert f(2) == 2\nif __name__ == '__main__':\n    f(3)"
    assert program_key(tried) != program_key(bare)
    assert program_key(tried, only_definitions=True) == program_key(bare) == program_key(bare, only_definitions=True)


@pytest.mark.parametrize(
    "code",
    ["def f(:", "x = '\0'", "return 'no'(", "(" * 500 + ")" * 500, "+".join(["a"] * 20_000), "x = 0x" + "f" * 9000,
     "\ud800"],
    ids=["broken", "null", "words", "brackets", "deep", "huge", "surrogate"],
)  # fmt: skip
def test_what_python_cannot_read_has_no_key(code):
    assert program_key(code) is None


def test_keys_are_small_and_do_not_change_from_one_version_to_the_next():
    code = textwrap.dedent(SOLUTION)
    assert program_key(code) == "program:d6dd88d7af85eae8503ee5aed7cbdb02"
    assert len(program_key(code * 50)) == len(program_key(code)) == 40


def test_bad_escapes_are_read_without_a_word(recwarn):
    assert program_key("x = '\\d'") is not None
    assert not recwarn
