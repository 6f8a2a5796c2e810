"""What code written for TRL's trainer finds in ours: inputs, attributes, rewards, settings, subclasses."""

from __future__ import annotations

import asyncio
import functools
import inspect

import numpy as np
import pytest
import torch
from trl import GRPOConfig, GRPOTrainer, ModelConfig, ScriptArguments, TrlParser

from rlkit.errors import ConfigError
from rlkit.recipe.correctness import find_verifier
from rlkit.recipe.plan import Plan
from rlkit.trainers import DiverseGRPOConfig, DiverseGRPOTrainer
from rlkit.trainers.groups import identify_prompt
from rlkit.trainers.loss import MODEL_INPUTS
from tests.trainers.test_grpo import build_trainer, count_fours
from tests.trainers.test_loss import NEUTRAL, micro_batch
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments


def test_every_model_input_that_trl_knows_is_handed_to_the_model():
    parameters = list(inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters)
    assert set(MODEL_INPUTS) == set(parameters[parameters.index("pixel_values") :])


@pytest.mark.parametrize("changes", [{"objective": NEUTRAL}, {"beta": 0.1}, {"beta": 0.1, "fast_path": False}])
def test_pictures_reach_the_model_in_the_loss(tmp_path, monkeypatch, changes):
    trainer = build_trainer(tmp_path, count_fours, **changes)
    inputs = micro_batch(trainer) | {"pixel_values": torch.ones(8, 3), "num_images": [1] * 8}
    forward, given = trainer._get_per_token_logps_and_entropies, []

    def watch(*args, pixel_values=None, num_images=None, **kwargs):
        given.append((pixel_values, num_images))
        return forward(*args, **kwargs)

    monkeypatch.setattr(trainer, "_get_per_token_logps_and_entropies", watch)
    trainer._compute_loss(trainer.model, inputs)
    assert [(pictures is not None, images) for pictures, images in given] == [(True, [1] * 8)]


class Picture:
    """Stands in for a picture of PIL, which JSON cannot hold."""

    size, mode = (2, 2), "L"

    def __init__(self, value):
        self.value = value

    def tobytes(self):
        return bytes([self.value] * 4)


def test_prompts_of_any_content_are_told_apart_and_known_again():
    def chat(thing):
        return {"prompt": [{"role": "user", "content": [{"type": "image", "image": thing}]}]}

    assert identify_prompt(chat(Picture(1))) == identify_prompt(chat(Picture(1)))
    assert identify_prompt(chat(Picture(1))) != identify_prompt(chat(Picture(2)))
    assert identify_prompt(chat(np.ones(3))) != identify_prompt(chat(np.zeros(3)))
    assert identify_prompt({"prompt": "half a pair \ud800"}) != identify_prompt({"prompt": "another \ud801"})
    assert identify_prompt({"prompt": {1, 2}}) == identify_prompt({"prompt": {2, 1}})
    assert identify_prompt(chat(object())) == identify_prompt(chat(object()))


def test_rows_without_a_prompt_are_told_apart_by_what_they_have():
    one, other = {"environment": "maze", "seed": 1}, {"environment": "maze", "seed": 2}
    assert identify_prompt(one) != identify_prompt(other)
    assert identify_prompt({**one, "id": "7"}) == "7"


@pytest.mark.parametrize("method", ["compute_loss", "_compute_loss"])
def test_a_subclass_that_says_what_the_loss_is_is_asked(tmp_path, method):
    asked = []

    def say(self, model, inputs, *args, **kwargs):
        asked.append(len(inputs["completion_ids"]))
        return getattr(DiverseGRPOTrainer, method)(self, model, inputs, *args, **kwargs)

    trainer_class = type("Own", (DiverseGRPOTrainer,), {method: say})
    trainer = trainer_class(
        model=build_model(),
        reward_funcs=count_fours,
        args=DiverseGRPOConfig(**training_arguments(str(tmp_path), gradient_accumulation_steps=2)),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    trainer.train()
    assert asked == [8] * 4


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_rewards_find_the_trainer_as_it_is_while_they_are_asked(tmp_path, beta):
    seen = []

    def ask(completions, **_):
        ids = torch.ones(1, 4, dtype=torch.long)
        logps, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, torch.ones_like(ids), 2)
        seen.append((logps.shape, trainer.beta))
        return count_fours(completions)

    trainer = build_trainer(tmp_path, ask, beta=beta)
    trainer.train()
    assert seen == [((1, 2), beta)] * 2


@pytest.mark.parametrize("fast_path", [False, True])
def test_attributes_say_what_trls_say(tmp_path, fast_path):
    anchor = {"name": "k2", "coef": 0.2}
    trainer = build_trainer(tmp_path, [count_fours], objective={"anchor": anchor}, fast_path=fast_path)
    assert trainer.beta == trainer.args.beta == 0.0
    assert trainer.reward_funcs == [count_fours]
    trainer.train()
    assert trainer.beta == 0.0
    assert trainer.reward_funcs == [count_fours]
    assert trainer.state.log_history[0]["kl"] is not None


def test_a_reward_that_is_put_in_later_is_asked(tmp_path):
    trainer = build_trainer(tmp_path, [count_fours])
    trainer.reward_funcs = [lambda completions, **_: [7.0] * len(completions)]
    trainer.train()
    assert trainer.state.log_history[0]["reward"] == 7.0


def test_arguments_come_in_trls_order(tmp_path):
    args = DiverseGRPOConfig(**training_arguments(str(tmp_path)))
    trainer = DiverseGRPOTrainer(build_model(), count_fours, args, build_dataset(), None, build_tokenizer())
    assert len(trainer.train_dataset) == 16
    assert trainer.args is args


def test_parameters_with_a_default_are_the_rewards_own(tmp_path):
    seen = []

    def step_wise(completions, step=0.25, truncated="no", lengths=None, **columns):
        seen.append((step, truncated, len(lengths)))
        return [step * len(text.split()) for text in completions]

    trainer = build_trainer(tmp_path, step_wise)
    trainer.train()
    assert seen == [(0.25, "no", 8)] * 2, "one with the default None asks, as columns of data are asked for"


def test_a_partial_is_called_like_its_function(tmp_path):
    def scaled(completions, scale, **columns):
        return [scale * value for value in count_fours(completions)]

    trainer = build_trainer(tmp_path, [functools.partial(scaled, scale=2.0)])
    assert trainer.reward_func_names == ["scaled"]


def test_nan_says_not_scored_as_none_does(tmp_path):
    def some(completions, **columns):
        return [float("nan") if place % 4 == 0 else value for place, value in enumerate(count_fours(completions))]

    trainer = build_trainer(tmp_path, some)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert logged["rewards/some/abstain"] == 0.25
    assert logged["rewards/some/error"] == 0.0


def test_async_rewards_share_one_loop_for_as_long_as_the_trainer_lives(tmp_path):
    lock, loops = asyncio.Lock(), []

    async def first(completions, **columns):
        async with lock:
            loops.append(asyncio.get_running_loop())
            await asyncio.sleep(0.01)
        return count_fours(completions)

    async def second(completions, **columns):
        return await first(completions)

    trainer = build_trainer(tmp_path, [first, second])
    assert all(reward.limit_s == float("inf") for reward in trainer.scorer.bound), "nobody gave a deadline"
    trainer.train()
    trainer.evaluate()
    assert len(loops) >= 6
    assert len(set(map(id, loops))) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--advantage", "darling", "--partition", "final_answer"], {"advantage": "darling"}),
        (["--advantage", "{name: pkpo, k: 2}"], {"advantage": {"name": "pkpo", "k": 2}}),
        (["--advantage", "[subtract_group_mean]"], {"advantage": ["subtract_group_mean"]}),
        (["--objective", "{anchor: {name: k2, coef: 0.1}}"], {"objective": {"anchor": {"name": "k2", "coef": 0.1}}}),
        (["--correct_reward", "accuracy"], {"correct_reward": "accuracy"}),
        (["--correct_reward", "1"], {"correct_reward": 1}),
        (["--monitor", "{failure_rate: 0.5}"], {"monitor": {"failure_rate": 0.5}}),
    ],
)
def test_trls_parser_takes_our_keys_from_a_command_line(tmp_path, words, expected):
    parser = TrlParser((ScriptArguments, DiverseGRPOConfig, ModelConfig))
    given = ["--output_dir", str(tmp_path), "--use_cpu", "true", "--bf16", "false", "--dataset_name", "x", *words]
    _, config, _ = parser.parse_args_and_config(given)
    assert {key: getattr(config, key) for key in expected} == expected


def test_trls_parser_takes_our_keys_from_a_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        f"output_dir: {tmp_path}\nuse_cpu: true\nbf16: false\nadvantage: [{{name: pkpo, k: 2}}, subtract_group_mean]\n"
        "objective: {token_weights: [steer]}\ncorrect_reward: accuracy\n"
    )
    parser = TrlParser((ScriptArguments, DiverseGRPOConfig, ModelConfig))
    _, config, _ = parser.parse_args_and_config(["--config", str(path), "--dataset_name", "x"])
    assert config.advantage == [{"name": "pkpo", "k": 2}, "subtract_group_mean"]
    assert config.objective == {"token_weights": ["steer"]}
    assert config.correct_reward == "accuracy"


def length_reward(completions, **columns):
    return [float(len(text)) for text in completions]


def accuracy_reward(completions, **columns):
    return [0.0] * len(completions)


def plan_for(rewards, **changes):
    return Plan.from_config(DiverseGRPOConfig(**training_arguments("nowhere", **changes)), rewards)


def test_what_is_correct_is_said_by_the_only_verifier(capfd):
    names = ["length_reward", "accuracy_reward"]
    assert find_verifier(plan_for([length_reward, accuracy_reward]), names) == 1
    assert find_verifier(plan_for([accuracy_reward, length_reward]), names[::-1]) == 0
    assert find_verifier(plan_for([length_reward]), names[:1]) == 0
    assert capfd.readouterr().err == ""


def test_what_is_correct_is_asked_where_nobody_knows(capfd):
    rewards, names = [length_reward, count_fours], ["length_reward", "count_fours"]
    assert find_verifier(plan_for(rewards), names) == 0
    assert "length_reward is taken to say what is correct; write correct_reward" in capfd.readouterr().err
    asking = plan_for(rewards, advantage="darling", partition="normalised_text")
    if "correct_PG" in asking.needs:
        with pytest.raises(ConfigError, match="write correct_reward: the name"):
            find_verifier(asking, names)
    rehearsing = plan_for(rewards, objective={"rehearsal": {}})
    with pytest.raises(ConfigError, match=r"Rehearsal asks which answers are correct.*write correct_reward"):
        find_verifier(rehearsing, names)
    assert find_verifier(plan_for(rewards, objective={"rehearsal": {}}, correct_reward="count_fours"), names) == 1


@pytest.mark.parametrize(
    "changes", [{"scale_rewards": "batch"}, {"multi_objective_aggregation": "normalize_then_sum"}], ids=str
)
def test_settings_that_a_chain_replaces_are_said(capfd, changes):
    plan_for([count_fours], advantage="grpo", **changes)
    (key, value), said = *changes.items(), capfd.readouterr().err
    assert f"train.{key} is {value}, which does nothing here" in said
    plan_for([count_fours], **changes)
    plan_for([count_fours], advantage="grpo")
    assert capfd.readouterr().err == ""


def test_a_run_without_any_signal_says_so(tmp_path, capfd):
    build_trainer(tmp_path, lambda completions, **_: [1.0] * len(completions), max_steps=3).train()
    assert "in none of 3 batches had any completion an advantage" in capfd.readouterr().err
    build_trainer(tmp_path, count_fours, max_steps=3).train()
    assert "had any completion an advantage" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"weight_decay": 0.1}, {"gradient_accumulation_steps": 2}], ids=str)
def test_steps_without_signal_move_the_weights_as_trls(tmp_path, changes):
    def weights_after(base, config):
        steps = iter([True] * 2 + [False] * 20)

        def fading(completions, **_):
            return count_fours(completions) if next(steps) else [1.0] * len(completions)

        build_model().save_pretrained(tmp_path / "start")
        trainer = base(
            model=str(tmp_path / "start"),
            reward_funcs=fading,
            args=config(**training_arguments(str(tmp_path), max_steps=5, learning_rate=1e-2, **changes)),
            train_dataset=build_dataset(),
            processing_class=build_tokenizer(),
        )
        torch.manual_seed(3)
        trainer.train()
        weights = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
        return weights, trainer.state.log_history

    ours, log = weights_after(DiverseGRPOTrainer, DiverseGRPOConfig)
    theirs, their_log = weights_after(GRPOTrainer, GRPOConfig)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)
    assert [entry.get("update/steps_without_signal") for entry in log[:5]].count(1.0) >= 2
    for mine, reference in zip(log[:5], their_log[:5], strict=True):
        assert {key for key, value in reference.items() if value is not None} <= {
            key for key, value in mine.items() if value is not None
        }


def test_what_a_rollout_function_returns_is_taken_by_a_trainer_that_was_put_together_by_hand():
    trainer = object.__new__(DiverseGRPOTrainer)
    # No more of a trainer than TRL's own method needs.
    trainer.rollout_func = lambda prompts, trainer: {"prompt_ids": [[1]], "completion_ids": [[2]]}
    trainer.use_vllm, trainer.tools = False, None
    trainer.accelerator, trainer.model = trainer, trainer
    trainer.device, trainer.training = torch.device("cpu"), True
    with pytest.raises(ValueError, match="rollout_func must return keys"):
        trainer._generate(["prompt"])
