"""Rewards in a real training run of one process: what fails costs its rows, is counted, and stops the run in words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from transformers import LlamaForSequenceClassification
from trl import GRPOConfig, GRPOTrainer

import rlkit
from rlkit.errors import ConfigError, RewardError
from rlkit.rewards import resolve_reward
from tests.rewards.processes import wait_until, workers_of
from tests.trainers.test_grpo import build_trainer, count_fours, roll_out_with_trl
from tests.trainers.tiny import build_dataset, build_model, build_tokenizer, training_arguments

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

SCORED = Path(__file__).parents[1] / "rewards" / "scored.py"


@rlkit.reward
def fails_on_short(completion):
    if len(completion.split()) < 5:
        raise ValueError(f"{completion!r} is too short")
    return float(len(completion))


@rlkit.reward(role="penalty")
def brevity(completion, lengths):
    return -float(lengths)


@rlkit.group_reward(role="modifier")
def untouched(completions, *, base_rewards):
    return base_rewards


def words(completions, **columns):
    return [float(len(text.split())) for text in completions]


def test_rows_at_which_a_reward_fails_carry_no_gradient_and_leave_the_baseline(tmp_path):
    trainer = build_trainer(tmp_path, [fails_on_short, words], advantage="dr_grpo", max_error_rate=1.0)
    output, batch = roll_out_with_trl(trainer)
    groups = batch.groups
    failed_PG = ~groups.scored_PG
    assert 0 < failed_PG.double().mean() < 1
    assert groups.rewards_PGK.isnan().any(dim=2).equal(failed_PG), "what is left of a failed row is not another reward"
    totals_PG = groups.rewards_PGK.sum(dim=2)
    expected_PG = (totals_PG - totals_PG.nanmean(dim=1, keepdim=True)).nan_to_num(0.0)
    torch.testing.assert_close(trainer.compute_advantages(batch), expected_PG.flatten().float())
    torch.testing.assert_close(output["advantages"] == 0, (expected_PG == 0).flatten())


def test_a_failing_reward_of_weight_0_costs_nothing(tmp_path):
    trainer = build_trainer(tmp_path, [words, fails_on_short], reward_weights=[1.0, 0.0], max_error_rate=1.0)
    groups = roll_out_with_trl(trainer)[1].groups
    assert groups.scored_PG.all()
    assert groups.rewards_PGK[..., 1].isnan().any()


def test_rates_are_logged_and_the_run_stops_with_the_first_failure(tmp_path):
    trainer = build_trainer(tmp_path, [words, fails_on_short], max_error_rate=1.0)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert logged["rewards/words/ok"] == 1.0
    assert 0 < logged["rewards/fails_on_short/error"] < 1
    assert logged["rewards/fails_on_short/error"] + logged["rewards/fails_on_short/ok"] == pytest.approx(1.0)
    trainer = build_trainer(tmp_path, [words, fails_on_short])
    with pytest.raises(
        RewardError, match=r"fails_on_short failed for \d of 16 .*ValueError: .* is too short \(line \d+"
    ):
        trainer.train()


def test_a_seed_set_in_a_reward_does_not_change_what_is_sampled(tmp_path):
    def run(is_seeding):
        seen = []

        def seeds(completions, **columns):
            seen.append([*completions])
            if is_seeding:
                torch.manual_seed(0)
            return words(completions)

        build_trainer(tmp_path, seeds, max_steps=3).train()
        return seen

    free = run(False)
    assert len({str(batch) for batch in free}) == 3
    assert run(True) == free


def test_what_was_learnt_before_a_reward_fails_is_kept_and_can_be_continued(tmp_path):
    broken = [True]

    def breaks_later(completions, trainer_state, **columns):
        if broken[0] and trainer_state.global_step == 2:
            raise OSError("the disk is full")
        return words(completions)

    trainer = build_trainer(tmp_path, breaks_later, max_steps=4)
    with pytest.raises(RewardError, match="OSError: the disk is full"):
        trainer.train()
    assert json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())["global_step"] == 2
    broken[0] = False
    mended = build_trainer(tmp_path, breaks_later, max_steps=4)
    mended.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert mended.state.global_step == 4


@pytest.mark.parametrize("scale_rewards", ["group", "none", "batch"])
def test_modifiers_and_penalties_make_the_total(tmp_path, scale_rewards):
    seen = []

    @rlkit.group_reward(role="modifier")
    def double(completions, *, base_rewards, lengths, truncated, step, target):
        assert len(completions) == len(base_rewards) == len(lengths) == len(truncated) == 4
        assert isinstance(target, int)
        seen.append(step)
        return [None if base is None or base > 5 else 2 * base for base in base_rewards]

    trainer = build_trainer(
        tmp_path, [words, double, brevity], reward_weights=[2.0, 1.0, 0.5], scale_rewards=scale_rewards
    )
    groups = roll_out_with_trl(trainer)[1].groups
    values_PG, lengths_PG = groups.rewards_PGK[..., 0], groups.lengths_PG.double()
    bases_PG = 2.0 * values_PG
    modified_PG = torch.where(bases_PG > 5, torch.nan, 2 * bases_PG)
    expected_PG = modified_PG - 0.5 * lengths_PG
    torch.testing.assert_close(groups.summed_rewards_PG, expected_PG, equal_nan=True)
    assert groups.scored_PG.equal(~expected_PG.isnan())
    assert seen == [0, 0]
    trainer.train()
    assert len(seen) == 6


def test_the_logged_reward_is_the_total(tmp_path):
    @rlkit.group_reward(role="modifier")
    def always_seven(completions, *, base_rewards):
        return [7.0 for _ in base_rewards]

    trainer = build_trainer(tmp_path, [words, always_seven])
    trainer.train()
    logged = trainer.state.log_history[0]
    assert (logged["reward"], logged["reward_std"], logged["frac_reward_zero_std"]) == (7.0, 0.0, 1.0)
    assert logged["rewards/words/mean"] != 7.0


def test_a_penalty_alone_trains_as_trls_sum_does(tmp_path):
    def punish(completions, **columns):
        return [-0.1 * len(text) for text in completions]

    marked = rlkit.reward(role="penalty")(lambda completion: -0.1 * len(completion))
    plain, composed = build_trainer(tmp_path, [count_fours, punish]), build_trainer(tmp_path, [count_fours, marked])
    torch.manual_seed(3)
    theirs, _ = roll_out_with_trl(plain)
    torch.manual_seed(3)
    _, batch = roll_out_with_trl(composed)
    torch.testing.assert_close(composed.compute_advantages(batch), theirs["advantages"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("rewards", "changes", "said"),
    [
        ([brevity], {}, "No reward has the role base"),
        ([words, brevity], {"multi_objective_aggregation": "normalize_then_sum"}, "takes each reward by itself"),
        ([words, brevity], {"reward_weights": [1.0]}, "1 reward_weights were given for 2 rewards"),
        ([words, build_model(), untouched], {}, "a reward model is asked after them all"),
        ([words], {"max_error_rate": 2}, "max_error_rate=2; write a number from 0 to 1"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path, rewards, changes, said):
    with pytest.raises(ConfigError, match=said):
        build_trainer(tmp_path, rewards, **changes)


def test_two_rewards_of_one_name_are_told_apart(tmp_path):
    trainer = build_trainer(tmp_path, [words, words], correct_reward="words_2")
    assert trainer.reward_func_names == ["words", "words_2"]
    assert trainer._correct_index == 1


def test_mean_logps_are_those_of_the_policy_that_sampled(tmp_path):
    seen = []

    @rlkit.group_reward
    def confidence(completions, *, mean_logps):
        seen.extend(mean_logps)
        return mean_logps

    trainer = build_trainer(tmp_path, [words, confidence], max_completion_length=12)
    output, _ = roll_out_with_trl(trainer)
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
    with torch.no_grad():
        logps_BTV = trainer.model(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
    start = output["prompt_ids"].shape[1]
    logps_BT = logps_BTV[:, start - 1 : -1].gather(2, output["completion_ids"][..., None])[..., 0]
    expected_B = (logps_BT * output["completion_mask"]).sum(1) / output["completion_mask"].sum(1)
    torch.testing.assert_close(torch.tensor(seen), expected_B, atol=1e-4, rtol=1e-4)


def test_classes_and_metrics_of_a_group_reward_reach_the_log(tmp_path):
    @rlkit.group_reward
    def by_length(completions):
        lengths = [len(text.split()) for text in completions]
        return {"values": lengths, "labels": lengths, "metrics": {"longest": max(lengths)}}

    trainer = build_trainer(tmp_path, by_length)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert 1 <= logged["rewards/by_length/longest"] <= 6
    assert 1 <= logged["diversity/distinct"] <= 4


def test_processes_are_loaded_before_the_model_and_gone_after_training(tmp_path):
    others = workers_of(os.getpid())
    trainer = build_trainer(tmp_path, resolve_reward(f"{SCORED}:away"))
    assert workers_of(os.getpid()) > others
    trainer.train()
    assert trainer.state.log_history[0]["rewards/away/ok"] == 1.0
    assert wait_until(lambda: not workers_of(os.getpid()) - others)


def words_again(completions, **columns):
    return words(completions)


def test_signs_of_hacking_are_logged_and_warned_of_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("rlkit.trainers.monitoring.note", said.append)
    monitor = {
        "length_correlation": 0.05,
        "variance_share": 0.3,
        "held_out": lambda completions, **_: [0.0] * len(completions),
    }
    trainer = build_trainer(tmp_path, [words, words_again], reward_weights=[1.0, 3.0], max_steps=12, monitor=monitor)
    trainer.train()
    for entry in trainer.state.log_history[:4]:
        shares = [entry[f"monitor/variance_share/{name}"] for name in ("words", "words_again")]
        assert shares == pytest.approx([0.25, 0.75])
        assert entry["monitor/length_correlation"] > 0.05
        assert entry["monitor/held_out"] == 0.0
        assert entry["monitor/held_out_gap"] == pytest.approx(entry["rewards/words/mean"])
    assert [
        line for line in said if "75% of the reward's variance comes from words_again, since step 1" in line
    ] == said[:1]
    assert len([line for line in said if "longer completions earn more" in line]) == 1
    assert trainer.memory.monitors["alarms"]["length"][2] is True


def test_a_failing_reward_is_not_blamed_on_the_others(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("rlkit.trainers.monitoring.note", said.append)
    monitor = {"failure_rate": 0.01, "length_correlation": 1.0, "variance_share": 1.0}
    trainer = build_trainer(tmp_path, [words, fails_on_short], max_error_rate=1.0, max_steps=10, monitor=monitor)
    trainer.train()
    assert [line.split()[1] for line in said] == ["fails_on_short"]


def build_reward_model():
    torch.manual_seed(1)
    config = build_model().config
    config.num_labels = 1
    return LlamaForSequenceClassification(config)


def test_reward_models_stay_trls_beside_functions(tmp_path):
    given = {"reward_processing_classes": [None, build_tokenizer(), None]}
    trainer = build_trainer(tmp_path, [fails_on_short, build_reward_model(), words], max_error_rate=1.0, given=given)
    groups = roll_out_with_trl(trainer)[1].groups
    assert trainer.reward_func_names[::2] == ["fails_on_short", "words"]
    failed_PG = groups.rewards_PGK[..., 0].isnan()
    assert 0 < failed_PG.double().mean() < 1
    assert groups.rewards_PGK[..., 1].isnan().equal(failed_PG), "the model's score of a failed row is left out too"
    assert (groups.rewards_PGK[..., 2][~failed_PG] >= 5).all()
    assert len(set(groups.rewards_PGK[..., 1][~failed_PG].tolist())) > 1


def test_decorated_rewards_train_in_a_plain_trl_trainer(tmp_path):
    sizes = []

    @rlkit.group_reward
    def prefer_long(completions, *, prompt, lengths, target):
        sizes.append((len(completions), isinstance(prompt, str), isinstance(target, int)))
        return {"values": [float(length) for length in lengths], "metrics": {"longest": max(lengths)}}

    @rlkit.reward
    async def is_even(completion):
        return float(len(completion.split()) % 2 == 0)

    trainer = GRPOTrainer(
        model=build_model(),
        reward_funcs=[prefer_long, is_even],
        args=GRPOConfig(**training_arguments(str(tmp_path))),
        train_dataset=build_dataset(),
        processing_class=build_tokenizer(),
    )
    trainer.train()
    assert set(sizes) == {(4, True, True)}
    assert trainer.state.log_history[0]["rewards/prefer_long/longest"] >= 1
    assert 0 <= trainer.state.log_history[0]["rewards/is_even/mean"] <= 1
