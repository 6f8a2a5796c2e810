"""Whether models fit each other: the same tensors, one architecture, one vocabulary; what does not is named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.probing.update import layer_of
from rlkit.weights.sources import Source
from rlkit.weights.tensor_files import StoredTensor

_HEAD = "lm_head.weight"
# What training and newer libraries rewrite and what does not change a logit.
_PASSED_OVER = {
    *("transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache", "_attn_implementation_autoset"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "attn_implementation", "_attn_implementation"),
}

Tensors = Mapping[str, StoredTensor]


def check_models(sources: Sequence[Source], tensors: Sequence[Tensors]) -> list[str]:
    """Return the names of the tensors to merge, in order; a tied head that only some models store is left out.

    Raises:
        ConfigError: two models do not fit, by name of the first tensor, or of the first setting, or of a token.
    """
    tensors = [_without_tied_head(source, each, tensors) for source, each in zip(sources, tensors, strict=True)]
    check_tensors(sources, tensors)
    for source in sources[1:]:
        _check_configs(sources[0], source)
        _check_vocabularies(sources[0], source)
    return sorted(tensors[0])


def check_tensors(sources: Sequence[Source], tensors: Sequence[Tensors]) -> None:
    """Raise ConfigError naming the first tensor that two sources do not both have, in one shape and kind."""
    first, there = sources[0], tensors[0]
    for source, here in zip(sources[1:], tensors[1:], strict=True):
        for name in sorted(there.keys() | here.keys()):
            if name not in here or name not in there:
                has, lacks = (first, source) if name in there else (source, first)
                raise ConfigError(
                    f"{source.name} does not fit {first.name}: {has.name} has a tensor {name!r} and {lacks.name} none."
                )
            one, other = there[name], here[name]
            if one.shape != other.shape or one.is_float != other.is_float:
                raise ConfigError(
                    f"{source.name} does not fit {first.name}: {name!r} is {one.dtype} {[*one.shape]} in {first.name} "
                    f"and {other.dtype} {[*other.shape]} in {source.name}."
                )


def check_layers(source: Source, names: Sequence[str], layers: Sequence[int]) -> None:
    """Raise ConfigError unless each number is that of a layer of the model's one stack."""
    numbered = [name for name in names if layer_of(name).isdigit()]
    stacks = sorted({name.partition(f".{layer_of(name)}.")[0] for name in numbered})
    if len(stacks) > 1:
        raise ConfigError(
            f"{source.name} has several stacks of layers ({', '.join(stacks)}), so a number does not say which; "
            "layers can be restored in models with one."
        )
    there = {int(layer_of(name)) for name in numbered}
    unknown = sorted({*layers} - there)
    if unknown:
        most = f"layers 0 to {max(there)}" if there else "no numbered layers"
        raise ConfigError(f"{source.name} has {most}, and layer {unknown[0]} was to be restored.")


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Return a JSON object of a model directory; raises ConfigError where it cannot be read."""
    try:
        config = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder / name} cannot be read as JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{folder / name} holds no JSON object.")
    return config


def _without_tied_head(source: Source, own: Tensors, tensors: Sequence[Tensors]) -> Tensors:
    if all((_HEAD in each) == (_HEAD in own) for each in tensors) or _HEAD not in own or not _is_tied(source.folder):
        return own
    return {name: each for name, each in own.items() if name != _HEAD}


def _is_tied(folder: Path) -> bool:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return bool(config.get_text_config().tie_word_embeddings)


def _check_configs(first: Source, source: Source) -> None:
    one, other = read_config(first.folder), read_config(source.folder)
    for each, config in ((first, one), (source, other)):
        if config.get("quantization_config"):
            raise ConfigError(f"{each.name} is quantised, so its weights cannot be averaged; merge before quantising.")
    if _first_difference(one, other) is None:
        return
    # Versions of the library write defaults or leave them out, so what they mean is compared.
    one, other = _meant(first, one), _meant(source, other)
    different = _first_difference(one, other)
    if different is not None:
        raise ConfigError(
            f"{source.name} does not fit {first.name}: their config.json differ in {different}, "
            f"{one.get(different)!r} and {other.get(different)!r}."
        )


def _first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    keys = sorted({*one, *other} - _PASSED_OVER)
    return next((key for key in keys if one.get(key) != other.get(key)), None)


def _meant(source: Source, config: dict[str, Any]) -> dict[str, Any]:
    from transformers import AutoConfig

    try:
        meant: dict[str, Any] = AutoConfig.from_pretrained(source.folder, trust_remote_code=False).to_dict()
    except (OSError, ValueError, KeyError):
        # An architecture that the library does not know: what is written is all that there is.
        return config
    return meant


def _check_vocabularies(first: Source, source: Source) -> None:
    one, other = _vocabulary(first.folder), _vocabulary(source.folder)
    if one is None or other is None or one == other:
        return
    token = sorted(one ^ other)[0]
    raise ConfigError(
        f"{source.name} does not fit {first.name}: their tokenizers differ, the token {token[0]!r} has number "
        f"{token[1]} in only one of them."
    )


def _vocabulary(folder: Path) -> set[tuple[str, int]] | None:
    """Return each token with its number; None where there is no tokenizer.json that says so."""
    if not (folder / "tokenizer.json").is_file():
        return None
    tokenizer = read_config(folder, "tokenizer.json")
    vocabulary = (tokenizer.get("model") or {}).get("vocab")
    if isinstance(vocabulary, list):
        return {(str(entry[0]), place) for place, entry in enumerate(vocabulary)}
    if not isinstance(vocabulary, dict):
        return None
    return {(token, int(number)) for token, number in vocabulary.items()}
