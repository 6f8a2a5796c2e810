"""The puzzles of reasoning-gym: repeatable rows, splits apart, and the library's own scores."""

from __future__ import annotations

import json
import sys

import pytest

from rlkit.errors import ConfigError, PluginError
from rlkit.rewards import resolve_reward
from rlkit.tasks import resolve_task
from rlkit.tasks.reasoning_gym import SPLITS, ReasoningGym, dataset_names

SMALL = {"name": "reasoning_gym", "size": 12}


@pytest.mark.parametrize("dataset", ["chain_sum", "word_sorting", "leg_counting", "countdown", "spell_backward"])
def test_gold_answers_score_one_and_nonsense_does_not(dataset):
    resolve_task({**SMALL, "dataset": dataset}).validate()


def test_rows_are_the_same_every_time_and_no_problem_is_in_two_splits():
    # Sums of two one-digit numbers come up again and again, in every split.
    task = ReasoningGym(size=60, config={"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
    rows = {split: task.load(split) for split in SPLITS}
    assert rows["train"] == task.load("train")
    questions = {split: {json.loads(row["entry"])["question"] for row in rows[split]} for split in SPLITS}
    assert len(rows["test"]) == 60
    assert len(rows["train"]) < 60
    assert not questions["train"] & (questions["validation"] | questions["test"])
    assert not questions["validation"] & questions["test"]
    assert len({row["id"] for split in SPLITS for row in rows[split]}) == sum(map(len, rows.values()))


def test_another_seed_gives_other_problems():
    first, second = (ReasoningGym(size=5, seed=seed).load("test") for seed in (0, 1))
    assert [row["entry"] for row in first] != [row["entry"] for row in second]


def test_partial_scores_are_kept_apart_and_paid_in_the_reward():
    task = resolve_task({**SMALL, "dataset": "letter_jumble", "config": {"min_words": 4, "max_words": 4}})
    row = task.load("test")[0]
    words = row["gold"].split()
    half = " ".join([*words[:2], *("zzzz" for _ in words[2:])])
    grade = task.grade(f"<answer>{half}</answer>", row)
    assert (grade.correct, grade.label) == (False, "partial")
    reward = resolve_reward(task.default_rewards[0])
    texts = [f"<answer>{row['gold']}</answer>", f"<answer>{half}</answer>", "no idea"]
    columns = {key: [row[key]] * 3 for key in ("source", "index", "gold", "entry")}
    whole, part, none = reward(texts, prompts=[row["prompt"]] * 3, **columns)
    assert whole == 1.0
    assert 0.0 < part < 1.0
    assert none == 0.0


def test_several_solutions_of_one_problem_are_correct():
    task = resolve_task({**SMALL, "dataset": "countdown"})
    row = task.load("test")[0]
    assert task.grade(f"<answer>({row['gold']})</answer>", row).correct
    assert task.grade(r"\boxed{1+1}", row).correct is not True


def test_the_puzzle_that_needs_a_missing_package_says_so_and_the_others_do_not_care():
    assert "zebra_puzzles" in dataset_names()
    if getattr(sys.modules["pycosat"], "__file__", None):
        pytest.skip("pycosat is installed")
    with pytest.raises(PluginError, match="zebra_puzzles needs pycosat, which is not installed"):
        resolve_task({**SMALL, "dataset": "zebra_puzzles"})


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"dataset": "chain_sums"}, "no data set 'chain_sums'. Did you mean 'chain_sum'?"),
        ({"config": {"terms": 2}}, "cannot be made with {'terms': 2}"),
        ({"config": {"min_terms": 9, "max_terms": 2}}, "cannot be made with"),
        ({"config": [1]}, "write a mapping"),
        ({"size": 0}, "size=0"),
        ({"format": "html"}, "format='html'"),
    ],
)
def test_what_cannot_be_made_is_said_before_any_row(spec, said):
    with pytest.raises(ConfigError, match=said):
        resolve_task({**SMALL, **spec})


def test_an_unknown_split_is_refused():
    with pytest.raises(ConfigError, match="no split 'dev'"):
        ReasoningGym(size=2).load("dev")
