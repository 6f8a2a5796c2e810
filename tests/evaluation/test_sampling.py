"""Sampling settings: what is refused, and seeds that depend on nothing but what they are given."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rlkit.errors import ConfigError
from rlkit.evaluation import SamplingConfig


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "hot"),
        ("temperature", True),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("top_k", 1.5),
        ("min_p", 1.0),
        ("max_tokens", 0),
        ("seed", -1),
        ("stop", ("",)),
        ("stop", 5),
    ],
)
def test_values_out_of_range_are_named(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{setting} was given as"):
        SamplingConfig(**{setting: value})


def test_an_unknown_setting_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'temperature'"):
        SamplingConfig.from_mapping({"temprature": 1.0})


def test_settings_survive_json() -> None:
    config = SamplingConfig(temperature=0.6, top_k=20, stop=["\n\n", "###"], seed=5)
    assert SamplingConfig.from_mapping(json.loads(json.dumps(config.as_json()))) == config
    assert SamplingConfig(stop="END").stop == ("END",)


def test_seeds_differ_by_seed_and_part_only() -> None:
    config = SamplingConfig(seed=3)
    seeds = {config.seed_for("a", 0), config.seed_for("a", 1), config.seed_for("b", 0), config.seed_for("a0")}
    assert len(seeds) == 4
    assert dataclasses.replace(config, temperature=0.5).seed_for("a", 0) == config.seed_for("a", 0)
    assert dataclasses.replace(config, seed=4).seed_for("a", 0) != config.seed_for("a", 0)
    assert all(0 <= seed < 2**63 for seed in seeds)
