"""What is sent to an OpenAI-compatible server for one prompt, and what its reply says: samples, or why none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.contract import Sample
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.parameters import show
from rlkit.servers.faults import GarbledReplyError, SplitError
from rlkit.types import Row

_ENDED_BY_ITSELF = ("stop", "tool_calls", "function_call")


@dataclass(frozen=True)
class SampleRequest:
    """Some of the samples of one prompt, by number."""

    row: Row
    first: int
    count: int

    def __str__(self) -> str:
        """Name the problem and its samples."""
        return f"samples {self.first} to {self.first + self.count - 1} of problem {self.row['id']!r}"

    def split(self, size: int) -> Iterator[SampleRequest]:
        """Yield requests of at most so many samples that together are this one."""
        for start in range(0, self.count, size):
            yield replace(self, first=self.first + start, count=min(size, self.count - start))


@dataclass(frozen=True)
class Dialect:
    """How a server is spoken to."""

    model: str
    sampling: SamplingConfig
    chat: ChatFormat
    knows_vllm: bool
    """Whether it takes vLLM's further fields."""
    wants_logprobs: bool

    def fields_of(self, request: SampleRequest) -> dict[str, Any]:
        """Return the body of a request to `completions` or `chat/completions`."""
        sampling, is_chat = self.sampling, not isinstance(request.row["prompt"], str)
        fields: dict[str, Any] = {
            "model": self.model,
            "messages" if is_chat else "prompt": request.row["prompt"],
            "n": request.count,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            # vLLM draws sample i of a request with seed + i: how requests are cut does not show in the samples.
            "seed": (sampling.seed_for(request.row["id"]) + request.first) % 2**63,
        }
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        if self.wants_logprobs:
            fields["logprobs"] = True if is_chat else int(not self.knows_vllm)
        if self.knows_vllm:
            # Said outright, as a server takes what is left out from the model's generation_config.json.
            fields |= {
                "top_k": sampling.top_k,
                "min_p": sampling.min_p,
                "repetition_penalty": 1.0,
                "return_token_ids": True,
            }
            if is_chat and self.chat.template:
                fields["chat_template"] = self.chat.template
            if is_chat and self.chat.template_args:
                fields["chat_template_kwargs"] = dict(self.chat.template_args)
        return fields


def read_samples(request: SampleRequest, reply: Any, is_raw: bool) -> list[Sample]:
    """Return the samples of a reply, numbered as they were asked for; fewer than that where the server gave fewer.

    Args:
        request: what was asked.
        reply: the server's JSON.
        is_raw: whether its log-probs are those of the model itself; others are not taken.

    Raises:
        GarbledReplyError: the reply has no choices, a choice no text, or nothing says how long it is.
        SplitError: only requests of one sample have their lengths told.
    """
    choices = _get(reply, "choices")
    if not isinstance(choices, list) or not choices:
        raise GarbledReplyError(f"a reply without choices: {show(reply, 120)}")
    if all(isinstance(_get(choice, "index"), int) for choice in choices):
        choices = sorted(choices, key=lambda choice: choice["index"])
    usage = _get(reply, "usage", "completion_tokens")
    kept = choices[: request.count]
    lengths = [_length(choice, usage if len(choices) == 1 else None) for choice in kept]
    if None in lengths and request.count > 1:
        raise SplitError(list(request.split(1)))
    return [
        _sample(request, number, choice, length, is_raw)
        for number, (choice, length) in enumerate(zip(kept, lengths, strict=True), start=request.first)
    ]


def _sample(request: SampleRequest, number: int, choice: Any, length: int | None, is_raw: bool) -> Sample:
    if length is None:
        raise GarbledReplyError("neither usage nor logprobs in the reply, so nobody knows how many tokens were drawn")
    logps = _token_logps(choice) if is_raw else None
    reason = _get(choice, "finish_reason")
    if reason in (None, "abort", "error"):
        raise GarbledReplyError(f"a completion that was broken off (finish_reason {reason!r})")
    return Sample(
        prompt_id=request.row["id"],
        sample=number,
        completion=_text(choice),
        num_tokens=length,
        finish_reason="stop" if reason in _ENDED_BY_ITSELF else str(reason),
        logp_sum=math.fsum(logps) if logps is not None and len(logps) == length else None,
        entropy_mean=None,
    )


def _text(choice: Any) -> str:
    message = _get(choice, "message")
    text = _get(choice, "text") if message is None else _get(message, "content")
    # A server with a reasoning parser hands the two parts out apart; they are put together as the model wrote them.
    reasoning = _get(message, "reasoning") or _get(message, "reasoning_content")
    if isinstance(reasoning, str) and reasoning and (text is None or isinstance(text, str)):
        return f"<think>{reasoning}" + ("" if text is None else f"</think>{text}")
    if message is not None and text is None:
        return ""
    if not isinstance(text, str):
        raise GarbledReplyError(f"a choice without text: {show(choice, 120)}")
    return text


def _length(choice: Any, usage: Any) -> int | None:
    ids, logps = _get(choice, "token_ids"), _listed_logps(choice)
    for found in (ids, logps):
        if isinstance(found, list) and found:
            return len(found)
    return usage if isinstance(usage, int) and not isinstance(usage, bool) and usage >= 0 else None


def _token_logps(choice: Any) -> list[float] | None:
    """Return the log-prob of each token; None unless all are there."""
    listed = _listed_logps(choice)
    if not listed or not all(isinstance(logp, int | float) and -9999.0 < logp <= 0.0 for logp in listed):
        return None
    return [float(logp) for logp in listed]


def _listed_logps(choice: Any) -> list[Any] | None:
    content = _get(choice, "logprobs", "content")
    if isinstance(content, list):
        return [_get(token, "logprob") for token in content]
    listed = _get(choice, "logprobs", "token_logprobs")
    return listed if isinstance(listed, list) else None


def _get(value: Any, *names: str) -> Any:
    """Return what stands under nested names; None where a server left it out."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def plan_requests(rows: Sequence[Row], n: int, size: int) -> Iterator[SampleRequest]:
    """Yield requests for n samples of each prompt, cut alike each time, at most `size` samples each."""
    for row in rows:
        yield from SampleRequest(row, 0, n).split(size)
