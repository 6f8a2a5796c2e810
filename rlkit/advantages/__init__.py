"""Rewards of a group in, advantages of a group out: small transforms, composed by `chain`, named by recipes.

An algorithm is a list of transforms read from top to bottom; the chain starts from the summed rewards of shape (P, G).
NaN means *no signal from this completion*; transforms carry it to the end, where the trainer masks it and counts it.
"""

from rlkit.advantages.base import Array, Transform
from rlkit.advantages.baselines import SubtractBatchMean, SubtractGroupMean, SubtractLeaveOneOut
from rlkit.advantages.chain import ADVANTAGES, Chain, chain, resolve
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import WeightByCorrectness
from rlkit.advantages.counts import AnswerCounts, PassRates
from rlkit.advantages.distinctness import MultiplyByDistinctness
from rlkit.advantages.likelihood import DiscountByLikelihoodRank, ReweightByConfidence
from rlkit.advantages.majority import MatchMajority
from rlkit.advantages.novelty import NoveltyBands
from rlkit.advantages.outcomes import AddOutcomeBonus
from rlkit.advantages.passing import PassAtK, Pkpo
from rlkit.advantages.scaling import ClipByAbs, DivideByBatchStd, DivideByGroupStd, DropZeroVarianceGroups
from rlkit.advantages.similarity import AddEllipticalBonus, AddLogdetMarginal, DivideBySimilarity

__all__ = [
    "ADVANTAGES",
    "AddEllipticalBonus",
    "AddLogdetMarginal",
    "AddOutcomeBonus",
    "AnswerCounts",
    "Array",
    "Chain",
    "ClipByAbs",
    "DiscountByLikelihoodRank",
    "DivideByBatchStd",
    "DivideByGroupStd",
    "DivideBySimilarity",
    "DropZeroVarianceGroups",
    "GroupContext",
    "MatchMajority",
    "MultiplyByDistinctness",
    "NoveltyBands",
    "PassAtK",
    "PassRates",
    "Pkpo",
    "ReweightByConfidence",
    "SubtractBatchMean",
    "SubtractGroupMean",
    "SubtractLeaveOneOut",
    "Transform",
    "WeightByCorrectness",
    "chain",
    "resolve",
]
