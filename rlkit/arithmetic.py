"""Exact arithmetic from untrusted text: a parser without `eval`, exact values, and one key for each distinct solution.

Two ways of writing a solution are read: an infix expression, `(3 + 5) * 2 + 8`, and a trace of steps, `3 + 5 [8] [8] *
2 [16] [16] + 8 [24]`, in which `[8]` stands for the earlier result announced as `[8]`. Both give an `Expression`: its
exact value, the numbers written in it, and its canonical key. Keys are equal when two expressions differ only by
commutativity and associativity: chains of + and - are flattened into sorted, signed multisets, chains of * and /
likewise, so `(3+5)*2+8`, `8+2*(5+3)` and `2*(3+5)+8` are all `S(+8,+P(*2,*S(+3,+5)))`. Minus signs are carried
through: `a-(b-c)` is `a-b+c`; `(-a)*b`, `a*(-b)` and `-(a*b)` are one, as are `(a-b)*(c-d)` and `(b-a)*(d-c)`. Nothing
is computed away: `8*1`, `8/1` and `8` stay three solutions.

Text is limited in length, digits and nesting, so that hostile input costs microseconds and cannot exhaust the stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

MAX_CHARACTERS = 512
"""Longest expression or trace that is read, in characters."""
MAX_DIGITS = 9
"""Longest number that is read, in digits."""
MAX_DEPTH = 40
"""Deepest nesting of parentheses, fractions and signs that is read."""


class MalformedExpressionError(ValueError):
    """The text is not an expression or trace within the limits; the message says where reading stopped."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What an expression says, however it was written."""

    value: Fraction
    """Exact value."""
    numbers: tuple[int, ...]
    """The numbers written in it, in reading order."""
    key: str
    """Canonical key: equal up to commutativity and associativity if and only if keys are equal."""


class Term(NamedTuple):
    """A sub-expression while it is being combined: an exact value and a canonical form that is cheap to extend."""

    numerator: int
    denominator: int
    """Never 0; the pair is not reduced and may carry its sign in either place."""
    sign: int
    """+1 or -1 in front of the form; always +1 for sums, whose parts carry the signs."""
    kind: str
    """`S` sum, `P` product, or empty for a single number."""
    parts: tuple[str, ...]
    """Keys of the operands, each preceded by its sign (`+`, `-`) or operation (`*`, `/`); a single number's digits."""
    numbers: tuple[int, ...]


_FLIP = {"+": "-", "-": "+", "*": "/", "/": "*"}


def number_term(value: int) -> Term:
    """Return the term of one non-negative number."""
    return Term(value, 1, 1, "", (str(value),), (value,))


def combine(operation: str, left: Term, right: Term) -> Term:
    """Return the term `left operation right` for one of `+ - * /`; raises ZeroDivisionError when dividing by zero."""
    p, q, r, s = left.numerator, left.denominator, right.numerator, right.denominator
    numbers = left.numbers + right.numbers
    if operation == "+" or operation == "-":
        cross = r * q if operation == "+" else -r * q
        parts = _addends(left, "+") + _addends(right, operation)
        return Term(p * s + cross, q * s, 1, "S", parts, numbers)
    if operation == "*":
        p, q = p * r, q * s
    elif r == 0:
        raise ZeroDivisionError("division by zero")
    else:
        p, q = p * s, q * r
    left_sign, left_parts = _factors(left, "*")
    right_sign, right_parts = _factors(right, operation)
    return Term(p, q, left_sign * right_sign, "P", left_parts + right_parts, numbers)


def negate(term: Term) -> Term:
    """Return the term with its sign turned."""
    if term.kind == "S":
        return term._replace(numerator=-term.numerator, parts=_flipped(term.parts))
    return term._replace(numerator=-term.numerator, sign=-term.sign)


def term_key(term: Term) -> str:
    """Return the canonical key of a term."""
    if term.sign < 0:
        return f"S(-{_unsigned_key(term)})"
    return _unsigned_key(term)


def finish(term: Term) -> Expression:
    """Return the term as an `Expression`."""
    return Expression(Fraction(term.numerator, term.denominator), term.numbers, term_key(term))


def _flipped(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_FLIP[part[0]] + part[1:] for part in parts)


def _unsigned_key(term: Term) -> str:
    if not term.kind:
        return term.parts[0]
    return f"{term.kind}({','.join(sorted(term.parts))})"


def _addends(term: Term, operation: str) -> tuple[str, ...]:
    if term.kind == "S":
        return term.parts if operation == "+" else _flipped(term.parts)
    sign = operation if term.sign > 0 else _FLIP[operation]
    return (sign + _unsigned_key(term),)


def _factors(term: Term, operation: str) -> tuple[int, tuple[str, ...]]:
    """Return the sign pulled out of a factor, and its parts under `*` or `/`."""
    if term.kind == "P":
        return term.sign, term.parts if operation == "*" else _flipped(term.parts)
    if not term.kind:
        return term.sign, (operation + term.parts[0],)
    # A sum and its negative are one factor up to sign: keep whichever sorts first.
    plain, turned = sorted(term.parts), sorted(_flipped(term.parts))
    sign, parts = (-1, turned) if turned < plain else (1, plain)
    return sign, (f"{operation}S({','.join(parts)})",)


_TOKEN = re.compile(r"[0-9]+|\\[a-zA-Z]+|\\[,;:! ]|\S")
_SPELLINGS = {
    "×": "*",
    "x": "*",
    "·": "*",
    "⋅": "*",
    "∙": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "\\times": "*",
    "\\cdot": "*",
    "\\div": "/",
}
_SILENT = {"\\left", "\\right", "\\,", "\\;", "\\:", "\\!", "\\ ", "$"}
_FRACTIONS = {"\\frac", "\\dfrac", "\\tfrac"}
_CLOSERS = {"(": ")", "{": "}"}
_END = ""


def parse(text: str) -> Expression:
    """Read one infix expression of whole numbers, `+ - * /`, signs and parentheses.

    Also read: `× x · ÷ − –` and LaTeX's `\\times \\cdot \\div \\frac{}{} \\left \\right`. Not read: decimals, powers,
    letters, and a multiplication left out, as in `2(3+5)`.

    Raises:
        MalformedExpressionError: the text is anything else, or beyond the limits of this module.
        ZeroDivisionError: some divisor is zero.
    """
    expression, follower = parse_prefix(text)
    if follower != _END:
        raise MalformedExpressionError(f"{follower!r} follows a complete expression")
    return expression


def parse_prefix(text: str) -> tuple[Expression, str]:
    """Like `parse`, but stop behind the longest expression and return the token that follows it, empty at the end."""
    if len(text) > MAX_CHARACTERS:
        raise MalformedExpressionError(f"an expression of {len(text)} characters is longer than {MAX_CHARACTERS}")
    parser = _Parser([_SPELLINGS.get(token, token) for token in _TOKEN.findall(text) if token not in _SILENT])
    return finish(parser.read_sum()), parser.ahead


class _Parser:
    """Recursive descent: sum of products of factors, one token ahead."""

    __slots__ = ("_depth", "_rest", "ahead")

    def __init__(self, tokens: list[str]) -> None:
        self._rest = iter(tokens)
        self._depth = 0
        self.ahead = next(self._rest, _END)

    def read_sum(self) -> Term:
        term = self._read_product()
        while (operation := self.ahead) in ("+", "-"):
            self._advance()
            term = combine(operation, term, self._read_product())
        return term

    def _advance(self) -> None:
        self.ahead = next(self._rest, _END)

    def _read_product(self) -> Term:
        term = self._read_factor()
        while (operation := self.ahead) in ("*", "/"):
            self._advance()
            term = combine(operation, term, self._read_factor())
        return term

    def _read_factor(self) -> Term:
        token = self.ahead
        if "0" <= token[:1] <= "9":
            if len(token) > MAX_DIGITS:
                raise MalformedExpressionError(f"a number of {len(token)} digits is longer than {MAX_DIGITS}")
            self._advance()
            return number_term(int(token))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MalformedExpressionError(f"the nesting is deeper than {MAX_DEPTH}")
        term = self._read_nested(token)
        self._depth -= 1
        return term

    def _read_nested(self, token: str) -> Term:
        if token in _CLOSERS:
            return self._read_group(token)
        if token not in _FRACTIONS and token not in ("+", "-"):
            raise MalformedExpressionError(
                f"{token!r} stands where a number is wanted" if token else "the expression ends early"
            )
        self._advance()
        if token in _FRACTIONS:
            return combine("/", self._read_group("{"), self._read_group("{"))
        term = self._read_factor()
        return negate(term) if token == "-" else term

    def _read_group(self, opener: str) -> Term:
        self._expect(opener)
        term = self.read_sum()
        self._expect(_CLOSERS[opener])
        return term

    def _expect(self, token: str) -> None:
        if self.ahead != token:
            raise MalformedExpressionError(f"{token!r} is wanted where {self.ahead!r} stands")
        self._advance()


class Step(NamedTuple):
    """One step of a trace, `3 + [5] [8]`."""

    left: str
    """A number, or an earlier result in brackets."""
    operation: str
    right: str
    claimed: int
    """The result as announced, right or wrong."""


class Replay(NamedTuple):
    """What a trace computes."""

    last: Term | None
    """The term of the last step; None when there was no step or a fault."""
    unused: tuple[Term, ...]
    """Results that no later step used, the last one excluded."""
    fault: str
    """Empty, or why reading stopped: `unknown_result`, `false_result` or `division_by_zero`."""


_STEP = re.compile(r"([0-9]{1,9}|\[[0-9]{1,9}\]) ([-+*/]) ([0-9]{1,9}|\[[0-9]{1,9}\]) \[([0-9]{1,9})\](?: |$)")


def split_steps(text: str) -> tuple[list[Step], str]:
    """Return the steps at the start of a trace, and what is left behind them (empty when the trace is well formed)."""
    text = " ".join(text[: MAX_CHARACTERS + 1].split())
    if len(text) > MAX_CHARACTERS:
        return [], text
    steps, place = [], 0
    while match := _STEP.match(text, place):
        left, operation, right, claimed = match.groups()
        steps.append(Step(left, operation, right, int(claimed)))
        place = match.end()
    return steps, text[place:]


def replay_steps(steps: list[Step]) -> Replay:
    """Compute a trace and check each announced result.

    Of two equal unused results the later one is meant (and as right operand before left), as on a stack: so every
    solution can be written, operands before operations, and is read back as itself.
    """
    results: list[tuple[str, Term]] = []
    for step in steps:
        right, left = _take_operand(step.right, results), _take_operand(step.left, results)
        if left is None or right is None:
            return Replay(None, (), "unknown_result")
        try:
            term = combine(step.operation, left, right)
        except ZeroDivisionError:
            return Replay(None, (), "division_by_zero")
        if term.numerator != step.claimed * term.denominator:
            return Replay(None, (), "false_result")
        results.append((f"[{step.claimed}]", term))
    unused = tuple(term for _, term in results[:-1])
    return Replay(results[-1][1] if results else None, unused, "")


def _take_operand(written: str, results: list[tuple[str, Term]]) -> Term | None:
    if written[0] != "[":
        return number_term(int(written))
    for place in range(len(results) - 1, -1, -1):
        if results[place][0] == written:
            return results.pop(place)[1]
    return None
