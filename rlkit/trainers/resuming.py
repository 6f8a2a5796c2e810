"""What continuing from a checkpoint needs beyond what transformers does."""

from __future__ import annotations

from typing import Any

import torch


def accept_numbered_cpus() -> None:
    """Let torch load onto `cpu:0`, which is what accelerate calls the CPU when several processes share it.

    transformers maps the optimizer's state to its process's device, and torch knows `cpu` only; without this a run of
    two processes on a CPU saves checkpoints that it cannot continue from.
    """
    torch.serialization.register_package(priority=9, tagger=_tag_nothing, deserializer=_keep_on_cpu)


def _tag_nothing(storage: Any) -> None:
    return None


def _keep_on_cpu(storage: Any, location: str) -> Any:
    return storage if location.startswith("cpu:") else None
