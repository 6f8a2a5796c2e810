"""What goes into a merge: models and adapters, by whatever name a user has for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.adapters import ADAPTER_CONFIG
from rlkit.models import locate_model
from rlkit.runs import RunDirectory

_MODEL_CONFIG = "config.json"


@dataclass(frozen=True)
class Source:
    """A model or a LoRA adapter on disk."""

    name: str
    """As the user wrote it, or the path of a run's checkpoint."""
    folder: Path
    is_adapter: bool = False


def locate_source(name: str) -> Source:
    """Find what a user names: a run directory (its `model/`), a model or adapter directory, or a bundled model.

    A hub id is found where it is in the cache of this machine; nothing is fetched.

    Raises:
        ConfigError: there is no such thing.
    """
    folder = Path(name).expanduser()
    for inside in (folder, folder / "model"):
        if (inside / _MODEL_CONFIG).is_file():
            return Source(name, inside)
        if (inside / ADAPTER_CONFIG).is_file():
            return Source(name, inside, is_adapter=True)
    path = locate_model(name)
    if Path(path).is_dir():
        return Source(name, Path(path))
    from transformers.utils import cached_file

    found = cached_file(
        path,
        _MODEL_CONFIG,
        local_files_only=True,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if not found:
        raise ConfigError(f"The model {name!r} is neither a directory nor in the cache of this machine; download it.")
    return Source(name, Path(found).parent)


def last_checkpoints(run: str, count: int) -> list[Source]:
    """Return the last checkpoints of a run, oldest first.

    Raises:
        ConfigError: the run has fewer, or there is no such run.
    """
    if count < 1:
        raise ConfigError(f"--last was given as {count}; write a number of at least 1.")
    if not Path(run).expanduser().is_dir():
        raise ConfigError(f"There is no run directory {run!r}; --last takes the one that rlkit train wrote.")
    found = RunDirectory(run).checkpoints()
    if len(found) < count:
        raise ConfigError(
            f"{run} has {len(found)} checkpoints and --last asks for {count}; train with a larger "
            "train.save_total_limit and a smaller train.save_steps to keep more."
        )
    return [locate_source(str(path)) for path in found[-count:]]
