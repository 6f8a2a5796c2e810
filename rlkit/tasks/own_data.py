"""Tasks from data of your own: `{name: jsonl, path: my.jsonl, ...}`, or a YAML file of five lines.

name: capitals
path: capitals.jsonl
prompt: "What is the capital of {country}?"
gold: capital
verifier: exact
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.plugins import factory
from rlkit.tasks.dataset import DatasetTask
from rlkit.tasks.tables import find_encoding


@factory
def own_data(
    path: str | None = None,
    hub: str | None = None,
    subset: str | None = None,
    splits: Mapping[str, str] | None = None,
    test: float | str | None = None,
    prompt: str = "question",
    gold: str = "answer",
    id: str | None = None,
    verifier: str = "math",
    choices: str = "ABCDE",
    last_number: bool = False,
    system: str | None = None,
    format: str = "chat",
    title: str | None = None,
) -> DatasetTask:
    """Return the task of a file, a folder or a data set on the hub; see `DatasetTask` for the parameters.

    `title` is what reports call it; by default the name of the file or data set.

    Raises:
        ConfigError: a parameter is not allowed, or not exactly one of `path` and `hub` is given.
    """
    if (path is None) == (hub is None):
        raise ConfigError(f"Own data were given path={path!r} and hub={hub!r}; write exactly one of the two.")
    more = {} if splits is None else {"splits": dict(splits)}
    name = title or (Path(path).stem if isinstance(path, str) else str(hub))
    return DatasetTask(
        name,
        path=path,
        hub=hub,
        subset=subset,
        test=test,
        prompt=prompt,
        gold=gold,
        id=id,
        verifier=verifier,
        choices=choices,
        last_number=last_number,
        system=system,
        format=format,
        **more,
    )


def read_task_file(path: str, known: Mapping[str, str]) -> dict[str, Any]:
    """Return what a YAML task file says, as the specification of a plug-in; its paths are relative to itself.

    Args:
        path: the file. Its `name` is a known task's, whose parameters then follow, or what the own data are called.
        known: names of tasks.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds no mapping.
    """
    import yaml

    place = Path(path).expanduser()
    try:
        spec = yaml.safe_load(place.read_text(encoding=find_encoding(place)))
    except OSError as error:
        raise ConfigError(f"The task file {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"The task file {path} is not YAML: {' '.join(str(error).split())[:200]}.") from error
    if not isinstance(spec, dict):
        raise ConfigError(
            f"The task file {path} holds no mapping; write lines such as path: my.jsonl and gold: answer."
        )
    for key in ("path", "test"):
        if isinstance(spec.get(key), str):
            spec[key] = str(place.parent / Path(spec[key]).expanduser())
    if isinstance(spec.get("verifier"), str):
        spec["verifier"] = _beside(place, spec["verifier"])
    if spec.get("name") in known:
        return spec
    return {**spec, "name": "jsonl", "title": spec.get("name", place.stem)}


def _beside(place: Path, verifier: str) -> str:
    location, colon, name = verifier.rpartition(":")
    return f"{place.parent / Path(location).expanduser()}{colon}{name}" if location.endswith(".py") else verifier
