"""Shortest paths on a grid: reasoning-gym's puzzle in a few words, with every valid answer counted.

    rlkit eval --model MODEL --task benchmarks/paths/shortest_paths.py:ShortestPaths --n 16 --output runs/paths
    rlkit tasks validate benchmarks/paths/shortest_paths.py:ShortestPaths

A task of one's own, as docs/tasks.md describes it, around one that is there: grids, splits and scorer are those of
`{name: reasoning_gym, dataset: shortest_path}`. The prompt `from b2 to d4 around a1 c3` names the blocked cells (rows
a, b, ..., columns 1, 2, ...), the answer is `right down down right`. Every shortest path is right, so a problem has as
many solutions as there are; they are counted, and two answers are one solution when they name the same moves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from rlkit.errors import RewardError
from rlkit.tasks.reasoning_gym import SPLITS, ReasoningGym
from rlkit.types import Grade, Row

Cell = tuple[int, int]
Grid = Sequence[Sequence[str]]
MOVES = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}


@dataclass(frozen=True)
class ShortestPaths:
    """Grids of which several shortest paths lead from start to goal."""

    size: int = 6000
    """Grids of each split, of which about a third has as many solutions as asked for."""
    side: int = 7
    """Rows, and columns."""
    p_blocked: float = 0.2
    """Chance that a cell is blocked."""
    min_solutions: int = 4
    max_solutions: int = 60
    seed: int = 0

    name: ClassVar[str] = "shortest_paths"
    default_partition: ClassVar[str] = "normalised_text"

    def load(self, split: str) -> list[Row]:
        """Return the rows of `train`, `validation` or `test`: those of reasoning-gym, and `num_solutions`."""
        rows = []
        for row in self._puzzle.load(split):
            grid = json.loads(row["entry"])["metadata"]["matrix"]
            count = count_paths(grid)
            if self.min_solutions <= count <= self.max_solutions:
                rows.append({**row, "prompt": write_prompt(grid), "num_solutions": count})
        return rows

    def grade(self, completion: str, row: Row) -> Grade:
        """Judge the moves by the library's own scorer; never raises."""
        return self._puzzle.grade(f"<answer>{completion}</answer>", row)

    def validate(self) -> None:
        """Check that all shortest paths of some problems are right, each a solution of its own, and others are not.

        Raises:
            RewardError: the library's scorer disagrees with what is counted here.
        """
        for split in SPLITS:
            for row in self.load(split)[:20]:
                paths = [*list_paths(json.loads(row["entry"])["metadata"]["matrix"])]
                grades = [self.grade(" ".join(path), row) for path in paths]
                right = all(grade.correct for grade in grades) and len({grade.answer for grade in grades}) == len(paths)
                wrong = (self.grade(text, row) for text in ("", "up", " ".join([*paths[0], "up", "down"])))
                if not right or len(paths) != row["num_solutions"] or any(grade.correct for grade in wrong):
                    raise RewardError(f"The scorer disagrees about the paths of {row['id']} ({row['prompt']}).")

    @cached_property
    def _puzzle(self) -> ReasoningGym:
        sides = {f"{end}_{axis}": self.side for end in ("min", "max") for axis in ("rows", "cols")}
        return ReasoningGym("shortest_path", self.size, self.seed, {**sides, "p_blocked": self.p_blocked})


def name_cell(cell: Cell) -> str:
    """Return a cell's name, `b3` for the second row and third column."""
    return f"{chr(ord('a') + cell[0])}{cell[1] + 1}"


def find_cells(grid: Grid, what: str) -> list[Cell]:
    """Return the cells that hold `*` (start), `#` (goal), `O` (open) or `X` (blocked), row by row."""
    return [(at, column) for at, row in enumerate(grid) for column, cell in enumerate(row) if cell == what]


def write_prompt(grid: Grid) -> str:
    """Return a grid as a prompt."""
    (start,), (goal,) = find_cells(grid, "*"), find_cells(grid, "#")
    blocked = (name_cell(cell) for cell in find_cells(grid, "X"))
    return " ".join(["from", name_cell(start), "to", name_cell(goal), "around", *blocked])


def measure_ways(grid: Grid) -> dict[Cell, tuple[int, int]]:
    """Return for each cell from which the goal can be reached its distance and how many shortest ways there are."""
    (goal,) = find_cells(grid, "#")
    found, queue = {goal: (0, 1)}, [goal]
    for cell in queue:
        distance, ways = found[cell]
        for _, other in step_from(cell, grid):
            if other not in found:
                queue.append(other)
                found[other] = distance + 1, 0
            if found[other][0] == distance + 1:
                found[other] = distance + 1, found[other][1] + ways
    return found


def count_paths(grid: Grid) -> int:
    """Return how many shortest paths lead from start to goal; 0 where there is none."""
    (start,) = find_cells(grid, "*")
    return measure_ways(grid).get(start, (0, 0))[1]


def list_paths(grid: Grid) -> Iterator[list[str]]:
    """Yield every shortest path as its moves."""
    ways = measure_ways(grid)

    def go_on(cell: Cell) -> Iterator[list[str]]:
        if ways[cell][0] == 0:
            yield []
        for move, other in step_nearer(cell, grid, ways):
            for rest in go_on(other):
                yield [move, *rest]

    (start,) = find_cells(grid, "*")
    return go_on(start) if start in ways else iter(())


def step_from(cell: Cell, grid: Grid) -> Iterator[tuple[str, Cell]]:
    """Yield the moves from a cell that stay on the grid and off what is blocked, and where each leads."""
    for move, (down, right) in MOVES.items():
        row, column = cell[0] + down, cell[1] + right
        if 0 <= row < len(grid) and 0 <= column < len(grid[0]) and grid[row][column] != "X":
            yield move, (row, column)


def step_nearer(cell: Cell, grid: Grid, ways: dict[Cell, Any]) -> list[tuple[str, Cell]]:
    """Return the moves from a cell that bring the goal nearer, as `measure_ways` has it."""
    return [(move, other) for move, other in step_from(cell, grid) if ways[other][0] == ways[cell][0] - 1]
