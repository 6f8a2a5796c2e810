"""Distinct correct solutions of problems, with where each came from: what fine-tuning and the update can learn from.

    archive = Archive.create("runs/found.jsonl", task="countdown", partition="canonical_expression")
    archive.add(Source("base-t1", model="countdown-tiny", temperature=1.0), findings)
    rows = archive.rows(per_problem=8, weights="equal")

`store` reads and writes the file, `contents` is what it holds, `weights` says how much each solution counts.
"""

from rlkit.archive.contents import ArchiveRow, Finding, Problem, Solution, Source
from rlkit.archive.store import Archive
from rlkit.archive.weights import WEIGHTS

__all__ = ["WEIGHTS", "Archive", "ArchiveRow", "Finding", "Problem", "Solution", "Source"]
