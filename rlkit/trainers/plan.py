"""What a configuration asks for, resolved once: the chain, the readers it needs, the objective and its moving parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rlkit.advantages import Chain
from rlkit.advantages import resolve as resolve_advantage
from rlkit.diversity import resolve_embedding, resolve_partition
from rlkit.errors import ConfigError
from rlkit.objective import Anchor, Objective, resolve_coefficient, resolve_objective, resolve_reference
from rlkit.objective.coefficients import Constant
from rlkit.objective.references import AdapterOff, Ema, Reset
from rlkit.plugins import describe
from rlkit.trainers.facts import Readers

SUPPORTED = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo")
"""Values of `loss_type` that an objective can be combined with."""

_ANSWERS = frozenset({"answers_PG", "answer_counts_PG"})
_TRLS_CHAINS: dict[Any, Any] = {
    **dict.fromkeys(("group", True), "grpo"),
    **dict.fromkeys(("none", False), "dr_grpo"),
    "batch": ["subtract_group_mean", {"name": "divide_by_batch_std", "take": "rewards"}],
}
"""The chain that is TRL's own advantage, by `scale_rewards`."""
_EXAMPLES = {"partition": "partition: final_answer or another", "embedding": "embedding: hashed_ngrams or another"}
_KEYS = {"labels_PG": "partition", "equivalent_PGG": "partition", "embeddings_PGE": "embedding"}


@dataclass(frozen=True)
class Plan:
    """The plug-ins of one run.

    Raises:
        ConfigError: the chain needs what nothing provides, or keys contradict each other.
    """

    advantage: Chain | None
    readers: Readers
    objective: Objective
    correct_above: float = 0.5

    @classmethod
    def of(cls, args: Any, roles: Sequence[str] = ()) -> Plan:
        """Resolve the keys of a `DiverseGRPOConfig`; a plain `GRPOConfig` asks for nothing.

        Args:
            args: the configuration.
            roles: of the rewards; modifiers and penalties need a chain, and get TRL's own where none is named.
        """
        spec, partition, embedding = (getattr(args, key, None) for key in ("advantage", "partition", "embedding"))
        if {*roles} - {"base"}:
            spec = _chain_for_roles(spec, args)
        advantage = None if spec is None else resolve_advantage(spec)
        needs = frozenset() if advantage is None else advantage.needs
        answers = getattr(args, "answers", None) or ("final_answer" if needs & _ANSWERS else None)
        readers = Readers(
            partition=None if partition is None else resolve_partition(partition),
            answers=None if answers is None else resolve_partition(answers),
            embedding=None if embedding is None else resolve_embedding(embedding),
        )
        objective = _with_beta(resolve_objective(getattr(args, "objective", None)), args)
        plan = cls(advantage, readers, objective, getattr(args, "correct_above", 0.5))
        plan._check(args.loss_type, args.num_generations)
        return plan

    def describe(self) -> dict[str, Any]:
        """Return every plug-in with all of its parameters, defaults included, as plain data."""
        parts = {
            "advantage": None if self.advantage is None else self.advantage.transforms,
            "token_weights": self.objective.token_weights,
            "anchor": self.objective.anchor,
            "coefficient": self.coefficient,
            "reference": self.reference,
            "rehearsal": self.objective.rehearsal,
            **{key: getattr(self.readers, key) for key in ("partition", "answers", "embedding")},
        }
        return {key: describe(part) for key, part in parts.items() if part}

    @property
    def needs(self) -> frozenset[str]:
        """Fields of the context that the chain will ask for."""
        return frozenset() if self.advantage is None else self.advantage.needs

    @property
    def is_anchored_in_reward(self) -> bool:
        """Whether the anchor is taken off the rewards instead of being added to the loss."""
        return self.objective.anchor is not None and self.objective.anchor.where == "reward"

    @property
    def has_moving_anchor_in_loss(self) -> bool:
        """Whether an anchor is in the loss whose coefficient changes over the run."""
        anchor = self.objective.anchor
        return anchor is not None and anchor.where == "loss" and not isinstance(self.coefficient, Constant)

    @property
    def is_anchored_by_prompt(self) -> bool:
        """Whether the anchor holds mastered prompts only."""
        return self.objective.anchor is not None and self.objective.anchor.only == "mastered"

    @cached_property
    def reference(self) -> Any:
        """What the anchor ties the policy to; None without an anchor."""
        return None if self.objective.anchor is None else resolve_reference(self.objective.anchor.reference)

    @cached_property
    def coefficient(self) -> Any:
        """How the anchor's coefficient moves; None without an anchor."""
        return None if self.objective.anchor is None else resolve_coefficient(self.objective.anchor.coef)

    def check_adapter(self, has_adapter: bool) -> None:
        """Check that the anchor's reference fits the way the run trains.

        Raises:
            ConfigError: the reference needs an adapter that is not there, or a model of its own beside one.
        """
        if isinstance(self.reference, AdapterOff) and not has_adapter:
            raise ConfigError("The anchor's reference is adapter_off, but this run trains no adapter; write initial.")
        if isinstance(self.reference, Ema | Reset) and has_adapter:
            raise ConfigError(
                f"The anchor's reference is {self.reference}, which needs a model of its own, but with peft there is "
                "only the policy without its adapter; write adapter_off, or leave peft out."
            )

    def _check(self, loss_type: str, num_generations: int) -> None:
        if self.advantage is not None and num_generations < self.advantage.min_group_size:
            raise ConfigError(
                f"The advantage chain compares {self.advantage.min_group_size} completions of a prompt, but "
                f"train.num_generations is {num_generations}; raise it, or lower k."
            )
        if not self.objective.is_empty and loss_type not in SUPPORTED:
            raise ConfigError(
                f"An objective cannot be combined with loss_type {loss_type!r}; write one of {', '.join(SUPPORTED)}."
            )
        for field, key in _KEYS.items():
            if field in self.needs and getattr(self.readers, key) is None:
                raise ConfigError(
                    f"The advantage chain needs {field}, which comes from `{key}`; write {_EXAMPLES[key]}."
                )
        if self.is_anchored_in_reward and self.advantage is None:
            raise ConfigError("An anchor in the reward is taken off before the advantage chain; write advantage: grpo.")
        if self.is_anchored_in_reward and self.is_anchored_by_prompt:
            raise ConfigError("An anchor in the reward holds all prompts; write where: loss for only: mastered.")


def _chain_for_roles(spec: Any, args: Any) -> Any:
    """Return the chain of a run whose rewards do not simply add up, which is how TRL would take them."""
    if args.multi_objective_aggregation != "sum_then_normalize":
        raise ConfigError(
            f"train.multi_objective_aggregation is {args.multi_objective_aggregation}, which takes each reward by "
            "itself, but a modifier or penalty changes their sum; leave it out, or give these rewards the role base."
        )
    return _TRLS_CHAINS[args.scale_rewards] if spec is None else spec


def _with_beta(objective: Objective, args: Any) -> Objective:
    """Turn TRL's `beta` into the anchor it is, where the loss is ours."""
    is_ours = not objective.is_empty or (getattr(args, "fast_path", False) and args.loss_type in SUPPORTED)
    if not is_ours or not args.beta:
        return objective
    if objective.anchor is not None:
        raise ConfigError("Both train.beta and the objective's anchor tie the policy to a reference; keep one of them.")
    anchor = Anchor(estimator="k3", coef=args.beta, importance_corrected=args.use_bias_correction_kl)
    return objective.merge(Objective(anchor=anchor))
