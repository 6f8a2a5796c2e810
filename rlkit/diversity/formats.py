"""The form of an answer: code, a list, a boxed result, bare arithmetic. Runs can settle on one form in a few steps.

Zhao et al. 2025, "Echo Chamber", arXiv 2504.07912: RL amplifies one format of the pre-training data within an epoch.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rlkit.estimators import hill_number

EMPTY_FORMAT, PLAIN_FORMAT = "empty", "prose"

FORMATS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "think_tags": re.compile(r"</?think>"),
        "answer_tags": re.compile(r"<answer>"),
        "json": re.compile(r"\s*+(?:```json\s|[{\[]\s*+[\"{\[])"),
        "code": re.compile(
            r"```|^[ \t]*+(?:def \w+\(|class \w+[(:]|import \w+|#include\b|from \w+ import )", re.MULTILINE
        ),
        "boxed": re.compile(r"\\boxed\s*\{"),
        "latex": re.compile(r"\$[^$\n]+\$|\\\[|\\\(|\\begin\{|\\frac\b"),
        "arithmetic": re.compile(r"(?=\D*\d)[\s\d.+\-*/()=\[\]]++\Z"),
        "headings": re.compile(r"^#{1,6} \S|^\*\*[^*\n]+\*\*:?[ \t]*$", re.MULTILINE),
        "list": re.compile(
            r"^[ \t]*+(?:[-*+•]|\d++[.)])[ \t]+\S[^\n]*+\n(?:[^\n]*+\n)??[ \t]*+(?:[-*+•]|\d++[.)])[ \t]", re.M
        ),
    }
)
"""Formats in the order in which they are tried; the first that a text shows is its own. None of them is `prose`.

A list is two items with at most a line between them. Every pattern takes time linear in the text.
"""

_FROM_THE_START = ("json", "arithmetic")
"""Formats that begin where the text begins; the others may stand anywhere in it."""


def classify_format(text: str) -> str:
    """Return the format of a text: `empty`, the first of `FORMATS` that it shows, or `prose`."""
    if not text.strip():
        return EMPTY_FORMAT
    return next((name for name in FORMATS if shows_format(text, name)), PLAIN_FORMAT)


def shows_format(text: str, name: str) -> bool:
    """Return whether a text shows one of `FORMATS`, whatever else it shows."""
    pattern = FORMATS[name]
    return (pattern.match if name in _FROM_THE_START else pattern.search)(text) is not None


def format_shares(formats: Sequence[str]) -> dict[str, float]:
    """Return the share of each format that occurs, most frequent first; empty without texts."""
    counts = Counter(formats)
    return {name: count / len(formats) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def dominant_share(shares: Mapping[str, float]) -> float:
    """Return the share of the most frequent format, in (0, 1]; NaN without texts."""
    return max(shares.values(), default=math.nan)


def effective_formats(shares: Mapping[str, float]) -> float:
    """Return the effective number of formats, exp of the entropy of their shares, at least 1; NaN without texts."""
    return hill_number(list(shares.values()), 1)


def js_divergence(shares_a: Mapping[str, float], shares_b: Mapping[str, float]) -> float:
    """Return the Jensen-Shannon divergence of two sets of shares in nats, in [0, ln 2]; NaN where one is empty.

    Half the KL divergence of each from their mean (Lin 1991). Of a checkpoint and its base: how far the form moved.
    """
    if not shares_a or not shares_b:
        return math.nan
    total = 0.0
    for name in shares_a.keys() | shares_b.keys():
        a, b = shares_a.get(name, 0.0), shares_b.get(name, 0.0)
        total += sum(share * math.log(2.0 * share / (a + b)) for share in (a, b) if share > 0) / 2
    return max(total, 0.0)
