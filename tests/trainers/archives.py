"""Solutions for the tiny model, and trainers that learn from them."""

from __future__ import annotations

from rlkit.archive import Archive, ArchiveRow, Finding, Solution, Source
from tests.trainers.test_grpo import build_trainer

SOLUTIONS = [
    ArchiveRow("p0", "0 0 0 3", "4 + 4", "a"),
    ArchiveRow("p0", "0 0 0 3", "4 4 4 + 4", "b"),
    ArchiveRow("p1", "1 5 7 3", "7 * 2", "a", weight=2.0),
    ArchiveRow("p1", "1 5 7 3", "2 * 7 + 1", "b", weight=0.5),
    ArchiveRow("p2", "2 10 1 3", "9", "a"),
]


def write_archive(path, task="countdown", partition="canonical_expression", problems=None):
    """Write an archive of those solutions, or of other problems' by id, and return its path."""
    rows = problems or SOLUTIONS
    found = {row.problem: [one for one in rows if one.problem == row.problem] for row in rows}
    findings = [
        Finding(id, rows[0].prompt, 8, len(rows), tuple(Solution(row.key, row.completion, 1) for row in rows))
        for id, rows in found.items()
    ]
    Archive.create(path, task=task, partition=partition).add(Source("base", "tiny", 1.0), findings)
    return str(path)


def has_a_four(completions, **_):
    """A verifier that about half of the tiny model's completions pass."""
    return [float("4" in text.split() or "+" in text.split()) for text in completions]


def build(tmp_path, archive, reward=has_a_four, given=None, **changes):
    """Return a trainer with an archive beside GRPO."""
    settings = {"advantage": "grpo", "partition": "normalised_text", "learning_rate": 0.01}
    settings |= {"lr_scheduler_type": "constant", "archive": archive}
    return build_trainer(tmp_path, reward, given, **settings | changes)
