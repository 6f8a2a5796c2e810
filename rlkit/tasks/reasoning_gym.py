"""The procedural puzzles of reasoning-gym (https://github.com/open-thought/reasoning-gym), judged by their own scorers.

    task = ReasoningGym(dataset="chain_sum", size=200, config={"max_terms": 4})

Every data set of the library can be named. Problems come from the seed, so nothing is downloaded; each split has a seed
of its own, and a problem of `test` or `validation` is left out of what is trained on.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

from rlkit.errors import ConfigError, PluginError, RewardError, suggest
from rlkit.parameters import check_choice, check_count, check_text
from rlkit.tasks.prompting import FORMATS, build_prompt
from rlkit.types import Completion, Grade, PluginSpec, Prompt, Row
from rlkit.verifiers.answers import extract_final_answer, normalise_answer
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

SPLITS = ("train", "validation", "test")
_ASK = "{question}\n\nReason step by step, and put your final answer within <answer></answer>."
_VALIDATED = 20


@dataclass(frozen=True)
class ReasoningGym:
    """One data set of reasoning-gym.

    Raises:
        ConfigError: a parameter is not allowed, there is no such data set, or the library is not installed.
        PluginError: the data set needs a package that is not installed.
    """

    dataset: str = "chain_sum"
    size: int = 200
    """Problems of each split."""
    seed: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the data set."""
    system: str | None = None
    format: str = "chat"
    """`chat`, a list of messages, or `plain`, a text."""

    name: ClassVar[str] = "reasoning_gym"
    default_rewards: ClassVar[tuple[PluginSpec, ...]] = ("rlkit.tasks.reasoning_gym:reasoning_gym_reward",)
    default_partition: ClassVar[PluginSpec] = "final_answer"

    def __post_init__(self) -> None:
        """Check every parameter, and make one problem."""
        check_text("reasoning_gym", "dataset", self.dataset)
        check_count("reasoning_gym", "size", self.size)
        check_count("reasoning_gym", "seed", self.seed, smallest=0)
        check_choice("reasoning_gym", "format", self.format, FORMATS)
        if not isinstance(self.config, Mapping):
            raise ConfigError(f"config was given as {self.config!r}; write a mapping of {self.dataset}'s parameters.")
        _make_entry(self._source("test"), 0)

    def load(self, split: str) -> list[Row]:
        """Return the rows of `train`, `validation` or `test`.

        Columns: `id`, `prompt`, `gold` (the library's own answer; empty where it has none), `entry` (the problem as
        JSON, for reading), `source` and `index` (what it is made anew from, for scoring).

        Raises:
            ConfigError: no such split, or all its problems are in a held-out one.
        """
        if split not in SPLITS:
            raise ConfigError(f"reasoning_gym has no split {split!r}.{suggest(split, SPLITS)}")
        held_out = {
            _make_entry(self._source(other), index)["question"]
            for other in SPLITS[SPLITS.index(split) + 1 :]
            for index in range(self.size)
        }
        entries = [(index, _make_entry(self._source(split), index)) for index in range(self.size)]
        rows = [self._row(split, index, entry) for index, entry in entries if entry["question"] not in held_out]
        if not rows:
            raise ConfigError(
                f"All problems of {self.dataset!r} are held out of {split!r}; make size smaller, or give config."
            )
        return rows

    def grade(self, completion: str, row: Row) -> Grade:
        """Judge one completion of the problem `row`: correct at a score of 1, `partial` above 0; never raises."""
        return score_row(completion, row)[1]

    def validate(self) -> None:
        """Check that gold answers score 1 and that nonsense does not.

        Raises:
            RewardError: a gold answer does not score 1, or nonsense does; names the problem.
        """
        for split in SPLITS:
            for row in self.load(split)[:_VALIDATED]:
                if not row["gold"]:
                    raise RewardError(
                        f"{self.dataset!r} has no gold answer for {row['id']}, so it cannot be validated."
                    )
                if not (grade := self.grade(f"<answer>{row['gold']}</answer>", row)).correct:
                    raise RewardError(f"The gold answer {row['gold']!r} of {row['id']} is graded {grade.label}.")
                for wrong in ("", "<answer></answer>", "<answer>no such answer</answer>"):
                    if self.grade(wrong, row).correct:
                        raise RewardError(f"The scorer of {self.dataset!r} accepts {wrong!r} for {row['id']}.")

    def _source(self, split: str) -> str:
        """Return what the problems of a split are made from, as JSON."""
        digest = hashlib.sha256(f"{self.seed}/{split}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        what = {"dataset": self.dataset, "seed": seed, "size": self.size, "config": dict(self.config)}
        return json.dumps(what, sort_keys=True)

    def _row(self, split: str, index: int, entry: Mapping[str, Any]) -> Row:
        question = _ASK.replace("{question}", entry["question"])
        gold = entry["answer"]
        return {
            "id": f"reasoning_gym/{self.dataset}/{split}/{index}",
            "prompt": build_prompt(question, self.format, self.system),
            "gold": "" if gold is None else str(gold),
            "entry": json.dumps(entry, default=str, ensure_ascii=False),
            "source": self._source(split),
            "index": index,
        }


def score_row(completion: str, row: Mapping[str, Any]) -> tuple[float | None, Grade]:
    """Return the score that the library gives a completion, from 0 to 1, and the grade; None when it cannot judge."""
    answer = extract_final_answer(completion)
    if answer is None:
        return 0.0, Grade(False, "no_answer")
    try:
        score = float(_make_dataset(row["source"]).score_answer(answer, _make_entry(row["source"], row["index"])))
    except Exception:
        # A scorer that stumbles over an answer has not judged it.
        return None, Grade(None, "grader_error", normalise_answer(answer))
    verdict = "correct" if score >= 1.0 else "partial" if score > 0.0 else "wrong_answer"
    return score, Grade(score >= 1.0, verdict, normalise_answer(answer))


def reasoning_gym_reward(
    completions: list[Completion],
    *,
    prompts: list[Prompt],
    source: list[str],
    index: list[int],
    thinking_tag: str | None = USUAL_TAG,
    **columns: Any,
) -> list[float | None]:
    """Return the score of each completion, from 0 to 1 with what the data set gives in between; None if not judged."""
    rows = ({"source": made_from, "index": at} for made_from, at in zip(source, index, strict=True))
    return [score_row(answer_text(text, thinking_tag), row)[0] for text, row in zip(completions, rows, strict=True)]


def dataset_names() -> list[str]:
    """Return the names of all data sets of the library, sorted."""
    _import_library()
    from reasoning_gym.factory import DATASETS

    return sorted(DATASETS)


@functools.lru_cache(maxsize=32)
def _make_dataset(source: str) -> Any:
    what = json.loads(source)
    names = dataset_names()
    import reasoning_gym

    name = what["dataset"]
    if name not in names:
        raise ConfigError(f"reasoning-gym has no data set {name!r}.{suggest(name, names)}")
    try:
        return reasoning_gym.create_dataset(name, seed=what["seed"], size=what["size"], **what["config"])
    except (AssertionError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:200] or "the values do not fit together"
        raise ConfigError(f"The data set {name!r} cannot be made with {what['config']}: {said}.") from error


@functools.lru_cache(maxsize=4096)
def _make_entry(source: str, index: int) -> dict[str, Any]:
    return dict(_make_dataset(source)[index])


def _import_library() -> None:
    """Import the library, which imports pycosat for a single puzzle, whether that package is there or not."""
    if find_spec("reasoning_gym") is None:
        raise ConfigError("The task reasoning_gym needs reasoning-gym, which is not installed; install reasoning-gym.")
    if "pycosat" not in sys.modules and find_spec("pycosat") is None:
        sys.modules["pycosat"] = _missing_pycosat()
    import reasoning_gym  # noqa: F401


def _missing_pycosat() -> ModuleType:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PluginError("The puzzle zebra_puzzles needs pycosat, which is not installed; install pycosat.")

    module = ModuleType("pycosat", "Stands where pycosat would be, and says so when it is asked for anything.")
    module.__spec__ = None
    module.__dict__.update(solve=refuse, itersolve=refuse)
    return module
