"""Diversity as what a compressor cannot save: repeated phrases, templates and whole copies cost it next to nothing."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

from rlkit.parameters import check_count

SMALLEST_BYTES = 2000
"""Below this the compressor's own header and tables are a large part of the result."""
_SEPARATOR = b" "


def compression_ratio(texts: Sequence[str], min_bytes: int = SMALLEST_BYTES) -> float:
    """Return the size of the joined texts over their compressed size; higher is more redundant.

    Grows with the number and length of texts; compare at equal ones. It looks back 32 KiB: of texts longer than that
    together, repetitions between neighbours alone are seen.

    Args:
        texts: shape (N,), joined by a blank, empty ones left out.
        min_bytes: NaN where the joined texts hold fewer; 2000 by default. 1 measures whatever there is.

    Returns:
        Above 0; below 1 where compression makes longer. NaN where there is too little text, or none.

    Raises:
        ConfigError: `min_bytes` is not a whole number of at least 1.

    Source: Shaib et al. 2024, "Standardizing the Measurement of Text Diversity", arXiv 2403.00553, with gzip; we take
    zlib at level 9, whose header is 12 bytes shorter.
    """
    check_count("compression_ratio", "min_bytes", min_bytes)
    joined = _join(texts)
    return len(joined) / _size(joined) if len(joined) >= min_bytes else math.nan


def _join(texts: Sequence[str]) -> bytes:
    return _SEPARATOR.join(text.encode("utf-8", "surrogatepass") for text in texts if text.strip())


def _size(content: bytes) -> int:
    return len(zlib.compress(content, 9))
