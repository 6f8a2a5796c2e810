"""Where and how libraries below us compile their C++ parts: DeepSpeed does, on a CPU, when its first run starts."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def prepare_native_builds() -> None:
    """Keep what is compiled inside this environment, and let it be compiled from a path with a space.

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
