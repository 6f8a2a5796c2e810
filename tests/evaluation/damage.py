"""Random edits of an evaluation directory, as an editor, a script or a bad disk makes them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 7, 10**9, 10**30, 10**400, 0.5, -0.5, 1e300, "", "x", "\ud800", "\x1b[2J", "1",
    [], [1], ["a"], [[]], {}, {"a": 1}, {"name": 3}, {"": None},
)  # fmt: skip


def damage(path: Path, rng: random.Random) -> str:
    """Edit a file at random, and return in words what was done."""
    if rng.random() < 0.25:
        return _edit_bytes(path, rng)
    try:
        return _edit_json(path, rng)
    except ValueError:
        # What was damaged before is no JSON any more.
        return _edit_bytes(path, rng)


def _edit_json(path: Path, rng: random.Random) -> str:
    if path.suffix != ".jsonl":
        value = json.loads(path.read_text())
        did = _edit(value, rng)
        path.write_text(json.dumps(value))
        return f"{path.name}: {did}"
    lines = path.read_text().splitlines(keepends=True)
    at = rng.randrange(len(lines))
    record = json.loads(lines[at])
    did = _edit(record, rng)
    lines[at] = json.dumps(record) + "\n"
    path.write_text("".join(lines))
    return f"{path.name}, line {at + 1}: {did}"


def _edit(value: Any, rng: random.Random) -> str:
    """Change one entry somewhere in a JSON value, as likely near its top as deep in it."""
    place, at = value, None
    trail = []
    while isinstance(place, dict | list) and place:
        key = rng.choice([*place]) if isinstance(place, dict) else rng.randrange(len(place))
        trail.append(key)
        at, inner = (place, key), place[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.3:
            break
        place = inner
    assert at is not None
    holder, key = at
    action = rng.choice(["set", "set", "set", "delete", "add", "rename"])
    if action == "delete":
        del holder[key]
    elif action == "add" and isinstance(holder, dict):
        holder[rng.choice(["new", "", "verdict", "variety", "pending", "0"])] = rng.choice(VALUES)
    elif action == "rename" and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    else:
        holder[key] = rng.choice(VALUES)
    return f"{action} {trail}"


def _edit_bytes(path: Path, rng: random.Random) -> str:
    content = bytearray(path.read_bytes() or b"{}")
    at = rng.randrange(len(content))
    action = rng.choice(["cut", "flip", "insert", "drop", "double"])
    if action == "cut":
        del content[at:]
    elif action == "flip":
        content[at] ^= 1 << rng.randrange(8)
    elif action == "insert":
        content[at:at] = rng.choice([b"\n", b"\x00", b"\xff\xfe", b"}", b"\n\n", b"NaN", b"\xef\xbb\xbf"])
    elif action == "drop":
        del content[at : at + rng.randrange(1, 200)]
    else:
        content[at:at] = content[at : at + rng.randrange(1, 400)]
    path.write_bytes(bytes(content))
    return f"{path.name}: {action} at byte {at}"
