"""How long the policy waits for its critic."""

from __future__ import annotations

import json
from pathlib import Path

from rlkit.files import write_json

FILE = "rlkit_warmup.json"
"""Its name in a checkpoint."""


class Warmup:
    """Says whether the policy stands still while its critic learns; what it knows is saved with the run.

    VC-PPO (arXiv 2503.01491) and VAPO (2504.05118) fit the critic to Monte Carlo returns of the fixed policy first.
    """

    def __init__(self, steps: int = 0, until: float | None = None) -> None:
        """Wait for `steps` optimizer steps, or less where `until`, an explained variance, is reached before."""
        self._steps, self._until = steps, until
        self.is_over = steps == 0
        """Whether the policy has begun to learn; it never waits again."""

    def is_on(self, step: int) -> bool:
        """Return whether the policy waits in optimizer step `step`, counted from 0."""
        self.is_over = self.is_over or step >= self._steps
        return not self.is_over

    def observe(self, explained_variance: float) -> None:
        """Note how well the critic foretold a batch that it had not learnt from; NaN says nothing."""
        if self._until is not None and explained_variance >= self._until:
            self.is_over = True

    def save(self, directory: str | Path) -> None:
        """Write the file into a checkpoint directory."""
        write_json(Path(directory) / FILE, {"is_over": self.is_over})

    def load(self, directory: str | Path) -> None:
        """Read the file of a checkpoint, where it has one."""
        path = Path(directory) / FILE
        if path.is_file():
            self.is_over = bool(json.loads(path.read_text())["is_over"])
