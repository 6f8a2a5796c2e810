"""What GAE makes of completions, token by token, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rlkit.errors import ConfigError
from rlkit.parameters import check_number, show

TOKEN_OPTIONS = {
    "values": ("0.5 0.6 0.7,0.4 0.3", "what the critic expects before each token: spaces part tokens"),
    "bootstrap": ("0.45,0", "what it expects after the last token of each; left out, completions ended"),
    "kl": ("0.1 0.2 0.3,0 0", "divergence from the reference at each token"),
    "kl_coef": ("0.1", "its coefficient (0.1)"),
    "kl_in_gae": ("true", "true: part of the reward of tokens; false (default): off the advantage of its token"),
    "gamma": ("1.0", "discount a token (1.0)"),
    "lambda_policy": ("0.95", "of the advantages: a number, {length_adaptive: 0.05}, {relative_position: 0.5} (0.95)"),
    "lambda_value": ("1.0", "of the returns that the critic learns (1.0)"),
    "whiten": ("true", "true: also show advantages at mean 0 and variance 1 over all tokens (false)"),
}
"""Option -> an example, and what it says."""


def explain_tokens(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return rewards, values, one-step errors, advantages and returns of every token, completion by completion.

    Args:
        given: `rewards`, one number a completion, earned by its last token, or one a token; `values`; and others of
            `TOKEN_OPTIONS`. Text as on the command line, or lists.

    Raises:
        ConfigError: something cannot be read, is missing, or is of another number of tokens than the values.
    """
    import torch

    from rlkit.recipe.yaml_text import parse_yaml
    from rlkit.returns import gae, measure_moments, read_lambda, whiten

    values = _read_completions("values", given.get("values"))
    rewards = _spread_rewards(_read_completions("rewards", given.get("rewards")), values)
    kl = None if given.get("kl") is None else _read_completions("kl", given["kl"])
    if kl is not None:
        _check_lengths("kl", kl, values)
    after = [0.0] * len(values) if given.get("bootstrap") is None else _read_singles(given["bootstrap"], len(values))
    numbers = {key: _read_number(key, given.get(key), usual) for key, usual in (("gamma", 1.0), ("kl_coef", 0.1))}
    check_number("ppo", "gamma", numbers["gamma"], at_least=0, at_most=1)
    lambdas = {
        key: read_lambda(parse_yaml(text, key) if isinstance(text, str) else text, key)
        for key, text in ((key, given.get(key, usual)) for key, usual in (("lambda_policy", 0.95), ("lambda_value", 1)))
    }
    width = max(map(len, values))
    mask_BT = torch.tensor([[1.0] * len(row) + [0.0] * (width - len(row)) for row in values])
    tensors = {"rewards": rewards, "values": values, **({} if kl is None else {"kl": kl})}
    padded = {name: _pad(rows, width) for name, rows in tensors.items()}
    penalties_BT = None if kl is None else numbers["kl_coef"] * padded["kl"]
    is_inside = _read_flag("kl_in_gae", given.get("kl_in_gae"))
    rewards_BT = padded["rewards"] - penalties_BT if penalties_BT is not None and is_inside else padded["rewards"]
    lengths_B, after_B = mask_BT.sum(dim=1), torch.tensor(after, dtype=torch.float64)
    both = (rewards_BT, padded["values"], mask_BT, numbers["gamma"])
    of_rows = {key: function(lengths_B.long()) for key, function in lambdas.items()}
    advantages_BT = gae(*both, of_rows["lambda_policy"], after_B)
    if penalties_BT is not None and not is_inside:
        advantages_BT = advantages_BT - penalties_BT
    columns = {
        "reward": rewards_BT,
        "value": padded["values"],
        **({} if penalties_BT is None or is_inside else {"penalty": penalties_BT}),
        "delta": gae(*both, 0.0, after_B),
        "advantage": advantages_BT,
        "return": gae(*both, of_rows["lambda_value"], after_B) + padded["values"],
    }
    if _read_flag("whiten", given.get("whiten")):
        columns["whitened"] = whiten(advantages_BT, mask_BT, measure_moments(advantages_BT, mask_BT))
    return {
        "gamma": numbers["gamma"],
        "completions": [
            {
                "lambda_policy": of_rows["lambda_policy"][row].item(),
                "lambda_value": of_rows["lambda_value"][row].item(),
                "bootstrap": after[row],
                "tokens": [
                    {name: column[row, place].item() for name, column in columns.items()}
                    for place in range(len(values[row]))
                ],
            }
            for row in range(len(values))
        ],
    }


def _pad(rows: list[list[float]], width: int) -> Any:
    import torch

    return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows], dtype=torch.float64)


def _read_completions(name: str, given: Any) -> list[list[float]]:
    """Return one list of numbers a completion: commas part completions, spaces tokens."""
    if given is None:
        example = TOKEN_OPTIONS["values"][0] if name != "rewards" else "1,0"
        raise ConfigError(f"ppo needs {name}; add --{name} {example!r}.")
    rows = [part.split() for part in given.split(",")] if isinstance(given, str) else _as_lists(given)
    read = [[_number(name, cell) for cell in row] for row in rows]
    if not read or not all(read):
        raise ConfigError(f"{name} was given as {show(given)}; every completion has at least one token.")
    return read


def _as_lists(given: Any) -> list[list[Any]]:
    cells = given if isinstance(given, list) else [given]
    return [list(cell) if isinstance(cell, list) else [cell] for cell in cells]


def _number(name: str, cell: Any) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{name} holds {show(cell)}; write finite numbers.")
    return value


def _spread_rewards(rewards: list[list[float]], values: list[list[float]]) -> list[list[float]]:
    if len(rewards) == len(values) and all(len(row) == 1 for row in rewards):
        return [[0.0] * (len(row) - 1) + earned for earned, row in zip(rewards, values, strict=True)]
    _check_lengths("rewards", rewards, values)
    return rewards


def _check_lengths(name: str, rows: list[list[float]], values: list[list[float]]) -> None:
    here, there = ([len(row) for row in given] for given in (rows, values))
    if here != there:
        extra = " (or one number a completion)" if name == "rewards" else ""
        raise ConfigError(f"{name} are of {here} tokens and values of {there}; give one of each a token{extra}.")


def _read_singles(given: Any, count: int) -> list[float]:
    rows = _read_completions("bootstrap", given)
    if len(rows) != count or any(len(row) != 1 for row in rows):
        raise ConfigError(f"bootstrap was given as {show(given)}; give one number for each of {count} completions.")
    return [row[0] for row in rows]


def _read_number(name: str, given: Any, usual: float) -> float:
    return usual if given is None else _number(name, given)


def _read_flag(name: str, given: Any) -> bool:
    words = {"true": True, "false": False, True: True, False: False, None: False}
    key = given.lower() if isinstance(given, str) else given
    if key not in words:
        raise ConfigError(f"{name} was given as {show(given)}; write true or false.")
    return words[key]
