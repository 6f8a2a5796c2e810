"""A mixture becomes a directory: tensors stream through, the configuration comes last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.files import write_text
from rlkit.weights.adapters import merge_adapters
from rlkit.weights.card import Unchanged, describe, write_card
from rlkit.weights.combining import combine
from rlkit.weights.directory import RECORD, check_output, copy_beside, new_directory, write_last
from rlkit.weights.fitting import check_layers, check_models, read_config
from rlkit.weights.mixture import Mixture
from rlkit.weights.tensor_files import INDEX, TORCH_NAMES, StoredTensor, TensorFiles, file_order, write_tensors

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], None]
"""Told how many bytes of the result are written, and of how many."""

_PIECE_BYTES = 4 << 20
"""Of all sources together, read at a time: about what a processor keeps near."""


@dataclass(frozen=True)
class Merged:
    """What was written."""

    output: Path
    num_bytes: int
    """Of its weights."""
    notes: tuple[str, ...] = ()
    """Sentences that its reader must know."""


def write_merge(
    mixture: Mixture, output: str | Path, *, overwrite: bool = False, progress: Progress | None = None
) -> Merged:
    """Write a mixture as a complete directory: weights, configuration, tokenizer, card and record.

    Weights are read and written in pieces, so that memory does not grow with models or their number; each result is in
    the widest type of its sources, accumulated in float32. A model has the division into files of its template.

    Args:
        mixture: what to make.
        output: the directory to be.
        overwrite: replace an earlier merge there.
        progress: told how far the weights are.

    Raises:
        ConfigError: the sources do not fit each other.
        StoreError: the output is taken, in use, or cannot be written.
    """
    path = Path(output).expanduser()
    check_output(path, mixture.sources, overwrite)
    record = describe(mixture)
    with new_directory(path) as draft:
        # Again, now that nobody else writes there and what a killed merge had put aside is back.
        check_output(path, mixture.sources, overwrite)
        if mixture.is_of_adapters:
            num_bytes, unchanged, config, notes = merge_adapters(mixture, draft)
            config_name = "adapter_config.json"
        else:
            num_bytes, unchanged, config, notes = _merge_models(mixture, draft, progress or (lambda done, total: None))
            config_name = "config.json"
        copy_beside(mixture.sources[mixture.template].folder, draft)
        write_text(draft / "README.md", write_card(mixture, record, unchanged, notes))
        write_last(draft / RECORD, record | ({"unchanged": unchanged.shares()} if unchanged else {}))
        # Last of all, so that no moment has a directory that a library would take for a model.
        write_last(draft / config_name, config)
    return Merged(path, num_bytes, tuple(notes))


def _merge_models(
    mixture: Mixture, draft: Path, progress: Progress
) -> tuple[int, Unchanged, dict[str, Any], list[str]]:
    with ExitStack() as stack:
        files = [stack.enter_context(TensorFiles(source.folder)) for source in mixture.sources]
        names = check_models(mixture.sources, [each.tensors for each in files])
        check_layers(mixture.sources[mixture.template], names, mixture.layers)
        layout = {name: _result_of(mixture, files, name) for name in names}
        total = sum(each.num_bytes for each in layout.values())
        unchanged = Unchanged(0, [0] * len(files))
        shards: dict[str, list[str]] = {layout[name].file: [] for name in names}
        for name in sorted(names, key=lambda name: file_order(name, layout[name])):
            shards[layout[name].file].append(name)
        done = 0
        for shard, inside in sorted(shards.items()):
            pieces = _merge_pieces(mixture, files, {name: layout[name] for name in inside}, unchanged)
            write_tensors(
                draft / shard, {name: layout[name] for name in inside}, _counted(pieces, done, total, progress)
            )
            done += sum(layout[name].num_bytes for name in inside)
        if len(shards) > 1:
            _write_index(draft, layout, total)
        config, notes = _configure(mixture, files, layout)
        return total, unchanged, config, notes


def _result_of(mixture: Mixture, files: list[TensorFiles], name: str) -> StoredTensor:
    """Return type, shape and file of a tensor of the result."""
    import torch

    stored = [each.tensors[name] for each in files]
    template = stored[mixture.template]
    if not template.is_float:
        return template
    kept = stored[0].torch_dtype
    for each in stored[1:]:
        kept = torch.promote_types(kept, each.torch_dtype)
    dtype = next(short for short, long in TORCH_NAMES.items() if getattr(torch, long) == kept)
    return StoredTensor(template.file, dtype, template.shape, 0)


def _merge_pieces(
    mixture: Mixture, files: list[TensorFiles], layout: dict[str, StoredTensor], unchanged: Unchanged
) -> Iterator[torch.Tensor]:
    import torch

    for name, result in layout.items():
        weights = mixture.weights_of(name)
        size = max(each.tensors[name].num_bytes // max(1, result.num_entries) for each in files)
        step = max(1, _PIECE_BYTES // (max(1, size) * len(files)))
        for start in range(0, result.num_entries, step):
            values = [each.read(name, start, min(step, result.num_entries - start)) for each in files]
            if not result.is_float:
                _check_equal(mixture, name, values)
                yield values[mixture.template]
                continue
            merged = combine(values, weights).to(result.torch_dtype)
            unchanged.num_weights += merged.numel()
            for place, value in enumerate(values):
                unchanged.num_same[place] += int(torch.count_nonzero(value == merged))
            yield merged


def _check_equal(mixture: Mixture, name: str, values: list[torch.Tensor]) -> None:
    import torch

    for source, value in zip(mixture.sources, values, strict=True):
        if not torch.equal(value, values[0]):
            raise ConfigError(
                f"{source.name} does not fit {mixture.sources[0].name}: the whole numbers of {name!r} differ, and "
                "there is nothing between them."
            )


def _counted(pieces: Iterator[torch.Tensor], done: int, total: int, progress: Progress) -> Iterator[torch.Tensor]:
    for piece in pieces:
        yield piece
        done += piece.numel() * piece.element_size()
        progress(done, total)


def _write_index(draft: Path, layout: dict[str, StoredTensor], total: int) -> None:
    places = {name: each.file for name, each in sorted(layout.items())}
    write_last(draft / INDEX, {"metadata": {"total_size": total}, "weight_map": places})


def _configure(
    mixture: Mixture, files: list[TensorFiles], layout: dict[str, StoredTensor]
) -> tuple[dict[str, Any], list[str]]:
    """Return config.json, which names the type of the result where sources have several, and what is to be said."""
    config = read_config(mixture.sources[mixture.template].folder)
    kept = {name: each.dtype for name, each in layout.items() if each.is_float}
    types = set(kept.values())
    if any(each.tensors[name].dtype != dtype for each in files for name, dtype in kept.items()):
        widest = TORCH_NAMES[max(types, key=("F16", "BF16", "F32", "F64").index)]
        config["torch_dtype" if "torch_dtype" in config and "dtype" not in config else "dtype"] = widest
        return config, [f"The models are saved in different types, so this one is in the widest, {widest}."]
    if types & {"BF16", "F16"} and mixture.kind == "interpolate":
        return config, [_STEPS]
    return config, []


_STEPS = (
    "Weights of 16 bits move in steps: between two models that differ by a few of them there is hardly anything, so "
    "a flat sweep may be rounding; merge float32 checkpoints where there are some."
)
