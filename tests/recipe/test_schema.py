"""What a recipe may say at its top level, and how two recipes differ."""

from __future__ import annotations

import dataclasses

import pytest

from rlkit.errors import ConfigError
from rlkit.recipe import Recipe, build_recipe, differences, load_recipe, shipped_recipes
from rlkit.recipe.yaml_text import format_yaml, parse_yaml

SMALL = {"model": "m", "task": "t", "output": "o"}


def test_the_smallest_recipe_leaves_everything_else_to_trl_and_the_task():
    assert build_recipe(SMALL) == Recipe(model="m", task="t", output="o", train={})


@pytest.mark.parametrize("missing", ["model", "task", "output"])
@pytest.mark.parametrize("empty", [None, ""])
def test_a_missing_or_empty_key_is_named(missing, empty):
    for values in ({**SMALL, missing: empty}, {key: value for key, value in SMALL.items() if key != missing}):
        with pytest.raises(ConfigError, match=f"names no {missing}"):
            build_recipe(values)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"advantages": "grpo"}, "Did you mean 'advantage'"),
        ({"anchor": "kl"}, "'anchor' at its top level; write it under objective:"),
        ({"token_weights": "steer"}, "write it under objective:"),
        ({"rehearsal": "dph_forward"}, "write it under objective:"),
        ({"learning_rate": 1}, "settings go under train"),
        ({"train": {"output_dir": "x"}}, "write output: there"),
        ({"train": {"advantage": "grpo"}}, "write advantage: there"),
        ({"train": "fast"}, "a mapping of trainer settings"),
        ({"model": 3}, "a directory, a bundled model's name or a hub id"),
        ({"task": ["countdown"]}, "a name or"),
        ({"advantage": 3}, "a list of these"),
        ({"rewards": "mine.py:reward"}, "a list of names"),
        ({"rewards": []}, "empty list"),
        ({"reward_weights": ["a"]}, "a list of numbers"),
        ({"rewards": ["a", "b"], "reward_weights": [1.0]}, "2 rewards and 1 reward_weights"),
    ],
)
def test_what_does_not_belong_is_refused_with_what_does(extra, said):
    with pytest.raises(ConfigError, match=said):
        build_recipe({**SMALL, **extra})


def test_an_empty_train_section_is_an_empty_mapping():
    assert build_recipe({**SMALL, "train": None}).train == {}


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_saved_and_read_back_unchanged(name):
    recipe = load_recipe(name)
    assert build_recipe(parse_yaml(format_yaml(recipe.to_mapping()), "saved")) == recipe


def test_no_two_shipped_recipes_share_an_output_directory():
    outputs = [load_recipe(name).output for name in shipped_recipes()]
    assert len(set(outputs)) == len(outputs)


# What a paper's method asks of the trainer; KL-Cov learns twice from each batch, in as many optimizer steps.
FREE_SETTINGS = ("beta", "loss_type", "epsilon_high", "entropy_coef", "num_iterations", "delta")
# A method with a memory needs problems that come back within the 60 steps; the budget is the same.
FREE_SIZES = {
    "countdown/outcome_ucb": ("task.train_size is",),
    "countdown/ppo_lora": ("peft.", "train.learning_rate is"),
}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in sorted(shipped_recipes())
        if name.startswith("countdown/") and "chat" not in name and load_recipe(name).kind == "rl"
    ],
)
def test_the_tiny_recipes_have_equal_budgets(name):
    reference, recipe = load_recipe("countdown/grpo"), load_recipe(name)
    free = ("advantage", "objective", "archive", "answers", "embedding", *(f"train.{key} is" for key in FREE_SETTINGS))
    free += ("trainer", "critic", "train.gamma is", "train.lambda_", *FREE_SIZES.get(name, ()))
    assert [phrase for phrase in differences(recipe, reference) if not phrase.startswith(free)] == []


def test_problems_come_back_where_answers_are_counted_over_steps():
    recipe = load_recipe("countdown/outcome_ucb")
    train = recipe.train
    prompts = train["max_steps"] * train["per_device_train_batch_size"] // train["num_generations"]
    assert prompts > 2 * recipe.task["train_size"]


def test_a_shipped_header_names_the_command_that_runs_it():
    for name, path in shipped_recipes().items():
        header = path.read_text().split("\nextends:")[0].split("\nmodel:")[0]
        assert f"rlkit train {name}" in header, name


def test_differences_name_each_setting_once_with_both_values():
    here = build_recipe({**SMALL, "output": "x", "train": {"seed": 1, "beta": 0.1}, "advantage": {"name": "nsr"}})
    there = build_recipe({**SMALL, "train": {"seed": 0, "beta": 0.1}, "peft": {"r": 8}})
    assert differences(here, there) == [
        "advantage.name is not set there, 'nsr' here",
        "train.seed is 0 there, 1 here",
        "peft.r is 8 there, not set here",
    ]


def test_a_recipe_does_not_differ_from_itself_elsewhere():
    recipe = load_recipe("countdown/darling")
    assert differences(dataclasses.replace(recipe, output="elsewhere"), recipe) == []
