"""How completions are drawn: the settings every engine understands, checked before any model is loaded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import show


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of one evaluation's sampling; part of what a sample directory is identified by.

    Raises:
        ConfigError: a value is out of range.
    """

    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most likely token, and then only one sample a prompt makes sense."""
    top_p: float = 1.0
    """Keep the smallest set of tokens that holds this probability; 1 keeps all."""
    top_k: int = 0
    """Keep this many most likely tokens; 0 keeps all."""
    min_p: float = 0.0
    """Drop tokens less likely than this share of the most likely one; 0 drops none."""
    max_tokens: int = 512
    """Longest completion in tokens; what is cut there counts as wrong and as truncated."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion; they are not part of it."""
    seed: int = 0
    """The same seed, prompt and settings give the same samples (on one machine and engine)."""

    def __post_init__(self) -> None:
        """Check every field, and turn a list of stops into a tuple."""
        self._check_types()
        stop: object = self.stop
        object.__setattr__(self, "stop", (stop,) if isinstance(stop, str) else tuple(self.stop))
        _require(0.0 <= self.temperature < math.inf, "temperature", self.temperature, "a number of 0 or more")
        _require(0.0 < self.top_p <= 1.0, "top_p", self.top_p, "a share above 0 and up to 1 (1 keeps every token)")
        _require(0 <= self.top_k < 2**31, "top_k", self.top_k, "0 (keep every token) or a number of tokens")
        _require(0.0 <= self.min_p < 1.0, "min_p", self.min_p, "a share from 0 (drop none) to below 1")
        _require(1 <= self.max_tokens < 2**31, "max_tokens", self.max_tokens, "a number of tokens, at least 1")
        _require(0 <= self.seed < 2**63, "seed", self.seed, "a whole number from 0 to 2**63 - 1")
        _require(all(self.stop), "stop", self.stop, "texts that are not empty")

    def _check_types(self) -> None:
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            allowed = (
                (float, int)
                if isinstance(default, float)
                else (type(default), list, str)
                if field.name == "stop"
                else int
            )
            if not isinstance(value, allowed) or isinstance(value, bool):
                raise ConfigError(f"{field.name} was given as {show(value)}; write a {_TYPE_WORDS[type(default)]}.")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> SamplingConfig:
        """Build from a mapping as in a recipe; raises ConfigError for an unknown key."""
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise ConfigError(f"Sampling has no setting {unknown[0]!r}.{suggest(unknown[0], names)}")
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self) | {"stop": list(self.stop)}

    def seed_for(self, *parts: str | int) -> int:
        """Return a 63-bit seed that depends on this seed and on `parts` (a prompt id, ...) alone."""
        text = "\x1f".join([str(self.seed), *map(str, parts)])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


_TYPE_WORDS = {float: "number", int: "whole number", tuple: "text or list of texts"}


def _require(holds: bool, name: str, given: object, allowed: str) -> None:
    if not holds:
        raise ConfigError(f"{name} was given as {show(given)}; write {allowed}.")
