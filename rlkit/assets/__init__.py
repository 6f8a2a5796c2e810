"""Files that travel with the package: the bundled tiny model."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).parent


def bundled_models() -> list[str]:
    """Return the names of the models that travel with the package."""
    return sorted(path.parent.name for path in _ROOT.glob("*/config.json"))


def model_path(name: str) -> Path:
    """Return the directory of a bundled model; raises KeyError when there is none of that name."""
    if name not in bundled_models():
        raise KeyError(name)
    return _ROOT / name
