"""Two evaluations lined up problem by problem, and what beside the model differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.errors import ConfigError
from rlkit.evaluation.directory import EvaluationReport
from rlkit.evaluation.metrics.cells import Problem

_SETTINGS = ("task", "split", "engine", "n")
_OF_A_GRADER = ("verifier", "thinking_tag", "partition")


@dataclass(frozen=True)
class Pairing:
    """The problems that two evaluations share, in the order of the first."""

    report_base: EvaluationReport
    report_run: EvaluationReport
    base: list[Problem]
    run: list[Problem]

    @property
    def n(self) -> int:
        """The smaller number of samples, at which both are compared."""
        return int(min(self.report_base["n"], self.report_run["n"]))

    @property
    def has_same_n(self) -> bool:
        """Whether both drew equally many samples, so that what grows with their number can be compared."""
        return bool(self.report_base["n"] == self.report_run["n"])

    @property
    def ids(self) -> list[str]:
        """Problem ids in order."""
        return [problem["id"] for problem in self.base]

    def counts(self) -> tuple[NDArray[np.int64], ...]:
        """Return n and c of the base, then n and c of the run, each of shape (M,)."""
        columns = [(side, key) for side in (self.base, self.run) for key in ("num_samples", "num_correct")]
        return tuple(np.array([problem[key] for problem in side], dtype=np.int64) for side, key in columns)


def pair_reports(report_base: EvaluationReport, report_run: EvaluationReport) -> Pairing:
    """Line two evaluations up by problem id.

    Raises:
        ConfigError: they share no problem, or a problem has another prompt.
    """
    others = {problem["id"]: problem for problem in report_run["problems"]}
    base = [problem for problem in report_base["problems"] if problem["id"] in others]
    run = [others[problem["id"]] for problem in base]
    names = f"{report_base['name']!r} and {report_run['name']!r}"
    if not base:
        raise ConfigError(f"{names} share no problem; compare evaluations of one task and split.")
    changed = [a["id"] for a, b in zip(base, run, strict=True) if a["prompt"] != b["prompt"]]
    if changed:
        raise ConfigError(f"{names} have different prompts for {changed[0]!r}; evaluate both on one version of it.")
    return Pairing(report_base, report_run, base, run)


def differing_settings(pairing: Pairing) -> list[str]:
    """Return which settings beside the model differ, one sentence each; with one of them it is systems that compare."""
    a, b = pairing.report_base, pairing.report_run
    notes = [_note(key, a.get(key), b.get(key)) for key in _SETTINGS if a.get(key) != b.get(key)]
    sampling_a: Mapping[str, Any] = a["sampling"]
    sampling_b: Mapping[str, Any] = b["sampling"]
    keys = sorted((sampling_a.keys() | sampling_b.keys()) - {"seed"})
    notes += [_note(key, *values) for key, values in _differing_graders(a, b).items()]
    return notes + [
        _note(key, sampling_a.get(key), sampling_b.get(key))
        for key in keys
        if sampling_a.get(key) != sampling_b.get(key)
    ]


def has_same_classes(pairing: Pairing) -> bool:
    """Return whether one partition told the solutions of both apart; where a report does not say, it is trusted."""
    return "partition" not in _differing_graders(pairing.report_base, pairing.report_run)


def unpaired_note(pairing: Pairing) -> list[str]:
    """Return a sentence where one of the two has problems that the other lacks."""
    most = max(len(pairing.report_base["problems"]), len(pairing.report_run["problems"]))
    return [f"Only the {len(pairing.base)} problems that both have are compared."] if most > len(pairing.base) else []


def _differing_graders(a: EvaluationReport, b: EvaluationReport) -> dict[str, tuple[object, object]]:
    # Reports of imported logs, and those written before graders were recorded, name none.
    of_a, of_b = a.get("grader"), b.get("grader")
    if not (isinstance(of_a, Mapping) and isinstance(of_b, Mapping)):
        return {}
    values = {key: (of_a.get(key), of_b.get(key)) for key in _OF_A_GRADER}
    return {key: pair for key, pair in values.items() if pair[0] != pair[1]}


def _note(key: str, value_a: object, value_b: object) -> str:
    return f"{key} differs: {value_a!r} and {value_b!r}."
