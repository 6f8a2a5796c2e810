"""Where a critic comes from, judged before any weights are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.models import locate_model
from rlkit.trainers.critic.files import WEIGHTS
from rlkit.trainers.critic.settings import CriticSettings


def check_source(settings: CriticSettings, policy: str | None, has_adapter: bool) -> None:
    """Check that the critic can be had and goes with the policy.

    Args:
        settings: what the recipe says.
        policy: what `from_pretrained` takes; None where it is not known, and the tokenizer is checked later.
        has_adapter: whether the policy is trained by a LoRA adapter.

    Raises:
        ConfigError: a path does not exist, the tokenizers differ, or an adapter has no base to sit on.
    """
    if settings.kind == "adapter" and not has_adapter:
        raise ConfigError(
            "critic is adapter, a second adapter on the policy's frozen base, but this run trains all weights; write "
            "peft: {r: 16}, or critic: shared."
        )
    if settings.start is not None and not (Path(settings.start) / WEIGHTS).is_file():
        raise ConfigError(
            f"critic.from is {settings.start}, where no critic was saved ({WEIGHTS} is missing); name the directory "
            "critic/ of a run or a checkpoint."
        )
    if settings.kind != "separate" or settings.path is None:
        return
    path = _locate(settings.path)
    if policy is not None:
        check_tokenizer(path, _load_tokenizer(policy))


def _locate(path: str) -> str:
    try:
        return locate_model(path)
    except ConfigError as error:
        raise ConfigError(f"critic.path: {error}") from error


def locate_backbone(settings: CriticSettings, policy: str | None) -> str:
    """Return what `from_pretrained` takes for a backbone of its own.

    Raises:
        ConfigError: none is named and the policy's start is not known.
    """
    if settings.path is not None:
        return _locate(settings.path)
    if not policy:
        raise ConfigError("critic is separate and the policy was given as an object; write path: and a directory.")
    return policy


def check_tokenizer(path: str, tokenizer: Any) -> None:
    """Check that a backbone reads the tokens that the policy writes.

    Raises:
        ConfigError: its vocabulary is another, or its tokenizer cannot be loaded.
    """
    theirs, ours = _load_tokenizer(path).get_vocab(), tokenizer.get_vocab()
    if theirs == ours:
        return
    differing = sorted(token for token in {*theirs, *ours} if theirs.get(token) != ours.get(token))
    raise ConfigError(
        f"critic.path is {path}, whose tokenizer is not the policy's: {len(differing)} tokens differ, {differing[0]!r} "
        "among them; name a model with the same tokenizer, or write critic: shared."
    )


def _load_tokenizer(path: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        said = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(f"critic.path: the tokenizer of {path} cannot be loaded: {said}.") from error
