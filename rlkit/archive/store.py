"""The file of an archive: JSON lines that are only ever appended, read as the join of all that they say.

    {"archive": 1, "task": ..., "partition": ...}                                   the first line
    {"source": "...", "model": "...", "temperature": 1.0, "step": 60, "round": 1}    once a source
    {"problem": "...", "prompt": ...}                                               once a problem
    {"source": "...", "problem": "...", "drawn": 16, "correct": 5, "solutions": [{"key": ...}, ...]}
    {"problem": "...", "classes": {"key": "key of the one that stands for it"}}     where solutions are judged in pairs
    {"defaults": {"weights": "capped", "per_problem": 8}}      where recipes are silent; the last counts

A kill leaves whole lines and perhaps a torn last one, which readers pass over. Adding again what is there appends
nothing, and a source that drew more appends its new findings, which count in the place of its older ones. Where a
partition judges pairs, solutions are kept by their texts, and the newest judgement of a problem says which are one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlkit.archive.contents import ArchiveRow, Finding, Problem, Solution, Source, choose_finding, join_findings
from rlkit.archive.weights import WEIGHTS
from rlkit.errors import ConfigError, StoreError, suggest
from rlkit.files import LineFile, as_store_error, refuse_constant
from rlkit.parameters import check_count, show
from rlkit.types import PluginSpec, Prompt

_FORMAT = 1


class Archive:
    """Distinct correct solutions of a task's problems, in one file."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.task: Any = header["task"]
        self.partition: Any = header["partition"]
        self.sources: dict[str, Source] = {}
        self._prompts: dict[str, Prompt] = {}
        self._findings: dict[str, dict[str, Finding]] = defaultdict(dict)
        self._classes: dict[str, dict[str, str]] = {}
        self._joined: dict[str, Problem] = {}
        self._num_bytes = 0
        self.defaults: dict[str, Any] = {}
        """`weights` and `per_problem` where nobody says; what is not here is `equal` and all."""

    @classmethod
    def create(cls, path: str | Path, *, task: PluginSpec, partition: PluginSpec) -> Archive:
        """Begin an archive, or open the one that is there.

        Raises:
            StoreError: there is another file, or an archive of another task or partition.
        """
        path = Path(path).expanduser()
        header = {"archive": _FORMAT, "task": task, "partition": partition}
        # A kill may have cut the first line short, and then nothing was added.
        if path.is_file() and b"\n" in path.read_bytes()[: 1 << 16]:
            archive = cls.open(path)
            for name, there, here in (("task", archive.task, task), ("partition", archive.partition, partition)):
                if there != here:
                    raise StoreError(
                        f"{path} is an archive of the {name} {show(there)}, and {show(here)} was asked for; choose "
                        "another file."
                    )
            return archive
        with as_store_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with _writing(path) as file:
            file.append([_line(header)])
        return cls(path, header)

    @classmethod
    def open(cls, path: str | Path) -> Archive:
        """Read an archive.

        Raises:
            StoreError: there is none, or a line of it is damaged.
        """
        path = Path(path).expanduser()
        lines = _read_lines(path)
        number, header = next(lines, (0, {}))
        if header.get("archive") != _FORMAT or not {"task", "partition"} <= header.keys():
            raise StoreError(f"{path} is no archive of solutions; write one with rlkit archive collect.")
        archive = cls(path, header)
        archive._num_bytes = path.stat().st_size
        for number, entry in lines:
            try:
                archive._enter(entry)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise StoreError(f"Line {number} of {path} is none of an archive; delete it.") from error
        return archive

    @property
    def problems(self) -> dict[str, Problem]:
        """Every problem that samples were drawn of, solved or not, by id."""
        for id in self._findings.keys() - self._joined.keys():
            self._joined[id] = join_findings(self._findings[id], self._classes.get(id))
        return {id: self._joined[id] for id in sorted(self._joined)}

    def texts(self, problem: str) -> tuple[Solution, ...]:
        """Return the solutions of a problem before any were judged the same; sorted by key."""
        return join_findings(self._findings[problem]).solutions

    def classify(self, classes: Mapping[str, Mapping[str, str]]) -> None:
        """Say which solutions of each problem are the same; on the disk when this returns.

        Args:
            classes: by problem, the key of every solution that is the same as another, and the key of the one that
                stands for both. Takes the place of what was said of the problem before.
        """
        with _writing(self.path) as file:
            self._catch_up()
            new = {id: dict(of_one) for id, of_one in classes.items() if dict(of_one) != self._classes.get(id, {})}
            file.append(_line({"problem": id, "classes": of_one}) for id, of_one in new.items())
            self._num_bytes = self.path.stat().st_size
        self._classes |= new
        for id in new:
            self._joined.pop(id, None)

    def add(self, source: Source, findings: Iterable[Finding]) -> int:
        """Add what a source found; on the disk when this returns.

        Args:
            source: who drew the samples; one of this id that is there already keeps what it was called.
            findings: all that is known of each problem from this source, not only what is new.

        Returns:
            How many distinct solutions are new to the archive.

        Raises:
            StoreError: another process is adding, or the disk is full.
        """
        before = self.num_solutions
        with _writing(self.path) as file:
            # Another process may have added since this one read.
            self._catch_up()
            entries = [*self._new_entries(source, findings)]
            file.append(map(_line, entries))
            self._num_bytes = self.path.stat().st_size
        for entry in entries:
            self._enter(entry)
        return self.num_solutions - before

    def set_defaults(self, per_problem: int | None = None, weights: str | None = None) -> None:
        """Say how this archive is learnt where a recipe does not; on the disk when this returns.

        Args:
            per_problem: most rows a problem; None leaves what there is.
            weights: a name in `WEIGHTS`; None leaves what there is.

        Raises:
            ConfigError: no such weights, or a bound below 1.
        """
        check_rule(weights, {"per_problem": per_problem})
        given = {"per_problem": per_problem, "weights": weights}
        defaults = self.defaults | {key: value for key, value in given.items() if value is not None}
        with _writing(self.path) as file:
            self._catch_up()
            file.append([_line({"defaults": defaults})] if defaults != self.defaults else [])
            self._num_bytes = self.path.stat().st_size
        self.defaults = defaults

    def rows(
        self, per_problem: int | None = None, weights: str | None = None, capacity: int | None = None, seed: int = 0
    ) -> list[ArchiveRow]:
        """Return one row a distinct solution, to learn from.

        Which solutions are left where there are more than may be is drawn at random by the seed and each solution's
        key, so that it depends neither on the order in which they were found nor on how often.

        Args:
            per_problem: most rows a problem; None for the archive's default, else all.
            weights: a name in `WEIGHTS`; None for the archive's default, else `equal`.
            capacity: most solutions a problem that count as there, before `per_problem`; None for all.
            seed: another choice of solutions.

        Returns:
            By problem, then in the order of the draw; weights have mean 1. Problems without a solution have no row.

        Raises:
            ConfigError: no such weights, or a bound below 1.
        """
        weights = self.defaults.get("weights", "equal") if weights is None else weights
        per_problem = self.defaults.get("per_problem") if per_problem is None else per_problem
        check_rule(weights, {"per_problem": per_problem, "capacity": capacity})
        bounds = [bound for bound in (per_problem, capacity) if bound is not None]
        rows = [row for problem in self.problems.values() for row in _rows_of(problem, bounds, weights, seed)]
        mean = sum(row.weight for row in rows) / len(rows) if rows else 1.0
        return [ArchiveRow(row.problem, row.prompt, row.completion, row.key, row.weight / mean) for row in rows]

    @property
    def num_solutions(self) -> int:
        """Distinct solutions of all problems together."""
        return sum(len(problem.solutions) for problem in self.problems.values())

    def _catch_up(self) -> None:
        if self.path.stat().st_size == self._num_bytes:
            return
        there = Archive.open(self.path)
        self.sources, self._prompts, self._findings = there.sources, there._prompts, there._findings
        self._classes, self._joined, self.defaults = there._classes, {}, there.defaults

    def _new_entries(self, source: Source, findings: Iterable[Finding]) -> Iterator[dict[str, Any]]:
        if source.id not in self.sources:
            yield {"source": source.id, **{k: v for k, v in asdict(source).items() if k != "id" and v is not None}}
        told = {*self._prompts}
        for finding in findings:
            if finding.problem not in told:
                told.add(finding.problem)
                yield {"problem": finding.problem, "prompt": finding.prompt}
            known = self._findings.get(finding.problem, {}).get(source.id)
            if choose_finding(known, finding) is not known:
                yield _to_json(source.id, finding)

    def _enter(self, entry: Mapping[str, Any]) -> None:
        if "drawn" in entry:
            source, problem = self.sources[entry["source"]].id, entry["problem"]
            finding = _from_json(entry, self._prompts[problem])
            self._findings[problem][source] = choose_finding(self._findings[problem].get(source), finding)
            self._joined.pop(problem, None)
        elif "defaults" in entry:
            self.defaults = {
                key: entry["defaults"][key] for key in ("per_problem", "weights") if key in entry["defaults"]
            }
        elif "classes" in entry:
            self._classes[entry["problem"]] = {str(key): str(name) for key, name in entry["classes"].items()}
        elif "prompt" in entry:
            self._prompts.setdefault(entry["problem"], entry["prompt"])
        else:
            known = {name: entry.get(name) for name in ("temperature", "step", "round")}
            self.sources.setdefault(entry["source"], Source(entry["source"], entry["model"], **known))


def check_rule(weights: str | None, bounds: Mapping[str, int | None]) -> None:
    """Raise ConfigError for weights of no such name, or a bound below 1; None says nothing."""
    if weights is not None and weights not in WEIGHTS:
        raise ConfigError(f"An archive has no weights {weights!r}.{suggest(str(weights), list(WEIGHTS))}")
    for name, bound in bounds.items():
        if bound is not None:
            check_count("archive", name, bound)


def _rows_of(problem: Problem, bounds: list[int], weights: str, seed: int) -> Iterator[ArchiveRow]:
    kept = sorted(problem.solutions, key=lambda solution: _lot(problem.id, solution.key, seed))
    kept = kept[: min([len(kept), *bounds])]
    for solution in kept:
        weight = WEIGHTS[weights](problem, solution, len(kept))
        yield ArchiveRow(problem.id, problem.prompt, solution.completion, solution.key, weight)


def _lot(problem: str, key: str, seed: int) -> bytes:
    return hashlib.sha256(json.dumps([seed, problem, key]).encode()).digest()


def _to_json(source: str, finding: Finding) -> dict[str, Any]:
    solutions = [{k: v for k, v in asdict(each).items() if v is not None} for each in finding.solutions]
    counts = {"drawn": finding.drawn, "correct": finding.correct}
    return {"source": source, "problem": finding.problem, **counts, "solutions": solutions}


def _from_json(entry: Mapping[str, Any], prompt: Prompt) -> Finding:
    solutions = tuple(Solution(**each) for each in entry["solutions"])
    finding = Finding(entry["problem"], prompt, entry["drawn"], entry["correct"], solutions)
    counts = [finding.drawn, finding.correct, *(each.count for each in solutions)]
    if not all(type(count) is int and count >= 0 for count in counts) or finding.correct > finding.drawn:
        raise ValueError("counts are whole numbers, 0 or more")
    if not all(isinstance(text, str) for each in solutions for text in (each.key, each.completion)):
        raise ValueError("keys and completions are texts")
    return finding


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"


def _read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}; name an archive of solutions.") from error
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            entry = json.loads(line, parse_constant=refuse_constant)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"Line {number} of {path} is no JSON; delete it.") from error
        if not isinstance(entry, dict):
            raise StoreError(f"Line {number} of {path} is no JSON object; delete it.")
        yield number, entry


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[LineFile]:
    """Hold an archive open for appending, and keep every other process from it."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(f"{path} is being written by another process; wait for it.") from error
    try:
        with LineFile(path) as file:
            yield file
    finally:
        lock.release()
