"""A task made of a data set: which columns hold the problem and the gold answer, and how answers are judged.

    task = DatasetTask("arithmetic", path="sums.jsonl", prompt="question", gold="answer")
    row = task.load("test")[0]
    task.grade(r"\\\\boxed{5}", row)

Known benchmarks are values of this class (`benchmarks.py`); data of your own become one by `{name: jsonl, ...}` or a
YAML file (`own_data.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_choice, check_flag, check_text
from rlkit.tasks.held_out import check_share, hold_out
from rlkit.tasks.prompting import FORMATS, columns_of, is_plain, take, take_prompt, take_text
from rlkit.tasks.proving import Fault, check_apart, try_rows
from rlkit.tasks.tables import Record, load_hub, read_path, split_files
from rlkit.tasks.verifiers import find_verifier
from rlkit.terminal import note
from rlkit.types import Completion, Grade, PluginSpec, Prompt, Row
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

_READ = {"math": ("last_number",), "multiple_choice": ("choices",)}
"""What verifiers read of a row beside the gold answer."""


@dataclass(frozen=True)
class DatasetTask:
    """Problems from a file, a folder or the hub; rows hold `id`, `prompt`, `gold`, and what the verifier needs.

    Raises:
        ConfigError: a parameter is not allowed, or neither or both of `path` and `hub` are given.
        PluginError: the verifier cannot be found.
    """

    name: str
    path: str | None = None
    """A file (.jsonl, .json, .parquet, .csv), which is every split, or a folder with one file or more a split."""
    hub: str | None = None
    """Id of a data set on the Hugging Face hub."""
    subset: str | None = None
    """Its configuration, where it has several."""
    splits: Mapping[str, str] = field(default_factory=lambda: {"train": "train", "test": "test"})
    """Name of a split here -> its name in the data set."""
    test: float | str | None = None
    """The share of the split `train` that is held out as `test`, by the prompts alone; or a file that is `test`."""
    prompt: str = "question"
    """A template with `{column}`, or the name of the column that is the prompt."""
    gold: str = "answer"
    """The column with the gold answer; of a text with `####`, what follows it; a list is joined by commas."""
    id: str | None = None
    """The column that identifies a problem; by default `id` where there is one, else the position."""
    verifier: str = "math"
    """`math`, `exact`, `multiple_choice` or `file.py:fn`."""
    choices: str = "ABCDE"
    """The letters of `multiple_choice`."""
    last_number: bool = False
    """Whether `math` takes the last number of a completion that announces no answer."""
    system: str | None = None
    format: str = "chat"
    """`chat`, a list of messages, or `plain`, a text."""

    default_rewards: ClassVar[tuple[PluginSpec, ...]] = ("rlkit.tasks.dataset:dataset_reward",)
    default_partition: ClassVar[PluginSpec] = "final_answer"

    def __post_init__(self) -> None:
        """Check every parameter, and that the verifier exists."""
        for key in ("name", "prompt", "gold", "verifier", "choices"):
            check_text(self.name if isinstance(self.name, str) else "A data set", key, getattr(self, key))
        for key in ("path", "hub", "subset", "id", "system"):
            if getattr(self, key) is not None:
                check_text(self.name, key, getattr(self, key))
        check_share(self.name, self.test)
        check_choice(self.name, "format", self.format, FORMATS)
        check_flag(self.name, "last_number", self.last_number)
        if self.path is None and self.hub is None:
            raise ConfigError(f"The task {self.name!r} was given no data; write path: FILE or hub: ID.")
        if not columns_of(self.prompt):
            raise ConfigError(
                f"The prompt {self.prompt!r} names no column; write {{column}} where the problem belongs."
            )
        find_verifier(self.verifier).check()

    def load(self, split: str) -> list[Row]:
        """Return the rows of a split, in the order of the data set.

        Raises:
            ConfigError: there is no such split or it is empty, a column is missing or empty, holds what is no text, or
                two rows share an id.
        """
        records = self._records(split)
        rows = [self._row(record, split, number) for number, record in enumerate(records)]
        if isinstance(self.test, float) and split in ("train", "test"):
            rows = hold_out(rows, self.test, split == "test")
        if not rows:
            raise ConfigError(f"The split {split!r} of {self.name!r} is empty; give it problems or name another split.")
        ((most_common, count),) = Counter(row["id"] for row in rows).most_common(1)
        if count > 1:
            raise ConfigError(f"{self.name!r} gives {count} rows the id {most_common!r}; name a column of unique ids.")
        return rows

    def grade(self, completion: str, row: Row) -> Grade:
        """Judge one completion of the problem `row`; never raises on any text."""
        return self.grade_all([completion], [row])[0]

    def grade_all(self, completions: Sequence[str], rows: Sequence[Row]) -> list[Grade]:
        """Judge completions of the problems `rows`, equal answers to one gold answer once; never raises on any text."""
        return _grade_by_verifier(completions, rows)

    def validate(self) -> None:
        """Check that gold answers are correct and damaged ones are not, in every split, as far as five minutes go.

        Raises:
            RewardError: a problem is in two splits, or the verifier does not accept a gold answer, or accepts a damaged
                one, or cannot judge it; the message names the row.
        """
        loaded = {split: self.load(split) for split in self.known_splits()}
        check_apart(loaded)
        for split, rows in loaded.items():
            try_rows(rows, self._find_faults, f"Gold answers of {self.name} ({split})")

    def _find_faults(self, rows: list[Row]) -> Iterator[Fault]:
        verifier = find_verifier(self.verifier)
        golds = [(gold, row) for row in rows if (gold := verifier.write_gold(row)) is not None]
        for grade, (_, row) in self._grade_pairs(golds):
            if not grade.correct:
                mend = f"mend it, or choose another verifier than {self.verifier}"
                said = f"{row['gold']!r}, is graded {grade.label}, not correct; {mend}"
                yield row["id"], f"The gold answer of {row['id']!r}, {said}"
        wrongs = [(wrong, row) for row in rows for wrong in verifier.write_wrong(row)]
        for grade, (wrong, row) in self._grade_pairs(wrongs):
            if grade.correct:
                yield row["id"], f"The verifier {self.verifier} accepts {wrong!r} as the answer of {row['id']!r}"
            elif grade.label in ("grader_error", "timeout"):
                # Rewards of such a problem would be None for all but the gold answer as it is written.
                said = f"{wrong!r} cannot be told from the gold answer {row['gold']!r} of {row['id']!r} ({grade.label})"
                yield row["id"], f"{said}; write one that the verifier {self.verifier} can compare, or choose another"

    def _grade_pairs(self, pairs: list[tuple[str, Row]]) -> Iterator[tuple[Grade, tuple[str, Row]]]:
        return zip(self.grade_all([text for text, _ in pairs], [row for _, row in pairs]), pairs, strict=True)

    def known_splits(self) -> list[str]:
        """Return the splits that the data have."""
        if self.test is not None:
            return ["train", "test"]
        if self.path is None:
            return list(self.splits)
        place = Path(self.path).expanduser()
        if not place.is_dir():
            return ["test"]
        held = split_files(place)
        return [split for split, source in self.splits.items() if source in held or split in held]

    def _records(self, split: str) -> list[Record]:
        if split not in self.splits:
            raise ConfigError(f"{self.name!r} has no split {split!r}.{suggest(split, self.splits)}")
        if split == "test" and isinstance(self.test, str):
            return read_path(self.test, "test")
        source = self.splits["train" if split == "test" and self.test is not None else split]
        if self.path is None:
            assert self.hub is not None, "the constructor checked it"
            return load_hub(self.hub, self.subset, source)
        place = Path(self.path).expanduser()
        if place.is_file() and split == "train" and self.test is None:
            note(f"{self.path} is one file, so train and test are the same; test: 0.1 would hold a tenth out.")
        # A local copy may call a split as the hub does, or as it is called here.
        held = split_files(place) if place.is_dir() else {}
        return read_path(self.path, source if source in held or split not in held else split)

    def _row(self, record: Record, split: str, number: int) -> Row:
        place = f"Row {number + 1} of {self.name} ({split})"
        settings = {"choices": self.choices, "last_number": self.last_number}
        return {
            # The user's own columns are there for rewards and verifiers, which may take other `choices` than letters.
            **settings,
            **record,
            **{name: settings[name] for name in _READ.get(self.verifier, ())},
            "id": self._id(record, split, number, place),
            "prompt": take_prompt(record, self.prompt, self.format, self.system, place),
            "gold": self._gold(record, place),
            "verifier": self.verifier,
        }

    def _id(self, record: Record, split: str, number: int, place: str) -> str:
        column = "id" if self.id is None and record.get("id") is not None else self.id
        return f"{self.name}/{split}/{number if column is None else take_text(record, column, place)}"

    def _gold(self, record: Record, place: str) -> str:
        value = take(record, self.gold, place)
        if isinstance(value, list) and all(map(is_plain, value)):
            return read_gold(value)
        if not (gold := read_gold(take_text(record, self.gold, place))):
            raise ConfigError(f"{place} has nothing behind the #### of its column {self.gold!r}; fill it.")
        return gold


def read_gold(value: Any) -> str:
    """Return a gold answer as text: what follows `####` where that occurs, a list joined by commas."""
    if isinstance(value, list):
        return ", ".join(str(item).strip() for item in value)
    return str(value).rpartition("####")[2].strip()


def dataset_reward(
    completions: list[Completion], *, prompts: list[Prompt], thinking_tag: str | None = USUAL_TAG, **columns: Any
) -> list[float | None]:
    """Return 1.0 for each correct completion, 0.0 for each wrong one, and None where it could not be judged.

    Args:
        completions: B texts, or lists of chat messages.
        prompts: unused; part of the reward signature.
        thinking_tag: of the reasoning that is left out; None takes completions whole.
        **columns: the rows' columns as lists of B, at least `gold` and `verifier`.
    """
    lists = {name: values for name, values in columns.items() if isinstance(values, list | tuple)}
    rows = [{name: values[at] for name, values in lists.items()} for at in range(len(completions))]
    grades = _grade_by_verifier([answer_text(completion, thinking_tag) for completion in completions], rows)
    return [None if grade.correct is None else float(grade.correct) for grade in grades]


def _grade_by_verifier(completions: Sequence[str], rows: Sequence[Row]) -> list[Grade]:
    grades: dict[int, Grade] = {}
    for name in dict.fromkeys(row["verifier"] for row in rows):
        chosen = [at for at, row in enumerate(rows) if row["verifier"] == name]
        judged = find_verifier(name).grade([completions[at] for at in chosen], [rows[at] for at in chosen])
        grades |= zip(chosen, judged, strict=True)
    return [grades[at] for at in range(len(rows))]
