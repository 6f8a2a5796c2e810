"""What further commands add to a made-up evaluation: probe.json, and all that a comparison gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.report.combined import Report
from rlkit.report.load import Run

Cell = dict[str, Any]


def add_probe(directory: Path, entropy: float = 0.4) -> Path:
    """Write a probe.json into an evaluation directory."""
    (directory / "probe.json").write_text(json.dumps(probe_of(entropy)))
    return directory


def probe_of(entropy: float) -> dict[str, Any]:
    """Return a probe.json of a model with a mean token entropy."""
    factor = float(np.exp(entropy))
    positions = [1, 2, 3, 5, 8, 12, 20, 32]
    curve = [
        {"position": at, "value": factor + 1.5 / at, "local": factor, "num_prompts": 9, "num_sequences": 40}
        for at in positions
    ]
    divergence = {
        "per_token": cell(0.5 - entropy, 0.01),
        "per_sequence": cell(3.0, 0.4),
        "direction": "KL(model || base)",
    }
    return {
        "token_entropy": cell(entropy, 0.02),
        "branching_factor": {**cell(factor, 0.05), "asymptotic_limit": 50, "curve": curve},
        "top_k": {"k": 10, "mass": cell(0.999, 0.0004)},
        "kl_from_base": divergence,
        "kl_to_base": {**divergence, "per_token": cell(0.6 - entropy, 0.02)},
        "update": {"sparsity": {"0": 0.71, "1e-05": 0.93, "0.001": None}},
        "rank": None,
    }


def cell(value: float | None, half: float = 0.0, num: int = 60) -> Cell:
    """Return a cell with an interval around its value."""
    if value is None:
        return {"value": None, "low": None, "high": None, "num_defined": 0, "num_total": num}
    return {"value": value, "low": value - half, "high": value + half, "num_defined": num, "num_total": num}


def with_comparisons(report: Report) -> Report:
    """Return a report whose comparisons have every key that later ones have."""
    reference = report.runs[0]
    full = {
        (j, i): {**found, **(compared(reference, report.runs[j]) if i == 0 else {})}
        for (j, i), found in report.comparisons.items()
    }
    return replace(report, comparisons=full)


def compared(reference: Run, run: Run) -> dict[str, Any]:
    """Return crossing, support, decomposition, retained and verdict of a run against the reference."""
    support = support_of(reference.problems, run.problems)
    more = sum(p["num_correct"] for p in run.problems) > sum(p["num_correct"] for p in reference.problems)
    loss = {"total": cell(0.42, 0.1), "quality_control": cell(0.17, 0.08), "residual": cell(0.25, 0.1)}
    gain = {"total": cell(-0.05, 0.1), "quality_control": cell(0.06, 0.05), "residual": cell(-0.11, 0.08)}
    open_question = {
        "word": "not settled",
        "sentence": "It solves 1 more of 100 problems at the first try (36 against 35).",
        "questions": [question_of("pass@1", 0.01, 0.03)],
        "front": {"stands": "not compared", "says": ["It is open:"], "command": "rlkit eval --n 16", "points": []},
        "needed": {"quantity": "pass@1", "more_problems": 412, "says": "About 412 more problems would settle it."},
    }
    narrowed = {
        "word": "collapsed",
        "sentence": "It solves 17 more of 100 problems at the first try, but keeps 62 % of the solutions.",
        "questions": [question_of("pass@1", 0.17, 0.03), question_of("solution_coverage", -0.38, 0.06, True)],
        "front": {"stands": "not compared", "says": [], "command": "", "points": []},
        "needed": {},
    }
    crossing = {"k_star": 5.3, "low": 2.4, "high": None, "share_crossing": 0.97, "num_resamples": 2000}
    nowhere = {"k_star": None, "low": None, "high": None, "share_crossing": 0.02, "num_resamples": 2000}
    is_narrow = run.name == "grpo"
    return {
        "crossing": crossing if is_narrow else nowhere,
        "support": support,
        "decomposition": {
            "simpson": {
                **(loss if is_narrow else gain),
                "rho": cell(0.6, 0.07) if is_narrow else cell(None),
                "num_problems": 44,
            },
            "ead": {**loss, "rho": cell(0.59, 0.2), "num_problems": 44},
        },
        "retained": {
            "distinct_correct": cell(0.62 if is_narrow else 0.97, 0.09),
            "token_entropy": cell(0.41 if more else 0.9, 0.03),
            "all/simpson": cell(0.5, 0.06),
            "correct/simpson": cell(0.71, 0.12, 44) if is_narrow else cell(None),
        },
        "verdict": narrowed if is_narrow else open_question,
    }


def question_of(quantity: str, change: float, half: float, is_relative: bool = False) -> dict[str, Any]:
    """Return a row of what decided."""
    limits = {"change": change, "low": change - half, "high": change + half}
    ends = {"base": 0.35, "run": 0.52, "margin": 0.02, "answer": "better", "is_relative": is_relative}
    return {"name": "diversity" if is_relative else quantity, "quantity": quantity, **ends, **limits}


def support_of(reference: Sequence[dict[str, Any]], run: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the support table of two aligned lists of problems."""
    solved = {p["id"]: (p["num_correct"] > 0, q["num_correct"] > 0) for p, q in zip(reference, run, strict=True)}
    pairs = list(solved.values())
    both, lost, gained = (pairs.count(kind) for kind in ((True, True), (True, False), (False, True)))
    union = both + lost + gained
    lost_ids = [i for i, kind in solved.items() if kind == (True, False)]
    return {
        "both": both,
        "gained": gained,
        "lost": lost,
        "neither": pairs.count((False, False)),
        "srr": both / (both + lost) if both + lost else None,
        "ndr": gained / (both + gained) if both + gained else None,
        "sds": None,
        "nscr": (gained - lost) / union if union else None,
        "mcnemar_p": 0.0312,
        "gained_ids": [i for i, kind in solved.items() if kind == (False, True)],
        "lost_ids": lost_ids,
        "lost_at_threshold_ids": lost_ids[:1],
    }
