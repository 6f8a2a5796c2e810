"""The second task of the benchmark of archives: what its problems have as solutions, and what its base is made from."""

from __future__ import annotations

import itertools
import json
import random
import sys
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.recipe import load_recipe
from rlkit.tasks import resolve_task
from rlkit.tasks.reasoning_gym import ReasoningGym

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # as `python benchmarks/archive_fronts.py` has it

from archive_fronts import main as main_fronts  # noqa: E402
from paths.shortest_paths import MOVES, ShortestPaths, count_paths, list_paths, write_prompt  # noqa: E402
from paths.write_base import draw_grid, draw_walks, list_words  # noqa: E402

SMALL = ShortestPaths(size=60, side=4, min_solutions=1)


def grid_of(row):
    return json.loads(row["entry"])["metadata"]["matrix"]


def test_a_grid_becomes_a_prompt_and_has_as_many_paths_as_can_be_seen():
    grid = ["O*O", "OOX", "OO#"]
    assert write_prompt(grid) == "from a2 to c3 around b3"
    assert sorted(list_paths(grid)) == [["down", "down", "right"]]
    grid = ["*OO", "OXO", "OO#"]
    assert sorted(list_paths(grid)) == [["down", "down", "right", "right"], ["right", "right", "down", "down"]]
    assert count_paths(["*X#"]) == 0
    assert not [*list_paths(["*X#"])]


def test_all_solutions_are_those_that_the_library_accepts():
    puzzle, rows = ReasoningGym("shortest_path"), SMALL.load("test")
    for row in rows[:12]:
        length = len(row["gold"].split())
        if length > 5:
            continue
        tried = map(" ".join, itertools.product(MOVES, repeat=length))
        right = {text for text in tried if puzzle.grade(f"<answer>{text}</answer>", row).correct}
        assert right == {" ".join(path) for path in list_paths(grid_of(row))}
        assert len(right) == row["num_solutions"]
    assert len({row["prompt"] for row in rows}) == len(rows)


def test_walks_of_the_corpus_are_solutions_unless_shown_under_another_goal():
    held_out = {row["prompt"] for row in SMALL.load("test")}
    for wrong in (0.0, 0.5):
        walks = draw_walks(SMALL, wrong, random.Random(0), held_out)
        rows = [next(walks) for _ in range(300)]
        assert held_out.isdisjoint(row["prompt"] for row in rows)
        assert {word for row in rows for word in f"{row['prompt']} {row['completion']}".split()} <= {*list_words(4)}
        share = sum(is_walk_to_its_goal(row) for row in rows) / len(rows)
        assert share == 1.0 if wrong == 0.0 else 0.4 < share < 0.65


def is_walk_to_its_goal(row):
    words = row["prompt"].split()
    at, goal, blocked = words[1], words[3], words[5:]
    for move in row["completion"].split():
        down, right = MOVES[move]
        at = f"{chr(ord(at[0]) + down)}{int(at[1:]) + right}"
        assert at in list_words(4)
        if at in blocked:
            return False
    return at == goal


def test_grids_are_drawn_as_the_library_draws_them():
    generator = random.Random(0)
    cells = [cell for _ in range(400) for row in draw_grid(ShortestPaths(), generator) for cell in row]
    assert (cells.count("*"), cells.count("#")) == (400, 400)
    assert cells.count("X") / len(cells) == pytest.approx(0.2 * 47 / 49, abs=0.01)


def test_the_task_is_one_of_ones_own(capsys):
    spec = {"name": f"{BENCHMARKS}/paths/shortest_paths.py:ShortestPaths", "size": 30, "side": 5}
    assert main(["tasks", "validate", json.dumps(spec)]) == 0
    rows = resolve_task(spec).load("train")
    assert rows
    assert all(4 <= row["num_solutions"] <= 60 for row in rows)


@pytest.mark.parametrize("name", ["grpo", "sft_distinct", "base_sft"])
def test_its_recipes_can_be_read(name):
    assert load_recipe(str(BENCHMARKS / "paths" / f"{name}.yaml")).output.startswith("runs/paths/")


def test_arms_that_the_task_does_not_have_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main_fronts(["--task", "paths", "--output", "x", "--arms", "grpo", "rounds"])
    assert "--task paths has no arm rounds; it has grpo, as_drawn, distinct." in capsys.readouterr().err
