"""How recipes name transforms and chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlkit.advantages.base import Chain, Transform
from rlkit.advantages.presets import PRESETS
from rlkit.advantages.user_transforms import check_transform
from rlkit.parameters import to_recipe_name
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin

TRANSFORMS = (
    *("baselines:SubtractGroupMean", "baselines:SubtractLeaveOneOut", "baselines:SubtractBatchMean"),
    *("scaling:DivideByGroupStd", "scaling:DivideByBatchStd", "scaling:ClipByAbs", "scaling:DropZeroVarianceGroups"),
    *("correctness:WeightByCorrectness", "correctness:DivideByPassRate"),
    *("distinctness:MultiplyByDistinctness", "solutions:EqualiseSolutions"),
    *("likelihood:ReweightByConfidence", "likelihood:DiscountByLikelihoodRank", "surprisal:FavourUnlikelyCorrect"),
    *("passing:PassAtK", "passing:Pkpo"),
    "majority:MatchMajority",
    "novelty:NoveltyBands",
    "outcomes:AddOutcomeBonus",
    *("similarity:DivideBySimilarity", "similarity:AddLogdetMarginal", "similarity:AddEllipticalBonus"),
    *("leverage:AddLeverageBonus", "boundary:GateByBoundary", "matching:SubtractDrift"),
)
"""`module:class` of every transform; a recipe calls `ClipByAbs` `clip_by_abs`."""

ADVANTAGES = PluginKind(
    "advantage",
    "rlkit.advantages",
    {**{to_recipe_name(where.partition(":")[2]): f"rlkit.advantages.{where}" for where in TRANSFORMS}, **PRESETS},
)


def chain(*transforms: Any) -> Chain:
    """Compose transforms, given as objects or as a recipe names them; nested chains are flattened.

    Raises:
        PluginError: a name is unknown or its parameters do not fit.
        ConfigError: something was given that cannot be called with values and a context, or says nonsense of its needs.
    """
    flat: list[Transform] = []
    for spec in transforms:
        transform = resolve_plugin(spec, ADVANTAGES)
        if isinstance(transform, Chain):
            flat.extend(transform.transforms)
        else:
            check_transform(transform)
            flat.append(transform)
    return Chain(tuple(flat))


def resolve(spec: Any) -> Chain:
    """Build the chain that a recipe's `advantage:` describes: a name, a mapping with a name, or a list of those."""
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        return chain(*spec)
    return chain(spec)
