"""Let a vLLM engine inside the training process take new weights, also on a CPU.

On CPUs with AVX-512, vLLM 0.31 packs every linear layer's weight for its own kernels when the model is loaded and drops
the original (vllm/model_executor/layers/utils.py, `dispatch_cpu_unquantized_gemm`). TRL's weight sync then fails for
those, and for the output layer it would silently go on sampling from old weights. Plain products have no such copy.
"""

from __future__ import annotations

from typing import Any

import torch


def keep_weights_loadable() -> None:
    """Make engines built from now on in this process use unpacked weights; does nothing where vLLM runs on a GPU."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.model_executor.layers import utils as layers

    layers.dispatch_cpu_unquantized_gemm = _leave_unpacked


def _leave_unpacked(layer: Any, remove_weight: bool) -> None:
    layer.cpu_linear = torch.nn.functional.linear
