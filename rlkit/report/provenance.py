"""The foot of the page: how the numbers were computed, from what, and the commands that make them again."""

from __future__ import annotations

import json
import shlex
from typing import Any

import rlkit
from rlkit.evaluation.commands import repeat_command
from rlkit.evaluation.comparing.comparison import Choices
from rlkit.evaluation.comparing.margins import MARGINS
from rlkit.report.combined import Report
from rlkit.report.frame import run_class, swatch
from rlkit.report.load import Run
from rlkit.report.markup import Markup, join, tag

_METHODS = {
    "Estimator": (
        "pass@k is the unbiased estimate 1 − C(n−c, k) / C(n, k) from n samples, c of them correct (Chen et al., "
        "2021), averaged over problems; a problem with fewer than k samples is undefined at k, counted, and left out."
    ),
    "Intervals": (
        "95 %, over problems: what another set of problems of this kind would have given. Differences are paired: "
        "each problem's difference first, then the interval of their mean, each for itself. The arrows beside them are "
        "corrected for the number of columns and runs (Holm)."
    ),
    "Distinct solutions": (
        "Correct samples are grouped by the task's canonical key of a solution; coverage divides by the number of "
        "solutions a problem has. Both grow with the number of samples."
    ),
    "Verdicts": (
        "Against the reference, the word of `rlkit compare`: the first of its rules that holds. Changes count by "
        "margins, intervals of what decided hold for all runs at once, and several "
        "temperatures of the reference are its front."
    ),
}


def provenance_section(report: Report) -> Markup:
    """Return methods, configurations and commands."""
    terms = {column.title: column.note for column in report.columns} | _METHODS
    methods = [join([tag("dt", term), tag("dd", text)]) for term, text in terms.items()]
    return tag(
        "footer",
        tag("h2", "How this was computed", id="provenance"),
        tag("dl", methods),
        tag("h3", "Evaluations"),
        tag("div", _configurations(report), class_="scroll framed", tabindex="0"),
        tag(
            "details",
            tag("summary", "Commands to do it again"),
            tag("pre", "\n".join(commands(report)), class_="commands", tabindex="0"),
        ),
        [_recipe(run) for run in report.runs],
        tag("p", f"rlkit {rlkit.__version__}", class_="caption"),
    )


def commands(report: Report) -> list[str]:
    """Return the shell commands that train and evaluate every run again and write this report."""
    folders = [str(run.directory) for run in report.runs]
    trainings = [run.training.command for run in report.runs if run.training and run.training.command]
    lines = [shlex.join(["rlkit", *words]) for words in trainings]
    lines += [evaluation_command(run) for run in report.runs]
    return [*lines, shlex.join(["rlkit", "report", *folders, *_chosen(report.choices), "--output", "report.html"])]


def _chosen(choices: Choices) -> list[str]:
    """Return the options of what was chosen of the verdicts."""
    changed = [f"{name}={size:g}" for name, size in choices.margins.items() if size != MARGINS[name]]
    given = {"--margin": ",".join(changed), "--k": choices.k, "--diversity": choices.diversity}
    return [word for option, value in given.items() if value for word in (option, str(value))]


def evaluation_command(run: Run) -> str:
    """Return the `rlkit eval` command for one run, from what its report and configuration record."""
    return repeat_command(run.report, run.config, run.directory)


def _configurations(report: Report) -> Markup:
    titles = ("Run", "Model", "Samples", "Problems", "Engine", "Sampling", "Training", "Configuration hash")
    rows = []
    for i, run in enumerate(report.runs):
        record = run.report
        values = [record.get("model"), record.get("n"), record.get("num_problems"), record.get("engine")]
        values += [_settings(record.get("sampling")), _training(run), record.get("config_hash")]
        cells = [tag("td", "–" if value is None else str(value)) for value in values]
        rows.append(tag("tr", tag("th", swatch(i), " ", run.name, scope="row"), cells, class_=run_class(i)))
    head = tag("thead", tag("tr", (tag("th", title, scope="col") for title in titles)))
    return tag("table", head, tag("tbody", rows), class_="configurations")


def _settings(sampling: Any) -> str | None:
    if not isinstance(sampling, dict):
        return None
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in sampling.items()
        if value != []
    )


def _training(run: Run) -> str | None:
    if run.training is None or not run.training.steps:
        return None
    status = f", {run.training.status}" if run.training.status else ""
    return f"{run.training.steps[-1]:g} steps{status}"


def _recipe(run: Run) -> Markup | None:
    path = run.training.directory / "recipe.yaml" if run.training else None
    if path is None or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    return tag("details", tag("summary", f"Recipe of {run.name}"), tag("pre", text, tabindex="0"))
