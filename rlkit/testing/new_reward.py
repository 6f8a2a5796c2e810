"""A working reward of one's own and its test, to edit: what `rlkit rewards new` writes."""

from __future__ import annotations

import keyword
from pathlib import Path

from rlkit.errors import ConfigError


def write_reward(name: str, folder: Path) -> list[Path]:
    """Write NAME.py and test_NAME.py into a folder and return their paths.

    Raises:
        ConfigError: the name is no function's, or a file of that name exists already.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(f"{name!r} cannot be the name of a function; write one like short_answers.")
    files = {folder / f"{name}.py": _PLUGIN, folder / f"test_{name}.py": _TEST}
    for file in files:
        if file.exists():
            raise ConfigError(f"{file} exists already; choose another name, or move it away.")
    for file, text in files.items():
        file.write_text(text.replace("NAME", name), encoding="utf-8")
    return [*files]


_PLUGIN = '''\
"""1 for a short answer, less the longer it is.

    rewards: [countdown, {name: NAME.py:NAME, longest: 40}]
    reward_weights: [1.0, 0.1]
"""

import rlkit
from rlkit.types import Completion, completion_text

CASES = [
    ("Paris", 1.0),
    ("x" * 400, 0.5),
    ("", None),
]
"""What it must say of each completion: `rlkit rewards check NAME.py` runs them."""


@rlkit.reward
def NAME(completion: Completion, *, longest: int = 200) -> float | None:
    """Return 1 up to `longest` characters, then longest / characters; None for a blank completion.

    Args:
        completion: text, or chat.
        longest: characters that cost nothing.
    """
    text = completion_text(completion).strip()
    if not text:
        return None  # Not scored; never write 0 for what you cannot judge.
    return min(1.0, longest / len(text))
'''

_TEST = """\
from pathlib import Path

from rlkit.testing import check_reward


def test_NAME_keeps_its_contract():
    check_reward(f"{Path(__file__).with_name('NAME.py')}:NAME")
"""
