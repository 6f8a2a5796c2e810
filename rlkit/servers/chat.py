"""A language model behind an OpenAI-compatible server: one question, one reply."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rlkit.errors import ConfigError
from rlkit.servers.retrying import BUSY_STATUSES, GarbledReplyError, TransientError, call_until


def ask_chat(
    base_url: str, key: str | None, model: str, question: str, deadline_s: float, options: dict[str, Any]
) -> str | None:
    """Return the reply to one user message; None when the model said nothing.

    Args:
        base_url: of the server with its version, `http://host:port/v1`.
        key: the server's; None where it asks for none.
        model: as the server calls it.
        question: the message.
        deadline_s: seconds until failing and garbled replies are given up.
        options: further fields of the request, such as `temperature`.

    Raises:
        ConfigError: `openai` is not installed, or the server refuses the request (status 4xx).
        RewardError: no usable reply before the deadline.
    """
    client = _connect(base_url, key)
    request = {"model": model, "messages": [{"role": "user", "content": question}], **options}
    return call_until(deadline_s, lambda seconds: _read(_send(client, request, seconds)), name_judge(base_url))


def name_judge(base_url: str) -> str:
    """Return how messages call the server."""
    return f"The judge at {base_url}"


def probe_chat(base_url: str, key: str | None) -> Callable[[float], None]:
    """Return what asks the server for its models within the seconds given; any reply, also a refusal, is life.

    Raises:
        ConfigError: `openai` is not installed. The probe raises TransientError where nothing replies.
    """
    client = _connect(base_url, key)

    def probe(seconds: float) -> None:
        import openai

        try:
            client.models.with_raw_response.list(timeout=seconds)
        except openai.APIConnectionError as error:
            raise TransientError(str(error)) from error
        except openai.OpenAIError:
            # A server without such a list says so.
            pass

    return probe


@lru_cache(maxsize=8)
def _connect(base_url: str, key: str | None) -> Any:
    try:
        from openai import OpenAI
    except ImportError as error:
        raise ConfigError(
            "llm_judge needs the package openai, which is not installed; pip install openai, or rlkit-diversity[judge]."
        ) from error
    # Retries are ours, so that one deadline holds; a client without a key would refuse to be made.
    return OpenAI(base_url=base_url, api_key=key or "none", max_retries=0)


def _send(client: Any, request: dict[str, Any], seconds: float) -> Any:
    import openai

    try:
        return client.chat.completions.create(**request, timeout=seconds)
    except openai.APIConnectionError as error:
        raise TransientError(str(error)) from error
    except openai.APIStatusError as error:
        if error.status_code >= 500 or error.status_code in BUSY_STATUSES:
            raise TransientError(str(error)) from error
        raise ConfigError(f"The judge at {client.base_url} refuses the question: {error}.") from error
    except (openai.OpenAIError, ValueError) as error:
        raise GarbledReplyError(repr(error)) from error


def _read(reply: Any) -> str | None:
    try:
        text = reply.choices[0].message.content
    except (AttributeError, IndexError, TypeError) as error:
        raise GarbledReplyError(f"{str(reply)[:80]!r}") from error
    if text is not None and not isinstance(text, str):
        raise GarbledReplyError(f"{str(text)[:80]!r}")
    return text
