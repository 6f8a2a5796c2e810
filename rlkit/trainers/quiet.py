"""Silence for messages that a user can do nothing about; errors and our own words still come through."""

from __future__ import annotations

import logging
import os
import warnings

_VARIABLES = {
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # What is trained here is nobody's business; both libraries report to their makers unless told not to.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def quiet_libraries() -> None:
    """Lower the voices of transformers, datasets, TRL and DeepSpeed; what the user set in the environment stays."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    # vLLM speaks up while it is being imported, before it reads the variable above.
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.|transformers\.|accelerate\.|peft\.|trl\.")
    import datasets
    import torch
    import transformers

    if not torch.cuda.is_available():
        # Else DeepSpeed warns, in every process, that it found none.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
