"""The command that draws an evaluation's samples again, from what its files record."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOWER_TEMPERATURES = (0.1, 0.2, 0.4, 0.6, 0.8)
"""Where a base is sampled to know its front: from all but greedy to almost as it is."""


def repeat_command(report: Mapping[str, Any], config: Mapping[str, Any], directory: str | Path, **changes: Any) -> str:
    """Return the `rlkit eval` command of an evaluation.

    Args:
        report: its report.json.
        config: its config.json, empty where there is none.
        directory: what `--output` is.
        changes: options that take other values, e.g. `temperature="0.4,0.6"`.
    """
    recorded = config.get("config") or {}
    options: dict[str, Any] = {
        "model": report.get("model"),
        "task": recorded.get("task", report.get("task")),
        "split": report.get("split"),
        "n": report.get("n"),
        "limit": recorded.get("limit"),
        "engine": recorded.get("engine", report.get("engine")),
        "output": directory,
    } | dict(report.get("sampling") or {})
    words = [word for name, value in (options | changes).items() for word in _option(name, value)]
    return shlex.join(["rlkit", "eval", *words])


def lower_temperatures_command(report: Mapping[str, Any], config: Mapping[str, Any], directory: str | Path) -> str:
    """Return the command that samples a base at lower temperatures, into a directory beside its own."""
    recorded = (report.get("sampling") or {}).get("temperature")
    own = float(recorded) if isinstance(recorded, int | float) else 1.0
    temperatures = [each for each in (*LOWER_TEMPERATURES, 1.0) if each <= own] or [own]
    several = ",".join(f"{each:g}" for each in dict.fromkeys([*temperatures, own]))
    return repeat_command(report, config, f"{str(directory).rstrip('/')}-temperatures", temperature=several)


def _option(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, list):
        return [word for item in value for word in (flag, str(item))]
    if isinstance(value, dict):
        value = json.dumps(value)
    return [] if value is None else [flag, str(value)]
