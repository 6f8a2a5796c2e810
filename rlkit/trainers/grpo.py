"""GRPO with the advantage chain, the partition and whole-group rewards of a recipe.

What happens in one generation step, in order: TRL samples completions; `_calculate_rewards` scores them (values come
back gathered over ranks) and here also boils them down to partition features; then the chain turns the groups'
rewards into advantages, which replace TRL's in the batch. Everything else, the loss included, is TRL's.

Overridden methods of `trl.GRPOTrainer` 1.16, pinned by tests/trainers/test_contract.py: `__init__`,
`_calculate_rewards`, `_generate_and_score_completions`.
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate.utils import gather_object
from trl import GRPOTrainer

from rlkit.advantages import Chain, GroupContext
from rlkit.advantages import resolve as resolve_advantage
from rlkit.diversity import resolve_partition, summarise_groups
from rlkit.errors import ConfigError, suggest
from rlkit.trainers.config import DiverseGRPOConfig
from rlkit.trainers.gather import adapt_reward
from rlkit.types import completion_text


class DiverseGRPOTrainer(GRPOTrainer):
    """`trl.GRPOTrainer` whose advantages come from a chain of transforms.

    Takes TRL's arguments. `reward_funcs` may also hold functions marked by `@rlkit.reward` and `@rlkit.group_reward`;
    `args` is a `DiverseGRPOConfig` (a plain `GRPOConfig` trains exactly as TRL does).

    Raises:
        ConfigError: `correct_reward` names no reward of this run.
    """

    def __init__(self, model: Any, reward_funcs: Any = None, args: Any = None, **kwargs: Any) -> None:
        if args is None:
            args = DiverseGRPOConfig(output_dir="runs/diverse-grpo")
        functions = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs]
        world_size, rank = args.world_size, args.process_index
        adapted = [adapt_reward(f, self._count_generations, rank, world_size) for f in functions if f is not None]
        advantage, partition = getattr(args, "advantage", None), getattr(args, "partition", None)
        self.advantage_chain = None if advantage is None else resolve_advantage(advantage)
        self.partition = None if partition is None else resolve_partition(partition)
        self._groups: GroupContext | None = None
        super().__init__(model=model, reward_funcs=adapted or None, args=args, **kwargs)
        self._correct_index = self._find_correct_reward(getattr(args, "correct_reward", 0))

    def _count_generations(self) -> int:
        return self.num_generations if self.model.training else self.num_generations_eval

    def _find_correct_reward(self, named: int | str) -> int:
        names = self.reward_func_names
        if isinstance(named, int) and 0 <= named < len(names):
            return named
        if named in names:
            return names.index(named)
        raise ConfigError(
            f"correct_reward was given {named!r}, but the rewards of this run are {names}.{suggest(str(named), names)}"
        )

    def _calculate_rewards(
        self, inputs: list, prompts: list, completions: list, completion_ids_list: list
    ) -> torch.Tensor:
        rewards_BK = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        features_B = None
        if self.partition is not None:
            columns = {key: [row[key] for row in inputs] for key in inputs[0] if key != "prompt"}
            texts = [completion_text(completion) for completion in completions]
            features_B = gather_object(self.partition.features(texts, **columns))
        lengths_B = gather_object([len(ids) for ids in completion_ids_list])
        self._groups = self._describe_groups(rewards_BK, features_B, lengths_B)
        return rewards_BK

    def _describe_groups(self, rewards_BK: torch.Tensor, features_B: list | None, lengths_B: list[int]) -> GroupContext:
        """Reshape what is known of the whole batch to groups; the same on every rank."""
        G = self._count_generations()
        rewards_PGK = rewards_BK.detach().to(device="cpu", dtype=torch.float64).unflatten(0, (-1, G))
        verdicts_PG = rewards_PGK[:, :, self._correct_index]
        correct_PG = (verdicts_PG > getattr(self.args, "correct_above", 0.5)).double()
        labels_PG = None
        if features_B is not None and self.partition is not None:
            groups = [features_B[start : start + G] for start in range(0, len(features_B), G)]
            labels_PG = torch.stack([torch.as_tensor(self.partition.labels(features_G)) for features_G in groups])
        return GroupContext(
            rewards_PGK=rewards_PGK,
            correct_PG=correct_PG.masked_fill(verdicts_PG.isnan(), torch.nan),
            scored_PG=~rewards_PGK.isnan().all(dim=2),
            labels_PG=labels_PG,
            lengths_PG=torch.tensor(lengths_B).unflatten(0, (-1, G)),
            step=self.state.global_step,
        )

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        groups, self._groups = self._groups, None
        assert groups is not None, "TRL scores completions through _calculate_rewards"
        self._log_diversity(groups)
        if self.advantage_chain is not None:
            advantages_B = self._compute_advantages(self.advantage_chain, groups).to(output["advantages"].device)
            num_rows = len(output["advantages"])
            start = self.accelerator.process_index * num_rows
            output["advantages"] = advantages_B[start : start + num_rows]
            self._replace_logged_advantages(advantages_B.tolist())
        return output

    def _compute_advantages(self, chain: Chain, groups: GroupContext) -> torch.Tensor:
        """Return float32 advantages of shape (B,) in world order, zero where the chain gave no signal."""
        weights_K = self.reward_weights.to(device="cpu", dtype=torch.float64)
        values_PG = (groups.rewards_PGK * weights_K).nansum(dim=2).masked_fill(~groups.scored_PG, torch.nan)
        advantages_PG = chain(values_PG, groups)
        if advantages_PG.isinf().any():
            raise ConfigError(f"The advantage chain {chain} gave an infinite advantage; check the rewards.")
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["advantages/no_signal"].append((advantages_PG.isnan() | (advantages_PG == 0)).double().mean().item())
        metrics["advantages/mean"].append(advantages_PG.nanmean().item())
        return advantages_PG.nan_to_num(nan=0.0).flatten().float()

    def _replace_logged_advantages(self, advantages_B: list[float]) -> None:
        logged = self._logs["advantages"]
        for _ in advantages_B:
            logged.pop()
        logged.extend(advantages_B)

    def _log_diversity(self, groups: GroupContext) -> None:
        if groups.labels_PG is None:
            return
        arrays = (groups.labels_PG.numpy(), groups.correct_PG.numpy(), groups.scored_PG.numpy())
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, value in summarise_groups(*arrays).items():
            metrics[f"diversity/{name}"].append(value)
