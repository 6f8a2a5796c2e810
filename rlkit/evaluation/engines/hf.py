"""Sampling with transformers: large batches, fast for small models, on CPU or one GPU."""

from __future__ import annotations

import gc
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.adapters import read_adapter_config
from rlkit.evaluation.engines.batching import Span, bytes_per_token, halve, plan_batches
from rlkit.evaluation.engines.contract import Sample, Samples, SamplingEngine, Wanted
from rlkit.evaluation.engines.encoding import (
    context_length,
    decode_completions,
    encode_prompts,
    end_token_ids,
    load_error,
    load_tokenizer,
)
from rlkit.evaluation.engines.generation import Draws, draw_rows
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.parameters import check_choice, check_count, show
from rlkit.types import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_DTYPES = ("auto", "float32", "bfloat16", "float16")
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")
# Beyond this, a larger batch of a small model is no faster, and more would be lost with a killed run.
_MAX_ROWS = 1024
_CPU_CACHE_BYTES = 1 << 30
_GPU_CACHE_SHARE = 0.5
# A step keeps logits, log-probs, probabilities and their float64 running sum, 4 + 4 + 4 + 8 bytes, with some to spare.
_STEP_BYTES_PER_LOGIT = 32
# Noise is drawn for blocks of steps, so that a short completion under a generous max_tokens costs little.
_NOISE_BLOCK = 64


@dataclass(frozen=True)
class HfEngine(SamplingEngine):
    """Samples with a transformers model.

    Raises:
        ConfigError: a parameter is not allowed.
    """

    dtype: str = "auto"
    """`float32`, `bfloat16`, `float16`; `auto` is float32 on a CPU and the checkpoint's own on a GPU."""
    device: str | None = None
    """`cpu`, `cuda` or `cuda:1`; None takes the GPU when there is one."""
    batch_tokens: int | None = None
    """Tokens of one batch (prompt and answer of every row at full length); None fits the memory."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        check_choice("hf", "dtype", self.dtype, _DTYPES)
        if self.device is not None and not (isinstance(self.device, str) and _DEVICE.fullmatch(self.device)):
            raise ConfigError(f"hf was given device={show(self.device)}; write cpu, cuda or cuda:0, or leave it out.")
        if self.batch_tokens is not None:
            check_count("hf", "batch_tokens", self.batch_tokens)

    def check(self) -> None:
        """Accept every machine: transformers is a core dependency and runs on a CPU."""

    def draw(self, wanted: Wanted) -> Samples:
        """Yield one list of samples a batch; a batch of which any sample is missing is drawn whole, as it first was."""
        loaded = _Loaded.load(wanted.model, self, wanted.adapter)
        try:
            prompts = encode_prompts(loaded.tokenizer, wanted.rows, loaded.context, wanted.chat)
            for batch in loaded.plan(prompts, wanted.n, wanted.sampling, self.batch_tokens):
                keys = ((wanted.rows[span.prompt]["id"], number) for span in batch for number in span.samples())
                if not all(key in wanted.done for key in keys):
                    yield from loaded.draw(batch, wanted.rows, prompts, wanted.sampling)
        finally:
            del loaded
            _release_memory()


@dataclass(frozen=True)
class _Loaded:
    """A model ready to sample, with what its tokenizer and configuration say."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    end_ids: list[int]
    context: int | None

    @classmethod
    def load(cls, name: str, engine: HfEngine, adapter: str | None = None) -> _Loaded:
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        tokenizer = load_tokenizer(name)
        has_gpu = torch.cuda.is_available()
        device = engine.device or ("cuda" if has_gpu else "cpu")
        if device.startswith("cuda") and not has_gpu:
            raise ConfigError(
                f"device was given as {device!r}, but this machine has no GPU that torch can use; write cpu."
            )
        dtype = "float32" if engine.dtype == "auto" and device == "cpu" else engine.dtype
        disable_progress_bar()
        try:
            model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise load_error(name, error) from error
        if adapter is not None:
            model = _put_on(model, name, adapter)
        model = model.to(device).eval()
        return cls(
            model,
            tokenizer,
            end_token_ids(tokenizer, model.generation_config.eos_token_id),
            context_length(model.config),
        )

    def plan(
        self, prompts: list[list[int]], n: int, sampling: SamplingConfig, batch_tokens: int | None
    ) -> Iterator[list[Span]]:
        """Cut all samples into batches, by the given budget or by what memory holds."""
        lengths = [len(ids) for ids in prompts]
        budget, max_rows = self._memory_budget()
        if batch_tokens is not None:
            budget, max_rows = batch_tokens, batch_tokens
        return plan_batches(lengths, n, sampling.max_tokens, self.context, budget, max_rows)

    def draw(
        self, batch: list[Span], rows: Sequence[Row], prompts: list[list[int]], sampling: SamplingConfig
    ) -> Iterator[list[Sample]]:
        """Draw a batch; where memory does not suffice, draw its halves."""
        import torch

        try:
            drawn = self._draw(batch, rows, prompts, sampling)
        except torch.OutOfMemoryError:
            halves = halve(batch)
            if halves is None:
                raise
        else:
            yield self._samples(batch, rows, drawn, sampling)
            return
        # Outside the handler, whose traceback would keep the failed batch's tensors alive.
        _release_memory()
        for half in halves:
            yield from self.draw(half, rows, prompts, sampling)

    def _draw(
        self, batch: list[Span], rows: Sequence[Row], prompts: list[list[int]], sampling: SamplingConfig
    ) -> Draws:
        context = self.context or math.inf
        limits = [int(min(sampling.max_tokens, context - len(prompts[span.prompt]))) for span in batch]
        return draw_rows(
            self.model,
            [prompts[span.prompt] for span in batch],
            prompt_of_R=[at for at, span in enumerate(batch) for _ in span.samples()],
            limits_R=[limit for limit, span in zip(limits, batch, strict=True) for _ in span.samples()],
            noise=_RowNoise([(rows[span.prompt]["id"], span) for span in batch], sampling),
            sampling=sampling,
            end_ids=self.end_ids,
            holds_stop=_StopTest(self.tokenizer, sampling.stop) if sampling.stop else None,
        )

    def _samples(self, batch: list[Span], rows: Sequence[Row], drawn: Draws, sampling: SamplingConfig) -> list[Sample]:
        texts = decode_completions(self.tokenizer, drawn.tokens, sampling.stop)
        keys = [(rows[span.prompt]["id"], number) for span in batch for number in span.samples()]
        books = zip(keys, texts, drawn.tokens, drawn.stopped, drawn.logp_sums, drawn.entropy_sums, strict=True)
        return [
            Sample(
                prompt_id=prompt_id,
                sample=number,
                completion=text,
                num_tokens=len(tokens),
                finish_reason="stop" if stopped else "length",
                logp_sum=logp_sum,
                entropy_mean=entropy_sum / len(tokens),
            )
            for (prompt_id, number), text, tokens, stopped, logp_sum, entropy_sum in books
        ]

    def _memory_budget(self) -> tuple[int, int]:
        """Return how many tokens of cache, and how many rows of logits, one batch may hold."""
        import torch

        size = torch.empty((), dtype=self.model.dtype).element_size()
        cache = _CPU_CACHE_BYTES
        if self.model.device.type == "cuda":
            cache = int(_GPU_CACHE_SHARE * torch.cuda.mem_get_info(self.model.device)[0])
        vocabulary: Any = self.model.config.get_text_config().vocab_size
        rows_by_logits = max(1, cache // 4 // (vocabulary * _STEP_BYTES_PER_LOGIT))
        return max(1, cache // bytes_per_token(self.model.config, size)), min(_MAX_ROWS, rows_by_logits)


class _RowNoise:
    """Uniform numbers that depend on seed, prompt, sample and step alone: not on how samples were put into batches."""

    def __init__(self, spans: Sequence[tuple[str, Span]], sampling: SamplingConfig) -> None:
        self._spans, self._sampling = spans, sampling
        self._block, self._noise_RT = -1, np.empty((0, 0))

    def __call__(self, step: int) -> NDArray[np.float64]:
        if step // _NOISE_BLOCK != self._block:
            self._block = step // _NOISE_BLOCK
            self._noise_RT = np.concatenate([self._draw(*each) for each in self._spans])
        return np.ascontiguousarray(self._noise_RT[:, step % _NOISE_BLOCK])

    def _draw(self, prompt_id: str, span: Span) -> NDArray[np.float64]:
        rng = np.random.Generator(np.random.Philox(self._sampling.seed_for(prompt_id, self._block)))
        # Philox counts in steps of four numbers, and a block is a multiple of that: samples before `first` are skipped.
        rng.bit_generator.advance(span.first * _NOISE_BLOCK // 4)  # type: ignore[attr-defined]
        return rng.random((span.count, _NOISE_BLOCK))


class _StopTest:
    """Finds stop texts at the end of what was written so far."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> None:
        self._tokenizer, self._stop = tokenizer, stop
        # A token is seldom less than one character; the spare ones are for those that are (parts of one character).
        self._window = max(map(len, stop)) + 8

    def __call__(self, ids: list[int]) -> bool:
        text = self._tokenizer.decode(ids[-self._window :], skip_special_tokens=True)
        return any(stop in text for stop in self._stop)


def _put_on(model: PreTrainedModel, name: str, adapter: str) -> PreTrainedModel:
    """Return the model with a LoRA adapter in its layers, added at each forward pass and not merged.

    Raises:
        ConfigError: peft is not installed, or the adapter does not fit.
    """
    read_adapter_config(adapter)
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise ConfigError("An adapter needs the package peft, which is not installed; pip install peft.") from error
    from peft.utils import load_peft_weights

    try:
        # What is missing in the file only warns, and would leave the base model under the adapter's name.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped = PeftModel.from_pretrained(model, adapter)
        wanted, given = set(get_peft_model_state_dict(wrapped)), set(load_peft_weights(adapter, device="cpu"))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise ConfigError(f"The adapter {adapter!r} does not fit the model {name!r}: {reason}.") from error
    if stray := sorted(wanted ^ given):
        raise ConfigError(
            f"The adapter {adapter!r} does not fit the model {name!r}: {stray[0]} is in only one of the two."
        )
    base: PreTrainedModel = wrapped.get_base_model()
    return base


def _release_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
