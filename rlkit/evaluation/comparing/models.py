"""Models as they were evaluated: at one temperature, or at several that together are a front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.directory import (
    CONFIG,
    REPORT,
    EvaluationReport,
    find_evaluation,
    holds_evaluation,
    read_config,
    read_report,
)

USUAL_TEMPERATURE = 1.0
"""The temperature at which models of several are compared first, where they were sampled at it."""


@dataclass(frozen=True)
class Model:
    """One model's evaluations of the same problems, by falling temperature."""

    reports: tuple[EvaluationReport, ...]
    configs: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """What each config.json holds; empty where there is none."""
    folders: tuple[Path, ...] = ()
    """Where each evaluation lies; empty where they came from elsewhere."""
    directory: str = "DIR"
    first: float | None = None
    """The temperature that is compared first; None for the usual one."""

    @property
    def name(self) -> str:
        """What the model is called: the name of its evaluation, without the temperature where there are several."""
        names = [str(report["name"]) for report in self.reports]
        if len(names) == 1:
            return names[0]
        stems = {name.removesuffix(f" t{temperature_of(r):g}") for name, r in zip(names, self.reports, strict=True)}
        stem = stems.pop() if len(stems) == 1 else "eval"
        folder = Path(self.directory).resolve()
        return stem if stem != "eval" else folder.parent.name if folder.name == "eval" else folder.name

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Temperatures of the evaluations, falling."""
        return tuple(temperature_of(report) for report in self.reports)

    def main(self, wanted: float | None = None) -> EvaluationReport:
        """Return the evaluation compared first: at the wanted temperature, else its first, else 1, else the highest."""
        for temperature in (wanted, self.first, USUAL_TEMPERATURE):
            if temperature in self.temperatures:
                return self.reports[self.temperatures.index(temperature)]
        return self.reports[0]

    @property
    def main_temperature(self) -> float:
        """The temperature of the evaluation that is compared first."""
        return temperature_of(self.main())

    def folder(self, report: EvaluationReport) -> Path:
        """Return where an evaluation of this model lies."""
        return self.folders[next(at for at, each in enumerate(self.reports) if each is report)]

    @property
    def identity(self) -> str:
        """What tells models apart: the fingerprint of the weights, else what was given as the model."""
        config = (self.configs[0].get("config") or {}) if self.configs else {}
        return str(config.get("model_fingerprint") or self.reports[0]["model"])


def temperature_of(report: EvaluationReport) -> float:
    """Return the temperature an evaluation was sampled at; NaN where it is not on record."""
    value = report["sampling"].get("temperature")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def read_model(directory: str | Path) -> Model:
    """Return the model of an evaluation directory, of one per temperature (`DIR/t0.6`, ...), or of a run directory.

    Raises:
        StoreError: there is no evaluation, or it is damaged.
        ConfigError: two evaluations in it have one temperature, or are of different models.
    """
    folders = find_evaluations(Path(directory).expanduser())
    models = [_read_one(folder, str(directory)) for folder in folders]
    if len({model.identity for model in models}) > 1:
        raise ConfigError(f"{directory} holds evaluations of different models; name one of the folders in it.")
    return _join(models)


def find_evaluations(directory: Path) -> list[Path]:
    """Return the folder of each evaluation in a directory or its `eval`: itself, or one per temperature.

    Raises:
        StoreError: there is none.
    """
    if not holds_evaluation(directory):
        for folder in (directory, directory / "eval"):
            if several := sorted(path.parent for path in folder.glob(f"t[0-9]*/{REPORT}")):
                return several
    return [find_evaluation(directory)]


def gather_models(base: Model, runs: Sequence[Model]) -> tuple[Model, list[Model]]:
    """Join evaluations of one model at different temperatures into one; those of the base go to the base.

    Where every directory is of the base's model, its temperatures are what is compared, and nothing is joined.
    """
    if all(run.identity == base.identity for run in runs):
        return base, list(runs)
    groups: list[list[Model]] = [[base]]
    for run in runs:
        fitting = [group for group in groups if _fits(group, run)]
        if fitting:
            fitting[0].append(run)
        else:
            groups.append([run])
    joined, *others = (_join(group) for group in groups)
    return replace(joined, first=base.main_temperature), others


def _fits(group: Sequence[Model], model: Model) -> bool:
    taken = {temperature for each in group for temperature in each.temperatures}
    return model.identity == group[0].identity and not taken & {*model.temperatures}


def _join(models: Sequence[Model]) -> Model:
    if len(models) == 1:
        return models[0]
    parts = [part for model in models for part in zip(model.reports, model.configs, model.folders, strict=True)]
    parts.sort(key=lambda part: -temperature_of(part[0]))
    temperatures = [temperature_of(report) for report, _, _ in parts]
    if len(set(temperatures)) < len(temperatures):
        raise ConfigError(f"{models[0].directory} holds two evaluations at one temperature; keep one of them.")
    reports, configs, folders = (tuple(each) for each in zip(*parts, strict=True))
    return replace(models[0], reports=reports, configs=configs, folders=folders)


def _read_one(folder: Path, directory: str) -> Model:
    config = read_config(folder) if (folder / CONFIG).is_file() else {}
    return Model((read_report(folder),), (config,), (folder,), directory)
