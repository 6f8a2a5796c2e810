"""A sequence classifier behind HTTP, as vLLM serves it under `/classify`."""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from rlkit.errors import ConfigError
from rlkit.servers.retrying import BUSY_STATUSES, GarbledReplyError, TransientError, call_until


def classify_texts(url: str, model: str, texts: Sequence[str], deadline_s: float, key: str | None) -> list[list[float]]:
    """Return the class probabilities of each text, from one `POST {url}/classify` with `model` and `input`.

    Args:
        url: of the server, without `/classify`.
        model: as the server calls it.
        texts: what is classified, one row each.
        deadline_s: seconds until failing and garbled replies are given up.
        key: sent as a bearer token; None where the server asks for none.

    Raises:
        ConfigError: the server refuses the request (status 4xx).
        RewardError: no usable reply before the deadline; failures never become a judgement.
    """
    server = name_classifier(url)
    body = json.dumps({"model": model, "input": list(texts)}).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"{url.rstrip('/')}/classify", data=body, headers=headers)
    return call_until(deadline_s, lambda seconds: _read(_post(request, seconds, server), len(texts)), server)


def name_classifier(url: str) -> str:
    """Return how messages call the server."""
    return f"The classifier at {url}"


def probe_classifier(url: str) -> Callable[[float], None]:
    """Return what asks `{url}/health` within the seconds given; any reply, also a refusal, is life.

    The probe raises TransientError where nothing replies.
    """

    def probe(seconds: float) -> None:
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=seconds):
                return
        except urllib.error.HTTPError:
            return
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(repr(error)) from error

    return probe


def _post(request: urllib.request.Request, seconds: float, server: str) -> bytes:
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        said = error.read(200).decode(errors="replace").strip()
        if error.code >= 500 or error.code in BUSY_STATUSES:
            raise TransientError(f"status {error.code}, {said!r}") from error
        raise ConfigError(f"{server} refuses the request with status {error.code}, {said!r}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(repr(error)) from error


def _read(body: bytes, num_texts: int) -> list[list[float]]:
    try:
        entries = json.loads(body)["data"]
        entries = sorted(entries, key=lambda entry: entry.get("index", 0))
        rows = [[float(share) for share in entry["probs"]] for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GarbledReplyError(f"{body[:80]!r}") from error
    if len(rows) != num_texts:
        raise GarbledReplyError(f"{len(rows)} results for {num_texts} texts")
    if not all(row and all(_is_share(share) for share in row) for row in rows):
        raise GarbledReplyError(f"probabilities {rows!r:.80}")
    return rows


def _is_share(value: Any) -> bool:
    return math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6
