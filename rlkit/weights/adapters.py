"""LoRA adapters merged as what they add, B A, and not as the two matrices that it is a product of.

The mean of products is no product of means: half of e1 e1' + e2 e2' becomes .25 everywhere when A and B are averaged
apart. Side by side along the rank they add exactly: [w1 s1 B1, w2 s2 B2] [A1; A2] = w1 s1 B1 A1 + w2 s2 B2 A2, at the
price of ranks that add up. Where all have one A, or only one weighs anything, B alone changes and the rank stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.adapters import check_fit, read_adapter_config
from rlkit.weights.card import Unchanged
from rlkit.weights.combining import combine
from rlkit.weights.fitting import check_layers
from rlkit.weights.mixture import Mixture
from rlkit.weights.sources import Source
from rlkit.weights.tensor_files import ADAPTER, StoredTensor, TensorFiles, file_order, write_tensors

if TYPE_CHECKING:
    import torch

    Factors = tuple[torch.Tensor, torch.Tensor]

_UNLIKE_A_PRODUCT = {
    "use_dora": False,
    "use_qalora": False,
    "bias": "none",
    "lora_bias": False,
    "modules_to_save": None,
    "trainable_token_indices": None,
    "target_parameters": None,
    "alora_invocation_tokens": None,
}
"""Options under which an adapter is more than a product a layer, and the values at which it is not."""
_FACTOR = re.compile(r"^(?P<layer>.*)\.lora_(embedding_)?(?P<factor>[AB])(\.weight)?$")
_SAME = ("base_model_name_or_path", "task_type", "fan_in_fan_out", "layer_replication")
_DTYPES = {"torch.float64": "F64", "torch.float32": "F32"}


def merge_adapters(mixture: Mixture, draft: Path) -> tuple[int, Unchanged | None, dict[str, Any], list[str]]:
    """Write the merged adapter's weights; returns their size, None, its configuration, and how it was made.

    A base beneath the one adapter counts as an adapter that adds nothing.

    Raises:
        ConfigError: the adapters are of different kinds, bases or layers, or more than products.
    """
    sources = [each for each in mixture.sources if each.is_adapter]
    shares = mixture.weights[-len(sources) :]
    for base in (each for each in mixture.sources if not each.is_adapter):
        check_fit(str(base.folder), str(sources[0].folder))
    configs = [read_adapter_config(str(each.folder)) for each in sources]
    _check_configs(sources, configs)
    with ExitStack() as stack:
        files = [stack.enter_context(TensorFiles(each.folder, ADAPTER)) for each in sources]
        layers = _layers_of(sources, [each.tensors for each in files])
        check_layers(sources[-1], [f"{layer}.weight" for layer in layers], mixture.layers)
        factors = [{layer: _read(file, pair) for layer, pair in layers.items()} for file in files]
        scales = [{layer: _scale(config, layer) for layer in layers} for config in configs]
        weights = {layer: mixture.weights_of(f"{layer}.weight")[-len(sources) :] for layer in layers}
        only = [place for place, share in enumerate(shares) if share] if not mixture.layers else []
        if len(only) == 1:
            # Nothing of the others is left, so neither is their rank.
            factors, scales, configs = [factors[only[0]]], [scales[only[0]]], [configs[only[0]]]
            weights = {layer: each[only[0] : only[0] + 1] for layer, each in weights.items()}
        if _share_a(factors, scales):
            merged = {layer: _mix_b([each[layer] for each in factors], weights[layer]) for layer in layers}
            config, note = configs[-1], _MIXED if len(factors) > 1 else _SCALED
        else:
            merged = {
                layer: _join(
                    [each[layer] for each in factors],
                    [weight * scale[layer] for weight, scale in zip(weights[layer], scales, strict=True)],
                )
                for layer in layers
            }
            config, note = _joined_config(configs[-1], merged), _JOINED
        tensors = {
            name: tensor for layer, pair in layers.items() for name, tensor in zip(pair, merged[layer], strict=True)
        }
    return _write(draft, tensors), None, config, [note]


_SCALED = "The adapter's B was multiplied by its weight; A, the rank and lora_alpha are as they were."
_MIXED = "All parts have the same A, so only B was mixed; the rank is as it was."
_JOINED = (
    "What the parts add, B A, was summed exactly: their matrices lie side by side along the rank, so that the rank is "
    "the sum of theirs and lora_alpha equals it (a scale of 1)."
)


def _check_configs(sources: Sequence[Source], configs: Sequence[Mapping[str, Any]]) -> None:
    for source, config in zip(sources, configs, strict=True):
        for option, usual in _UNLIKE_A_PRODUCT.items():
            if config.get(option) not in (None, usual, [], {}):
                raise ConfigError(
                    f"The adapter {source.name} was made with {option}, so it is more than a product a layer; put it "
                    "into its base and merge the models."
                )
        for option in _SAME:
            if config.get(option) != configs[0].get(option):
                raise ConfigError(
                    f"{source.name} does not fit {sources[0].name}: their {option} are {configs[0].get(option)!r} and "
                    f"{config.get(option)!r}."
                )


def _layers_of(sources: Sequence[Source], tensors: Sequence[Mapping[str, StoredTensor]]) -> dict[str, tuple[str, str]]:
    """Return layer -> the names of its A and B; raises ConfigError where the adapters do not have the same."""
    found: dict[str, dict[str, str]] = {}
    for name in sorted(tensors[0]):
        match = _FACTOR.match(name)
        if match is None:
            raise ConfigError(f"The adapter {sources[0].name} has a tensor {name!r}, which is no factor of a product.")
        found.setdefault(match["layer"], {})[match["factor"]] = name
    for source, here in zip(sources[1:], tensors[1:], strict=True):
        for name in sorted(tensors[0].keys() | here.keys()):
            if name not in here or name not in tensors[0]:
                has, lacks = (sources[0], source) if name in tensors[0] else (source, sources[0])
                raise ConfigError(
                    f"{source.name} does not fit {sources[0].name}: {has.name} has a tensor {name!r} and "
                    f"{lacks.name} none."
                )
            match, one, other = _FACTOR.match(name), tensors[0][name].shape, here[name].shape
            # Ranks may differ: they are A's first axis and B's second.
            axis = 0 if match is not None and match["factor"] == "A" else 1
            if [*one[:axis], *one[axis + 1 :]] != [*other[:axis], *other[axis + 1 :]]:
                raise ConfigError(
                    f"{source.name} does not fit {sources[0].name}: {name!r} is {[*one]} in {sources[0].name} and "
                    f"{[*other]} in {source.name}."
                )
    return {layer: (pair["A"], pair["B"]) for layer, pair in found.items()}


def _read(file: TensorFiles, pair: tuple[str, str]) -> Factors:
    """Return A and B of a layer, in float32 so that no scale is rounded away."""
    import torch

    a, b = (file.read(name).reshape(file.tensors[name].shape) for name in pair)
    dtype = torch.promote_types(a.dtype, torch.float32)
    return a.to(dtype), b.to(dtype)


def _scale(config: Mapping[str, Any], layer: str) -> float:
    """Return what B A is multiplied by: alpha / r, or alpha / sqrt(r) (rsLoRA), as patterns say for this layer."""
    rank = _by_pattern(config.get("rank_pattern"), layer, config["r"])
    alpha = _by_pattern(config.get("alpha_pattern"), layer, config["lora_alpha"])
    return float(alpha / rank**0.5 if config.get("use_rslora") else alpha / rank)


def _by_pattern(patterns: Mapping[str, Any] | None, layer: str, otherwise: Any) -> Any:
    name = layer.removeprefix("base_model.model.")
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return value
    return otherwise


def _share_a(factors: Sequence[Mapping[str, Any]], scales: Sequence[Mapping[str, float]]) -> bool:
    import torch

    return all(
        each[layer][0].shape == factors[0][layer][0].shape
        and torch.equal(each[layer][0], factors[0][layer][0])
        and scale[layer] == scales[0][layer]
        for each, scale in zip(factors, scales, strict=True)
        for layer in each
    )


def _mix_b(parts: Sequence[Factors], weights: Sequence[float]) -> Factors:
    import torch

    a = parts[0][0]
    if len(parts) == 1:
        return a, parts[0][1] if weights[0] == 1.0 else parts[0][1] * weights[0]
    return a, combine([b for _, b in parts], weights) if any(weights) else torch.zeros_like(parts[0][1])


def _join(parts: Sequence[Factors], factors: Sequence[float]) -> Factors:
    import torch

    return (
        torch.cat([a for a, _ in parts], dim=0),
        torch.cat([b * factor for (_, b), factor in zip(parts, factors, strict=True)], dim=1),
    )


def _joined_config(config: Mapping[str, Any], merged: Mapping[str, Factors]) -> dict[str, Any]:
    """Return the configuration under which every product counts as it stands."""
    ranks = {layer.removeprefix("base_model.model."): len(a) for layer, (a, _) in merged.items()}
    rank = max(ranks.values())
    others = {re.escape(layer): each for layer, each in ranks.items() if each != rank}
    return {
        **config,
        "r": rank,
        "lora_alpha": rank,
        "use_rslora": False,
        "rank_pattern": others,
        "alpha_pattern": others,
    }


def _write(draft: Path, tensors: Mapping[str, torch.Tensor]) -> int:
    layout = {
        name: StoredTensor(ADAPTER, _DTYPES[str(tensor.dtype)], tuple(tensor.shape), 0)
        for name, tensor in tensors.items()
    }
    layout = {name: layout[name] for name in sorted(layout, key=lambda name: file_order(name, layout[name]))}
    write_tensors(draft / ADAPTER, layout, (tensors[name].reshape(-1) for name in layout))
    return sum(each.num_bytes for each in layout.values())
