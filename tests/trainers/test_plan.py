"""What a configuration comes to, and what is refused before any model is loaded."""

from __future__ import annotations

import json

import pytest

from rlkit.errors import ConfigError, PluginError
from rlkit.recipe.plan import Plan
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from tests.trainers.tiny import training_arguments


def build_config(**changes):
    return DiverseGRPOConfig(**training_arguments("runs/nowhere", **changes))


def build_plan(**changes):
    return Plan.from_config(build_config(**changes), [])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"advantage": "darling"},
            ConfigError,
            "needs labels_PG, which comes from `partition`; write partition: final_answer",
        ),
        ({"advantage": "dra_grpo"}, ConfigError, "write embedding: hashed_ngrams"),
        ({"advantage": "passk_grpo", "num_generations": 2}, ConfigError, "num_generations is 2"),
        ({"advantage": {"name": "pkpo", "k": 4, "variant": "loo"}}, ConfigError, "compares 5 completions"),
        ({"objective": "ster"}, PluginError, "Did you mean 'steer'"),
        ({"objective": {"anchors": "k2"}}, ConfigError, "Did you mean 'anchor'"),
        ({"objective": [{"anchor": "k2"}, {"anchor": "k3"}]}, ConfigError, "two anchor parts"),
        ({"objective": ["dph_js", {"rehearsal": {"coef": 1.0}}]}, ConfigError, "two rehearsal parts"),
        ({"objective": [["steer"]]}, ConfigError, "a list inside a list"),
        ({"objective": {"anchor": {"name": "k2", "coef": -1}}}, ConfigError, "a coefficient was given value=-1"),
        ({"objective": {"token_weights": "top_entropy"}, "top_entropy_quantile": 0.2}, ConfigError, "keep one"),
        ({"objective": {"anchor": "k2"}, "beta": 0.1}, ConfigError, "keep one of them"),
        ({"objective": "steer", "loss_type": "vespo"}, ConfigError, "write one of grpo"),
        ({"objective": {"anchor": {"name": "kl", "estimator": "k1"}}}, ConfigError, "where: reward"),
        ({"objective": {"anchor": {"name": "k2", "where": "reward"}}}, ConfigError, "write advantage: grpo"),
        (
            {"objective": {"anchor": {"name": "k2", "where": "reward", "only": "mastered"}}, "advantage": "grpo"},
            ConfigError,
            "write where: loss",
        ),
        ({"objective": {"anchor": {"name": "k2", "reference": "initail"}}}, PluginError, "Did you mean 'initial'"),
        ({"objective": {"rehearsal": {"divergences": "js"}}}, PluginError, "no parameter 'divergences'"),
        ({"objective": {"rehearsal": "js"}}, PluginError, "No rehearsal is called 'js'"),
        ({"answers": "final"}, PluginError, "final_answer"),
        ({"embedding": "ngrams"}, PluginError, "hashed_ngrams"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_in_one_sentence(changes, error, words):
    with pytest.raises(error, match=words):
        build_plan(**changes)


def test_answers_are_read_where_the_chain_asks_for_them():
    assert build_plan(advantage="ttrl").answers is not None
    assert build_plan(advantage="grpo").answers is None
    named = build_plan(advantage="ttrl", answers="normalised_text")
    assert type(named.answers).__name__ == "NormalisedText"


def test_parts_of_several_specs_are_taken_together():
    objective = build_plan(objective=["steer", "dph_js", {"anchor": "k2", "token_weights": "top_entropy"}]).objective
    assert [type(weight).__name__ for weight in objective.token_weights] == ["Steer", "TopEntropy"]
    assert objective.anchor.estimator == "k2"
    assert objective.rehearsal.divergence == "js"


def test_beta_beside_an_objective_is_its_anchor():
    assert build_plan(objective="steer", beta=0.2).objective.anchor.coef == 0.2
    assert build_plan(beta=0.2).objective.anchor.coef == 0.2
    assert build_plan(beta=0.2, fast_path=False).objective.is_empty


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (None, r"was not fitted; write plan=plan.fit\(args\)"),
        ({"beta": 0.04}, r"fitted to beta=0.04, but its configuration has 0.0; write plan=Plan.from_recipe"),
        ({"num_generations": 2}, "fitted to num_generations=2"),
        ({"correct_reward": 1}, "fitted to correct_reward=1, but its configuration has None"),
        ({"loss_type": "grpo"}, "fitted to loss_type='grpo'"),
    ],
)
def test_a_plan_that_was_fitted_to_something_else_is_refused_at_the_door(changes, words):
    plan = Plan() if changes is None else Plan().fit(build_config(**changes))
    with pytest.raises(ConfigError, match=words):
        DiverseGRPOTrainer("no model is looked for", args=build_config(), plan=plan)


def test_a_plan_fits_settings_that_are_written_in_another_way():
    Plan().fit(build_config(scale_rewards=True, correct_reward="0")).check_fits(
        build_config(scale_rewards="group", correct_reward=0)
    )


def test_description_holds_every_parameter_and_is_plain_data():
    changes = {"advantage": "pro_grpo", "objective": {"anchor": {"name": "k2", "reference": {"name": "ema"}}}}
    described = json.loads(json.dumps(build_plan(**changes, partition="final_answer").describe()))
    assert described["advantage"][-1] == {
        "type": "ReweightByConfidence",
        "coef": 0.3,
        "fraction": 0.2,
        "below": None,
        "correct_only": False,
        "on_all_correct": True,
        "select_in_prompt": True,
    }
    assert described["reference"] == {"type": "Ema", "decay": 0.99, "every": 1}
    assert described["partition"]["type"] == "FinalAnswer"
    assert "rehearsal" not in described
