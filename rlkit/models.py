"""What a model's name means wherever a user writes one: a directory, else a bundled model, else a hub id."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from rlkit.assets import bundled_models, model_path
from rlkit.errors import ConfigError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def locate_model(name: str) -> str:
    """Return what `from_pretrained` takes for a model: the path of a directory, or a hub id as it is.

    Args:
        name: an existing directory, the name of a bundled model, or a hub id such as `Qwen/Qwen3-0.6B`. Nothing is
            fetched, so whether a hub id exists is not known here.

    Raises:
        ConfigError: a directory without a model in it, a path that does not exist, or a near miss of a bundled name.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ConfigError(f"The directory {name!r} holds no config.json, so it is not a model{_hint_inside(path)}.")
        return str(path)
    bundled = bundled_models()
    if name in bundled:
        return str(model_path(name))
    known = f"bundled models are {', '.join(bundled)}" if bundled else "no model is bundled"
    if not _HUB_ID.fullmatch(name) or (len(path.parts) > 1 and Path(path.parts[0]).is_dir()):
        raise ConfigError(f"There is no model directory {name!r}; {known}, and hub ids look like Qwen/Qwen3-0.6B.")
    near = difflib.get_close_matches(name, bundled, n=1, cutoff=0.75)
    if near:
        raise ConfigError(f"There is no model {name!r}, neither a directory nor bundled. Did you mean {near[0]!r}?")
    return name


def _hint_inside(path: Path) -> str:
    inner = path / "model"
    return f"; write {str(inner)!r}, the model of that run" if (inner / "config.json").is_file() else ""
