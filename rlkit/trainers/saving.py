"""The end of a run on disk: OUT/model is always a whole model that any library loads by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import Trainer


def save_final_model(trainer: Trainer, output: Path) -> None:
    """Write OUT/model; with LoRA also OUT/adapter, and OUT/model with the adapter merged in; OUT/critic of PPO.

    All ranks must call it.

    Args:
        trainer: a trained TRL trainer.
        output: the run directory.
    """
    if hasattr(trainer, "save_critic"):
        trainer.save_critic(output / "critic")
    if not hasattr(trainer.accelerator.unwrap_model(trainer.model), "peft_config"):
        trainer.save_model(str(output / "model"))
        return
    trainer.save_model(str(output / "adapter"))
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        _merge_adapter(output / "adapter", output / "model", trainer.processing_class)


def _merge_adapter(adapter: Path, target: Path, tokenizer: Any) -> None:
    # Through the disk and on the CPU, since under ZeRO-3 no process holds the whole model. DeepSpeed is forgotten, or
    # the base model would again be loaded in parts, by all processes together.
    from peft import AutoPeftModelForCausalLM
    from transformers.integrations import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()
    merged = AutoPeftModelForCausalLM.from_pretrained(str(adapter), dtype="auto", device_map=None).merge_and_unload()
    merged.save_pretrained(str(target))
    tokenizer.save_pretrained(str(target))
