"""A training run's directory: who may write to it, what is in it, and where to go on.

    OUT/recipe.yaml       the recipe as it was resolved
    OUT/run.json          status (running, finished, interrupted, failed), step, versions, times
    OUT/train_log.jsonl   one JSON object a logged step
    OUT/checkpoint-N/     what training continues from
    OUT/model/            the trained model and its tokenizer (with LoRA merged; the adapter alone is in OUT/adapter/)
    OUT/eval/             evaluations of it, by convention

A status of `running` with nobody holding the lock means that the run was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlkit.errors import RlkitError, StoreError
from rlkit.recipe import Recipe, build_recipe, differences
from rlkit.recipe.yaml_text import format_yaml, parse_yaml

Status = Literal["running", "finished", "interrupted", "failed"]

_OURS = (
    "recipe.yaml",
    "run.json",
    ".lock",
    "train_log.jsonl",
    "model",
    "adapter",
    "completions",
    "eval",
    "checkpoint-*",
)
_LOCK = ".lock"


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
        return _read_json(self.path / "run.json")

    def inspect(self, recipe: Recipe, overwrite: bool = False) -> Claim:
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
        different = differences(recipe, self._read_recipe())
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

    def finished_step(self, recipe: Recipe) -> int | None:
        """Return the last step of the run if this very recipe is finished here, else None; raises no RlkitError."""
        try:
            claim = self.inspect(recipe)
        except RlkitError:
            return None
        return claim.step if claim.action == "nothing" else None

    def prepare(self, recipe: Recipe, claim: Claim, overwrite: bool = False) -> None:
        """Make the directory ready for `claim`: delete on overwrite, write the recipe, cut the log to the step."""
        if overwrite:
            self._delete_run()
        self.path.mkdir(parents=True, exist_ok=True)
        _write_text(self.path / "recipe.yaml", format_yaml(recipe.to_mapping()))
        self._cut_log(claim.step)

    def last_checkpoint(self) -> Path | None:
        """Return the checkpoint with the highest step; trainer_state.json comes last, so without it one is torn."""
        complete = [path for path in self.path.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
        return max(complete, key=_step_of, default=None)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for as long as the block runs; the lock dies with the process.

        Raises:
            StoreError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(
                    f"{self.path} is being written by another process; wait for it or choose another output."
                ) from error
            except OSError:
                # Some network file systems know no locks; going without beats not running there.
                pass
            yield

    def start_state(self, **values: Any) -> None:
        """Write run.json anew for a run that starts or goes on; only the seconds already spent are kept."""
        self._write_state({**values, "seconds": self.read_state().get("seconds", 0.0)})

    def write_state(self, **values: Any) -> None:
        """Merge `values` into run.json, in one step that a crash cannot tear."""
        self._write_state({**self.read_state(), **values})

    def _write_state(self, state: dict[str, Any]) -> None:
        _write_text(self.path / "run.json", json.dumps({**state, "updated_at": _now()}, indent=2) + "\n")

    def append_log(self, entry: Mapping[str, Any]) -> None:
        """Append one logged step; a number that is not finite is written as null."""
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({key: _finite(value) for key, value in entry.items()}) + "\n")

    def _cut_log(self, step: int) -> None:
        if not self.log_path.is_file():
            return
        lines = self.log_path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if (logged := _step_in(line)) is not None and logged <= step]
        _write_text(self.log_path, "".join(kept))

    def _holds_run(self) -> bool:
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is a file; the output of a run is a directory.")
        names = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        if "recipe.yaml" in names and names & {"run.json", _LOCK}:
            return True
        if names - {_LOCK}:
            raise StoreError(f"{self.path} holds files that are not a run of rlkit; choose an empty or new directory.")
        return False

    def _has_results(self, state: Mapping[str, Any]) -> bool:
        # A run that failed before its first step is nothing to protect, so a mended recipe may take its place.
        return bool(state.get("step")) or self.last_checkpoint() is not None or (self.path / "model").exists()

    def _read_recipe(self) -> Recipe:
        path = self.path / "recipe.yaml"
        return build_recipe(parse_yaml(path.read_text(encoding="utf-8"), str(path)))

    def _delete_run(self) -> None:
        if not self._holds_run():
            return
        for pattern in _OURS:
            for path in self.path.glob(pattern):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != _LOCK:
                    path.unlink()


def _step_of(checkpoint: Path) -> int:
    step = checkpoint.name.rpartition("-")[2]
    return int(step) if step.isdigit() else -1


def _step_in(line: str) -> int | None:
    # A line torn by a kill in the middle of a write is not JSON; the step it spoke of is logged again.
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path} is not valid JSON ({error}); mend it, or delete the run with --overwrite.") from error
    if not isinstance(state, dict):
        raise StoreError(f"{path} is not the state of a run; delete the run with --overwrite.")
    return state


def _write_text(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
