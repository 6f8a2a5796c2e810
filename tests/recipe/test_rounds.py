"""What a recipe of rounds may say, and the fine-tuning that it becomes."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError
from rlkit.recipe import build_recipe, load_recipe
from rlkit.recipe.yaml_text import format_yaml, parse_yaml

SMALL = {"kind": "rounds", "model": "m", "task": "countdown", "output": "o"}


def test_it_is_saved_with_its_kind_and_read_back_unchanged():
    recipe = load_recipe("countdown/rounds")
    assert build_recipe(parse_yaml(format_yaml(recipe.to_mapping()), "saved")) == recipe


@pytest.mark.parametrize(("start_from", "begins"), [("base", "m"), ("last", "o/round-1/sft/model")])
def test_a_later_round_draws_from_the_last_model_and_begins_where_it_is_told(start_from, begins):
    recipe = build_recipe({**SMALL, "start_from": start_from, "negatives": 2.0, "per_problem": 4})
    sft = recipe.fine_tuning(2)
    assert recipe.sampler(2) == "o/round-1/sft/model"
    assert sft.model == begins
    assert sft.data == {"name": "archive", "path": "o/round-2/archive.jsonl", "weights": "equal", "per_problem": 4}
    assert sft.negatives["weight"] == 2.0
    assert sft.negatives["data"] == {"name": "evaluation", "path": "o/round-2/draws", "take": "wrong"}


def test_who_draws_can_stay_the_base():
    recipe = build_recipe({**SMALL, "draw_from": "base"})
    assert [recipe.sampler(number) for number in (1, 2, 3)] == ["m", "m", "m"]


def test_each_round_draws_with_a_seed_of_its_own_and_is_evaluated_with_one():
    recipe = build_recipe({**SMALL, "sampling": {"seed": 5}})
    assert [recipe.draw(number)["seed"] for number in (1, 2, 3)] == [5, 6, 7]
    assert recipe.evaluation()["seed"] == 5


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"rounds": 0}, "rounds"),
        ({"weights": "equl"}, "Did you mean 'equal'"),
        ({"draw_from": "lst"}, "Did you mean 'last'"),
        ({"start_from": "bas"}, "Did you mean 'base'"),
        ({"sft": {"data": "x"}}, "sft of a recipe of rounds has no key 'data'"),
        ({"sampling": {"temperature": 1.0}}, "has no key 'temperature'"),
        ({"held_out": {"temperature": []}}, "held_out.temperature was given as"),
        ({"held_out": {"split": "train"}}, "which rounds learn from"),
        ({"temperature": [1.0, 1]}, "with each once"),
        ({"temperature": ["hot"]}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"negatives": -1.0}, "negatives"),
        ({"engine": {"name": "openai", "base_url": "http://a"}}, "no server has the models"),
        ({"negatives": 1.0, "temperature": [0.6, 1.0]}, "one temperature"),
        ({"sft": {"train": {"output_dir": "x"}}}, "output"),
    ],
)
def test_what_cannot_be_run_is_refused(extra, said):
    with pytest.raises(ConfigError, match=said):
        build_recipe({**SMALL, **extra})


def test_a_temperature_may_stand_alone_and_the_partition_tells_held_out_solutions_apart_too():
    recipe = build_recipe(
        {**SMALL, "temperature": 1, "partition": "equation_set", "held_out": {"temperature": [0.6, 1]}}
    )
    assert recipe.draw(1)["temperature"] == [1.0]
    assert recipe.evaluation()["partition"] == "equation_set"
    assert "partition" not in recipe.draw(1)
    assert recipe.evaluation()["temperature"] == [0.6, 1]
