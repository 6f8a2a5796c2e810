"""The three forms of a reward."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from types import SimpleNamespace

import pytest

import rlkit
from rlkit.errors import PluginError, RewardError
from rlkit.rewards import bind_reward, resolve_reward, run_settings


@rlkit.reward
def matches(completion, target):
    return None if target is None else float(completion == target)


@rlkit.group_reward
def share_of_copies(completions, *, prompt, target):
    return [completions.count(text) / len(completions) if target else None for text in completions]


def test_completion_reward_gets_the_columns_it_names_and_none_stays_none():
    given = {"completions": ["a", "b", "c"], "prompts": ["p"] * 3, "target": ["a", "x", None], "other": [1, 2, 3]}
    assert matches(**given) == [1.0, 0.0, None]


def test_decorated_functions_stay_callable_as_written():
    assert matches("a", target="a") == 1.0


def test_group_reward_in_trls_form_is_called_once_a_group_with_its_row():
    scores = share_of_copies(completions=["a", "a", "a", "b"], prompts=["p", "p", "q", "q"], target=[1, 1, 0, 0])
    assert scores == [1.0, 1.0, None, None]
    assert share_of_copies(["a", "b"], prompt="p", target=1) == [0.5, 0.5]


def test_completion_reward_answers_trls_keywords_too():
    given = {"prompts": ["p"] * 2, "completions": ["a", "b"], "completion_ids": [[1], [2]], "target": ["a", "a"]}
    assert matches(**given) == [1.0, 0.0]


def test_group_rewards_get_lists_of_what_trainers_know_and_may_return_classes_and_metrics():
    @rlkit.group_reward
    def shaped(completions, *, lengths, completion_ids, step, prompt):
        assert [len(ids) for ids in completion_ids] == lengths
        return {"values": [float(n + step) for n in lengths], "labels": [0] * len(lengths), "metrics": {"n": 1.0}}

    logged = []
    scores = shaped(
        completions=["a", "b", "c"],
        prompts=["p", "p", "q"],
        completion_ids=[[1], [1, 2], [1, 2, 3]],
        trainer_state=SimpleNamespace(global_step=10),
        log_metric=lambda name, value: logged.append((name, value)),
    )
    assert scores == [11.0, 12.0, 13.0]
    assert logged == [("rewards/shaped/n", 1.0)] * 2


def test_group_reward_of_wrong_length_is_refused():
    @rlkit.group_reward
    def short(completions):
        return [1.0]

    with pytest.raises(RewardError, match="short returned 1 scores for 2"):
        short(completions=["a", "b"], prompts=["p", "p"])


def test_decorated_functions_travel_and_keep_their_names():
    assert pickle.loads(pickle.dumps(matches)) is matches
    assert matches.__name__ == "matches"
    assert [*inspect.signature(matches).parameters] == ["completion", "target"]


def test_what_cannot_be_called_is_no_reward():
    with pytest.raises(PluginError, match="cannot be called"):
        resolve_reward("math:pi")


def test_rewards_are_named_by_file(tmp_path):
    (tmp_path / "mine.py").write_text("def score(completions, **columns):\n    return [1.0 for _ in completions]\n")
    assert resolve_reward(f"{tmp_path}/mine.py:score")(["x"], prompts=["p"]) == [1.0]
    with pytest.raises(PluginError, match="scor"):
        resolve_reward(f"{tmp_path}/mine.py:scores")


def test_async_rewards_are_awaited():
    @rlkit.reward
    async def same(completion, target):
        return float(completion == target)

    @rlkit.group_reward(isolation="async", deadline_s=5)
    async def group(completions):
        return [1.0] * len(completions)

    given = {"completions": ["a", "b"], "prompts": ["p"] * 2, "target": ["a", "a"]}
    assert asyncio.run(same(**given)) == [1.0, 0.0]
    assert inspect.iscoroutinefunction(same)
    assert asyncio.run(group(completions=["a", "b"], prompts=["p", "q"])) == [1.0, 1.0]


def test_what_is_no_score_is_refused_in_trls_form_too():
    with pytest.raises(RewardError, match="a str, which is no score"):
        rlkit.reward(lambda completion: "good")(completions=["a"], prompts=["p"])


def test_the_older_word_for_async_keeps_working_with_a_line(tmp_path, capsys):
    (tmp_path / "asks.py").write_text(
        "import rlkit\n@rlkit.reward(isolation='external')\nasync def asks(completion):\n    return 1.0\n"
    )
    run_settings._note_renaming.cache_clear()
    assert bind_reward(f"{tmp_path}/asks.py:asks").run.isolation == "async"
    assert bind_reward({"name": f"{tmp_path}/asks.py:asks", "run": {"isolation": "external"}}).run.isolation == "async"
    assert capsys.readouterr().err == "isolation: external is now called async; write isolation: async.\n"
