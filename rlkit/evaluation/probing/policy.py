"""A model ready to be asked for log-probs and states, with its adapter and what its tokenizer says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.encoding import context_length, end_token_ids, load_error, load_tokenizer
from rlkit.models import locate_model

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_NOT_A_PRODUCT = ("use_dora", "modules_to_save", "trainable_token_indices", "target_parameters", "bias")
"""Options of an adapter under which its change is more than, or lies elsewhere than, a product for each layer."""


@dataclass(frozen=True)
class Policy:
    """A loaded model, in evaluation mode."""

    name: str
    """As the user named it."""
    path: str
    """A directory or hub id."""
    adapter: str | None
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    end_ids: list[int]
    """Tokens that end a completion, the tokenizer's own first."""
    context: int | None

    @property
    def vocab_size(self) -> int:
        """Width of the logits."""
        width: Any = self.model.config.get_text_config().vocab_size
        return int(width)


def load_policy(name: str, adapter: str | None = None, *, device: str | None = None, dtype: str = "auto") -> Policy:
    """Load a model and put its LoRA adapter on it, unmerged.

    Args:
        name: a directory, a bundled model or a hub id.
        adapter: directory of a LoRA adapter.
        device: `cpu`, `cuda`, `cuda:1`; None takes the GPU when there is one.
        dtype: as of `rlkit eval --engine hf`: `auto` is float32 on a CPU and the checkpoint's own on a GPU.

    Raises:
        ConfigError: there is no such model or adapter, or no such device.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    path = locate_model(name)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device was given as {device!r}, but this machine has no GPU that torch can use; write cpu.")
    tokenizer = load_tokenizer(path)
    disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype="float32" if (dtype, device) == ("auto", "cpu") else dtype, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise load_error(path, error) from error
    if adapter is not None:
        model = _put_on(model, name, adapter)
    ends = end_token_ids(tokenizer, model.generation_config.eos_token_id)
    ends.sort(key=lambda token: token != tokenizer.eos_token_id)
    return Policy(name, path, adapter, model.to(device).eval(), tokenizer, ends, context_length(model.config))


def lora_changes(policy: Policy) -> dict[str, torch.Tensor]:
    """Return what the policy's adapter adds to each weight, by the weight's name: scaling * B A, in float32.

    Raises:
        ConfigError: the adapter changes weights in another way than by a low-rank product.
    """
    if policy.adapter is None:
        return {}
    config = json.loads((Path(policy.adapter) / "adapter_config.json").read_text(encoding="utf-8"))
    for option in _NOT_A_PRODUCT:
        if config.get(option) not in (None, False, "none"):
            raise ConfigError(f"The adapter {policy.adapter!r} was made with {option}, so its change is not just B A.")
    return {
        f"{name}.weight": module.get_delta_weight("default").detach().float()
        for name, module in policy.model.named_modules()
        if any("default" in getattr(module, part, ()) for part in ("lora_A", "lora_embedding_A"))
    }


def vocabulary_obstacle(policy: Policy, base: Policy) -> str | None:
    """Return why the next-token distributions of two models cannot be compared, as a sentence; None where they can."""
    if policy.tokenizer.get_vocab() != base.tokenizer.get_vocab():
        return (
            f"The tokenizers of {policy.name} and {base.name} differ, so a divergence of their tokens has no meaning."
        )
    if policy.vocab_size != base.vocab_size:
        return (
            f"{policy.name} has {policy.vocab_size} logits and {base.name} {base.vocab_size}, so their "
            "distributions are over different sets."
        )
    return None


def _put_on(model: PreTrainedModel, name: str, adapter: str) -> PreTrainedModel:
    if not (Path(adapter) / "adapter_config.json").is_file():
        raise ConfigError(
            f"There is no adapter in {adapter!r}: a LoRA adapter is a directory with adapter_config.json."
        )
    from peft import PeftModel

    try:
        wrapped = PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise ConfigError(f"The adapter {adapter!r} does not fit the model {name!r}: {reason}.") from error
    base: PreTrainedModel = wrapped.get_base_model()
    return base
