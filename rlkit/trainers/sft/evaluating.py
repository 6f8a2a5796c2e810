"""The evaluation at the end of a run: `rlkit eval` on OUT/model into OUT/eval, in a process of its own.

A process of its own has the accelerator to itself and knows nothing of the launcher. It can be broken off and goes on
when the same run is asked for again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError, EngineError, suggest
from rlkit.terminal import is_first_process, note

if TYPE_CHECKING:
    from rlkit.recipe.sft import SftRecipe

_OPTIONS = ("task", "n", "split", "limit", "temperature", "max_tokens", "engine", "top_p", "top_k", "min_p", "seed")
_LAUNCHERS = ("ACCELERATE_", "TORCHELASTIC_", "FSDP_", "PMI_", "OMPI_", "MASTER_", "GROUP_", "ROLE_")
_RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


def plan_evaluation_of(recipe: SftRecipe) -> list[str] | None:
    """Return the words of the recipe's `rlkit eval`, checked as far as they can be without the model; None for none.

    Raises:
        ConfigError: an option that does not exist or is not allowed.
        PluginError: no such task.
    """
    asked = recipe.evaluate
    if asked is None:
        return None
    for key in asked:
        if key not in _OPTIONS:
            raise ConfigError(f"evaluate has no setting {key!r}.{suggest(str(key), _OPTIONS)}")
    for key in ("task", "n"):
        if asked.get(key) is None:
            raise ConfigError(f"evaluate names no {key}; write evaluate: {{task: countdown, n: 64}}.")
    _check(asked)
    return evaluation_words(recipe)


def _check(asked: Mapping[str, Any]) -> None:
    from rlkit.evaluation.request import EvaluationRequest
    from rlkit.tasks import resolve_task

    resolve_task(asked["task"])
    sampling = {key: asked[key] for key in ("max_tokens", "top_p", "top_k", "min_p", "seed") if key in asked}
    for temperature in _temperatures(asked):
        more = {key: asked[key] for key in ("split", "limit", "engine") if asked.get(key) is not None}
        EvaluationRequest(
            "model", asked["task"], asked["n"], "eval", sampling={**sampling, "temperature": temperature}, **more
        )


def _temperatures(asked: Mapping[str, Any]) -> list[Any]:
    given = asked.get("temperature", 1.0)
    return given if isinstance(given, list) else [given]


def evaluation_words(recipe: SftRecipe) -> list[str]:
    """Return the words after `rlkit` of the evaluation that a recipe asks for."""
    asked = dict(recipe.evaluate or {})
    output = Path(recipe.output).expanduser()
    words = ["eval", "--model", str(output / "model"), "--output", str(output / "eval")]
    asked["temperature"] = ",".join(f"{each:g}" for each in _temperatures(asked))
    for key, value in asked.items():
        if value is None:
            continue
        if isinstance(value, dict):
            value = json.dumps(value)
        words += [f"--{key.replace('_', '-')}", str(value)]
    return words


def evaluate_at_the_end(recipe: SftRecipe) -> None:
    """Evaluate a finished run where its recipe says so; on rank 0, after the process group is down.

    Raises:
        EngineError: the evaluation failed; the model is there.
        KeyboardInterrupt: it was broken off; the same command goes on with it.
    """
    words = plan_evaluation_of(recipe)
    if words is None or not is_first_process():
        return
    note(f"Evaluating {recipe.output}/model: rlkit {' '.join(words)}")
    environment = {
        name: value for name, value in os.environ.items() if name not in _RANKS and not name.startswith(_LAUNCHERS)
    }
    code = subprocess.run([sys.executable, "-m", "rlkit", *words], env=environment, check=False).returncode
    if code == 130:
        raise KeyboardInterrupt(f"interrupted: {recipe.output}/model is whole; the same command goes on evaluating it.")
    if code:
        raise EngineError(f"{recipe.output}/model is whole, but its evaluation failed; see above, and run it again.")
