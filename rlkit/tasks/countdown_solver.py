"""Exhaustive Countdown solver: every distinct solution, distinct meaning different canonical keys.

Dynamic programming over subsets of the given numbers: the distinct forms of a subset are all combinations of the forms
of two complementary parts, kept once per key. Equal keys have equal values, so nothing is lost by keeping one.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from rlkit.arithmetic import Term, combine, number_term, term_key
from rlkit.errors import ConfigError

INTERMEDIATES = ("rational", "natural")
MAX_NUMBERS = 6

Tree = int | tuple[str, "Tree", "Tree"]
"""A solution as written: a number, or an operation and its two sides."""


class _Form(NamedTuple):
    term: Term
    tree: Tree


_Forms = dict[str, _Form]


@dataclass(frozen=True)
class SolutionRules:
    """What counts as a solution."""

    use_all: bool = True
    """Whether every number must be used; otherwise each at most once."""
    intermediates: str = "rational"
    """`rational` allows any intermediate result; `natural` only whole numbers of at least 1."""
    max_intermediate: int | None = None
    """Largest intermediate result allowed, the final one included; only for `natural`."""

    def __post_init__(self) -> None:
        """Raise ConfigError for rules that contradict each other."""
        if self.intermediates not in INTERMEDIATES:
            raise ConfigError(
                f"intermediates was given as {self.intermediates!r}; write one of {', '.join(INTERMEDIATES)}."
            )
        if self.max_intermediate is not None and self.intermediates != "natural":
            raise ConfigError(
                "max_intermediate bounds natural intermediates only; write intermediates: natural beside it."
            )
        if self.max_intermediate is not None and self.max_intermediate < 1:
            raise ConfigError(f"max_intermediate was given as {self.max_intermediate}; write a number of at least 1.")

    def allows(self, numerator: int, denominator: int) -> bool:
        """Return whether an intermediate result may be this fraction."""
        if self.intermediates == "rational":
            return True
        value, remainder = divmod(numerator, denominator)
        return remainder == 0 and value >= 1 and (self.max_intermediate is None or value <= self.max_intermediate)


def solve(
    numbers: Sequence[int],
    target: int,
    *,
    use_all: bool = True,
    intermediates: str = "rational",
    max_intermediate: int | None = None,
) -> list[str]:
    """Return every distinct solution of a Countdown problem as an infix expression, ordered by canonical key.

    Args:
        numbers: 1 to 6 positive whole numbers, repeats allowed.
        target: the value to reach.
        use_all: whether every number must be used; otherwise each at most once.
        intermediates: `rational`, or `natural` for the game's rule that every result is a whole number of at least 1.
        max_intermediate: with `natural`, the largest result allowed.

    Returns:
        Expressions such as `(3+5)*2+8`; `rlkit.arithmetic.parse` gives their keys. Empty when there is no solution.

    Raises:
        ConfigError: numbers or rules are out of range.
    """
    rules = SolutionRules(use_all, intermediates, max_intermediate)
    trees = solutions_by_target(numbers, (target,), rules).get(target, {})
    return [write_expression(trees[key]) for key in sorted(trees)]


def solutions_by_target(
    numbers: Sequence[int], targets: Container[int], rules: SolutionRules
) -> dict[int, dict[str, Tree]]:
    """Return, for each reachable target among `targets`, its distinct solutions as `{canonical key: tree}`.

    Raises:
        ConfigError: not 1 to 6 positive whole numbers.
    """
    _check_numbers(numbers)
    found: dict[int, dict[str, Tree]] = defaultdict(dict)
    everything = (1 << len(numbers)) - 1
    forms: list[_Forms] = [{} for _ in range(everything + 1)]
    for place, number in enumerate(numbers):
        forms[1 << place] = {str(number): _Form(number_term(number), number)}
    # Both parts of a subset are smaller as integers, so ascending order has them ready.
    for subset in range(1, everything + 1):
        if subset == everything:
            _combine_parts(subset, forms, rules, targets)
        elif subset & (subset - 1):
            _combine_parts(subset, forms, rules, None)
        if subset == everything or not rules.use_all:
            _collect(forms[subset], targets, found)
    return found


def _check_numbers(numbers: Sequence[int]) -> None:
    if not 1 <= len(numbers) <= MAX_NUMBERS:
        raise ConfigError(f"{len(numbers)} numbers were given; the exhaustive solver takes 1 to {MAX_NUMBERS}.")
    for number in numbers:
        if not isinstance(number, int) or number < 1:
            raise ConfigError(f"The number {number!r} was given; write whole numbers of at least 1.")


def _combine_parts(subset: int, forms: list[_Forms], rules: SolutionRules, targets: Container[int] | None) -> None:
    """Fill `forms[subset]` from all pairs of complementary parts; with `targets`, only with forms of such a value."""
    forms_of_subset = forms[subset]
    for left_part in _proper_parts(subset):
        for left in forms[left_part].values():
            for right in forms[subset ^ left_part].values():
                for operation, first, second, numerator, denominator in _operations(left, right):
                    value, remainder = divmod(numerator, denominator)
                    if targets is not None and (remainder or value not in targets):
                        continue
                    if not rules.allows(numerator, denominator):
                        continue
                    term = combine(operation, first.term, second.term)
                    key = term_key(term)
                    if key not in forms_of_subset:
                        term = term if remainder else term._replace(numerator=value, denominator=1)
                        forms_of_subset[key] = _Form(term, (operation, first.tree, second.tree))


def _proper_parts(subset: int) -> Iterator[int]:
    """Yield one part of each split of a subset in two: the one with its lowest member."""
    lowest = subset & -subset
    others = subset ^ lowest
    rest = others
    while rest:
        rest = (rest - 1) & others
        yield lowest | rest


def _operations(left: _Form, right: _Form) -> Iterator[tuple[str, _Form, _Form, int, int]]:
    """Yield every operation on two forms, both ways round where that matters, with the value as a fraction."""
    (p, q), (r, s) = left.term[:2], right.term[:2]
    difference = p * s - r * q
    yield "+", left, right, p * s + r * q, q * s
    yield "*", left, right, p * r, q * s
    yield "-", left, right, difference, q * s
    yield "-", right, left, -difference, q * s
    if r:
        yield "/", left, right, p * s, q * r
    if p:
        yield "/", right, left, r * q, p * s


def _collect(forms: _Forms, targets: Container[int], found: dict[int, dict[str, Tree]]) -> None:
    for key, (term, tree) in forms.items():
        value, remainder = divmod(term.numerator, term.denominator)
        if remainder == 0 and value in targets:
            found[value].setdefault(key, tree)


def random_value(numbers: Sequence[int], rules: SolutionRules, generator: random.Random) -> Fraction | None:
    """Return the value of a random expression over all the numbers; None when a step breaks the rules."""
    values = [Fraction(number) for number in numbers]
    while len(values) > 1:
        generator.shuffle(values)
        left, right = values.pop(), values.pop()
        operation = generator.choice("+-*/")
        if operation == "/" and right == 0:
            return None
        value = {"+": left + right, "-": left - right, "*": left * right, "/": left / (right or 1)}[operation]
        if not rules.allows(value.numerator, value.denominator):
            return None
        values.append(value)
    return values[0]


def write_expression(tree: Tree) -> str:
    """Return a tree as infix text with no more parentheses than it needs."""
    return _write(tree)[0]


def _write(tree: Tree) -> tuple[str, int]:
    """Return text and how tightly it binds: 1 sum, 2 product, 3 number."""
    if isinstance(tree, int):
        return str(tree), 3
    operation, left, right = tree
    binding = 1 if operation in "+-" else 2
    (left_text, left_binding), (right_text, right_binding) = _write(left), _write(right)
    if left_binding < binding:
        left_text = f"({left_text})"
    if right_binding < binding + (operation in "-/"):
        right_text = f"({right_text})"
    return f"{left_text}{operation}{right_text}", binding


def write_steps(tree: Tree) -> str:
    """Return a tree as a trace of steps in the token format; needs whole intermediate results."""
    steps: list[str] = []
    _write_step(tree, steps)
    return " ".join(steps)


def _write_step(tree: Tree, steps: list[str]) -> tuple[str, int]:
    """Append the steps of a tree and return how its result is written, and its value."""
    if isinstance(tree, int):
        return str(tree), tree
    operation, left, right = tree
    (left_text, a), (right_text, b) = _write_step(left, steps), _write_step(right, steps)
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[operation]
    steps.append(f"{left_text} {operation} {right_text} [{value}]")
    return f"[{value}]", value
