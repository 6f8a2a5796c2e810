"""How `rlkit explain ppo` draws completions, token by token."""

from __future__ import annotations

from typing import Any

from rlkit.explaining.group_table import start_table, write_table
from rlkit.terminal import plain, say

_LEGEND = {
    "reward": "what the token earned",
    "value": "what the critic expected before it",
    "penalty": "the coefficient times the divergence from the reference, off the advantage",
    "delta": "reward + gamma x next value - value",
    "advantage": "delta + gamma x lambda x next advantage",
    "return": "what the critic learns: the same sum with its own lambda, plus the value",
    "whitened": "the advantage at mean 0 and variance 1 over all tokens",
}


def print_tokens(explanation: dict[str, Any]) -> None:
    """Print a table, a row a token, and below it what each column is."""
    completions = explanation["completions"]
    table = start_table()
    columns = [*completions[0]["tokens"][0]]
    for heading in ("completion", "token", *columns):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, completion in enumerate(completions, start=1):
        for place, token in enumerate(completion["tokens"], start=1):
            table.add_row(str(number), str(place), *(plain(f"{token[name]:.4g}") for name in columns))
        table.add_section()
    write_table(table)
    for number, completion in enumerate(completions, start=1):
        after = f", {completion['bootstrap']:g} expected after the last token" if completion["bootstrap"] else ""
        say(
            f"Completion {number}: gamma {explanation['gamma']:g}, lambda {completion['lambda_policy']:.4g} for "
            f"advantages and {completion['lambda_value']:.4g} for returns{after}."
        )
    say("")
    for name in columns:
        say(f"{name}: {_LEGEND[name]}")
