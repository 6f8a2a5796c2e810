"""What a trainer is given as rewards, between the engine that runs functions and TRL, which runs models and adds up."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from rlkit.errors import ConfigError, suggest
from rlkit.rewards import check_roles, compose_rewards
from rlkit.rewards.monitors import resolve_monitor
from rlkit.trainers.scored import Rollouts, Scores, count_rates
from rlkit.trainers.scoring import RewardScorer


class Rewards:
    """All that a trainer is given as rewards: functions, which are scored here, and models, which TRL runs.

    Raises:
        ConfigError: the weights or roles do not fit the rewards.
        PluginError: a function cannot be run as it is asked to.
    """

    def __init__(self, sources: Sequence[Any], args: Any) -> None:
        """Take the rewards apart.

        Args:
            sources: functions, models or names of models.
            args: the trainer's configuration.
        """
        self._sources = list(sources)
        self._places = [place for place, source in enumerate(sources) if not isinstance(source, str | torch.nn.Module)]
        given = getattr(args, "reward_weights", None)
        if given is not None and len(given) != len(sources):
            raise ConfigError(f"{len(given)} reward_weights were given for {len(sources)} rewards; give one for each.")
        weights = [1.0] * len(sources) if given is None else given
        self.limits, held_out = resolve_monitor(getattr(args, "monitor", None))
        functions = [sources[place] for place in self._places]
        self.scorer = RewardScorer(
            functions if held_out is None else [*functions, held_out],
            [weights[place] for place in self._places] + [0.0] * (held_out is not None),
            getattr(args, "max_error_rate", 0.05),
            (args.process_index, args.world_size),
        )
        self._has_held_out = held_out is not None
        self._values_BK: list[list[float | None]] = []
        self._check_roles()

    @property
    def roles(self) -> list[str]:
        """The role of each reward, a model's being base."""
        roles = ["base"] * len(self._sources)
        # One more where a verifier is held out.
        for place, role in zip(self._places, self.scorer.roles, strict=False):
            roles[place] = role
        return roles

    @property
    def has_roles(self) -> bool:
        """Whether the total is more than a weighted sum."""
        return bool({*self.roles} - {"base"})

    def compose(self, rewards_PGK: torch.Tensor, weights_K: torch.Tensor) -> torch.Tensor:
        """Return the total of each completion, (P, G); NaN where it is not scored."""
        # Beyond what was given, TRL may have added rewards of environments.
        roles = [*self.roles, *["base"] * (len(weights_K) - len(self._sources))]
        return torch.as_tensor(compose_rewards(rewards_PGK.numpy(), weights_K.double().cpu().numpy(), roles))

    def held_out_B(self, scores: Scores) -> np.ndarray | None:
        """Return what the held-out verifier says of each row, NaN where it says nothing; None without one."""
        return scores.values_BK[:, -1] if self._has_held_out else None

    def failure_rates(self, scores: Scores, rewards_BK: torch.Tensor) -> list[float]:
        """Return the share of rows that each reward could not score, of all that TRL knows."""
        rates = rewards_BK.isnan().double().mean(dim=0).tolist()
        for place, outcomes_B in zip(self._places, scores.outcomes_KB, strict=False):
            rates[place] = sum(outcome.status != "ok" for outcome in outcomes_B) / max(len(outcomes_B), 1)
        return list(rates)

    def in_trls_form(self) -> list[Any]:
        """Return the rewards for TRL, functions as readers of what was scored before TRL asks."""
        sources = [*self._sources]
        for column, place in enumerate(self._places):
            sources[place] = self._reader(column)
        return sources

    @contextlib.contextmanager
    def scored(
        self, trainer: Any, inputs: list, prompts: list, completions: list, ids: list[list[int]], truncated: list[bool]
    ) -> Iterator[Scores]:
        """Score a batch, log what became of it, and hold this rank's scores ready for TRL; a collective.

        Raises:
            RewardError: a reward fails too often; on all ranks.
        """
        if not self.scorer.bound:
            yield Scores([], np.zeros((0, 0)))
            return
        keys = [key for key in inputs[0] if key not in ("prompt", "completion", "completion_ids")]
        columns = {key: [row[key] for row in inputs] for key in keys}
        columns |= {"completion_ids": ids, "trainer_state": trainer.state}
        columns |= {"log_extra": trainer._log_completion_extra, "log_metric": trainer._log_metric}
        if trainer.environments is not None:
            columns["environments"] = trainer.environments
        facts = {"completion_ids": ids, "lengths": [len(row) for row in ids], "truncated": truncated}
        facts["step"] = trainer.state.global_step
        if self.scorer.asks_for("mean_logps"):
            facts["mean_logps"] = trainer.logprobs.mean_of(trainer.prompt_ids, ids)
        rollouts = Rollouts(completions, prompts, columns, facts)
        scores, first = self.scorer.score(rollouts, trainer.num_generations_now)
        for name, value in (count_rates(self.scorer.names, scores) | scores.metrics).items():
            trainer.record(name, value)
        self.scorer.stop_if_failing()
        mine_BK = scores.values_BK[first : first + len(completions)]
        self._values_BK = [[None if math.isnan(value) else float(value) for value in row_K] for row_K in mine_BK]
        yield scores

    def _reader(self, column: int) -> Callable[..., list[float | None]]:
        def read(completions: list[Any], **_: Any) -> list[float | None]:
            return [row_K[column] for row_K in self._values_BK]

        read.__name__ = self.scorer.names[column]
        return read

    def _check_roles(self) -> None:
        roles = self.roles
        if roles:
            check_roles(roles)
        if "modifier" in roles and len(self._places) < len(self._sources):
            raise ConfigError(
                "A modifier is given what functions said before it, and a reward model is asked after them all; leave "
                "one of the two out."
            )


def find_verifier(named: int | str, names: Sequence[str]) -> int:
    """Return the index of the reward that says whether an answer is correct.

    Raises:
        ConfigError: it is none of the rewards.
    """
    if isinstance(named, int) and 0 <= named < len(names):
        return named
    if named in names:
        return names.index(str(named))
    raise ConfigError(
        f"correct_reward was given {named!r}, but the rewards of this run are {[*names]}.{suggest(str(named), names)}"
    )
