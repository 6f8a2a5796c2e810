"""A training run's directory: who may write to it, what is in it, and where to go on.

    OUT/recipe.yaml       the recipe as it was resolved
    OUT/run.json          status (running, finished, interrupted, failed), step, versions, times
    OUT/train_log.jsonl   one JSON object a logged step
    OUT/checkpoint-N/     what training continues from
    OUT/model/            the trained model and its tokenizer (with LoRA merged; the adapter alone is in OUT/adapter/)
    OUT/eval/             evaluations of it, by convention

A run in rounds has OUT/rounds.json, OUT/base/ and OUT/round-N/ instead of log and checkpoints; a step is a round then.

A status of `running` with nobody holding the lock means that the run was killed.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlkit.errors import RlkitError, StoreError
from rlkit.files import LOCK, append_lines, as_store_error, is_ours, locked, read_json, write_json, write_text
from rlkit.recipe import RunRecipe, build_recipe, differences
from rlkit.recipe.yaml_text import format_yaml, parse_yaml

Status = Literal["running", "finished", "interrupted", "failed"]

_OURS = (
    "recipe.yaml",
    "run.json",
    LOCK,
    "train_log.jsonl",
    "model",
    "adapter",
    "completions",
    "eval",
    "checkpoint-*",
)
_OURS_BY_KIND = {"rounds": ("rounds.json", "report.*", "logs", "base", "model.part", "round-*")}
"""What --overwrite deletes besides, where the recipe there is of such a kind."""


@dataclass(frozen=True)
class Claim:
    """What is to be done with a run directory."""

    action: Literal["start", "continue", "nothing"]
    """`nothing`: the same recipe is finished there."""
    step: int = 0
    """The step that is already done."""
    checkpoint: str | None = None
    """The directory to continue from; None starts from the base model."""


class RunDirectory:
    """The files of one training run; only rank 0 of a run writes through it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()

    @property
    def log_path(self) -> Path:
        """The training log, one JSON object a line."""
        return self.path / "train_log.jsonl"

    def read_state(self) -> dict[str, Any]:
        """Return run.json, or an empty mapping when there is none; raises StoreError when it is not readable."""
        path = self.path / "run.json"
        return read_json(path) if path.is_file() else {}

    def read_log(self) -> list[dict[str, Any]]:
        """Return train_log.jsonl, a mapping a logged step; lines without a step (a torn one) are left out."""
        if not self.log_path.is_file():
            return []
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [entry for line in lines if (entry := _read_entry(line)) is not None]

    def inspect(self, recipe: RunRecipe, overwrite: bool = False) -> Claim:
        """Say what training `recipe` here would do, without changing anything.

        Raises:
            StoreError: the directory is somebody else's, holds another recipe's run, or `overwrite` meets files that
                are not a run's.
        """
        if not self._holds_run():
            return Claim("start")
        if overwrite:
            return Claim("start")
        state = self.read_state()
        if not self._has_results(state):
            return Claim("start")
        different = differences(recipe, self.read_recipe())
        if different:
            more = f" (and {len(different) - 3} more)" if len(different) > 3 else ""
            raise StoreError(
                f"{self.path} holds another run: {', '.join(different[:3])}{more}; choose another output, or give "
                "--overwrite to delete that run."
            )
        if state.get("status") == "finished":
            return Claim("nothing", state.get("step", 0))
        checkpoint = self.last_checkpoint()
        if checkpoint is None:
            return Claim("continue")
        return Claim("continue", _step_of(checkpoint), str(checkpoint))

    def finished_step(self, recipe: RunRecipe) -> int | None:
        """Return the last step of the run if this very recipe is finished here, else None; raises no RlkitError."""
        try:
            claim = self.inspect(recipe)
        except RlkitError:
            return None
        return claim.step if claim.action == "nothing" else None

    def prepare(self, recipe: RunRecipe, claim: Claim, overwrite: bool = False) -> None:
        """Make the directory ready for `claim`: delete on overwrite, write the recipe, cut the log to the step."""
        if overwrite:
            self._delete_run()
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / "recipe.yaml", format_yaml(recipe.to_mapping()))
        self._cut_log(claim.step)

    def checkpoints(self) -> list[Path]:
        """Return the complete checkpoints by step; trainer_state.json comes last, so without it one is torn."""
        complete = [path for path in self.path.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
        return sorted(complete, key=_step_of)

    def last_checkpoint(self) -> Path | None:
        """Return the complete checkpoint with the highest step."""
        return next(reversed(self.checkpoints()), None)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for as long as the block runs; the lock dies with the process.

        Raises:
            StoreError: another process holds it.
        """
        with as_store_error(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            yield

    def start_state(self, **values: Any) -> None:
        """Write run.json anew for a run that starts or goes on; only the seconds already spent are kept."""
        self._write_state({**values, "seconds": self.read_state().get("seconds", 0.0)})

    def write_state(self, **values: Any) -> None:
        """Merge `values` into run.json, in one step that a crash cannot tear."""
        self._write_state({**self.read_state(), **values})

    def _write_state(self, state: dict[str, Any]) -> None:
        write_json(self.path / "run.json", {**state, "updated_at": _now()}, indent=2)

    def append_log(self, entry: Mapping[str, Any]) -> None:
        """Append one logged step; a number that is not finite is written as null."""
        append_lines(self.log_path, [_format_entry(entry)])

    def _cut_log(self, step: int) -> None:
        if self.log_path.is_file():
            kept = [entry for entry in self.read_log() if entry["step"] <= step]
            write_text(self.log_path, "".join(map(_format_entry, kept)))

    def _holds_run(self) -> bool:
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is a file; the output of a run is a directory.")
        names = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        if "recipe.yaml" in names and names & {"run.json", LOCK}:
            return True
        if any(not is_ours(name) for name in names):
            raise StoreError(f"{self.path} holds files that are not a run of rlkit; choose an empty or new directory.")
        return False

    def _has_results(self, state: Mapping[str, Any]) -> bool:
        # A run that failed before its first step is nothing to protect, so a mended recipe may take its place.
        is_begun = any((self.path / name).exists() for name in ("model", "base"))
        return bool(state.get("step")) or self.last_checkpoint() is not None or is_begun

    def read_recipe(self) -> RunRecipe:
        """Return the recipe of the run that is here; raises StoreError where there is none."""
        path = self.path / "recipe.yaml"
        if not path.is_file():
            raise StoreError(f"{self.path} is no run: recipe.yaml is missing; name what rlkit train wrote.")
        recipe: RunRecipe = build_recipe(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
        return recipe

    def _kind_there(self) -> str:
        try:
            return self.read_recipe().kind
        except (RlkitError, OSError, ValueError):
            # Of a recipe that cannot be read nothing is known, so only what every run has is deleted.
            return ""

    def _delete_run(self) -> None:
        if not self._holds_run():
            return
        for pattern in (*_OURS, *_OURS_BY_KIND.get(self._kind_there(), ())):
            for path in self.path.glob(pattern):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()


def _step_of(checkpoint: Path) -> int:
    step = checkpoint.name.rpartition("-")[2]
    return int(step) if step.isdigit() else -1


def _read_entry(line: str) -> dict[str, Any] | None:
    # A line torn by a kill in the middle of a write is not JSON; the step it spoke of is logged again.
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = entry.get("step") if isinstance(entry, dict) else None
    return entry if isinstance(step, int) and not isinstance(step, bool) else None


def _format_entry(entry: Mapping[str, Any]) -> str:
    return json.dumps({key: _finite(value) for key, value in entry.items()}) + "\n"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
