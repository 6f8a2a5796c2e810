"""The parts a recipe names, found without TRL or a model."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError, PluginError
from rlkit.recipe import build_recipe
from rlkit.recipe.parts import resolve_parts
from rlkit.tasks.countdown import countdown_reward

COUNTDOWN = {"model": "countdown-tiny", "task": {"name": "countdown", "train_size": 8}, "output": "o"}

OWN_TASK = """
class Own:
    name = "own"
    def load(self, split): return [{"id": "1", "prompt": "x"}]
    def grade(self, completion, row): ...
    def validate(self): ...

def always_one(completions, **columns):
    return [1.0] * len(completions)
"""


def test_the_task_brings_its_reward_and_partition():
    parts = resolve_parts(build_recipe(COUNTDOWN))
    assert parts.rewards == [countdown_reward]
    assert parts.partition == "canonical_expression"
    assert parts.model.endswith("countdown-tiny")


def test_the_recipe_goes_before_the_task(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN_TASK)
    recipe = build_recipe({**COUNTDOWN, "rewards": [f"{path}:always_one"], "partition": "normalised_text"})
    parts = resolve_parts(recipe)
    assert [reward(completions=["a", "b"]) for reward in parts.rewards] == [[1.0, 1.0]]
    assert parts.partition == "normalised_text"


def test_a_task_without_rewards_needs_the_recipe_to_name_some(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN_TASK)
    values = {**COUNTDOWN, "task": f"{path}:Own"}
    with pytest.raises(ConfigError, match="'own' brings none"):
        resolve_parts(build_recipe(values))
    assert resolve_parts(build_recipe({**values, "rewards": [f"{path}:always_one"]})).partition is None


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model": "/nowhere"}, ConfigError, "There is no model directory"),
        ({"task": "countdwn"}, PluginError, "Did you mean 'countdown'"),
        ({"task": {"name": "countdown", "formt": "chat"}}, PluginError, "no parameter 'formt'"),
        ({"task": {"name": "countdown", "format": "prose"}}, ConfigError, "tokens"),
        ({"rewards": [{"name": "countdown", "run": {"role": "bonus"}}]}, ConfigError, "role='bonus'"),
        ({"rewards": [{"name": "countdown", "strict": True}]}, PluginError, "no parameter 'strict'"),
        ({"rewards": [{"name": "countdown", "run": {"deadline_s": 1}}]}, ConfigError, "nothing can interrupt"),
        ({"monitor": {"held_ot": "countdown"}}, ConfigError, "Did you mean 'held_out'"),
        ({"monitor": {"held_out": "countdwn"}}, PluginError, "Did you mean 'countdown'"),
        ({"monitor": {"failure_rate": 0}}, ConfigError, "failure_rate=0"),
        ({"advantage": "gpro"}, PluginError, "Did you mean 'grpo'"),
        ({"advantage": [{"name": "w_reinforce", "positve": 1}]}, PluginError, "'positve'"),
        ({"partition": "canonical"}, PluginError, "No partition is called"),
        ({"rewards": ["gone.py:reward"]}, PluginError, "does not exist"),
    ],
)
def test_parts_that_cannot_be_built_are_named(change, error, said):
    with pytest.raises(error, match=said):
        resolve_parts(build_recipe({**COUNTDOWN, **change}))
