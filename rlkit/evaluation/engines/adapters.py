"""LoRA adapters: where they lie, which model they belong to, and whether they fit it, before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.models import locate_model

ADAPTER_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class PolicySource:
    """Where a policy comes from: a model and the adapter on it, as the user named them and as engines load them."""

    model: str
    model_path: str
    adapter: str | None = None
    adapter_path: str | None = None


def locate_policy(model: str, adapter: str | None, *, is_name: bool = False) -> PolicySource:
    """Find a model and its adapter, and check that they fit each other.

    Args:
        model: a directory, a bundled model or a hub id; or a directory of only an adapter, which names its base.
        adapter: directory of a LoRA adapter; None for none.
        is_name: whether the adapter is a name that a server knows, and no directory.

    Raises:
        ConfigError: there is no such model or adapter, or they do not fit.
    """
    if is_name:
        return PolicySource(model, locate_model(model), adapter, adapter)
    model, adapter = _split_policy(model, adapter)
    path = _locate_base(model, adapter)
    if adapter is None:
        return PolicySource(model, path)
    adapter_path = _locate_adapter(adapter)
    check_fit(path, adapter_path)
    return PolicySource(model, path, adapter, adapter_path)


def _split_policy(model: str, adapter: str | None) -> tuple[str, str | None]:
    """Return the model and the adapter that a user means; a model that is a directory of only an adapter is both.

    Raises:
        ConfigError: such a directory names no base model, or another adapter is given beside it.
    """
    folder = Path(model).expanduser()
    if not (folder / ADAPTER_CONFIG).is_file() or (folder / "config.json").is_file():
        return model, adapter
    if adapter is not None:
        raise ConfigError(
            f"The model {model!r} is itself an adapter; write its base model as the model, or leave the adapter out."
        )
    base = read_adapter_config(model).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ConfigError(
            f"The adapter in {model!r} names no base model; write the base as the model, and it as adapter."
        )
    return base, model


def _locate_base(model: str, adapter: str | None) -> str:
    """Return what `from_pretrained` takes for the model under an adapter; see `rlkit.models.locate_model`.

    Raises:
        ConfigError: there is no such model.
    """
    try:
        return locate_model(model)
    except ConfigError as error:
        if adapter is None:
            raise
        raise ConfigError(f"{str(error).rstrip('.')}; the adapter {adapter!r} is to be put on it.") from error


def _locate_adapter(name: str) -> str:
    """Return the path of an adapter's directory; raises ConfigError where there is none."""
    folder = Path(name).expanduser()
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ConfigError(f"There is no adapter in {name!r}: a LoRA adapter is a directory with {ADAPTER_CONFIG}.")
    if not any(folder.glob("adapter_model.*")):
        raise ConfigError(f"The adapter in {name!r} has no weights: there is no {_WEIGHTS}.")
    return str(folder)


def read_adapter_config(path: str) -> dict[str, Any]:
    """Return adapter_config.json of a directory; raises ConfigError when it cannot be read or is of another kind."""
    file = Path(path).expanduser() / ADAPTER_CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}.") from error
    kind = config.get("peft_type") if isinstance(config, dict) else None
    if kind != "LORA":
        raise ConfigError(f"{file} describes an adapter of the kind {kind!r}; only LORA is known here.")
    return dict(config)


def adapter_rank(path: str) -> int:
    """Return the largest rank of an adapter's matrices."""
    config = read_adapter_config(path)
    return int(max([config["r"], *(config.get("rank_pattern") or {}).values()]))


def check_fit(model: str, adapter: str) -> None:
    """Compare the shapes of an adapter with those of the model, whose weights are not read.

    A model that is not on this machine is not looked at: what does not fit then shows when it is loaded. So are
    matrices of other layers than linear ones.

    Raises:
        ConfigError: the model has no such layer, or one of another size.
    """
    read_adapter_config(adapter)
    file = Path(adapter) / _WEIGHTS
    if not Path(model).is_dir() or not file.is_file():
        return
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        with torch.device("meta"):
            layers = dict(AutoModelForCausalLM.from_config(config).named_modules())
    except (OSError, ValueError, KeyError):
        # What is wrong with the model itself is said where it is loaded.
        return
    for layer, axis, size in _layer_sizes(file):
        if layer not in layers:
            raise ConfigError(
                f"The adapter {adapter!r} does not fit the model {model!r}, which has no layer {layer!r}."
            )
        weight = getattr(layers[layer], "weight", None)
        if isinstance(layers[layer], torch.nn.Linear) and weight is not None and weight.shape[axis] != size:
            raise ConfigError(
                f"The adapter {adapter!r} does not fit the model {model!r}: its layer {layer!r} has "
                f"{weight.shape[axis]} {('outputs', 'inputs')[axis]} and the adapter is made for {size}."
            )


def _layer_sizes(file: Path) -> Iterator[tuple[str, int, int]]:
    """Yield layer, axis of its weight (0 outputs, 1 inputs) and size of each matrix of an adapter."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as weights:
            for key in weights.keys():  # noqa: SIM118 - the file is no mapping
                layer, _, part = key.removeprefix(_PREFIX).partition(".lora_")
                if part in ("A.weight", "B.weight"):
                    rows, columns = weights.get_slice(key).get_shape()
                    yield (layer, 1, columns) if part == "A.weight" else (layer, 0, rows)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"The weights of the adapter, {file}, cannot be read: {error}.") from error
