"""The model card of a base model: what its run and its evaluation on held-out problems measured."""

from __future__ import annotations

import textwrap
from pathlib import Path

from base_model.recipe import BaseModelRecipe
from rlkit.evaluation.directory import find_evaluation
from rlkit.files import read_json
from rlkit.runs import RunDirectory

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

A plain Llama, {num_layers} layers of width {hidden_size}, learns to continue {num_rows:,} random walks, each once in
{num_steps:,} steps, seed {seed}, {percent_wrong:g} % of the walks under a wrong target. No set of numbers that is in
the validation or test split was seen. It took {minutes:.1f} minutes; the mean loss of the last 100 steps was
{loss:.4f}. To do it again:

    python scripts/write_base_corpus.py {recipe} --output DIR

and `rlkit sft` on the recipe beside it.

## Quality

{num_problems} test problems, {num_samples} samples each at temperature 1, with 95 % intervals over problems:

| | value | 95 % interval |
|---|---|---|
{rows}

Share of the samples by label: {labels}."""


def write_card(recipe: BaseModelRecipe, place: Path, run: Path) -> str:
    """Write the model card.

    Args:
        recipe: what the model was made from.
        place: the recipe's file.
        run: the finished run, with its evaluation.

    Returns:
        The table of measured values, one line each.

    Raises:
        StoreError: the run holds no evaluation, or one that cannot be read.
    """
    report, directory = read_json(find_evaluation(run) / "report.json"), RunDirectory(run)
    state, losses = directory.read_state(), [entry["loss"] for entry in directory.read_log() if "loss" in entry]
    cells = [(f"pass@{k}", report["pass_at_k"][str(k)]) for k in _PASS_KS if str(k) in report["pass_at_k"]]
    cells += [(label, report["metrics"][name]) for name, label in _METRICS.items()]
    rows = "\n".join(
        f"| {label} | {cell['value']:.3f} | {cell['low']:.3f} to {cell['high']:.3f} |" for label, cell in cells
    )
    labels = ", ".join(f"`{label}` {cell['value']:.3f}" for label, cell in report["labels"].items())
    text = _CARD.format(
        name=place.stem,
        num_parameters=_count_parameters(run / "model"),
        num_steps=state["step"],
        minutes=state["seconds"] / 60,
        loss=sum(losses[-100:]) / len(losses[-100:]),
        recipe=place,
        percent_wrong=100 * recipe.corpus.wrong_target_share,
        num_problems=report["num_problems"],
        num_samples=report["n"],
        rows=rows,
        labels=labels,
        **{**vars(recipe.problems), **vars(recipe.model), **vars(recipe.corpus)},
    )
    (run / "model" / CARD).write_text("\n\n".join(map(_fill, text.split("\n\n"))) + "\n")
    return rows


def _count_parameters(model: Path) -> int:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model).num_parameters()


def _fill(paragraph: str) -> str:
    """Break the lines of a paragraph again after values were put in; titles, tables and commands stay as they are."""
    return paragraph if paragraph.startswith(("#", "|", " ")) else textwrap.fill(paragraph.strip(), 120)
