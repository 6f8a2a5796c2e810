"""Sampling from OpenAI-compatible servers, vLLM's first: any number of them, shared out and survived one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rlkit.errors import ConfigError, EngineError
from rlkit.evaluation.engines.contract import Sample, Samples, SamplingEngine, Wanted
from rlkit.evaluation.engines.openai_requests import Dialect, SampleRequest, plan_requests, read_samples
from rlkit.parameters import check_choice, check_count, check_flag, check_number, check_text, show
from rlkit.servers.asking import find_silence
from rlkit.servers.endpoint import Endpoint, check_server, read_key
from rlkit.servers.faults import GarbledReplyError, RefusedError, SplitError, TransientError, UnreachableError
from rlkit.servers.health import Server
from rlkit.servers.pool import Patience, ServerPool
from rlkit.terminal import note

_PROBE_S = 5.0
_MAX_TRIES = 6
# How servers say that they draw fewer samples a request: `n` as a word of its own.
_ABOUT_N = re.compile(r"(?<![\w'])['\"`]?n['\"`]?(?![\w'])")


@dataclass(frozen=True)
class OpenaiEngine(SamplingEngine):
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
        if not isinstance(urls, list | tuple) or not urls:
            raise ConfigError(f"openai was given base_url={show(urls)}; write http://host:port/v1, or a list of such.")
        for url in urls:
            check_server("openai", "base_url", url, self.api_key_variable)
        object.__setattr__(self, "base_url", tuple(dict.fromkeys(url.rstrip("/") for url in urls)))
        if self.served_model is not None:
            check_text("openai", "served_model", self.served_model)
        check_choice("openai", "dialect", self.dialect, ("vllm", "openai"))
        check_flag("openai", "logprobs", self.logprobs)
        check_count("openai", "samples_per_request", self.samples_per_request)
        check_count("openai", "concurrency", self.concurrency)
        check_number("openai", "deadline_s", self.deadline_s, above=0)
        check_number("openai", "patience_s", self.patience_s, at_least=0)

    def check(self) -> None:
        """Ask every server for a sign of life, at most five seconds.

        Raises:
            ConfigError: the package httpx is missing, the key's variable is not set, or no server replies.
        """
        reasons = find_silence(self.base_url, read_key(self.api_key_variable), "models", _PROBE_S)
        silent = [f"{url} ({reason})" for url, reason in zip(self.base_url, reasons, strict=True) if reason]
        if len(silent) == len(self.base_url):
            raise ConfigError(f"No server replies: {'; '.join(silent)}; start it, or mend its address in base_url.")
        for each in silent:
            note(f"The server at {each} does not reply; the evaluation goes on with the others.")

    def draw(self, wanted: Wanted) -> Samples:
        """Yield what has come, as it comes; a request of which any sample is missing is drawn whole."""
        dialect = Dialect(
            wanted.adapter or self.served_model or wanted.model,
            wanted.sampling,
            wanted.chat,
            self.dialect == "vllm",
            self.logprobs,
        )
        self._check_dialect(dialect)
        requests = [
            request
            for request in plan_requests(wanted.rows, wanted.n, self.samples_per_request)
            if any((request.row["id"], request.first + i) not in wanted.done for i in range(request.count))
        ]
        key = read_key(self.api_key_variable)
        pool: ServerPool[SampleRequest, list[Sample]] = ServerPool(
            [Server(Endpoint(url, key)) for url in self.base_url],
            _Asking(dialect).ask,
            self.concurrency,
            Patience(self.deadline_s, down_s=self.patience_s, max_tries=_MAX_TRIES),
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

    async def ask(self, server: Endpoint, request: SampleRequest) -> list[Sample]:
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
        reply = await self._send(server, request, self._dialect.fields_of(request))
        samples = read_samples(request, reply, self._is_raw)
        if len(samples) < request.count:
            # A server that overlooks n, or limits it, gives as many as it will each time.
            self._largest[server.url] = len(samples)
            raise SplitError(list(request.split(len(samples))))
        return samples

    async def _send(self, server: Endpoint, request: SampleRequest, fields: dict[str, Any]) -> Any:
        try:
            return await server.post("chat/completions" if "messages" in fields else "completions", fields)
        except RefusedError as error:
            can_leave_out = self._dialect.knows_vllm and fields["max_tokens"] is not None
            if can_leave_out and error.status == 400 and "max_tokens" in error.said:
                # As for every engine, the context then cuts what max_tokens would not: null is what is left of it.
                return await self._send(server, request, fields | {"max_tokens": None})
            if error.status in (400, 422) and request.count > 1 and _ABOUT_N.search(error.said):
                self._largest[server.url] = (request.count + 1) // 2
                raise SplitError(list(request.split((request.count + 1) // 2))) from error
            raise EngineError(
                f"The server at {server.url} refuses {request} (status {error.status}): {error.said}."
            ) from error

    async def _check_model(self, server: Endpoint) -> None:
        """Raise EngineError once it is known that a server lacks the model; one without a list is taken on trust."""
        if server.url in self._known:
            return
        try:
            served = [model["id"] for model in (await server.get("models"))["data"]]
        except UnreachableError:
            raise
        except (TransientError, GarbledReplyError, RefusedError, LookupError, TypeError):
            served = []
        if served and self._dialect.model not in served:
            raise EngineError(
                f"The server at {server.url} has no model {self._dialect.model!r}, but "
                f"{', '.join(map(repr, served[:5]))}; write one of them as served_model, or as the adapter."
            )
        self._known.add(server.url)
