"""What would stop a run before its first step, found without loading the model: machine, adapter, data, one batch.

check_machine(settings)         # trackers, dtype, vLLM: before anything is loaded
try_run(checked)                # and then tokenizer, adapter, rows, and one batch through template and rewards
"""

from __future__ import annotations

import copy
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rlkit.errors import ConfigError, PluginError, RewardError, suggest
from rlkit.trainers.algorithms import with_defaults
from rlkit.vllm_support import vllm_obstacle

if TYPE_CHECKING:
    from rlkit.recipe.plan import Plan
    from rlkit.trainers.settings import CheckedRun

_ANSWERS_WITHIN_S = 3.0
"""A server that is up accepts a connection in milliseconds."""

_NUM_PROMPTS = 2


def check_machine(settings: Mapping[str, Any]) -> None:
    """Check that this machine has what the settings ask for.

    Args:
        settings: arguments for `DiverseGRPOConfig`.

    Raises:
        ConfigError: a tracker that is not installed, a dtype that does not exist, or a vLLM that cannot be had.
    """
    _check_trackers(settings.get("report_to"))
    _check_dtype((settings.get("model_init_kwargs") or {}).get("dtype"))
    if settings.get("use_vllm"):
        _check_vllm(settings)


def _check_trackers(report_to: Any) -> None:
    from transformers.integrations import integration_utils

    known = {*integration_utils.INTEGRATION_TO_CALLBACK, "all", "none"}
    for name in [report_to] if isinstance(report_to, str) else report_to or []:
        if name not in known:
            raise ConfigError(f"train.report_to names {name!r}, which is no tracker.{suggest(str(name), known)}")
        is_installed = getattr(integration_utils, f"is_{name.removesuffix('_ml')}_available", None)
        if is_installed is not None and not is_installed():
            raise ConfigError(f"train.report_to names {name}, which is not installed; install it, or write none.")


def _check_dtype(dtype: Any) -> None:
    import torch

    named = getattr(torch, str(dtype).removeprefix("torch."), None)
    if dtype in (None, "auto") or isinstance(named, torch.dtype):
        return
    words = ["auto", "float32", "bfloat16", "float16"]
    raise ConfigError(f"train.model_init_kwargs.dtype was given as {dtype!r}.{suggest(str(dtype), words)}")


def _check_vllm(settings: Mapping[str, Any]) -> None:
    from rlkit.trainers.config import DiverseGRPOConfig

    def get(key: str) -> Any:
        return settings.get(key, getattr(DiverseGRPOConfig, key, None))

    if get("vllm_mode") != "server":
        if obstacle := vllm_obstacle():
            raise ConfigError(f"train.use_vllm cannot be true here: {obstacle}; mend that, or leave it out.")
        return
    url = get("vllm_server_base_url") or f"http://{get('vllm_server_host')}:{get('vllm_server_port')}"
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=_ANSWERS_WITHIN_S).close()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"No vLLM server answers at {url} ({error}); start one there with `trl vllm-serve --model ...`, or name "
            "another address by train.vllm_server_base_url."
        ) from error


def check_adapter(model: str, settings: Mapping[str, Any], peft: Any) -> None:
    """Check that a LoRA configuration finds its modules in a model, whose weights are not loaded.

    Raises:
        ConfigError: it finds none, or PEFT refuses it.
    """
    import torch
    from peft import inject_adapter_in_model
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.integrations import is_deepspeed_zero3_enabled

    if is_deepspeed_zero3_enabled():
        # Every model made from here on is cut up over the ranks, also this one; PEFT checks the real one soon.
        return
    chosen = {key: value for key, value in (settings.get("model_init_kwargs") or {}).items() if key == "revision"}
    chosen["trust_remote_code"] = bool(settings.get("trust_remote_code"))
    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(model, **chosen), trust_remote_code=chosen["trust_remote_code"]
        )
    layers = sorted({name.rpartition(".")[2] for name, part in skeleton.named_modules() if hasattr(part, "weight")})
    try:
        inject_adapter_in_model(copy.deepcopy(peft), skeleton, low_cpu_mem_usage=True)
    except (ValueError, TypeError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(
            f"The peft settings do not fit {model}: {said}. Its layers are {', '.join(layers)}."
        ) from error


def check_template(tokenizer: Any, prompt: Any, model: str, arguments: Mapping[str, Any] | None = None) -> None:
    """Check that a tokenizer can write a prompt down.

    Raises:
        ConfigError: the prompt is a chat and the tokenizer has no template, or one that fails.
    """
    if isinstance(prompt, str):
        return
    if not tokenizer.chat_template:
        raise ConfigError(
            f"The task's prompts are chats, and the tokenizer of {model} has no chat template; write format: plain "
            "under task, or take a model that was tuned for chats."
        )
    try:
        tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False, **(arguments or {}))
    except Exception as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"The chat template of {model} fails on the first prompt: {said}.") from error


def try_run(checked: CheckedRun) -> str | None:
    """Read the data and put one batch of gold and empty answers through template, rewards and partition.

    Returns:
        What could not be tried, as a sentence: a model on a hub that cannot be reached from here.

    Raises:
        RlkitError: naming what would stop the run.
    """
    from rlkit.trainers.run import load_data
    from rlkit.trainers.settings import describe_batch

    plan, settings = checked.plan, checked.settings
    assert plan.model is not None, "the plan is of a recipe, which names a model"
    check_machine(settings)
    try:
        rows, tokenizer = load_data(plan, with_defaults(checked.config, settings))
    except ConfigError as error:
        if "couldn't connect" in str(error) and not Path(plan.model).exists():
            return f"{error} What it has to do with was not tried."
        raise
    batch = describe_batch(settings, checked.config)
    batch.check(num_rows=len(rows))
    if checked.peft is not None:
        check_adapter(plan.model, settings, checked.peft)
    chosen = [row for row in rows.select(range(min(_NUM_PROMPTS, len(rows)))) for _ in range(batch.num_generations)]
    _try_batch(plan, chosen, tokenizer, batch.num_generations)
    return None


def _try_batch(plan: Plan, rows: Sequence[dict[str, Any]], tokenizer: Any, num_generations: int) -> None:
    from transformers import TrainerState

    from rlkit.diversity.contract import label_group, read_features
    from rlkit.trainers.scoring import RewardScorer, Rollouts

    texts = [str(row.get("gold") or "") if at % 2 else "" for at, row in enumerate(rows)]
    ids = [tokenizer(text)["input_ids"] for text in texts]
    facts: dict[str, Any] = {"lengths": [len(row) for row in ids], "truncated": [False] * len(rows), "step": 0}
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "prompt"}
    given: dict[str, Any] = {"completion_ids": ids, "trainer_state": TrainerState()}
    given |= {"log_extra": _log_nothing, "log_metric": _log_nothing}
    prompts = [row["prompt"] for row in rows]
    said = [
        text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]
        for text, prompt in zip(texts, prompts, strict=True)
    ]
    scorer = RewardScorer(plan, (0, 1))
    if scorer.asks_for("mean_logps"):
        facts["mean_logps"] = [-1.0] * len(rows)
    try:
        scorer.start()
        scorer.score(Rollouts(said, prompts, columns | given, {"completion_ids": ids, **facts}), num_generations)
        scorer.stop_if_failing()
    except (RewardError, PluginError) as error:
        raise type(error)(f"On a trial batch of gold and empty answers: {error}") from error
    finally:
        scorer.close()
    if plan.partition is not None:
        features = read_features(plan.partition, texts, **columns, truncated=facts["truncated"])
        for start in range(0, len(rows), num_generations):
            label_group(plan.partition, features[start : start + num_generations])


def _log_nothing(*_: Any) -> None:
    """Stand in for what TRL lets rewards log by."""
