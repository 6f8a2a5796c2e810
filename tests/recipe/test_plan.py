"""The parts a recipe names, found without TRL or a model, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

import rlkit
from rlkit.errors import ConfigError, PluginError
from rlkit.recipe import build_recipe
from rlkit.recipe.plan import Plan
from rlkit.tasks.countdown import countdown_reward

COUNTDOWN = {"model": "countdown-tiny", "task": {"name": "countdown", "train_size": 8}, "output": "o"}

OWN_TASK = """
from rlkit.types import Grade

class Own:
    name = "own"
    def load(self, split): return [{"id": "1", "prompt": "x"}]
    def grade(self, completion, row): return Grade(completion == "x", "x")
    def validate(self): ...

def always_one(completions, **columns):
    return [1.0] * len(completions)
"""


def test_the_task_brings_its_reward_and_partition():
    plan = Plan.from_recipe(build_recipe(COUNTDOWN))
    assert [reward.function for reward in plan.rewards] == [countdown_reward]
    assert type(plan.partition).__name__ == "CanonicalExpression"
    assert plan.task.name == "countdown"
    assert plan.model.endswith("countdown-tiny")


def test_the_recipe_goes_before_the_task(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN_TASK)
    recipe = build_recipe({**COUNTDOWN, "rewards": [f"{path}:always_one"], "partition": "normalised_text"})
    plan = Plan.from_recipe(recipe)
    assert [reward.function(completions=["a", "b"]) for reward in plan.rewards] == [[1.0, 1.0]]
    assert type(plan.partition).__name__ == "NormalisedText"


def test_a_task_without_rewards_is_rewarded_by_its_grade_also_beside_others(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN_TASK)
    values = {**COUNTDOWN, "task": f"{path}:Own"}
    both = {**values, "rewards": ["grade", f"{path}:always_one"]}
    for plan in (Plan.from_recipe(build_recipe(values)), Plan.from_recipe(build_recipe(both))):
        assert plan.rewards[0].function(completions=["x", "y"], prompts=["", ""]) == [1.0, 0.0]
        assert plan.partition is None
    assert len(plan.rewards) == 2


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
        Plan.from_recipe(build_recipe({**COUNTDOWN, **change}))


COUNTED = """
from dataclasses import dataclass
from pathlib import Path

from rlkit.advantages import Transform
from rlkit.diversity import NormalisedText
from rlkit.objective import TokenWeight
from rlkit.plugins import factory

LOG = Path(__file__).with_suffix(".log")

def built(thing):
    with LOG.open("a") as log:
        log.write(thing + "\\n")

class MyTransform(Transform):
    def __init__(self): built("transform")
    def apply(self, values_PG, ctx): return values_PG - values_PG.nanmean(dim=1, keepdim=True)

class MyPartition(NormalisedText):
    def __post_init__(self): built("partition")

class MyAnswers(NormalisedText):
    def __post_init__(self): built("answers")

@dataclass(frozen=True)
class MyWeight(TokenWeight):
    def __post_init__(self): built("token weight")
    def weigh(self, tokens): return tokens.logps_N * 0 + 1

@factory
def my_coefficient():
    from rlkit.objective.coefficients import Constant
    built("coefficient")
    return Constant(0.1)

@factory
def my_reference():
    from rlkit.objective.references import Initial
    built("reference")
    return Initial()

@factory
def my_reward():
    built("reward")
    return lambda completions, **columns: [float(len(str(text))) for text in completions]

@factory
def my_verifier():
    built("held out")
    return lambda completions, **columns: [0.0] * len(completions)

class MyTask:
    name = "mine"
    def __init__(self):
        built("task")
    def load(self, split): return [{"id": str(i), "prompt": f"{i} + 1 ="} for i in range(8)]
    def grade(self, completion, row): return Grade(completion == "x", "x")
    def validate(self): ...
"""
ONCE = ["answers", "coefficient", "held out", "partition", "reference", "reward", "task", "token weight", "transform"]


def write_counted(tmp_path):
    """Return a recipe whose plug-ins note that they are built, and where they do."""
    path = tmp_path / "counted.py"
    path.write_text(COUNTED)
    values = {
        "model": "countdown-tiny",
        "task": f"{path}:MyTask",
        "output": str(tmp_path / "out"),
        "rewards": [f"{path}:my_reward"],
        "advantage": [f"{path}:MyTransform"],
        "partition": f"{path}:MyPartition",
        "answers": f"{path}:MyAnswers",
        "objective": {
            "token_weights": [f"{path}:MyWeight"],
            "anchor": {"name": "k2", "coef": f"{path}:my_coefficient", "reference": f"{path}:my_reference"},
        },
        "monitor": {"held_out": f"{path}:my_verifier"},
        "train": {"max_steps": 1, "per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": 4},
    }
    return build_recipe(values), path.with_suffix(".log")


def test_a_dry_run_builds_every_part_once(tmp_path):
    from rlkit.cli.kinds import check

    recipe, log = write_counted(tmp_path)
    check(recipe)
    assert sorted(log.read_text().split("\n")[:-1]) == ONCE


@pytest.mark.slow
def test_from_recipe_to_trained_model_every_part_is_built_once_and_every_reward_bound_once(tmp_path, monkeypatch):
    from rlkit.recipe import plan as module
    from rlkit.rewards import bind_reward
    from rlkit.trainers.run import train

    bound = []
    monkeypatch.setattr(module, "bind_reward", lambda spec: bound.append(spec) or bind_reward(spec))
    recipe, log = write_counted(tmp_path)
    assert train(recipe).status == "finished"
    assert sorted(log.read_text().split("\n")[:-1]) == ONCE
    assert len(bound) == 2, "the reward and the held-out verifier"


def test_rewards_are_bound_at_one_place_only():
    package = Path(rlkit.__file__).parent
    training = [
        file for part in ("trainers", "recipe", "cli/train.py") for file in sorted(package.glob(f"{part}/**/*.py"))
    ]
    calls = [f"{file.name}" for file in training for line in file.read_text().splitlines() if "bind_reward(" in line]
    assert calls == ["plan.py"]


def test_a_plan_cannot_be_changed_and_says_what_it_is_of(tmp_path):
    plan = Plan.from_recipe(build_recipe({**COUNTDOWN, "advantage": "darling"}))
    with pytest.raises(AttributeError):
        plan.advantage = None
    assert "MultiplyByDistinctness" in repr(plan)
    assert "countdown" in repr(plan.rewards)
