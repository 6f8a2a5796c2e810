"""The share of a completion that is written in the prompt's language, or in a given one.

    rewards: [math_verify, {name: language_consistency, language: en}]
    reward_weights: [1.0, 0.1]

Policies under RL begin to mix languages while they reason. Give it a small weight: it pays for any text in the
language.
"""

from __future__ import annotations

import re

import rlkit
from rlkit.errors import ConfigError
from rlkit.types import Completion, Prompt, completion_text, prompt_text

_EN = "We have to find the number of apples that are left over."
_DE = "Wir müssen herausfinden, wie viele Äpfel noch übrig sind."
CASES = [
    ({"completion": _EN, "prompt": _EN}, 1.0),
    ({"completion": _DE, "prompt": _EN}, 0.0),
    ({"completion": _DE, "prompt": [{"role": "user", "content": _DE}]}, 1.0),
    ({"completion": f"{_EN}\n{_EN}", "prompt": "?", "language": "en"}, 1.0),
    ({"completion": "42 = 6 * 7", "prompt": _EN}, None),
    ({"completion": _EN, "prompt": "2 + 2 = ?"}, None),
]
"""What it must say of each call."""

_PIECE = re.compile(r"[.!?。！？\n]+")
_NO_LANGUAGE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$[^$\n]*\$|\\[a-zA-Z]+", re.DOTALL)
_NO_LETTERS = re.compile(r"[\W\d_]+")
_LONGEST = 20_000
"""Characters that are read of a text."""


@rlkit.reward
def language_consistency(
    completion: Completion, prompt: Prompt, *, language: str | None = None, min_bytes: int = 24
) -> float | None:
    """Return the share of letters in sentences of the wanted language, in [0, 1]; None where too little is written.

    Args:
        completion: text, or chat.
        prompt: its language is wanted when no other is given; None is returned where it is too short to tell.
        language: two letters, as `en`.
        min_bytes: letters, in bytes of UTF-8, below which a sentence does not count: it could be any language.

    Source: the reward of DeepSeek-R1, arXiv 2501.12948, a share of words; ours goes by sentences, as
    py3langid tells the language of nothing shorter.
    """
    wanted = language or max(_languages(prompt_text(prompt), min_bytes), default=(0, None))[1]
    found = _languages(completion_text(completion), min_bytes)
    total = sum(size for size, _ in found)
    return sum(size for size, name in found if name == wanted) / total if total and wanted else None


def _languages(text: str, min_bytes: int) -> list[tuple[int, str]]:
    """Return letters and language of each sentence that is long enough."""
    try:
        from py3langid.langid import classify
    except ImportError as error:
        raise ConfigError("language_consistency needs py3langid, which is not installed; install py3langid.") from error
    prose = _NO_LANGUAGE.sub(" ", text[:_LONGEST])
    pieces = [_NO_LETTERS.sub(" ", piece).strip() for piece in _PIECE.split(prose)]
    sizes = [len(piece.replace(" ", "").encode("utf-8", "ignore")) for piece in pieces]
    return [(size, classify(piece)[0]) for size, piece in zip(sizes, pieces, strict=True) if size >= min_bytes]
