"""The walk of one reward value from a plug-in to the loss: which files it passes, followed while a step is trained."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch

from rlkit.rewards import resolve_reward
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments

ROOT = Path(__file__).resolve().parents[2]
MOST_FILES = 10
PLUGIN = """
def first_of_four(completions, prompts, **columns):
    return [0.75 if place % 4 == 0 else 0.0 for place in range(len(completions))]
"""
ITS_VALUES = (0.75, 0.5625, -0.5625)
"""The reward of one completion of four, its advantage, and its token's loss at a ratio of 1; all exact in float32."""


def holds(thing: Any, depth: int = 0) -> bool:
    """Return whether a value, or something made of values, holds one of `ITS_VALUES`."""
    if isinstance(thing, float):
        return thing in ITS_VALUES
    if isinstance(thing, torch.Tensor):
        return thing.is_floating_point() and any(bool((thing.detach() == value).any()) for value in ITS_VALUES)
    if isinstance(thing, np.ndarray):
        return thing.dtype.kind == "f" and any(bool((thing == value).any()) for value in ITS_VALUES)
    if depth > 4:
        return False
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return any(holds(getattr(thing, field.name, None), depth + 1) for field in dataclasses.fields(thing))
    values = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    return any(holds(value, depth + 1) for value in values)


def follow(run: Callable[[], object], plugin: Path) -> list[str]:
    """Return the files whose functions hand the value on, in the order in which they first do."""
    files: dict[str, None] = {}

    def look(frame: FrameType, event: str, returned: Any) -> None:
        file = Path(frame.f_code.co_filename)
        is_ours = file == plugin or file.is_relative_to(ROOT / "rlkit")
        if event == "return" and is_ours and holds(returned):
            files["the plug-in" if file == plugin else str(file.relative_to(ROOT))] = None

    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(None)
    return [*files]


@pytest.mark.slow
def test_a_reward_passes_at_most_ten_files_and_the_page_names_them(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    arguments = training_arguments(str(tmp_path / "run"), max_steps=1)
    trainer = DiverseGRPOTrainer(
        model=build_model(),
        reward_funcs=[resolve_reward(f"{plugin}:first_of_four")],
        args=DiverseGRPOConfig(**arguments, advantage=["subtract_group_mean"]),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    walk = follow(trainer.train, plugin)
    assert len(walk) <= MOST_FILES, walk
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page[page.index("## The path of a reward") : page.index("## The path of a sample")]
    named = re.findall(r"^\d+\. \**`([\w/]+\.py)`|^\d+\. (the plug-in)", section, flags=re.MULTILINE)
    assert ["".join(names) for names in named] == walk
