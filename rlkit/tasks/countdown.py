"""Countdown: combine given numbers by + - * / to reach a target; verified exactly, with every distinct solution known.

    task = Countdown(format="chat")
    row = task.load("test")[0]
    task.grade(r"\\boxed{2*(3+5)+8}", row)

Two formats (`countdown_format.py`): `tokens`, steps with natural results, for the bundled tiny model; and `chat`, one
expression with any intermediate results, for real models. No set of numbers occurs in two splits
(`countdown_splits.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from rlkit.errors import ConfigError, RewardError, suggest
from rlkit.tasks.countdown_format import FORMATS, chat_prompt, tokens_prompt
from rlkit.tasks.countdown_grading import grade_chat, grade_tokens
from rlkit.tasks.countdown_problems import Draw, Problem, ProblemRange, draw_problems
from rlkit.tasks.countdown_solver import SolutionRules, Tree, solutions_by_target, solve, write_expression, write_steps
from rlkit.tasks.countdown_splits import SPLITS
from rlkit.types import Completion, Grade, PluginSpec, Prompt, Row
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

__all__ = ["Countdown", "countdown_reward", "solve"]

_TRAIN_PROBLEMS_PER_SET = 4
"""Solving a set of numbers takes milliseconds and serves all its targets."""


@dataclass(frozen=True)
class Countdown:
    """The Countdown task; without parameters, the problems of the bundled tiny model.

    Raises:
        ConfigError: a parameter is out of range.
    """

    format: str = "tokens"
    """`tokens` or `chat`."""
    num_numbers: int = 4
    max_number: int = 13
    min_target: int = 10
    max_target: int = 50
    use_all: bool = True
    """Whether every number must be used; otherwise each at most once."""
    max_intermediate: int = 100
    """Largest result a step may have; `tokens` only."""
    train_size: int = 4096
    validation_size: int = 200
    test_size: int = 200
    min_solutions: int = 1
    """Fewest distinct solutions of a `validation` or `test` problem."""
    max_solutions: int | None = None
    """Most distinct solutions of a `validation` or `test` problem; None for no limit."""
    seed: int = 0

    name: ClassVar[str] = "countdown"
    default_rewards: ClassVar[tuple[PluginSpec, ...]] = ("rlkit.tasks.countdown:countdown_reward",)
    default_partition: ClassVar[PluginSpec] = "canonical_expression"

    def __post_init__(self) -> None:
        """Check every parameter."""
        for field in fields(self):
            value, wanted = getattr(self, field.name), type(field.default)
            if type(value) is not wanted and not (field.name == "max_solutions" and type(value) is int):
                raise ConfigError(f"{field.name} was given as {value!r}; write a value like {field.default!r}.")
        if self.format not in FORMATS:
            raise ConfigError(f"format was given as {self.format!r}; write one of {', '.join(FORMATS)}.")
        for key in ("train_size", "validation_size", "test_size", "min_solutions"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} was given as {getattr(self, key)}; write a number of at least 1.")
        if self.max_solutions is not None and self.max_solutions < self.min_solutions:
            raise ConfigError(
                f"max_solutions {self.max_solutions} is below min_solutions {self.min_solutions}; raise it."
            )
        # Building them checks the parameters that they are made of.
        _ = self._range(), self.rules

    @property
    def rules(self) -> SolutionRules:
        """What counts as a solution in this format."""
        if self.format == "chat":
            return SolutionRules(self.use_all)
        return SolutionRules(self.use_all, "natural", self.max_intermediate)

    def load(self, split: str) -> list[Row]:
        """Return the rows of `train`, `validation` or `test`.

        Columns: `id`, `prompt`, `numbers` (ascending), `target`, `num_solutions` (how many distinct solutions this
        format can express; None for training problems of five and six numbers), and for the reward `format`, `use_all`,
        `max_intermediate`.

        Raises:
            ConfigError: no such split, or it has fewer problems than its size asks for.
        """
        return [self._row(problem) for problem in self._problems(split)]

    def grade(self, completion: str, row: Row) -> Grade:
        """Judge one completion of the problem `row`; never raises on any text."""
        return grade_row(completion, row)

    def validate(self) -> None:
        """Check that every solution of some problems of each split is graded correct, and damaged ones are not.

        Raises:
            RewardError: the verifier and the solver disagree; the message holds the problem and the answer.
        """
        for split in SPLITS:
            for problem in self._problems(split)[:20]:
                self._validate_problem(problem)

    def write_solution(self, tree: Tree) -> str:
        """Return a solution as a completion in this task's format."""
        return write_steps(tree) if self.format == "tokens" else f"\\boxed{{{write_expression(tree)}}}"

    def _range(self) -> ProblemRange:
        return ProblemRange(self.num_numbers, self.max_number, self.min_target, self.max_target)

    def _problems(self, split: str) -> Sequence[Problem]:
        if split not in SPLITS:
            raise ConfigError(f"Countdown has no split {split!r}.{suggest(split, SPLITS)}")
        return draw_problems(split, self._range(), self.rules, self._draw(split))

    def _draw(self, split: str) -> Draw:
        size = getattr(self, f"{split}_size")
        if split == "train":
            return Draw(size, self.seed, per_set=_TRAIN_PROBLEMS_PER_SET)
        # One problem a set of numbers, so that held-out problems are as independent as can be.
        return Draw(size, self.seed, 1, self.min_solutions, self.max_solutions)

    def _row(self, problem: Problem) -> Row:
        numbers = list(problem.numbers)
        return {
            "id": f"countdown/{','.join(map(str, numbers))}/{problem.target}",
            "prompt": self._prompt(numbers, problem.target),
            "numbers": numbers,
            "target": problem.target,
            "num_solutions": problem.num_solutions,
            "format": self.format,
            "use_all": self.use_all,
            "max_intermediate": self.max_intermediate,
        }

    def _prompt(self, numbers: list[int], target: int) -> Prompt:
        if self.format == "chat":
            return chat_prompt(numbers, target, self.use_all)
        return tokens_prompt(numbers, target)

    def _validate_problem(self, problem: Problem) -> None:
        row = self._row(problem)
        trees = solutions_by_target(problem.numbers, (problem.target,), self.rules)[problem.target]
        for key, tree in trees.items():
            gold = self.write_solution(tree)
            _expect(self.grade(gold, row) == Grade(True, "correct", key), gold, row)
            inside = (gold[:-1] + extra + gold[-1:] for extra in (" 1", "+", " ?"))
            for answer in (*inside, gold[:-1], "1 + 1 [2]", "\\boxed{1+1}", ""):
                _expect(not self.grade(answer, row).correct, answer, row)
            other = {**row, "target": problem.target + 1}
            _expect(self.grade(gold, other).label == "wrong_target", gold, other)


def _expect(held: bool, answer: str, row: Row) -> None:
    if not held:
        raise RewardError(
            f"The Countdown verifier is wrong about {answer!r} for {row['id']}: {grade_row(answer, row)}."
        )


def grade_row(completion: str, row: Mapping[str, Any]) -> Grade:
    """Judge a completion from the columns of its row alone; never raises on any text."""
    numbers, target, use_all = row["numbers"], row["target"], row.get("use_all", True)
    if row.get("format", "tokens") == "chat":
        return grade_chat(completion, numbers, target, use_all=use_all)
    return grade_tokens(completion, numbers, target, use_all=use_all, max_intermediate=row.get("max_intermediate", 100))


def countdown_reward(
    completions: list[Completion], *, prompts: list[Prompt], thinking_tag: str | None = USUAL_TAG, **columns: Any
) -> list[float | None]:
    """Return 1.0 for each correct completion and 0.0 for the others.

    Args:
        completions: B texts, or lists of chat messages.
        prompts: unused; part of the reward signature.
        thinking_tag: of the reasoning that is left out; None takes completions whole.
        **columns: the rows' columns as lists of B, at least `numbers` and `target`.
    """
    names = [name for name in ("numbers", "target", "format", "use_all", "max_intermediate") if name in columns]
    rows = (dict(zip(names, values, strict=True)) for values in zip(*(columns[name] for name in names), strict=True))
    return [
        1.0 if grade_row(answer_text(text, thinking_tag), row).correct else 0.0
        for text, row in zip(completions, rows, strict=True)
    ]
