"""What an engine is: something that draws n completions for each prompt and says how likely they were.

An engine object holds settings only; the model is loaded when `sample` is first advanced, and released when it ends.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from rlkit.errors import PluginError
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.plugins import PluginKind, resolve
from rlkit.types import PluginSpec, Row

SampleKey = tuple[str, int]
"""Prompt id and number of the sample, 0..n-1."""


@dataclass(frozen=True)
class Sample:
    """One completion. Log-probs and entropy are those of the model itself: at temperature 1, before any truncation."""

    prompt_id: str
    sample: int
    """Number of this sample of the prompt, 0..n-1."""
    completion: str
    """Text without special tokens and without the stop text that ended it."""
    num_tokens: int
    """Tokens drawn, the end token included."""
    finish_reason: str
    """`stop` (end token or stop text) or `length` (cut at max_tokens or at the model's context); a server may name
    another, such as `content_filter`, and what ended so is not scored."""
    logp_sum: float | None
    """Natural log-probability of the drawn tokens, summed; None where the engine cannot know it."""
    entropy_mean: float | None
    """Mean over the drawn tokens of the next-token entropy, in nats; None where the engine cannot know it."""

    @property
    def key(self) -> SampleKey:
        """Which sample of which prompt this is."""
        return (self.prompt_id, self.sample)


Samples = Iterator[list[Sample]]
"""Batches of samples, each as soon as it is complete, in any order."""


@dataclass(frozen=True)
class Wanted:
    """The samples that an engine is asked for; see `Engine.sample`."""

    model: str
    rows: Sequence[Row]
    n: int
    sampling: SamplingConfig
    done: Container[SampleKey]
    adapter: str | None = None
    chat: ChatFormat = field(default_factory=ChatFormat)


class SamplingEngine:
    """The engines of this package: what `sample` is given, as one object."""

    def sample(self, model: str, *given: Any, adapter: str | None = None, chat: ChatFormat | None = None) -> Samples:
        """Yield samples as `Engine.sample` says."""
        rows, n, sampling, done = given
        return self.draw(Wanted(model, rows, n, sampling, done, adapter, chat or ChatFormat()))

    def draw(self, wanted: Wanted) -> Samples:
        """Yield the samples in batches."""
        raise NotImplementedError


@runtime_checkable
class Engine(Protocol):
    """Draws samples from a model.

    An engine may further declare `connection: ClassVar[tuple[str, ...]]`, the parameters that say where and how fast
    samples are drawn and not which (they may change while an evaluation goes on), and
    `names_models: ClassVar[bool] = True` when model and adapter are names that somebody else knows, not files.
    """

    def check(self) -> None:
        """Raise ConfigError when this engine cannot run here (a package is missing), without loading anything heavy."""
        ...

    def sample(
        self,
        model: str,
        rows: Sequence[Row],
        n: int,
        sampling: SamplingConfig,
        done: Container[SampleKey],
        *,
        adapter: str | None = None,
        chat: ChatFormat = ...,
    ) -> Samples:
        """Yield samples in batches, each as soon as it is complete, in any order.

        Args:
            model: a directory or hub id, as `rlkit.models` returns it.
            rows: problems with `id` and `prompt`. Always all of them, also when most are done: an engine that plans
                batches plans them alike each time, so that a continued run draws what an uninterrupted one would have.
            n: samples a prompt.
            sampling: temperature and so on.
            done: samples that need not be drawn; drawing them again is allowed.
            adapter: directory of a LoRA adapter to put on the model. This and `chat` are passed only where an
                evaluation sets them: an engine may leave them out and serves the others.
            chat: the chat template and what it is told; the system message is in the prompts already.
        """
        ...


ENGINES = PluginKind(
    word="engine",
    group="rlkit.engines",
    builtins={
        "hf": "rlkit.evaluation.engines.hf:HfEngine",
        "vllm": "rlkit.evaluation.engines.vllm:VllmEngine",
        "openai": "rlkit.evaluation.engines.openai:OpenaiEngine",
    },
)


def resolve_engine(spec: PluginSpec) -> Engine:
    """Return the engine that a command line or recipe names: `hf`, `{name: vllm, tensor_parallel_size: 2}`, ...

    Raises:
        PluginError: there is no such engine, or its parameters do not fit.
        ConfigError: a parameter is out of range.
    """
    engine = resolve(spec, ENGINES)
    if not isinstance(engine, Engine):
        raise PluginError(f"The engine {spec!r} is a {type(engine).__name__} without check() and sample().")
    return engine
