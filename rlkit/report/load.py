"""Directories named on the command line -> runs that may be compared, or one sentence why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.comparing.models import USUAL_TEMPERATURE, Model, find_evaluations, temperature_of
from rlkit.evaluation.directory import CONFIG, find_evaluation, holds_evaluation, read_config, read_probe, read_report
from rlkit.report.cells import Cell, finite_or_none, read_cell
from rlkit.report.training import Training, read_training


@dataclass(frozen=True)
class Run:
    """One evaluated model: what `rlkit eval` wrote, and the training that led to it where there was one."""

    name: str
    directory: Path
    """The evaluation directory (report.json, config.json, samples.jsonl)."""
    report: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    training: Training | None = None
    probe: dict[str, Any] = field(default_factory=dict)
    """What `rlkit probe` wrote beside the samples; empty when it did not run."""
    others: tuple[Run, ...] = ()
    """The same model at other temperatures."""

    @property
    def temperature(self) -> float | None:
        """The temperature it was sampled at; None when it is not on record."""
        return finite_or_none((self.report.get("sampling") or {}).get("temperature"))

    @property
    def model(self) -> Model:
        """All of the model's evaluations, as comparisons take them."""
        of_model = sorted((self, *self.others), key=lambda run: -(run.temperature or 0.0))
        reports, configs = tuple(run.report for run in of_model), tuple(run.config for run in of_model)
        folders = tuple(run.directory for run in of_model)
        return Model(reports, configs, folders, str(self.directory), first=self.temperature)

    def cell(self, key: str) -> Cell | None:
        """Return `pass@K`, `maj@K`, `distinct@K`, `cover@TAU` or a metric by name; None when it was not computed."""
        family, at, k = key.rpartition("@")
        name = "cover_at_tau" if family == "cover" else f"{family}_at_k"
        table = self.report.get(name if at else "metrics") or {}
        return read_cell(table.get(k))

    @property
    def ks(self) -> list[int]:
        """Every k of pass@k that was computed, in order."""
        return self.computed_ks("pass")

    def computed_ks(self, family: str) -> list[int]:
        """Return every k at which `family` (`pass`, `maj` or `distinct`) was computed, in order."""
        return sorted(int(k) for k in self.report.get(f"{family}_at_k") or {})

    @property
    def taus(self) -> list[str]:
        """Every tau of cover@tau that was computed, as written, in order."""
        return sorted(self.report.get("cover_at_tau") or {}, key=float)

    @property
    def problems(self) -> list[dict[str, Any]]:
        """The per-problem counts."""
        return self.report.get("problems") or []


def load_runs(directories: Sequence[Path | str], progress: Callable[[int], None] = lambda done: None) -> list[Run]:
    """Read every directory and check that the evaluations may stand side by side; the first one is the reference.

    `progress` is called with how many were read.

    Raises:
        StoreError: a directory is missing, or holds no evaluation.
        ConfigError: one is named twice, or task, split or problems differ.
    """
    if not directories:
        raise ConfigError("No directory was given: name at least one evaluation or run directory.")
    several = [find_temperatures(Path(directory)) for directory in directories]
    folders: list[Path] = []
    wanted = USUAL_TEMPERATURE
    for each, directory in zip(several, directories, strict=True):
        folders.append(_choose_main(each, wanted) if each else find_evaluation(directory))
        if len(folders) == 1 and any(several):
            wanted = temperature_of(read_report(folders[0]))
    for i, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:i]]:
            raise ConfigError(f"{folder} was given twice: name each evaluation once.")
    reports = []
    for folder in folders:
        reports.append(read_report(folder))
        progress(len(reports))
    # Of several temperatures the name says which, and the run is all of them.
    ends = [f" t{temperature_of(report):g}" if each else "" for each, report in zip(several, reports, strict=True)]
    given = [str(report["name"]).removesuffix(end) for report, end in zip(reports, ends, strict=True)]
    names = _unique_names([f.parent if each else f for f, each in zip(folders, several, strict=True)], given)
    runs = [_load_model(*each) for each in zip(folders, reports, names, several, strict=True)]
    check_comparable([each for run in runs for each in (run, *run.others)])
    return runs


def find_temperatures(directory: Path) -> list[Path]:
    """Return the evaluations of a directory that holds one per temperature, or whose `eval` does; else none."""
    return [] if holds_evaluation(directory) else find_evaluations(directory)


def load_run(folder: Path, report: dict[str, Any], name: str) -> Run:
    """Put together what an evaluation directory holds, and the training log beside or above it."""
    config = read_config(folder) if (folder / CONFIG).is_file() else {}
    above = folder.resolve().parents
    training = next(filter(None, map(read_training, (folder, *above[:2]))), None)
    return Run(name, folder, report, config, training, read_probe(folder))


def _choose_main(folders: Sequence[Path], wanted: float) -> Path:
    """Return the evaluation at the reference's temperature, else at 1, else at the highest."""
    by_temperature = {temperature_of(read_report(folder)): folder for folder in folders}
    at = next((t for t in (wanted, USUAL_TEMPERATURE) if t in by_temperature), max(by_temperature))
    return by_temperature[at]


def _load_model(folder: Path, report: dict[str, Any], name: str, several: Sequence[Path]) -> Run:
    others = [load_run(other, read_report(other), name) for other in several if other != folder]
    others.sort(key=lambda other: other.temperature or 0.0)
    return replace(load_run(folder, report, name), others=tuple(others))


def check_comparable(runs: Sequence[Run]) -> None:
    """Raise ConfigError unless all runs answered the same problems of the same split of the same task."""
    reference = runs[0]
    for run in runs[1:]:
        for key in ("task", "split"):
            ours, theirs = reference.report.get(key), run.report.get(key)
            if ours != theirs:
                raise ConfigError(
                    f"{run.name} was evaluated on {key} {theirs!r}, {reference.name} on {ours!r}: "
                    f"a report compares evaluations of one {key}, so evaluate both on the same."
                )
        ours, theirs = ({problem["id"] for problem in r.problems} for r in (reference, run))
        if ours != theirs:
            raise ConfigError(
                f"{run.name} and {reference.name} answered different problems ({len(theirs - ours)} only in the one, "
                f"{len(ours - theirs)} in the other): evaluate both with the same --split, --limit and task version."
            )


def _unique_names(folders: Sequence[Path], given: Sequence[str]) -> list[str]:
    names = [_label(folder) if name in ("", "eval") else name for folder, name in zip(folders, given, strict=True)]
    repeated = {name for name in names if names.count(name) > 1}
    names = [_label(folder) if name in repeated else name for name, folder in zip(names, folders, strict=True)]
    return [str(f) if names.count(name) > 1 else name for name, f in zip(names, folders, strict=True)]


def _label(folder: Path) -> str:
    path = folder.resolve()
    return path.parent.name if path.name == "eval" else path.name
