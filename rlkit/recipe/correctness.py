"""Which reward of a run says whether an answer is correct."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlkit.errors import ConfigError, suggest
from rlkit.terminal import note

if TYPE_CHECKING:
    from rlkit.recipe.plan import Plan

_VERIFIERS = {
    *("accuracy_reward", "reasoning_accuracy_reward", "math_verify", "multiple_choice", "code_tests", "exact_match"),
    *("countdown", "reasoning_gym", "countdown_reward", "code_reward", "dataset_reward", "reasoning_gym_reward"),
}
"""Rewards of TRL and ours that say whether an answer is right, by name."""


def find_verifier(plan: Plan, names: Sequence[str]) -> int:
    """Return the index of the reward that says whether an answer is correct.

    Where nothing names it: the only base there is, else the only one that is the task's own or a verifier we know. With
    several and none known, the first, which is said; and refused where what is trained on hangs on it.

    Args:
        plan: of the run.
        names: of all its rewards.

    Raises:
        ConfigError: it is none of the rewards, or it has to be named.
    """
    named = plan.correct_reward
    if named is None:
        return _choose_verifier(plan, names)
    if isinstance(named, int) and 0 <= named < len(names):
        return named
    if named in names:
        return names.index(str(named))
    raise ConfigError(
        f"correct_reward was given {named!r}, but the rewards of this run are {[*names]}.{suggest(str(named), names)}"
    )


def _choose_verifier(plan: Plan, names: Sequence[str]) -> int:
    roles = [*plan.roles, *["base"] * (len(names) - len(plan.roles))]
    bases = [place for place, role in enumerate(roles) if role == "base"]
    own = {str(spec).rpartition(":")[2] for spec in getattr(plan.task, "default_rewards", None) or ()}
    known = [place for place in bases if names[place] in own | _VERIFIERS]
    if len(bases) == 1 or len(known) == 1:
        return (known if len(known) == 1 else bases)[0]
    objective = plan.objective
    asked_by = [
        *(["the advantage chain"] if "correct_PG" in plan.needs else []),
        *(["an anchor of mastered prompts"] if plan.is_anchored_by_prompt else []),
        *(["rehearsal"] if objective.rehearsal is not None else []),
        *(["an archive that grows"] if plan.archive is not None and plan.archive.grow else []),
    ]
    if asked_by:
        raise ConfigError(
            f"{asked_by[0].capitalize()} asks which answers are correct, and the rewards are {[*names]}; write "
            "correct_reward: the name of the one that says so."
        )
    note(f"The reward {names[bases[0]]} is taken to say what is correct; write correct_reward where another does.")
    return bases[0]
