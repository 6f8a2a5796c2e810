"""Sampling from OpenAI-compatible servers, vLLM's first: any number of them, shared out and survived one by one."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from rlkit.errors import ConfigError, EngineError, RewardError
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.contract import Sample, SampleKey
from rlkit.evaluation.engines.openai_requests import Dialect, SampleRequest, plan_requests, read_samples
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.parameters import check_choice, check_count, check_flag, check_number, check_text, show
from rlkit.servers.chat import probe_chat
from rlkit.servers.pool import BusyError, Server, ServerPool, SplitError, UnreachableError
from rlkit.servers.retrying import BUSY_STATUSES, GarbledReplyError, TransientError, call_until, read_key
from rlkit.terminal import note
from rlkit.types import Row

_NO_CHAT = ChatFormat()
_PROBE_S = 10.0
# How servers say that they draw fewer samples a request: `n` as a word of its own.
_ABOUT_N = re.compile(r"(?<![\w'])['\"`]?n['\"`]?(?![\w'])")


@dataclass(frozen=True)
class OpenaiEngine:
    """Samples from OpenAI-compatible servers; plain prompts go to `completions`, chats to `chat/completions`.

    The model is the name that the servers know, `served_model` where that is not the evaluation's model; an adapter is
    the name of a served adapter, and then the model of the request. The idlest server gets the next request; one that
    fails is left out until it replies again. `logp_sum` is known where the server gives log-probs of the model itself,
    which vLLM does by default; `entropy_mean` never is.

    Raises:
        ConfigError: a parameter is not allowed.
    """

    base_url: str | Sequence[str] = "http://localhost:8000/v1"
    """Address of each server with its version; a text, or a list of them."""
    served_model: str | None = None
    """As the servers call the model; None for the name in the evaluation."""
    api_key_variable: str | None = None
    """The environment variable that holds the key; None where the servers ask for none."""
    dialect: str = "vllm"
    """`vllm` also sends what only vLLM understands (top_k, min_p, template arguments); `openai` what all do."""
    logprobs: bool = True
    """Whether to ask for log-probs; some servers refuse."""
    samples_per_request: int = 16
    """Most samples that one request asks for."""
    concurrency: int = 32
    """Requests under way at each server."""
    deadline_s: float = 1800.0
    """Seconds until a request is given up and tried elsewhere; waiting in the server's queue counts."""
    patience_s: float = 60.0
    """Seconds in which every server is down until all is given up."""

    connection: ClassVar[tuple[str, ...]] = (
        "base_url",
        "api_key_variable",
        "samples_per_request",
        "concurrency",
        "deadline_s",
        "patience_s",
    )
    names_models: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check every parameter, and turn one address into a tuple of one."""
        urls = (self.base_url,) if isinstance(self.base_url, str) else self.base_url
        if not (isinstance(urls, list | tuple) and urls and all(_is_address(url) for url in urls)):
            raise ConfigError(
                f"openai was given base_url={show(self.base_url)}; write http://host:port/v1, or a list of such "
                "addresses (a key belongs into the variable that api_key_variable names)."
            )
        object.__setattr__(self, "base_url", tuple(dict.fromkeys(url.rstrip("/") for url in urls)))
        for name in ("served_model", "api_key_variable"):
            if getattr(self, name) is not None:
                check_text("openai", name, getattr(self, name))
        check_choice("openai", "dialect", self.dialect, ("vllm", "openai"))
        check_flag("openai", "logprobs", self.logprobs)
        check_count("openai", "samples_per_request", self.samples_per_request)
        check_count("openai", "concurrency", self.concurrency)
        check_number("openai", "deadline_s", self.deadline_s, above=0)
        check_number("openai", "patience_s", self.patience_s, at_least=0)

    def check(self) -> None:
        """Ask every server for a sign of life, at most ten seconds.

        Raises:
            ConfigError: the package openai is missing, the key's variable is not set, or no server replies.
        """
        if importlib.util.find_spec("openai") is None:
            raise ConfigError("The engine openai needs the package openai, which is not installed; pip install openai.")
        key = read_key(self.api_key_variable)
        with ThreadPoolExecutor(len(self.base_url)) as pool:
            reasons = list(pool.map(lambda url: _find_silence(url, key), self.base_url))
        silent = [f"{url} ({reason})" for url, reason in zip(self.base_url, reasons, strict=True) if reason]
        if len(silent) == len(self.base_url):
            raise ConfigError(f"No server replies: {'; '.join(silent)}; start it, or mend its address in base_url.")
        for each in silent:
            note(f"The server at {each} does not reply; the evaluation goes on with the others.")

    def sample(
        self,
        model: str,
        rows: Sequence[Row],
        n: int,
        sampling: SamplingConfig,
        done: Container[SampleKey],
        *,
        adapter: str | None = None,
        chat: ChatFormat = _NO_CHAT,
    ) -> Iterator[list[Sample]]:
        """Yield what has come, as it comes; a request of which any sample is missing is drawn whole."""
        dialect = Dialect(adapter or self.served_model or model, sampling, chat, self.dialect == "vllm", self.logprobs)
        self._check_dialect(dialect)
        requests = [
            request
            for request in plan_requests(rows, n, self.samples_per_request)
            if any((request.row["id"], request.first + i) not in done for i in range(request.count))
        ]
        key = read_key(self.api_key_variable)
        pool: ServerPool[SampleRequest, list[Sample]] = ServerPool(
            [Server(url, _connect(url, key)) for url in self.base_url],
            _Asking(dialect).ask,
            self.concurrency,
            self.deadline_s,
            self.patience_s,
        )
        for batches in pool.run(requests):
            yield [sample for batch in batches for sample in batch]

    def _check_dialect(self, dialect: Dialect) -> None:
        if dialect.knows_vllm:
            return
        sampling = dialect.sampling
        for name, is_set in (
            ("top_k", sampling.top_k),
            ("min_p", sampling.min_p),
            ("chat template", dialect.chat.template),
            ("template_args", dialect.chat.template_args),
        ):
            if is_set:
                raise ConfigError(f"The dialect openai has no {name}; leave it out, or write dialect: vllm.")


class _TooLongError(Exception):
    """A server takes no max_tokens beyond its context."""


class _Asking:
    """Puts requests to servers and reads their replies."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        sampling = dialect.sampling
        is_untouched = sampling.temperature == 1.0 and sampling.top_p == 1.0
        # Where nobody says whether temperature and truncation are in the log-probs, only without them they are known.
        self._is_raw = dialect.wants_logprobs and (dialect.knows_vllm or is_untouched)
        self._largest: dict[str, int] = {}
        self._known: set[str] = set()

    async def ask(self, server: Server, request: SampleRequest) -> list[Sample]:
        """Return the samples of a request.

        Raises:
            TransientError, GarbledReplyError: it may work another time.
            SplitError: it must be put in smaller parts.
            EngineError: the server refuses it, or does not have the model.
        """
        largest = self._largest.get(server.url, request.count)
        if request.count > largest:
            raise SplitError(list(request.split(largest)))
        await self._check_model(server)
        reply = await self._send(server, request)
        samples = read_samples(request, reply, self._is_raw)
        if len(samples) < request.count:
            # A server that overlooks n, or limits it, gives as many as it will each time.
            self._largest[server.url] = len(samples)
            raise SplitError(list(request.split(len(samples))))
        return samples

    async def _send(self, server: Server, request: SampleRequest) -> Any:
        fields = self._dialect.fields_of(request)
        try:
            return await self._create(server, request, fields)
        except _TooLongError:
            # As for every engine, the context then cuts what max_tokens would not: null is what is left of it.
            return await self._create(server, request, fields | {"max_tokens": None})

    async def _create(self, server: Server, request: SampleRequest, fields: dict[str, Any]) -> Any:
        import openai

        api = server.client.chat.completions if "messages" in fields else server.client.completions
        try:
            return await api.create(**fields)
        except openai.APITimeoutError as error:
            raise TransientError(f"{error}") from error
        except openai.APIConnectionError as error:
            raise UnreachableError(_say_connection(error)) from error
        except openai.APIStatusError as error:
            can_leave_out = self._dialect.knows_vllm and fields["max_tokens"] is not None
            if can_leave_out and error.status_code == 400 and "max_tokens" in str(error.message):
                raise _TooLongError from error
            raise self._judge_status(server, request, error) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise GarbledReplyError(f"a reply that cannot be read: {error!r}"[:200]) from error

    def _judge_status(self, server: Server, request: SampleRequest, error: Any) -> Exception:
        status = error.status_code
        if status in BUSY_STATUSES or status == 503:
            return BusyError(f"status {status}", _read_wait(error.response.headers.get("retry-after")))
        if status >= 500:
            return TransientError(f"status {status}: {error.message}")
        if status in (400, 422) and request.count > 1 and _ABOUT_N.search(str(error.message)):
            self._largest[server.url] = (request.count + 1) // 2
            return SplitError(list(request.split((request.count + 1) // 2)))
        reason = " ".join(str(error.message).split())[:300].rstrip(".")
        return EngineError(f"The server at {server.url} refuses {request} (status {status}): {reason}.")

    async def _check_model(self, server: Server) -> None:
        """Raise EngineError once it is known that a server lacks the model; one without a list is taken on trust."""
        if server.url in self._known:
            return
        import openai

        try:
            served = [model.id for model in (await server.client.models.list()).data]
        except openai.APIConnectionError as error:
            raise UnreachableError(_say_connection(error)) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            served = []
        if served and self._dialect.model not in served:
            raise EngineError(
                f"The server at {server.url} has no model {self._dialect.model!r}, but "
                f"{', '.join(map(repr, served[:5]))}; write one of them as served_model, or as the adapter."
            )
        self._known.add(server.url)


def _connect(url: str, key: str | None) -> Any:
    from openai import AsyncOpenAI, Timeout

    # Retries and deadlines are the pool's; only a connection that does not come about is given up sooner.
    timeout = Timeout(None, connect=_PROBE_S)
    return AsyncOpenAI(base_url=url, api_key=key or "none", max_retries=0, timeout=timeout)


def _find_silence(url: str, key: str | None) -> str | None:
    """Return why a server gives no sign of life; None when it does."""
    try:
        call_until(_PROBE_S / 2, probe_chat(url, key), url)
    except RewardError as error:
        return _say_connection(error.__cause__ or error)
    return None


def _say_connection(error: BaseException) -> str:
    """Return the innermost reason, as `Connection error.` helps nobody."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _read_wait(text: str | None) -> float:
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return min(seconds, 60.0) if math.isfinite(seconds) and seconds > 0 else 0.0


def _is_address(url: object) -> bool:
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
