"""An address that is asked over HTTP: JSON goes out, JSON comes back, and whatever goes wrong has a type."""

from __future__ import annotations

import json
import math
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rlkit.errors import ConfigError
from rlkit.parameters import check_text, show
from rlkit.servers.faults import (
    BUSY_STATUSES,
    BusyError,
    GarbledReplyError,
    RefusedError,
    TransientError,
    UnreachableError,
    say_shortly,
)

if TYPE_CHECKING:
    import ssl

    import httpx

_CONNECT_S = 10.0
_LONGEST_WAIT_S = 60.0
"""Most of what a server may ask to be left alone for."""


class Endpoint:
    """Asks one address, in one event loop; deadlines are the caller's, but a connection gets ten seconds."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """Take the address, and the key that is sent as a bearer token; nothing is opened yet."""
        self.url, self._key = url.rstrip("/"), key
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str) -> Any:
        """Return what is read under a path; raises as `post` does."""
        return _read_reply(await self._send("GET", path))

    async def post(self, path: str, fields: dict[str, Any]) -> Any:
        """Return the reply to a JSON request; half a surrogate pair in it, which nothing can send, becomes `?`.

        Raises:
            TransientError: no connection, a broken one, a busy server or one that fails; it may work another time.
            GarbledReplyError: a reply that is no JSON.
            RefusedError: the server will not do it.
            ConfigError: `httpx` is not installed, or no request can go to such an address.
        """
        body = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
        return _read_reply(await self._send("POST", path, content=body, headers={"Content-Type": "application/json"}))

    async def touch(self, path: str) -> None:
        """Return when there is a sign of life, which any reply is, a refusal too; raises UnreachableError."""
        await self._send("GET", path)

    async def close(self) -> None:
        """Close what was opened."""
        if self._client is not None:
            await self._client.aclose()

    async def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        self._client = self._client or _open(self._key)
        import httpx

        try:
            return await self._client.request(method, f"{self.url}/{path}", **given)
        except httpx.InvalidURL as error:
            raise ConfigError(f"No request can go to {self.url!r}: {error}.") from error
        except httpx.TransportError as error:
            raise UnreachableError(say_shortly(error)) from error
        except httpx.HTTPError as error:
            raise GarbledReplyError(say_shortly(error)) from error


def read_key(variable: str | None) -> str | None:
    """Return the value of an environment variable; raises ConfigError when one is named that is not set."""
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise ConfigError(f"The environment variable {variable!r}, named as api_key_variable, is not set; export it.")
    return os.environ[variable]


def check_server(owner: str, field: str, url: Any, key_variable: Any, shape: str = "http://host:port/v1") -> None:
    """Raise ConfigError unless a plug-in was given an address without a key in it, and the name of a key or None."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.username is not None:
        raise ConfigError(
            f"{owner} was given {field}={show(url)}; write {shape} (a key belongs into the variable that "
            "api_key_variable names)."
        )
    if key_variable is not None:
        check_text(owner, "api_key_variable", key_variable)


def _open(key: str | None) -> httpx.AsyncClient:
    try:
        import httpx
    except ImportError as error:
        raise ConfigError(
            "Asking a server needs the package httpx, which is not installed; pip install httpx."
        ) from error
    return httpx.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else None,
        timeout=httpx.Timeout(None, connect=_CONNECT_S),
        # How much is under way at a time is the pool's to say.
        limits=httpx.Limits(max_connections=None),
        follow_redirects=True,
        verify=_trust(),
    )


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    # Reading all certificates takes longer than many a question.
    import httpx

    return httpx.create_ssl_context()


def _read_reply(response: httpx.Response) -> Any:
    status = response.status_code
    if status in BUSY_STATUSES:
        raise BusyError(f"status {status}", _read_wait(response.headers.get("retry-after")))
    if status >= 500:
        raise TransientError(f"status {status}: {_read_complaint(response)}")
    if status >= 300:
        raise RefusedError(status, _read_complaint(response))
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise GarbledReplyError(f"a reply that is no JSON: {response.text[:80]!r}") from error


def _read_complaint(response: httpx.Response) -> str:
    """Return the server's own words, out of the JSON that they usually come in."""
    try:
        said = response.json()
        said = said.get("error", said)
        said = said.get("message", said) if isinstance(said, dict) else said
    except (ValueError, AttributeError, RecursionError):
        said = response.text
    return " ".join(str(said).split())[:300].rstrip(".") or "no words"


def _read_wait(text: str | None) -> float:
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return min(seconds, _LONGEST_WAIT_S) if math.isfinite(seconds) and seconds > 0 else 0.0
