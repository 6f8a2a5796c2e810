"""What was measured, for a terminal and as plain data."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost.methods import Method
from cost.training import FORWARDS, PARTS, Step

if TYPE_CHECKING:
    from rich.table import Table


def describe_machine() -> dict[str, Any]:
    """Return the processor, how many cores and threads are used, the load, and the versions that matter."""
    import torch
    import transformers
    import trl

    info = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {module.__name__: str(module.__version__) for module in (torch, transformers, trl)},
    }


def summarise_steps(steps: Sequence[Step]) -> dict[str, Any]:
    """Return medians over the steps of one method: seconds, milliseconds of each part, and shares in percent."""
    shares, forwards = [step.share for step in steps], [step.forward_share for step in steps]
    parts = {part: 1e3 * statistics.median(step.parts.get(part, 0.0) for step in steps) for part in (*PARTS, FORWARDS)}
    return {
        "num_steps": len(steps),
        "step_s": statistics.median(step.total for step in steps),
        "parts_ms": parts,
        "share": {"median": statistics.median(shares), "lowest": min(shares), "highest": max(shares)},
        "forward_share": {"median": statistics.median(forwards), "lowest": min(forwards), "highest": max(forwards)},
    }


def tabulate_methods(found: Mapping[str, Mapping[str, Any]], methods: Mapping[str, Method]) -> Table:
    """Return one row a method; `%` is the share of the step that is neither TRL's nor a forward of the policy."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("method", overflow="fold")
    for title in ("step s", *(f"{part}\nms" for part in PARTS), "% of\nstep", "range", "bound", "forwards\n% of step"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, row in found.items():
        share = row["share"]
        table.add_row(
            name,
            f"{row['step_s']:.2f}",
            *(f"{row['parts_ms'][part]:.1f}" for part in PARTS),
            f"{share['median']:.3f}",
            f"{share['lowest']:.3f}-{share['highest']:.3f}",
            f"{methods[name].bound:g}",
            f"{row['forward_share']['median']:.1f}",
        )
    return table


def tabulate_chains(found: Mapping[str, Mapping[str, float]]) -> Table:
    """Return one row a chain, in microseconds."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("chain")
    for title in ("median µs", "fastest", "slowest"):
        table.add_column(title, justify="right")
    for name, row in sorted(found.items(), key=lambda item: item[1]["median"]):
        table.add_row(name, *(f"{row[key]:,.0f}" for key in ("median", "fastest", "slowest")))
    return table
