"""Silence for messages that a user can do nothing about; errors and our own words still come through."""

from __future__ import annotations

import os
import warnings

_VARIABLES = {
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "DS_ACCELERATOR_LOG_LEVEL": "error",
}


def quiet_libraries() -> None:
    """Lower the voices of transformers, datasets, TRL and DeepSpeed; what the user set in the environment stays."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.|transformers\.|accelerate\.|peft\.|trl\.")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
