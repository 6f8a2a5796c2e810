"""What the libraries below us need to be told or spared, in one place: each function says which, and why.

Called by runs from a recipe; a program of your own that trains calls what it wants of them.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any

_VARIABLES = {
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # What is trained here is nobody's business; both libraries report to their makers unless told not to.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


_BELOW = r"torch\.|transformers\.|accelerate\.|peft\.|trl\.|rlkit\.trainers\.grpo"
"""Modules whose warnings are the libraries': TRL puts its own into the mouth of whoever calls its trainer."""


def quiet_libraries() -> None:
    """Lower the voices of transformers, datasets, TRL and DeepSpeed; what the user set in the environment stays."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    # vLLM speaks up while it is being imported, before it reads the variable above.
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=_BELOW)
    import datasets
    import torch
    import transformers

    if not torch.cuda.is_available():
        # Else DeepSpeed warns, in every process, that it found none.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")

    # Of completions that no reward scored, TRL prints all that it knows; we count them.
    logging.getLogger("trl").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    # That tokenizer and model name different ends of a text decides when sampling stops, so this one is let through.
    logging.getLogger("transformers.trainer_utils").setLevel(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()


def prepare_native_builds() -> None:
    """Keep what DeepSpeed compiles on a CPU inside this environment, and let a path with a space be.

    PyTorch's default is one folder in the home directory for every environment, so that two of them overwrite each
    other's builds. PyTorch 2.13 quotes include paths on the linker's command line but not its own library path.
    """
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", str(Path(sys.prefix) / ".cache" / "torch_extensions"))
    if not any(character.isspace() for character in sys.prefix):
        return
    from torch.utils import cpp_extension

    quoted = shlex.quote(cpp_extension.TORCH_LIB_PATH)
    if not cpp_extension.TORCH_LIB_PATH.startswith("'"):
        cpp_extension.TORCH_LIB_PATH = quoted


def accept_numbered_cpus() -> None:
    """Let torch load onto `cpu:0`, which is what accelerate calls the CPU when several processes share it.

    transformers maps the optimizer's state to its process's device, and torch knows `cpu` only; without this a run of
    two processes on a CPU saves checkpoints that it cannot continue from.
    """
    import torch

    # The same two functions each time: torch sorts what is registered, and cannot order two of one priority.
    torch.serialization.register_package(priority=9, tagger=_tag_nothing, deserializer=_keep_on_cpu)


def _tag_nothing(storage: Any) -> None:
    return None


def _keep_on_cpu(storage: Any, location: str) -> Any:
    return storage if location.startswith("cpu:") else None


def keep_weights_loadable() -> None:
    """Make vLLM engines built from now on in this process take new weights, also on a CPU; on a GPU nothing changes.

    On CPUs with AVX-512, vLLM 0.31 packs every linear layer's weight for its own kernels when the model is loaded and
    drops the original (vllm/model_executor/layers/utils.py, `dispatch_cpu_unquantized_gemm`). TRL's weight sync then
    fails for those, and for the output layer it would silently go on sampling from old weights. Plain products have no
    such copy. Without vLLM nothing is done, and TRL says what is missing.
    """
    import importlib.util

    import torch

    if importlib.util.find_spec("vllm") is None:
        return
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.model_executor.layers import utils as layers

    def leave_unpacked(layer: Any, remove_weight: bool) -> None:
        layer.cpu_linear = torch.nn.functional.linear

    layers.dispatch_cpu_unquantized_gemm = leave_unpacked
