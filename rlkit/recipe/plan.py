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
from rlkit.diversity import PairwisePartition, resolve_embedding, resolve_partition
from rlkit.errors import ConfigError, suggest
from rlkit.models import locate_model
from rlkit.objective import Anchor, ArchiveLikelihood, Objective, resolve_archive, resolve_objective
from rlkit.objective.coefficients import Coefficient, Constant
from rlkit.objective.references import AdapterOff, Ema, Reference, Reset, resolve_sampler
from rlkit.objective.token_weights import TopEntropy
from rlkit.parameters import name_in_recipes
from rlkit.plugins import describe
from rlkit.recipe.schema import Recipe
from rlkit.rewards import BoundReward, bind_reward, name_rewards
from rlkit.rewards.monitors import Thresholds, resolve_monitor
from rlkit.terminal import note

LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo")
"""Values of `loss_type` whose loss is ours, so that an objective can be combined with it."""

_VERIFIERS = {
    *("accuracy_reward", "reasoning_accuracy_reward", "math_verify", "multiple_choice", "code_tests", "exact_match"),
    *("countdown", "reasoning_gym", "countdown_reward", "code_reward", "dataset_reward", "reasoning_gym_reward"),
}
"""Rewards of TRL and ours that say whether an answer is right, by name."""
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
        if self.has_roles:
            chain = _chain_for_roles(chain, settings)
        scalars = ("correct_reward", "correct_above", "max_error_rate")
        fitted = replace(
            self,
            advantage=chain,
            objective=_with_beta(self.objective, settings),
            fitted_to=_settings_of_a_fit(settings),
            **{key: getattr(settings, key) for key in scalars if hasattr(settings, key)},
        )
        fitted._check_rewards()
        fitted._check_parts(settings)
        if self.advantage is not None:
            _say_what_a_chain_replaces(settings)
        return fitted

    def check_fits(self, settings: Any) -> None:
        """Raise ConfigError unless this plan was fitted to these settings, as far as it depends on them."""
        if self.fitted_to is None:
            raise ConfigError("The trainer was given a plan that was not fitted; write plan=plan.fit(args).")
        for key, value in _settings_of_a_fit(settings).items():
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
        if self.advantage is not None and settings.num_generations < self.advantage.min_group_size:
            raise ConfigError(
                f"The advantage chain compares {self.advantage.min_group_size} completions of a prompt, but "
                f"train.num_generations is {settings.num_generations}; raise it, or lower k."
            )
        if not self.objective.is_empty and settings.loss_type not in LOSS_TYPES:
            raise ConfigError(
                f"An objective cannot be combined with loss_type {settings.loss_type!r}; write one of "
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
        if self.is_anchored_in_reward and self.advantage is None:
            raise ConfigError("An anchor in the reward is taken off before the advantage chain; write advantage: grpo.")
        if self.is_anchored_in_reward and self.sampler is not None:
            raise ConfigError(
                "An anchor in the reward compares who drew the completions with the reference, and another than the "
                "policy draws them here; write where: loss, or sampler: policy."
            )
        if self.is_anchored_in_reward and self.is_anchored_by_prompt:
            raise ConfigError("An anchor in the reward holds all prompts; write where: loss for only: mastered.")

    def _check_keys(self) -> None:
        if self.partition is None:
            raise ConfigError(f"archive.grow tells solutions apart by `partition`; write {_EXAMPLES['partition']}.")
        if isinstance(self.partition, PairwisePartition):
            raise ConfigError(
                f"archive.grow needs a key of every solution, and the partition {name_in_recipes(self.partition)} "
                "judges pairs; write one such as canonical_expression, final_answer or normalised_text."
            )


_FITTED = {
    "num_generations": None,
    "loss_type": None,
    "beta": 0.0,
    "use_bias_correction_kl": False,
    "fast_path": False,
    "top_entropy_quantile": 1.0,
    "multi_objective_aggregation": "sum_then_normalize",
    "scale_rewards": "group",
    "correct_reward": None,
    "correct_above": 0.5,
    "max_error_rate": 0.05,
}
"""Settings that a plan depends on, and what they are where a configuration has no such field."""


def _settings_of_a_fit(settings: Any) -> dict[str, Any]:
    values = {key: getattr(settings, key, otherwise) for key, otherwise in _FITTED.items()}
    # A configuration writes these two in one way.
    scale, verifier = values["scale_rewards"], values["correct_reward"]
    values["scale_rewards"] = {"True": "group", "False": "none"}.get(str(scale), scale)
    values["correct_reward"] = int(verifier) if isinstance(verifier, str) and verifier.isdecimal() else verifier
    return values


_REPLACED = {"scale_rewards": ("group", True), "multi_objective_aggregation": ("sum_then_normalize",)}
"""Settings of TRL's own advantages, and what they are where nobody says."""


def _say_what_a_chain_replaces(settings: Any) -> None:
    for key, usual in _REPLACED.items():
        if getattr(settings, key, usual[0]) not in usual:
            note(
                f"train.{key} is {getattr(settings, key)}, which does nothing here: the advantage chain takes the "
                "place of TRL's advantages. Leave it out, or leave advantage out."
            )


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


def _chain_for_roles(chain: Chain | None, settings: Any) -> Chain:
    """Return the chain of a run whose rewards do not simply add up, which is how TRL would take them."""
    if settings.multi_objective_aggregation != "sum_then_normalize":
        raise ConfigError(
            f"train.multi_objective_aggregation is {settings.multi_objective_aggregation}, which takes each reward by "
            "itself, but a modifier or penalty changes their sum; leave it out, or give these rewards the role base."
        )
    return resolve_advantage(_TRLS_CHAINS[settings.scale_rewards]) if chain is None else chain


def _with_beta(objective: Objective, settings: Any) -> Objective:
    """Turn TRL's `beta` into the anchor it is, where the loss is ours."""
    is_ours = not objective.is_empty or (getattr(settings, "fast_path", False) and settings.loss_type in LOSS_TYPES)
    if not is_ours or not settings.beta:
        return objective
    if objective.anchor is not None:
        raise ConfigError("Both train.beta and the objective's anchor tie the policy to a reference; keep one of them.")
    anchor = Anchor(estimator="k3", coef=settings.beta, importance_corrected=settings.use_bias_correction_kl)
    return objective.merge(Objective(anchor=anchor))
