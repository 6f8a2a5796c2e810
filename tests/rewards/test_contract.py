"""The three forms of a reward."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import rlkit
from rlkit.errors import PluginError, RewardError
from rlkit.rewards import as_batch_reward, resolve_reward, score_groups


@rlkit.reward
def matches(completion, target):
    return None if target is None else float(completion == target)


@rlkit.group_reward
def share_of_copies(completions, *, prompt, target):
    return [completions.count(text) / len(completions) if target else None for text in completions]


def test_completion_reward_gets_the_columns_it_names_and_none_stays_none():
    score = as_batch_reward(matches)
    assert score(["a", "b", "c"], prompts=["p"] * 3, target=["a", "x", None], other=[1, 2, 3]) == [1.0, 0.0, None]
    assert score.__name__ == "matches"


def test_decorated_functions_stay_callable_as_written():
    assert matches("a", target="a") == 1.0


def test_batch_rewards_pass_through():
    def plain(completions, **columns):
        return [0.0] * len(completions)

    assert as_batch_reward(plain) is plain


def test_group_reward_is_called_once_a_group_with_its_row():
    scores = score_groups(share_of_copies, 2, ["a", "a", "a", "b"], ["p", "p", "q", "q"], target=[1, 1, 0, 0])
    assert scores == [1.0, 1.0, None, None]


def test_group_reward_of_wrong_length_is_refused():
    @rlkit.group_reward
    def short(completions):
        return [1.0]

    with pytest.raises(RewardError, match="short returned 1 scores for 2"):
        score_groups(short, 2, ["a", "b"], ["p", "p"])


def test_group_reward_cannot_pose_as_a_batch_reward():
    with pytest.raises(RewardError, match="share_of_copies is a group reward"):
        as_batch_reward(share_of_copies)


def test_what_cannot_be_called_is_no_reward():
    with pytest.raises(PluginError, match="cannot be called"):
        resolve_reward("math:pi")


def test_rewards_are_named_by_file(tmp_path):
    (tmp_path / "mine.py").write_text("def score(completions, **columns):\n    return [1.0 for _ in completions]\n")
    assert resolve_reward(f"{tmp_path}/mine.py:score")(["x"], prompts=["p"]) == [1.0]
    with pytest.raises(PluginError, match="scor"):
        resolve_reward(f"{tmp_path}/mine.py:scores")


def test_async_rewards_are_awaited_and_async_groups_left_to_the_engine():
    @rlkit.reward
    async def same(completion, target):
        return float(completion == target)

    @rlkit.group_reward(isolation="external", deadline_s=5)
    async def group(completions):
        return [1.0] * len(completions)

    score = as_batch_reward(same)
    assert asyncio.run(score(["a", "b"], prompts=["p"] * 2, target=["a", "a"])) == [1.0, 0.0]
    assert inspect.iscoroutinefunction(score)
    with pytest.raises(RewardError, match="async group reward"):
        score_groups(group, 1, ["a"], ["p"])
