"""HumanEval and MBPP: functions to write, judged by their tests in the sandbox (`rlkit.verifiers.code_checking`).

Ids, subsets and columns were looked up in lm-evaluation-harness, `lm_eval/tasks/humaneval/humaneval.yaml` and
`lm_eval/tasks/mbpp/mbpp.yaml`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_choice, check_text
from rlkit.tasks.prompting import FORMATS, build_prompt, take
from rlkit.tasks.proving import Fault, try_rows
from rlkit.tasks.tables import Record, load_hub, read_path, split_files
from rlkit.types import Completion, Grade, PluginSpec, Prompt, Row
from rlkit.verifiers.code_program import as_helpers, assemble
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

_AT_ONCE = 2
_ASK_HUMANEVAL = (
    "Complete this Python function. Answer with the whole function in one block of code.\n\n```python\n{}\n```"
)
_ASK_MBPP = "{}\n\nWrite it in Python, in one block of code. It must pass these tests:\n\n```python\n{}\n```"


@dataclass(frozen=True)
class _CodeTask:
    path: str | None = None
    """A file, which is the split `test`, or a folder with one file or more a split; None takes the hub's data."""
    system: str | None = None
    format: str = "chat"
    """`chat`, a list of messages, or `plain`, a text; plain HumanEval is the function's beginning, to be continued."""
    sandbox: str = "strong"
    """`weak` runs code also where this machine cannot shut it off; see docs/isolation.md."""

    name: ClassVar[str]
    hub: ClassVar[str]
    subset: ClassVar[str | None] = None
    splits: ClassVar[tuple[str, ...]] = ("test",)
    default_rewards: ClassVar[tuple[PluginSpec, ...]] = ("rlkit.tasks.code:code_reward",)
    default_partition: ClassVar[PluginSpec] = "syntax_tree"

    def __post_init__(self) -> None:
        """Check every parameter."""
        check_choice(self.name, "format", self.format, FORMATS)
        check_choice(self.name, "sandbox", self.sandbox, ("strong", "weak"))
        for key in ("path", "system"):
            if getattr(self, key) is not None:
                check_text(self.name, key, getattr(self, key))

    def load(self, split: str) -> list[Row]:
        """Return the rows of a split: `id`, `prompt`, `gold` (code), `tests`, `entry_point`, `beginning`, `prelude`.

        Raises:
            ConfigError: there is no such split, it is empty, or a column is missing or empty.
        """
        if split not in self.splits:
            raise ConfigError(f"{self.name} has no split {split!r}.{suggest(split, self.splits)}")
        records = self._records(split)
        if not records:
            raise ConfigError(f"The split {split!r} of {self.name!r} is empty; give it problems or name another split.")
        rows = [self._row(record, f"Row {at} of {self.name} ({split})") for at, record in enumerate(records, start=1)]
        twice = {row["id"] for row in rows}
        if len(twice) < len(rows):
            raise ConfigError(f"{self.name} gives two rows one task_id in the split {split!r}; ids must be unique.")
        return rows

    def grade(self, completion: str, row: Row) -> Grade:
        """Judge one completion by the tests of `row`, in the sandbox; never raises on any text."""
        return grade_code([completion], [row], self.sandbox)[0]

    def grade_all(self, completions: Sequence[str], rows: Sequence[Row]) -> list[Grade]:
        """Judge completions of the problems `rows`, several at once and equal ones once; never raises on any text."""
        keys = [(row["id"], completion) for completion, row in zip(completions, rows, strict=True)]
        first = {key: at for at, key in reversed([*enumerate(keys)])}
        chosen = [completions[at] for at in first.values()], [rows[at] for at in first.values()]
        grades = grade_code(*chosen, self.sandbox)
        known = dict(zip(first, grades, strict=True))
        return [known[key] for key in keys]

    def validate(self) -> None:
        """Check that gold code passes its tests and that empty functions do not, as far as five minutes go.

        Raises:
            RewardError: a gold solution fails, or tests accept no solution; names the problems.
        """
        for split in self._splits_here():
            try_rows(self.load(split), self._find_faults, f"Gold solutions of {self.name} ({split})")

    def _splits_here(self) -> Sequence[str]:
        if self.path is None:
            return self.splits
        place = Path(self.path).expanduser()
        held = split_files(place) if place.is_dir() else {}
        return [split for split in self.splits if split in held] or ("test",)

    def _find_faults(self, rows: list[Row]) -> Iterator[Fault]:
        golds = [f"```python\n{row['gold']}\n```" for row in rows]
        for row, grade in zip(rows, grade_code(golds, rows, self.sandbox), strict=True):
            if not grade.correct:
                yield row["id"], f"The gold solution of {row['id']!r} is graded {grade.label}; mend the row"
        for wrong in ("", "```python\npass\n```"):
            for row, grade in zip(rows, grade_code([wrong] * len(rows), rows, self.sandbox), strict=True):
                if grade.correct:
                    yield row["id"], f"The tests of {row['id']!r} accept {wrong!r}; mend the row"

    def _row(self, record: Record, place: str) -> Row:
        raise NotImplementedError

    def _records(self, split: str) -> list[Record]:
        if self.path is None:
            return load_hub(self.hub, self.subset, split)
        place = Path(self.path).expanduser()
        if place.is_file() and split != "test":
            raise ConfigError(f"{self.path} is one file, which is the split 'test'; name a folder for {split!r}.")
        return read_path(self.path, split)


@dataclass(frozen=True)
class HumanEval(_CodeTask):
    """HumanEval (arXiv 2107.03374): 164 functions with a signature, a docstring and hidden tests."""

    name: ClassVar[str] = "humaneval"
    hub: ClassVar[str] = "openai/openai_humaneval"

    def _row(self, record: Record, place: str) -> Row:
        beginning = str(take(record, "prompt", place))
        asked = beginning if self.format == "plain" else _ASK_HUMANEVAL.format(beginning.strip("\n"))
        return {
            "id": f"humaneval/{take(record, 'task_id', place)}",
            "prompt": build_prompt(asked, self.format, self.system),
            "gold": beginning + str(take(record, "canonical_solution", place)),
            "tests": str(take(record, "test", place)),
            "entry_point": str(take(record, "entry_point", place)),
            "beginning": beginning,
            "prelude": "",
        }


@dataclass(frozen=True)
class Mbpp(_CodeTask):
    """MBPP (arXiv 2108.07732): short functions described in a sentence, with three tests each that the model sees."""

    name: ClassVar[str] = "mbpp"
    hub: ClassVar[str] = "google-research-datasets/mbpp"
    subset: ClassVar[str | None] = "full"
    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")

    def _row(self, record: Record, place: str) -> Row:
        tests, gold = "\n".join(take(record, "test_list", place)), str(take(record, "code", place))
        return {
            "id": f"mbpp/{take(record, 'task_id', place)}",
            "prompt": build_prompt(_ASK_MBPP.format(take(record, "text", place), tests), self.format, self.system),
            "gold": gold,
            "tests": tests,
            "entry_point": tested_function(tests, gold),
            "beginning": "",
            "prelude": "\n".join((imports_of(gold), record.get("test_setup_code") or "")),
        }


def grade_code(completions: Sequence[str], rows: Sequence[Mapping[str, Any]], sandbox: str = "strong") -> list[Grade]:
    """Return the grade of each completion under the tests of its row; `correct` None where they cannot judge it.

    Args:
        completions: B texts.
        rows: their rows, as a task of code has them.
        sandbox: see `Limits.sandbox`.

    Raises:
        RewardError: the sandbox cannot run here.
    """
    from rlkit.verifiers.code_checking import check_functions
    from rlkit.verifiers.sandbox import Limits

    def judge(job: tuple[str, Mapping[str, Any]]) -> Grade:
        text, row = job
        code = assemble(text, row["beginning"], row["entry_point"])
        prelude = "\n".join((row["prelude"], as_helpers(row["beginning"])))
        found = check_functions(code, row["tests"], row["entry_point"], prelude, Limits(sandbox=sandbox))
        return Grade(found.passed, "correct" if found.passed else found.label)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(judge, zip(completions, rows, strict=True)))


def tested_function(tests: str, gold: str) -> str | None:
    """Return the function that tests call and the gold code defines, None where there is none; of several the first."""
    try:
        calls = [node.func.id for node in ast.walk(ast.parse(tests)) if _calls_name(node)]  # type: ignore[attr-defined]
        defined = {node.name for node in ast.parse(gold).body if isinstance(node, ast.FunctionDef)}
    except SyntaxError:
        return None
    return next((name for name in calls if name in defined), None)


def imports_of(gold: str) -> str:
    """Return the imports at the top of the gold code: its tests may count on them."""
    try:
        body = ast.parse(gold).body
    except SyntaxError:
        return ""
    return "\n".join(ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom))


def _calls_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def code_reward(
    completions: list[Completion],
    *,
    prompts: list[Prompt],
    tests: list[str],
    entry_point: list[str | None],
    beginning: list[str],
    prelude: list[str],
    thinking_tag: str | None = USUAL_TAG,
    sandbox: str = "strong",
    **columns: Any,
) -> list[float | None]:
    """Return 1.0 for each completion that passes its tests, 0.0 for the others, None where they cannot judge."""
    names = ("tests", "entry_point", "beginning", "prelude")
    rows = [
        dict(zip(names, values, strict=True)) for values in zip(tests, entry_point, beginning, prelude, strict=True)
    ]
    grades = grade_code([answer_text(text, thinking_tag) for text in completions], rows, sandbox)
    return [None if grade.correct is None else float(grade.correct) for grade in grades]
