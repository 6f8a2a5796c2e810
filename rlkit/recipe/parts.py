"""The parts a recipe names, found and built: everything about a run that is known without loading TRL or a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError
from rlkit.models import locate_model
from rlkit.recipe.schema import Recipe


@dataclass(frozen=True)
class Parts:
    """What the trainer is given beside its settings."""

    model: str
    """What `from_pretrained` takes."""
    task: Any
    """The task object."""
    rewards: list[Any]
    """Reward functions, in the recipe's order or the task's own."""
    partition: Any
    """Spec of the partition, the recipe's or the task's own; None when nothing is compared."""


def resolve_parts(recipe: Recipe) -> Parts:
    """Find the model, build the task and its rewards, and prove that everything else that is named can be built.

    Raises:
        ConfigError: no such model, or neither the recipe nor the task names a reward.
        PluginError: a task, reward, partition, advantage, objective or embedding cannot be found or built.
    """
    from rlkit.advantages import resolve as resolve_advantage
    from rlkit.diversity import resolve_embedding, resolve_partition
    from rlkit.objective import resolve_objective
    from rlkit.rewards import bind_reward, resolve_reward
    from rlkit.rewards.monitors import resolve_monitor
    from rlkit.tasks import resolve_task

    model = locate_model(recipe.model)
    task = resolve_task(recipe.task)
    if recipe.advantage is not None:
        resolve_advantage(recipe.advantage)
    resolve_objective(recipe.objective)
    if recipe.answers is not None:
        resolve_partition(recipe.answers)
    if recipe.embedding is not None:
        resolve_embedding(recipe.embedding)
    partition = recipe.partition if recipe.partition is not None else getattr(task, "default_partition", None)
    if partition is not None:
        resolve_partition(partition)
    specs = recipe.rewards if recipe.rewards is not None else getattr(task, "default_rewards", None)
    if not specs:
        raise ConfigError(f"The recipe names no rewards, and the task {task.name!r} brings none; write rewards: [...].")
    rewards = [resolve_reward(spec) for spec in specs]
    for reward in rewards:
        bind_reward(reward)
    resolve_monitor(recipe.monitor)
    return Parts(model, task, rewards, partition)
