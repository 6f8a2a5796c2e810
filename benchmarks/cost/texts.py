"""Worked Countdown texts of a wanted length: what a trained model would have written in place of a random one."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.tasks.countdown_solver import SolutionRules, Tree, solutions_by_target, write_expression
from rlkit.types import Row

OPENINGS = ("Let me try to reach {target}.", "I need {target}.", "We want {target} from these numbers.")
STEPS = ("First {step}.", "Then {step}.", "Next, {step}.", "That gives {step}.", "Now {step}.")
FAILURES = ("That is {value}, not {target}, so I try something else.", "So {value}, which is wrong. Again.")
CLOSINGS = ("So the answer is \\boxed{{{expression}}}.", "This works: \\boxed{{{expression}}}")

CORRECT_SHARE = 0.5
"""How many texts end with a solution; the others end with the last attempt."""


@dataclass(frozen=True)
class Worked:
    """One completion."""

    text: str
    ids: list[int]
    """Tokens of the policy; the last one is the end token unless the text was cut."""


def vocabulary() -> list[str]:
    """Return the words, signs and digits of all texts, for tokenizers with one token each."""
    templates = " ".join((*OPENINGS, *STEPS, *FAILURES, *CLOSINGS))
    return sorted({*re.findall(r"\w+|[^\w\s]", templates), *"+-*/=()", *map(str, range(1000))})


def write_worked(row: Row, num_tokens: int, tokenizer: Any, generator: random.Random) -> Worked:
    """Return as many failed attempts as `num_tokens` leave room for, and a last one with its answer in a box."""
    last = _draw_solution(row, generator) if generator.random() < CORRECT_SHARE else _draw_tree(row, generator)
    ending = _tell_attempt(last, generator) + _pick(CLOSINGS, generator, expression=write_expression(last))
    text = _pick(OPENINGS, generator, target=row["target"])
    while True:
        tree = _draw_tree(row, generator)
        failure = _pick(FAILURES, generator, value=_value(tree), target=row["target"])
        longer = text + _tell_attempt(tree, generator) + failure
        if len(tokenizer(longer + ending)["input_ids"]) >= num_tokens:
            break
        text = longer
    return _cut(text + ending, num_tokens, tokenizer)


def _cut(text: str, num_tokens: int, tokenizer: Any) -> Worked:
    encoded = tokenizer(text, return_offsets_mapping=True)
    ids = list(encoded["input_ids"])
    if len(ids) < num_tokens:
        return Worked(text, [*ids, tokenizer.eos_token_id])
    return Worked(text[: encoded["offset_mapping"][num_tokens - 1][1]], ids[:num_tokens])


def _pick(templates: Sequence[str], generator: random.Random, **values: Any) -> str:
    return generator.choice(templates).format(**values) + " "


def _tell_attempt(tree: Tree, generator: random.Random) -> str:
    steps: list[str] = []
    _list_steps(tree, steps)
    return "".join(_pick(STEPS, generator, step=step) for step in steps)


def _list_steps(tree: Tree, steps: list[str]) -> int:
    if isinstance(tree, int):
        return tree
    left, right = _list_steps(tree[1], steps), _list_steps(tree[2], steps)
    steps.append(f"{left} {tree[0]} {right} = {(value := _value((tree[0], left, right)))}")
    return value


def _value(tree: Tree) -> int:
    if isinstance(tree, int):
        return tree
    operation, left, right = tree[0], _value(tree[1]), _value(tree[2])
    return {"+": left + right, "-": left - right, "*": left * right, "/": left // (right or 1)}[operation]


def _draw_tree(row: Row, generator: random.Random) -> Tree:
    """Return a random expression over all numbers whose results are whole and at least 1."""
    parts: list[Tree] = list(row["numbers"])
    while len(parts) > 1:
        generator.shuffle(parts)
        left, right = sorted((parts.pop(), parts.pop()), key=_value, reverse=True)
        allowed = ["+", "*", *("-" * (_value(left) > _value(right))), *("/" * (_value(left) % _value(right) == 0))]
        parts.append((generator.choice(allowed), left, right))
    return parts[0]


def _draw_solution(row: Row, generator: random.Random) -> Tree:
    found = solutions_by_target(row["numbers"], (row["target"],), SolutionRules(True, "natural"))[row["target"]]
    return found[generator.choice(sorted(found))] if found else _draw_tree(row, generator)
