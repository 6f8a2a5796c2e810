"""From evaluations to an archive: the distinct correct solutions of samples that were drawn for training.

What is held out stays held out: problems of the task's test split, or of anything else that is named, never enter.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.archive import Archive, Finding, Solution, Source
from rlkit.archive.contents import merge_solutions
from rlkit.diversity import Partition, resolve_partition
from rlkit.diversity.contract import label_group, read_features
from rlkit.diversity.key_partitions import NormalisedText
from rlkit.diversity.text_partition import KeyPartition
from rlkit.errors import ConfigError, StoreError
from rlkit.evaluation.comparing.models import find_evaluations
from rlkit.evaluation.configuration import describe_spec, digest_of
from rlkit.evaluation.directory import labels_are_pending, read_config
from rlkit.evaluation.samples.problems import load_problems
from rlkit.evaluation.samples.reading import Record, read_samples
from rlkit.evaluation.samples.solution_classes import shorten_key
from rlkit.files import locked
from rlkit.tasks import resolve_task
from rlkit.tasks.held_out import HeldOut
from rlkit.terminal import note
from rlkit.types import PluginSpec, Row, Task
from rlkit.verifiers.reasoning import USUAL_TAG, answer_text

_CHECKPOINT = re.compile(r"checkpoint-(\d+)$")
_NOT_OF_THE_SOURCE = ("n", "limit", "prompts_digest", "connection", "task")
"""What may differ between two evaluations of one source: how many samples of which problems, and where they ran."""


@dataclass
class Collected:
    """What `collect_solutions` did."""

    num_evaluations: int = 0
    num_samples: int = 0
    num_correct: int = 0
    num_new: int = 0
    """Distinct solutions that the archive did not hold."""
    num_unknown: int = 0
    """Samples of problems that the task does not have."""


def collect_solutions(
    output: str | Path,
    directories: Sequence[str | Path],
    *,
    task: PluginSpec | None = None,
    partition: PluginSpec | None = None,
    held_out: Sequence[tuple[PluginSpec, str]] = (),
    round: int | None = None,
) -> tuple[Archive, Collected]:
    """Add the distinct correct solutions of evaluations to an archive, which is begun where there is none.

    Args:
        output: file of the archive.
        directories: evaluations, folders of several temperatures, or run directories with an `eval/`.
        task: what gives the problems; None takes that of each directory, unless it is code.
        partition: what tells solutions apart; None takes the archive's, else the task's own.
        held_out: further task specs and splits whose problems are refused, beside the task's `test`.
        round: of a run in rounds, kept with the source.

    Raises:
        ConfigError, PluginError: a spec names nothing, or its plug-in fails.
        StoreError: a directory is none of an evaluation, is unfinished business of `rlkit grade`, or holds problems
            that are held out; nothing of it is added.
    """
    done, archive = Collected(), None
    for directory in directories:
        for folder in _evaluations(Path(directory).expanduser()):
            header = read_config(folder)
            spec, resolved, rows = load_problems(folder, header, task)
            chosen = partition if partition is not None else choose_partition(output, resolved)
            refuse_held_out(resolved, held_out, rows, folder)
            judge = resolve_partition(chosen)
            opened = Archive.create(output, task=describe_spec(spec), partition=describe_spec(chosen))
            archive = archive or opened
            with locked(folder):
                findings = [*_find(folder, header, rows, keys_of(judge), done)]
            before = archive.num_solutions
            archive.add(_source(header, round), findings)
            if not isinstance(judge, KeyPartition):
                classify(archive, [each.problem for each in findings], {row["id"]: row for row in rows}, judge)
            done.num_new += archive.num_solutions - before
            done.num_evaluations += 1
    if archive is None:
        raise ConfigError("No evaluation was named to collect from; write the directory of one.")
    return archive, done


def classify(archive: Archive, problems: Iterable[str], rows: Mapping[str, Row], partition: Partition) -> None:
    """Have a partition that judges pairs say which solutions of problems are the same.

    All texts that the archive has of a problem are judged together, the shortest first, so that what is said of them
    depends on what they are and not on the order in which they came.

    Args:
        archive: holds solutions by their texts.
        problems: ids of those to judge.
        rows: problems by id; their columns go to the partition.
        partition: of any kind.
    """
    classes = {}
    for id in problems:
        solutions = sorted(archive.texts(id), key=lambda each: (len(each.completion), each.completion))
        columns = {name: [value] * len(solutions) for name, value in rows[id].items() if name != "completions"}
        texts = [answer_text(each.completion, USUAL_TAG) or "" for each in solutions]
        features = read_features(partition, texts, **columns, truncated=[False] * len(texts))
        first: dict[int, str] = {}
        labels = label_group(partition, features).tolist() if texts else []
        names = [first.setdefault(label, each.key) for label, each in zip(labels, solutions, strict=True)]
        classes[id] = {each.key: name for each, name in zip(solutions, names, strict=True) if each.key != name}
    archive.classify(classes)


def find_solutions(
    records: Iterable[tuple[str, str, float | None]], row: Row, partition: Partition, thinking_tag: str | None
) -> tuple[Solution, ...]:
    """Return the distinct solutions among correct completions of one problem.

    Args:
        records: completion, its finish reason, and its log-prob or None; correct ones.
        row: the problem; its columns go to the partition.
        partition: gives keys.
        thinking_tag: of reasoning, which is left out when solutions are told apart and kept in their texts.
    """
    found = list(records)
    texts = [answer_text(completion, thinking_tag) or "" for completion, _, _ in found]
    columns = {name: [value] * len(found) for name, value in row.items() if name != "completions"}
    columns["truncated"] = [reason == "length" for _, reason, _ in found]
    keys = read_features(partition, texts, **columns)
    pairs = zip(keys, found, strict=True)
    return merge_solutions(Solution(shorten_key(key), text, 1, logp) for key, (text, _, logp) in pairs)


def _find(
    folder: Path, header: Mapping[str, Any], rows: Sequence[Row], partition: Partition, done: Collected
) -> Iterator[Finding]:
    grader = header.get("grader") or {}
    if labels_are_pending(grader):
        raise StoreError(f"Grading {folder} again was broken off; finish it with rlkit grade {folder}.")
    tag = grader.get("thinking_tag", USUAL_TAG)
    by_id = {row["id"]: row for row in rows}
    drawn: Counter[str] = Counter()
    correct: dict[str, list[Record]] = defaultdict(list)
    for record in read_samples(folder):
        done.num_samples += 1
        if record["prompt_id"] not in by_id:
            done.num_unknown += 1
            continue
        # What could not be judged was not drawn either: counting it would make problems look hard.
        drawn[record["prompt_id"]] += record["correct"] is not None
        if record["correct"]:
            correct[record["prompt_id"]].append(record)
    if not drawn:
        raise StoreError(f"{folder} holds no samples; rlkit eval draws them.")
    done.num_correct += sum(map(len, correct.values()))
    for id, count in drawn.items():
        samples = [(each["completion"], each["finish_reason"], each["logp_sum"]) for each in correct[id]]
        solutions = find_solutions(samples, by_id[id], partition, tag) if samples else ()
        yield Finding(id, by_id[id]["prompt"], count, len(samples), solutions)


def _evaluations(path: Path) -> list[Path]:
    if not path.is_dir():
        raise StoreError(f"{path} is not a directory; name one that rlkit eval wrote.")
    return find_evaluations(path)


def refuse_held_out(task: Task, others: Sequence[tuple[PluginSpec, str]], rows: Sequence[Row], folder: Path) -> None:
    """Raise StoreError where problems are the task's test split's, or one of the others'."""
    known = HeldOut(task, ("test",), [(resolve_task(spec), split) for spec, split in others])
    if found := known.find((row["id"], row["prompt"]) for row in rows):
        raise StoreError(
            f"{folder} holds samples of {len(found)} held-out problems, such as {found[0][0]!r} of {found[0][1]}; an "
            "archive is for training, so draw from another split (rlkit eval --split train)."
        )


def keys_of(partition: Partition) -> Partition:
    """Return what tells solutions apart while they are counted: by their texts, where only pairs can be judged."""
    return partition if isinstance(partition, KeyPartition) else NormalisedText()


def choose_partition(output: str | Path, task: Task) -> PluginSpec:
    """Return what tells solutions apart where nobody says: the archive's partition, the task's, or whole texts."""
    if Path(output).expanduser().is_file():
        partition: PluginSpec = Archive.open(output).partition
        return partition
    default: PluginSpec | None = getattr(task, "default_partition", None)
    if default is None:
        note("The task names no partition, so solutions are told apart by their whole text; name one with --partition.")
        return "normalised_text"
    return default


def _source(header: Mapping[str, Any], round: int | None) -> Source:
    config = header["config"]
    identity = {name: value for name, value in config.items() if name not in _NOT_OF_THE_SOURCE}
    model = str(config.get("adapter") or config["model"])
    step = _CHECKPOINT.search(model)
    temperature = config["sampling"].get("temperature")
    return Source(digest_of(identity), model, temperature, int(step[1]) if step else None, round)
