"""A sequence classifier behind HTTP, as vLLM serves it under `/classify`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rlkit.errors import ConfigError
from rlkit.servers.asking import Respondent, ask_each
from rlkit.servers.endpoint import Endpoint
from rlkit.servers.faults import GarbledReplyError, RefusedError


def classify_texts(
    url: str, model: str, batches: Sequence[list[str]], deadline_s: float, concurrency: int, key: str | None
) -> list[list[list[float]]]:
    """Return the class probabilities of each text of each batch, from a `POST {url}/classify` a batch.

    Args:
        url: of the server, without `/classify`.
        model: as the server calls it.
        batches: what is classified, one row each.
        deadline_s: seconds until failing and garbled replies are given up.
        concurrency: batches under way at a time.
        key: sent as a bearer token; None where the server asks for none.

    Raises:
        ConfigError: the server refuses the request (status 4xx).
        RewardError: no usable reply before the deadline; failures never become a judgement.
    """
    name = f"The classifier at {url}"

    async def classify(endpoint: Endpoint, texts: list[str]) -> list[list[float]]:
        try:
            return _read(await endpoint.post("classify", {"model": model, "input": texts}), len(texts))
        except RefusedError as error:
            raise ConfigError(f"{name} refuses the request with {error}.") from error

    return ask_each(classify, batches, Respondent(name, url, key, "health", deadline_s, concurrency))


def _read(reply: Any, num_texts: int) -> list[list[float]]:
    try:
        entries = sorted(reply["data"], key=lambda entry: entry.get("index", 0))
        rows = [[float(share) for share in entry["probs"]] for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GarbledReplyError(f"{str(reply)[:80]!r}") from error
    if len(rows) != num_texts:
        raise GarbledReplyError(f"{len(rows)} results for {num_texts} texts")
    if not all(row and all(_is_share(share) for share in row) for row in rows):
        raise GarbledReplyError(f"probabilities {rows!r:.80}")
    return rows


def _is_share(value: Any) -> bool:
    return math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6
