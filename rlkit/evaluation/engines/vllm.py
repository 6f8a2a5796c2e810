"""Sampling with vLLM, offline: one request a prompt with n samples, so that the prompt is prefilled once."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.adapters import adapter_rank
from rlkit.evaluation.engines.contract import Sample, Samples, SamplingEngine, Wanted
from rlkit.evaluation.engines.encoding import (
    decode_completions,
    encode_prompts,
    end_token_ids,
    load_error,
    load_tokenizer,
)
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.parameters import check_choice, check_count, check_flag, check_number
from rlkit.types import Row
from rlkit.vllm_support import vllm_obstacle

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from vllm import LLM, RequestOutput

_DTYPES = ("auto", "float32", "bfloat16", "float16")
# vLLM returns log-probs as Python numbers: whole distributions are affordable for small vocabularies only.
_LARGEST_VOCABULARY_WITH_ENTROPY = 1024
# Requests in the queue cost memory and nothing else; twice what runs at once keeps the engine fed.
_QUEUED_PER_RUNNING = 2
# Those that vLLM 0.31 takes as max_lora_rank.
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True)
class VllmEngine(SamplingEngine):
    """Samples with vLLM. `entropy_mean` is known for vocabularies of up to 1024 tokens only.

    Raises:
        ConfigError: a parameter is not allowed.
    """

    dtype: str = "auto"
    """`float32`, `bfloat16`, `float16`; `auto` is float32 on a CPU and the checkpoint's own on a GPU."""
    tensor_parallel_size: int = 1
    """GPUs over which each layer is split."""
    max_model_len: int | None = None
    """Longest sequence, prompt and completion; None takes the model's context."""
    max_num_seqs: int = 256
    """Samples that run at once."""
    gpu_memory_utilization: float = 0.9
    """Share of the GPU's memory to use."""
    cpu_cache_gib: int = 1
    """Key-value cache in GiB where there is no GPU."""
    enforce_eager: bool | None = None
    """Whether not to compile the model; None compiles on a GPU only."""

    def __post_init__(self) -> None:
        """Check every parameter."""
        check_choice("vllm", "dtype", self.dtype, _DTYPES)
        for name in ("tensor_parallel_size", "max_num_seqs", "cpu_cache_gib"):
            check_count("vllm", name, getattr(self, name))
        if self.max_model_len is not None:
            check_count("vllm", "max_model_len", self.max_model_len)
        check_number("vllm", "gpu_memory_utilization", self.gpu_memory_utilization, above=0, at_most=1)
        if self.enforce_eager is not None:
            check_flag("vllm", "enforce_eager", self.enforce_eager)

    def check(self) -> None:
        """Raise ConfigError when vLLM cannot run on this machine."""
        if obstacle := vllm_obstacle():
            raise ConfigError(f"The engine vllm cannot be used: {obstacle}; mend that, or write engine hf.")

    def draw(self, wanted: Wanted) -> Samples:
        """Yield one list a prompt, as soon as its n samples are complete."""
        missing = [
            row for row in wanted.rows if any((row["id"], number) not in wanted.done for number in range(wanted.n))
        ]
        tokenizer = load_tokenizer(wanted.model)
        llm = self._load(wanted.model, wanted.adapter)
        try:
            config = llm.llm_engine.model_config
            prompts = encode_prompts(tokenizer, missing, config.max_model_len, wanted.chat)
            yield from _Requests(
                llm, tokenizer, missing, prompts, wanted.n, wanted.sampling, self.max_num_seqs, wanted.adapter
            ).run()
        finally:
            _release(llm)

    def _load(self, model: str, adapter: str | None) -> LLM:
        import torch

        on_gpu = torch.cuda.is_available()
        _set_environment(self.cpu_cache_gib)
        from vllm import LLM

        # Of a prompt read in parts vLLM takes a seeded draw back, which torch's generators on a CPU cannot.
        options: dict[str, Any] = {"enable_chunked_prefill": False}
        if on_gpu:
            options = {"gpu_memory_utilization": self.gpu_memory_utilization}
        if self.max_model_len is not None:
            options["max_model_len"] = self.max_model_len
        if adapter is not None:
            options |= {"enable_lora": True, "max_lora_rank": _allowed_rank(adapter)}
        try:
            return LLM(
                model,
                dtype="float32" if self.dtype == "auto" and not on_gpu else self.dtype,
                tensor_parallel_size=self.tensor_parallel_size,
                max_num_seqs=self.max_num_seqs,
                enforce_eager=not on_gpu if self.enforce_eager is None else self.enforce_eager,
                enable_prefix_caching=True,
                # Raw log-probs are the model's own, before temperature and truncation: what every engine here reports.
                logprobs_mode="raw_logprobs",
                max_logprobs=-1,
                **options,
            )
        except (OSError, ValueError) as error:
            raise load_error(model, error) from error


class _Requests:
    """Feeds prompts to vLLM a few at a time and turns what comes back into samples."""

    def __init__(
        self,
        llm: LLM,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[Row],
        prompts: Sequence[list[int]],
        n: int,
        sampling: SamplingConfig,
        max_num_seqs: int,
        adapter: str | None = None,
    ) -> None:
        self._engine, self._tokenizer, self._rows, self._prompts = llm.llm_engine, tokenizer, rows, prompts
        self._n, self._sampling = n, sampling
        self._lora = _lora_request(adapter) if adapter is not None else None
        config = self._engine.model_config
        self._ends = end_token_ids(tokenizer, config.try_get_generation_config().get("eos_token_id"))
        vocabulary = config.get_vocab_size()
        self._logprobs = vocabulary if vocabulary <= _LARGEST_VOCABULARY_WITH_ENTROPY else 0
        self._most_prompts = max(1, math.ceil(_QUEUED_PER_RUNNING * max_num_seqs / n))

    def run(self) -> Iterator[list[Sample]]:
        """Yield the samples of each prompt when it is complete."""
        waiting = iter(range(len(self._rows)))
        running = 0
        while True:
            while running < self._most_prompts and (index := next(waiting, None)) is not None:
                self._add(index)
                running += 1
            if not running:
                return
            for output in self._engine.step():
                if output.finished:
                    running -= 1
                    yield self._samples(output)

    def _add(self, index: int) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = self._sampling
        params = SamplingParams(
            n=self._n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop),
            stop_token_ids=self._ends,
            # Texts are decoded below, as for every engine; vLLM's own may differ in spaces. Stop texts it must see.
            detokenize=bool(sampling.stop),
            # Sample i of a request draws with seed + i; one seed a prompt makes results independent of the schedule.
            seed=sampling.seed_for(self._rows[index]["id"]),
            logprobs=self._logprobs,
            flat_logprobs=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(
            str(index), {"prompt_token_ids": self._prompts[index]}, params, lora_request=self._lora
        )

    def _samples(self, output: RequestOutput) -> list[Sample]:
        prompt_id = self._rows[int(output.request_id)]["id"]
        outputs = sorted(output.outputs, key=lambda each: each.index)
        texts = decode_completions(self._tokenizer, [each.token_ids for each in outputs], self._sampling.stop)
        return [
            Sample(
                prompt_id=prompt_id,
                sample=each.index,
                completion=text,
                num_tokens=len(each.token_ids),
                finish_reason="stop" if each.finish_reason == "stop" else "length",
                logp_sum=each.cumulative_logprob,
                entropy_mean=_mean_entropy(each.logprobs) if self._logprobs else None,
            )
            for each, text in zip(outputs, texts, strict=True)
        ]


def _allowed_rank(adapter: str) -> int:
    rank = adapter_rank(adapter)
    allowed = next((each for each in _LORA_RANKS if each >= rank), None)
    if allowed is None:
        raise ConfigError(
            f"The adapter {adapter!r} has rank {rank}, and vLLM takes at most {_LORA_RANKS[-1]}; write engine hf."
        )
    return allowed


def _lora_request(adapter: str) -> Any:
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, os.path.abspath(adapter))


def _mean_entropy(logprobs: Any) -> float:
    """Return the mean entropy over positions, from vLLM's flat lists: at each, the drawn token and then all tokens."""
    total = 0.0
    for start, end in zip(logprobs.start_indices, logprobs.end_indices, strict=True):
        total -= sum(math.exp(logp) * logp for logp in logprobs.logprobs[start + 1 : end] if logp > -math.inf)
    return total / len(logprobs.start_indices)


def _set_environment(cpu_cache_gib: int) -> None:
    defaults = {
        "VLLM_CPU_KVCACHE_SPACE": str(cpu_cache_gib),
        "VLLM_LOGGING_LEVEL": "ERROR",
        # In this process the schedule, and with it the samples of a seed, do not depend on timing.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _release(llm: LLM) -> None:
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    llm.llm_engine.engine_core.shutdown()
    cleanup_dist_env_and_memory()
