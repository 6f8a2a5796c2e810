"""Measure a base model on held-out problems and write what was measured into its model card."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path
from typing import Any

from base_model.recipe import BaseModelRecipe
from rlkit.evaluation import evaluate

NUM_SAMPLES = 128
CARD = "README.md"

_PASS_KS = (1, 4, 16, 64, 128)
_METRICS = {
    "solution_coverage": "share of the distinct solutions found",
    "distinct_correct": "distinct correct solutions",
    "token_entropy": "token entropy in nats",
}
_CARD = """# {name}

A tiny language model ({num_parameters:,} parameters, float32) that solves Countdown problems some of the time: the base
from which rlkit's demo, tests and benchmark start. It knows {num_numbers} numbers from 1 to {max_number}, all to
be used, targets {min_target} to {max_target}, and whole intermediate results up to {max_intermediate}; nothing else.

Prompt `2 3 5 8 ->24`, answer `3 + 5 [8] [8] * 2 [16] [16] + 8 [24]`: `8` is a given number, `[8]` the result announced
as `[8]`. It loads with transformers' `AutoModelForCausalLM` and `AutoTokenizer`, and in vLLM (`dtype="float32"`).

## Training

A plain Llama, {num_layers} layers of width {hidden_size}, learns to continue random walks: {num_steps:,} steps of
{batch_size}, seed {seed}, {percent_wrong:g} % of the walks under a wrong target. No set of numbers that occurs in the
validation or test split was seen. It took {minutes:.1f} minutes on {num_threads} CPU threads; the mean loss of the last
100 steps was {loss:.4f}. To do it again:

    {command}

## Quality

{num_problems} test problems, {num_samples} samples each at temperature 1, with 95 % intervals over problems:

| | value | 95 % interval |
|---|---|---|
{rows}

Share of the samples by label: {labels}."""


def measure_quality(model: Path, recipe: BaseModelRecipe) -> dict[str, Any]:
    """Return the evaluation report of the model in a directory, on the test split of its recipe's problems."""
    task = {"name": "countdown", **vars(recipe.problems)}
    with tempfile.TemporaryDirectory(dir=model) as folder:
        return evaluate(str(model), task, NUM_SAMPLES, Path(folder) / model.name, sampling={"max_tokens": 32})


def write_card(model: Path, recipe: BaseModelRecipe, report: dict[str, Any], facts: dict[str, Any]) -> str:
    """Write the model card.

    Args:
        model: the model's directory.
        recipe: how it was trained.
        report: how it was measured.
        facts: `num_parameters`, `minutes`, `num_threads`, `loss`, `command` of this training.

    Returns:
        The table of measured values, one line each.
    """
    cells = [(f"pass@{k}", report["pass_at_k"][str(k)]) for k in _PASS_KS]
    cells += [(label, report["metrics"][name]) for name, label in _METRICS.items()]
    rows = "\n".join(
        f"| {label} | {cell['value']:.3f} | {cell['low']:.3f} to {cell['high']:.3f} |" for label, cell in cells
    )
    labels = ", ".join(f"`{label}` {cell['value']:.3f}" for label, cell in report["labels"].items())
    sections = {**vars(recipe.problems), **vars(recipe.model), **vars(recipe.training), **facts}
    text = _CARD.format(
        name=model.name,
        percent_wrong=100 * recipe.training.wrong_target_share,
        num_problems=report["num_problems"],
        num_samples=report["n"],
        rows=rows,
        labels=labels,
        **sections,
    )
    (model / CARD).write_text("\n\n".join(map(_fill, text.split("\n\n"))) + "\n")
    return rows


def _fill(paragraph: str) -> str:
    """Break the lines of a paragraph again after values were put in; titles, tables and commands stay as they are."""
    return paragraph if paragraph.startswith(("#", "|", " ")) else textwrap.fill(paragraph.strip(), 120)
