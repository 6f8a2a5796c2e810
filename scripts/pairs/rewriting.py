"""Write a solution in another way that is the same by commutativity and associativity."""

from __future__ import annotations

import random

from rlkit.tasks.countdown_solver import SolutionRules, Tree

_INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}
_FAMILY = {"+": "+", "-": "+", "*": "*", "/": "*"}

_Part = tuple[str, Tree, int]
"""An operand of a chain: its operation, itself rewritten, and its value."""


def rewrite(tree: Tree, rules: SolutionRules, generator: random.Random) -> Tree:
    """Return a random tree of the same canonical form whose intermediate results the rules allow."""
    return _rewrite(tree, rules, generator)[0]


def _rewrite(tree: Tree, rules: SolutionRules, generator: random.Random) -> tuple[Tree, int]:
    if isinstance(tree, int):
        return tree, tree
    family = _FAMILY[tree[0]]
    parts = [(sign, *_rewrite(part, rules, generator)) for sign, part in _flatten(tree, family, family)]
    # The tree's own grouping is one that the rules allow, so a random one is found sooner or later.
    while True:
        merged = _regroup(parts, family, rules, generator)
        if merged is not None:
            return merged


def _flatten(tree: Tree, family: str, sign: str) -> list[tuple[str, Tree]]:
    if isinstance(tree, int) or _FAMILY[tree[0]] != family:
        return [(sign, tree)]
    operation, left, right = tree
    turned = sign if operation == family else _INVERSE[sign]
    return _flatten(left, family, sign) + _flatten(right, family, turned)


def _regroup(
    parts: list[_Part], family: str, rules: SolutionRules, generator: random.Random
) -> tuple[Tree, int] | None:
    parts = list(parts)
    while len(parts) > 1:
        generator.shuffle(parts)
        merged = _merge(parts.pop(), parts.pop(), family)
        if merged is None or not rules.allows(merged[2], 1):
            return None
        parts.append(merged)
    sign, tree, value = parts[0]
    return (tree, value) if sign == family else None


def _merge(first: _Part, second: _Part, family: str) -> _Part | None:
    """Join two operands of a chain: `-a - b` is `-(a + b)`, `+a - b` is `+(a - b)`; None where a / b is not whole."""
    (sign, left, a), (other, right, b) = first, second
    if sign == other:
        return sign, (family, left, right), a + b if family == "+" else a * b
    if sign != family:
        left, right, a, b = right, left, b, a
    operation = _INVERSE[family]
    if family == "+":
        return family, (operation, left, right), a - b
    return (family, (operation, left, right), a // b) if a % b == 0 else None
