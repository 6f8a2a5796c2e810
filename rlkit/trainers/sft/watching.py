"""Overfitting, watched: what rows of problems that are held back cost the model, beside rows that it learns.

Twenty times a run, the mean negative log-likelihood a token of some rows of each kind goes into the log, as
`held_out/nll` and `learnt/nll`. When held-out rows cost more than at their best by more than twice the standard error
of that difference (paired, over problems), at two looks in a row, while learnt rows cost less, one sentence says so:
among twenty looks one would rise by chance, and the first steps of an optimizer shake every row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rlkit.files import write_json
from rlkit.terminal import note
from rlkit.trainers.sft.encoding import EncodedRow, make_examples, problem_of

MOST_ROWS = 256
"""Of each kind."""
_LOOKS = 20
"""How often a run is looked at."""
_SURE = 2.0
"""Standard errors."""
_IN_A_ROW = 2
FILE = "held_out.json"


class OverfittingWatch(TrainerCallback):
    """Measures both kinds of rows now and then; a collective, with the same rows on every rank."""

    def __init__(self, learnt: Sequence[EncodedRow], held_out: Sequence[EncodedRow], seed: int) -> None:
        generator = np.random.default_rng(seed)
        kept = _choose(held_out, generator)
        self._examples = [*_list_examples(_choose(learnt, generator)), *_list_examples(kept)]
        self._num_held_out = len(kept)
        self._problems = [problem_of(row.row) for row in kept]
        self._best: tuple[int, list[float], float] | None = None
        """Step, held-out rows' nll, learnt rows' mean nll at the best look so far."""
        self._num_risen = 0
        """Looks in a row at which held-out rows cost surely more, and learnt ones less."""
        self._is_said = False
        self.trainer: Any = None
        """The trainer that is watched; set before training."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take the measure of the model that training starts from; in a continued run, recall what was measured."""
        if state.global_step:
            self._recall(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            return
        self.trainer.log(self._look(0))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look, if it is time."""
        every = max(1, state.max_steps // _LOOKS)
        if state.global_step % every and state.global_step < state.max_steps:
            return
        metrics = self.trainer._metrics["train"]
        for name, value in self._look(state.global_step).items():
            metrics[name].append(value)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Keep the best look beside the checkpoint."""
        if state.is_world_process_zero:
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
            write_json(path, {"best": self._best, "num_risen": self._num_risen, "is_said": self._is_said})

    def _recall(self, checkpoint: Path) -> None:
        path = checkpoint / FILE
        if path.is_file():
            kept = json.loads(path.read_text())
            self._best = kept["best"] and tuple(kept["best"])
            self._num_risen, self._is_said = kept["num_risen"], kept["is_said"]

    def _look(self, step: int) -> dict[str, float]:
        nlls = self.trainer.mean_nlls(self._examples).double().numpy()
        learnt, held_out = nlls[: -self._num_held_out], nlls[-self._num_held_out :]
        self._judge(step, held_out, float(learnt.mean()))
        return {"held_out/nll": float(held_out.mean()), "learnt/nll": float(learnt.mean())}

    def _judge(self, step: int, held_out: np.ndarray, learnt: float) -> None:
        if self._best is None or held_out.mean() <= np.mean(self._best[1]):
            self._best, self._num_risen = (step, held_out.tolist(), learnt), 0
            return
        when, best, learnt_then = self._best
        rise, error = _mean_over_problems(held_out - np.array(best), self._problems)
        self._num_risen = self._num_risen + 1 if rise > _SURE * error and learnt < learnt_then else 0
        if self._is_said or self._num_risen < _IN_A_ROW:
            return
        self._is_said = True
        note(
            f"Overfitting has begun by step {step}: rows of held-out problems cost {held_out.mean():.3f} nats a token, "
            f"{rise:.3f} (standard error {error:.3f}) more than at step {when}, while learnt rows went from "
            f"{learnt_then:.3f} to {learnt:.3f}; fewer epochs, or more problems, would do better."
        )


def _mean_over_problems(values: np.ndarray, problems: Sequence[str]) -> tuple[float, float]:
    """Return the mean of problems' means and its standard error, which is infinite for a single problem."""
    by_problem: dict[str, list[float]] = {}
    for problem, value in zip(problems, values, strict=True):
        by_problem.setdefault(problem, []).append(float(value))
    means = [float(np.mean(each)) for each in by_problem.values()]
    error = float(np.std(means, ddof=1)) / len(means) ** 0.5 if len(means) > 1 else float("inf")
    return float(np.mean(means)), error


def _choose(rows: Sequence[EncodedRow], generator: np.random.Generator) -> list[EncodedRow]:
    if len(rows) <= MOST_ROWS:
        return list(rows)
    return [rows[at] for at in sorted(generator.choice(len(rows), MOST_ROWS, replace=False))]


def _list_examples(rows: Sequence[EncodedRow]) -> list[dict[str, Any]]:
    columns = make_examples(rows)
    return [{name: values[at] for name, values in columns.items()} for at in range(len(rows))]
