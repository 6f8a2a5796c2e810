"""The task as a whole: the same rows always, every row solvable, gold graded correct, rewards in TRL's form."""

from __future__ import annotations

import pytest

from rlkit.errors import ConfigError, PluginError
from rlkit.plugins import load_target
from rlkit.tasks import resolve_task
from rlkit.tasks.countdown import Countdown, countdown_reward, solve
from rlkit.tasks.countdown_solver import solutions_by_target
from rlkit.tasks.countdown_splits import SPLITS, split_of
from rlkit.types import Task
from rlkit.verifiers import solution_key

SMALL = {"train_size": 60, "validation_size": 30, "test_size": 30}
VARIANTS = [
    {},
    {"format": "chat"},
    {"format": "chat", "use_all": False, "num_numbers": 3},
    {"use_all": False, "num_numbers": 3, "max_target": 60},
]


@pytest.fixture(params=VARIANTS, ids=str)
def task(request):
    return resolve_task({"name": "countdown", **SMALL, **request.param})


def test_is_a_task_that_proves_itself(task):
    assert isinstance(task, Task)
    task.validate()


def test_rows_are_unique_solvable_and_of_their_split(task):
    ids = set()
    for split in SPLITS:
        rows = task.load(split)
        assert len(rows) == SMALL[f"{split}_size"]
        for row in rows:
            ids.add(row["id"])
            assert split_of(row["numbers"]) == split
            solutions = solve(
                row["numbers"],
                row["target"],
                use_all=task.use_all,
                intermediates="rational" if task.format == "chat" else "natural",
                max_intermediate=None if task.format == "chat" else 100,
            )
            assert row["num_solutions"] == len(solutions) >= 1
    assert len(ids) == sum(SMALL.values())


def test_same_seed_same_rows_and_other_seed_others(task):
    from rlkit.tasks.countdown_problems import draw_problems

    first = {split: task.load(split) for split in SPLITS}
    draw_problems.cache_clear()
    again = resolve_task({"name": "countdown", **_parameters(task)})
    assert {split: again.load(split) for split in SPLITS} == first
    other = resolve_task({"name": "countdown", **_parameters(task), "seed": 1})
    assert {split: other.load(split) for split in SPLITS} != first


def _parameters(task):
    return {key: getattr(task, key) for key in ("format", "num_numbers", "max_target", "use_all", *SMALL)}


def test_rows_belong_to_the_caller():
    task = Countdown(**SMALL)
    task.load("test")[0]["numbers"].append(99)
    assert 99 not in task.load("test")[0]["numbers"]


def test_bounds_on_solutions_hold_for_held_out_splits():
    task = Countdown(min_solutions=2, max_solutions=4, **SMALL)
    assert {row["num_solutions"] for row in task.load("test")} == {2, 3, 4}


@pytest.mark.parametrize("num_numbers", [5, 6])
@pytest.mark.parametrize("form", ["tokens", "chat"])
def test_many_numbers_from_a_wide_range_load(num_numbers, form):
    """Millions of sets of numbers are not listed; training problems are solvable though not counted."""
    task = Countdown(format=form, num_numbers=num_numbers, max_number=50, train_size=200, test_size=2)
    rows = task.load("train")
    assert {row["num_solutions"] for row in rows} == {None}
    assert {split_of(row["numbers"]) for row in rows} == {"train"}
    assert len({row["id"] for row in rows}) == 200
    if num_numbers == 5:
        assert solutions_by_target(rows[0]["numbers"], (rows[0]["target"],), task.rules)[rows[0]["target"]]
        assert all(row["num_solutions"] >= 1 for row in task.load("test"))


def test_prompts():
    tokens = Countdown(**SMALL).load("test")[0]
    assert tokens["prompt"] == " ".join([*map(str, tokens["numbers"]), f"->{tokens['target']}"])
    chat = Countdown(format="chat", use_all=False, **SMALL).load("test")[0]
    (message,) = chat["prompt"]
    assert message["role"] == "user"
    for part in (str(chat["target"]), "at most once", "\\boxed{}"):
        assert part in message["content"]


def test_reward_has_trls_form_and_reads_messages():
    columns = {"numbers": [[2, 3, 5, 8]] * 4, "target": [24] * 4, "format": ["chat"] * 4, "id": ["a"] * 4}
    completions = [
        [{"role": "assistant", "content": r"\boxed{2*8+5+3}"}],
        [{"role": "assistant", "content": "no idea"}],
        r"\boxed{2*(3+5)+8}",
        "",
    ]
    assert countdown_reward(completions, prompts=[""] * 4, **columns) == [1.0, 0.0, 1.0, 0.0]
    (spec,) = Countdown.default_rewards
    assert load_target(spec, "reward") is countdown_reward


def test_reward_of_tokens_needs_only_numbers_and_target():
    gold = "3 + 5 [8] [8] * 2 [16] [16] + 8 [24]"
    assert countdown_reward([gold, "8"], prompts=["", ""], numbers=[[2, 3, 5, 8]] * 2, target=[24, 24]) == [1.0, 0.0]


def test_reward_and_grade_agree(task):
    rows = task.load("test")[:10]
    answers = [solve(row["numbers"], row["target"], use_all=task.use_all)[0] for row in rows]
    texts = [f"\\boxed{{{answer}}}" for answer in answers]
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "prompt"}
    rewards = countdown_reward(texts, prompts=[row["prompt"] for row in rows], **columns)
    assert rewards == [float(task.grade(text, row).correct) for text, row in zip(texts, rows, strict=True)]
    assert all(solution_key(text) for text in texts)


@pytest.mark.parametrize(
    "parameters",
    [
        {"format": "xml"},
        {"num_numbers": 2},
        {"num_numbers": 7},
        {"min_target": 20, "max_target": 10},
        {"min_target": 0},
        {"max_number": 1},
        {"test_size": 0},
        {"min_solutions": 3, "max_solutions": 2},
        {"max_intermediate": 0},
        {"num_numbers": "4"},
        {"use_all": 1},
        {"max_solutions": 2.5},
        {"seed": None},
    ],
)
def test_bad_parameters_are_a_sentence(parameters):
    with pytest.raises(ConfigError, match=r"write|raise"):
        resolve_task({"name": "countdown", **parameters})


def test_bad_names_are_a_sentence():
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        Countdown().load("trian")
    with pytest.raises(PluginError, match="Did you mean 'countdown'"):
        resolve_task("countdwn")
    with pytest.raises(ConfigError, match="ask for fewer"):
        Countdown(test_size=30, min_solutions=25, num_numbers=3).load("test")
