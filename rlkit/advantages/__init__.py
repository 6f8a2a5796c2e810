"""Rewards of a group in, advantages of a group out: small transforms, composed by `chain`, named by recipes.

An algorithm is a list of transforms read from top to bottom; the chain starts from the summed rewards of shape (P, G).
NaN means *no signal from this completion*; transforms carry it to the end, where the trainer masks it and counts it.
"""

from rlkit.advantages.base import Array, Transform
from rlkit.advantages.baselines import SubtractBatchMean, SubtractGroupMean, SubtractLeaveOneOut
from rlkit.advantages.chain import ADVANTAGES, Chain, chain, resolve
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import WeightByCorrectness
from rlkit.advantages.distinctness import MultiplyByDistinctness
from rlkit.advantages.scaling import ClipByAbs, DivideByBatchStd, DivideByGroupStd, DropZeroVarianceGroups

__all__ = [
    "ADVANTAGES",
    "Array",
    "Chain",
    "ClipByAbs",
    "DivideByBatchStd",
    "DivideByGroupStd",
    "DropZeroVarianceGroups",
    "GroupContext",
    "MultiplyByDistinctness",
    "SubtractBatchMean",
    "SubtractGroupMean",
    "SubtractLeaveOneOut",
    "Transform",
    "WeightByCorrectness",
    "chain",
    "resolve",
]
