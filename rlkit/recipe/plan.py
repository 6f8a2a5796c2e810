"""What a run is made of, found and built once, from a recipe or from a trainer's configuration, and then handed on.

    plan = Plan.from_recipe(recipe).fit(settings)          # rlkit train, rlkit recipes validate
    plan = Plan.from_config(config, reward_funcs)          # DiverseGRPOTrainer without a plan

Building needs no TRL and no model, so that a misspelt name is told within a second; `fit` then brings the parts
together with the trainer's settings, which say what they must go with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from rlkit.advantages import Chain, check_roles
from rlkit.advantages import resolve as resolve_advantage
from rlkit.advantages.with_critic import split_for_critic
from rlkit.diversity import PairwisePartition, resolve_embedding, resolve_partition
from rlkit.errors import ConfigError
from rlkit.models import locate_model
from rlkit.objective import ArchiveLikelihood, Objective, resolve_archive, resolve_objective
from rlkit.objective.coefficients import Coefficient, Constant
from rlkit.objective.references import AdapterOff, Ema, Reference, Reset, resolve_sampler
from rlkit.objective.token_weights import TopEntropy
from rlkit.parameters import name_in_recipes
from rlkit.plugins import describe
from rlkit.recipe.fitting import (
    LOSS_TYPES,
    chain_for_roles,
    has_critic,
    say_what_a_chain_replaces,
    settings_of_a_fit,
    with_beta,
)
from rlkit.recipe.schema import Recipe
from rlkit.rewards import BoundReward, bind_reward, name_rewards
from rlkit.rewards.monitors import Thresholds, resolve_monitor

_ANSWERS = frozenset({"answers_PG", "answer_counts_PG"})
_EXAMPLES = {"partition": "partition: final_answer or another", "embedding": "embedding: hashed_ngrams or another"}
_KEYS = {"labels_PG": "partition", "equivalent_PGG": "partition", "embeddings_PGE": "embedding"}


@dataclass(frozen=True)
class Plan:
    """The parts of one run, every one of them built."""

    rewards: tuple[BoundReward | Any, ...] = ()
    """In the recipe's order; what is no `BoundReward` is a reward model, which TRL runs."""
    reward_weights: tuple[float, ...] = ()
    """One a reward."""
    advantage: Chain | None = None
    """None leaves the advantages to TRL."""
    objective: Objective = field(default_factory=Objective)
    """Empty, the loss holds nothing beside the surrogate."""
    archive: ArchiveLikelihood | None = None
    """Solutions that are kept, and learnt from beside the rollouts where the coefficient is not 0; None for none."""
    sampler: Reference | None = None
    """Whose weights draw the rollouts; None is the policy itself."""
    partition: Any = None
    """What counts as different; None compares nothing."""
    answers: Any = None
    """A partition whose features are the final answers; None reads none."""
    embedding: Any = None
    """How completions become vectors; None embeds nothing."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """When the monitors warn of a hacked reward."""
    held_out: BoundReward | None = None
    """A verifier that is watched and not trained on."""
    max_error_rate: float = 0.05
    """Share of a reward's calls that may fail before the run stops."""
    correct_reward: int | str | None = None
    """Which reward says whether an answer is correct; None leaves it to `find_verifier`."""
    correct_above: float = 0.5
    """A completion is correct when that reward is greater."""
    model: str | None = None
    """What `from_pretrained` takes; None where the trainer was given a model."""
    task: Any = None
    """Where the rows come from; None where the trainer was given a dataset."""
    fitted_to: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """The settings that `fit` looked at; None before it."""

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Plan:
        """Find the model and build the task and everything else that a recipe names; `fit` it before it is used.

        Raises:
            ConfigError: no such model.
            PluginError: a task, reward, partition, advantage, objective or embedding cannot be found or built.
        """
        from rlkit.tasks import resolve_task
        from rlkit.tasks.grade_reward import grade_reward

        model, task = locate_model(recipe.model), resolve_task(recipe.task)
        partition = recipe.partition if recipe.partition is not None else getattr(task, "default_partition", None)
        rewards = recipe.rewards if recipe.rewards is not None else getattr(task, "default_rewards", None)
        rewards = [grade_reward(task) if reward == "grade" else reward for reward in rewards or ["grade"]]
        return replace(cls._build(recipe, rewards, partition), model=model, task=task)

    @classmethod
    def from_config(cls, config: Any, rewards: Sequence[Any]) -> Plan:
        """Build what a `DiverseGRPOConfig` names and fit it to that; a plain `GRPOConfig` asks for nothing.

        Args:
            config: the trainer's configuration, or anything with its fields.
            rewards: functions, reward models or names of models, as TRL takes them.

        Raises:
            ConfigError: keys contradict each other, or the chain needs what nothing provides.
            PluginError: a key names something that does not exist.
        """
        return cls._build(config, rewards, getattr(config, "partition", None), has_models=True).fit(config)

    @classmethod
    def _build(cls, named: Any, rewards: Sequence[Any], partition: Any, has_models: bool = False) -> Plan:
        """Build what `named`, a recipe or configuration, says under the keys that both have."""
        advantage, answers, embedding, monitor, weights = (
            getattr(named, key, None) for key in ("advantage", "answers", "embedding", "monitor", "reward_weights")
        )
        chain = None if advantage is None else resolve_advantage(advantage)
        needs: frozenset[str] = frozenset() if chain is None else chain.needs
        answers = answers or ("final_answer" if needs & _ANSWERS else None)
        archive = resolve_archive(getattr(named, "archive", None))
        learnt = Objective(archive=archive if archive is not None and archive.is_learnt else None)
        thresholds, held_out = resolve_monitor(monitor)
        bound, watched = _bind(rewards, held_out, has_models)
        return cls(
            rewards=bound,
            reward_weights=(1.0,) * len(bound) if weights is None else tuple(weights),
            advantage=chain,
            objective=resolve_objective(getattr(named, "objective", None)).merge(learnt),
            archive=archive,
            sampler=resolve_sampler(getattr(named, "sampler", None)),
            partition=None if partition is None else resolve_partition(partition),
            answers=None if answers is None else resolve_partition(answers),
            embedding=None if embedding is None else resolve_embedding(embedding),
            thresholds=thresholds,
            held_out=watched,
        )

    def fit(self, settings: Any) -> Plan:
        """Return the plan as it is under the settings of a trainer.

        Modifiers and penalties get TRL's own chain where none is named, and TRL's `beta` becomes the anchor that it is
        wherever the loss is ours, so that one place adds a divergence to it.

        Args:
            settings: a `DiverseGRPOConfig`, a `GRPOConfig`, or anything with their fields.

        Raises:
            ConfigError: parts and settings contradict each other, or the chain needs what nothing provides.
        """
        chain = self.advantage
        if self.has_roles and not has_critic(settings):
            chain = chain_for_roles(chain, settings)
        scalars = ("correct_reward", "correct_above", "max_error_rate")
        fitted = replace(
            self,
            advantage=chain,
            objective=with_beta(self.objective, settings),
            fitted_to=settings_of_a_fit(settings),
            **{key: getattr(settings, key) for key in scalars if hasattr(settings, key)},
        )
        fitted._check_rewards()
        fitted._check_parts(settings)
        if self.advantage is not None or has_critic(settings):
            say_what_a_chain_replaces(settings)
        return fitted

    def check_fits(self, settings: Any) -> None:
        """Raise ConfigError unless this plan was fitted to these settings, as far as it depends on them."""
        if self.fitted_to is None:
            raise ConfigError("The trainer was given a plan that was not fitted; write plan=plan.fit(args).")
        for key, value in settings_of_a_fit(settings).items():
            if self.fitted_to[key] != value:
                raise ConfigError(
                    f"The trainer's plan was fitted to {key}={self.fitted_to[key]!r}, but its configuration has "
                    f"{value!r}; write plan=Plan.from_recipe(recipe).fit(args) with the same args."
                )

    def describe(self) -> dict[str, Any]:
        """Return every plug-in but rewards with all of its parameters, defaults included, as plain data."""
        parts = {
            "advantage": None if self.advantage is None else self.advantage.transforms,
            "token_weights": self.objective.token_weights,
            "anchor": self.objective.anchor,
            "coefficient": self.coefficient,
            "reference": self.reference,
            "rehearsal": self.objective.rehearsal,
            **{key: getattr(self, key) for key in ("archive", "sampler", "partition", "answers", "embedding")},
        }
        return {key: describe(part) for key, part in parts.items() if part}

    @property
    def functions(self) -> list[BoundReward]:
        """The rewards that are functions, in order; reward models are left out."""
        return [reward for reward in self.rewards if isinstance(reward, BoundReward)]

    @property
    def roles(self) -> list[str]:
        """The role of each reward, a model's being base."""
        return [reward.role if isinstance(reward, BoundReward) else "base" for reward in self.rewards]

    @property
    def has_roles(self) -> bool:
        """Whether the total is more than a weighted sum."""
        return bool({*self.roles} - {"base"})

    @property
    def needs(self) -> frozenset[str]:
        """Fields of the context that the chain will ask for."""
        return frozenset() if self.advantage is None else self.advantage.needs

    @property
    def is_on_policy(self) -> bool:
        """Whether the rollouts of a step are learnt from by their advantages."""
        return self.archive is None or self.archive.on_policy

    @property
    def is_anchored_in_reward(self) -> bool:
        """Whether the anchor is taken off the rewards instead of being added to the loss."""
        return self.objective.anchor is not None and self.objective.anchor.where == "reward"

    @property
    def needs_reference(self) -> bool:
        """Whether anything asks what a reference policy thinks of the completions: an anchor, or the chain."""
        return self.objective.anchor is not None or "ref_mean_logps_PG" in self.needs

    @property
    def has_moving_anchor_in_loss(self) -> bool:
        """Whether an anchor is in the loss whose coefficient changes over the run."""
        anchor = self.objective.anchor
        return anchor is not None and anchor.where == "loss" and not isinstance(self.coefficient, Constant)

    @property
    def is_anchored_by_prompt(self) -> bool:
        """Whether the anchor holds mastered prompts only."""
        return self.objective.anchor is not None and self.objective.anchor.only == "mastered"

    @property
    def reference(self) -> Reference | None:
        """What the anchor ties the policy to; None without an anchor."""
        return None if self.objective.anchor is None else self.objective.anchor.reference_policy

    @property
    def coefficient(self) -> Coefficient | None:
        """How the anchor's coefficient moves; None without an anchor."""
        return None if self.objective.anchor is None else self.objective.anchor.coefficient

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

    def _check_rewards(self) -> None:
        if len(self.reward_weights) != len(self.rewards):
            raise ConfigError(
                f"{len(self.reward_weights)} reward_weights were given for {len(self.rewards)} rewards; give one for "
                "each."
            )
        if self.rewards:
            check_roles(self.roles)
        if "modifier" in self.roles and len(self.functions) < len(self.rewards):
            raise ConfigError(
                "A modifier is given what functions said before it, and a reward model is asked after them all; leave "
                "one of the two out."
            )

    def _check_parts(self, settings: Any) -> None:
        if has_critic(settings):
            split_for_critic(self.advantage)
        self._check_group_size(settings.num_generations)
        if settings.loss_type not in LOSS_TYPES and (has_critic(settings) or not self.objective.is_empty):
            what = "An objective" if not self.objective.is_empty else "trainer: ppo"
            raise ConfigError(
                f"{what} cannot be combined with loss_type {settings.loss_type!r}; write one of "
                f"{', '.join(LOSS_TYPES)}."
            )
        if settings.top_entropy_quantile < 1 and any(isinstance(w, TopEntropy) for w in self.objective.token_weights):
            raise ConfigError(
                "Both train.top_entropy_quantile and the token weight top_entropy choose tokens by entropy; keep one."
            )
        for needed, key in _KEYS.items():
            if needed in self.needs and getattr(self, key) is None:
                raise ConfigError(
                    f"The advantage chain needs {needed}, which comes from `{key}`; write {_EXAMPLES[key]}."
                )
        if self.archive is not None and self.archive.grow:
            self._check_keys()
        if self.is_anchored_in_reward and self.advantage is None and not has_critic(settings):
            raise ConfigError("An anchor in the reward is taken off before the advantage chain; write advantage: grpo.")
        if self.is_anchored_in_reward and self.sampler is not None:
            raise ConfigError(
                "An anchor in the reward compares who drew the completions with the reference, and another than the "
                "policy draws them here; write where: loss, or sampler: policy."
            )
        if self.is_anchored_in_reward and self.is_anchored_by_prompt:
            raise ConfigError("An anchor in the reward holds all prompts; write where: loss for only: mastered.")

    def _check_group_size(self, num_generations: int) -> None:
        for transform in () if self.advantage is None else self.advantage.transforms:
            size = getattr(transform, "min_group_size", 1)
            if num_generations < size:
                lower = ", or lower k" if hasattr(transform, "k") else ", or leave it out"
                raise ConfigError(
                    f"The advantage chain compares {size} completions of a prompt ({name_in_recipes(transform)}), but "
                    f"train.num_generations is {num_generations}; raise it{lower}."
                )

    def _check_keys(self) -> None:
        if self.partition is None:
            raise ConfigError(f"archive.grow tells solutions apart by `partition`; write {_EXAMPLES['partition']}.")
        if isinstance(self.partition, PairwisePartition):
            raise ConfigError(
                f"archive.grow needs a key of every solution, and the partition {name_in_recipes(self.partition)} "
                "judges pairs; write one such as canonical_expression, syntax_tree or final_answer."
            )


def _bind(
    rewards: Sequence[Any], held_out: Any, has_models: bool
) -> tuple[tuple[BoundReward | Any, ...], BoundReward | None]:
    """Bind all rewards of a run, and tell those of one name apart; reward models stay as they are."""
    sources = [*rewards, *([] if held_out is None else [held_out])]
    # A recipe's text is a plug-in's name; TRL's is a model's.
    is_model = [has_models and isinstance(source, str | torch.nn.Module) for source in sources]
    bound = [source if model else bind_reward(source) for source, model in zip(sources, is_model, strict=True)]
    functions = [place for place, model in enumerate(is_model) if not model]
    names = name_rewards([bound[place].function for place in functions])
    for place, name in zip(functions, names, strict=True):
        bound[place] = replace(bound[place], name=name)
    return tuple(bound[: len(rewards)]), None if held_out is None else bound[-1]
