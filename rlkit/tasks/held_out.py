"""Problems held out for tests: chosen by the prompts alone, so that another order of the rows chooses the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from rlkit.parameters import check_number, check_text
from rlkit.types import Row


def check_share(owner: str, test: Any) -> None:
    """Raise ConfigError unless `test` is None, a share between 0 and 1, or the path of a file."""
    if isinstance(test, str):
        check_text(owner, "test", test)
    elif test is not None:
        check_number(owner, "test", test, above=0, below=1)


def hold_out(rows: list[Row], share: float, is_test: bool) -> list[Row]:
    """Return the rows that are held out, or the others, in their order; equal prompts stay together.

    The prompts with the smallest digests are held out, at least one and never all where there are two.
    """
    digests = [hashlib.sha256(json.dumps(row["prompt"]).encode()).hexdigest() for row in rows]
    distinct = sorted({*digests})
    held = {*distinct[: min(max(round(share * len(distinct)), 1), len(distinct) - 1)]}
    return [row for row, digest in zip(rows, digests, strict=True) if (digest in held) == is_test]
