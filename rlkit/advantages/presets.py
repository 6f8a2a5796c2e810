"""Published algorithms as named chains. A default is that of the transform, or the paper's own where it stands here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from rlkit.advantages.base import Chain, Transform
from rlkit.advantages.baselines import SubtractGroupMean, SubtractLeaveOneOut
from rlkit.advantages.boundary import GateByBoundary
from rlkit.advantages.correctness import DivideByPassRate, WeightByCorrectness
from rlkit.advantages.distinctness import MultiplyByDistinctness
from rlkit.advantages.leverage import AddLeverageBonus
from rlkit.advantages.likelihood import DiscountByLikelihoodRank, ReweightByConfidence
from rlkit.advantages.majority import MatchMajority
from rlkit.advantages.matching import SubtractDrift
from rlkit.advantages.novelty import NoveltyBands
from rlkit.advantages.outcomes import AddOutcomeBonus
from rlkit.advantages.passing import PassAtK
from rlkit.advantages.scaling import DivideByGroupStd
from rlkit.advantages.similarity import AddEllipticalBonus, AddLogdetMarginal, DivideBySimilarity
from rlkit.advantages.solutions import EqualiseSolutions
from rlkit.advantages.surprisal import FavourUnlikelyCorrect
from rlkit.plugins import preset


def _chain(says: str, *parts: Any, without: tuple[str, ...] = (), **defaults: Any) -> Any:
    def build(transforms: Iterable[Transform]) -> Chain:
        return Chain(tuple(transforms))

    return preset(says, parts, build, without, **defaults)


PRESETS: Mapping[str, Any] = {
    "grpo": _chain(
        "Group mean and standard deviation (arXiv 2402.03300); ddof and eps are TRL's, and so are the numbers.",
        *(SubtractGroupMean, DivideByGroupStd),
    ),
    "dr_grpo": _chain(
        "Group mean only (Dr. GRPO, arXiv 2503.20783); combine with `train.loss_type: dr_grpo` for its normaliser.",
        SubtractGroupMean,
    ),
    "rloo": _chain("Leave-one-out baseline (arXiv 2402.14740).", SubtractLeaveOneOut),
    "psr": _chain(
        "Positive sample reinforcement: correct +1, wrong 0 (arXiv 2506.01347).",
        partial(WeightByCorrectness, positive=1.0, negative=0.0),
    ),
    "nsr": _chain(
        "Negative sample reinforcement: correct 0, wrong -1 (arXiv 2506.01347).",
        partial(WeightByCorrectness, positive=0.0, negative=-1.0),
    ),
    "w_reinforce": _chain(
        "Weighted REINFORCE: correct +0.1, wrong -1 (arXiv 2506.01347, lambda = 0.1).",
        partial(WeightByCorrectness, negative=-1.0),
        positive=0.1,
    ),
    "max_rl": _chain("Correctness, centred and divided by the pass rate (MaxRL, arXiv 2602.02710).", DivideByPassRate),
    "darling": _chain(
        "Reward times distinctness, centred, not scaled (arXiv 2509.02534, equation 4 and section 3.2).",
        *(MultiplyByDistinctness, SubtractGroupMean),
    ),
    "equal_solutions": _chain(
        "GRPO with the same credit for each distinct correct solution, however often it was written; our own.",
        *(SubtractGroupMean, DivideByGroupStd, EqualiseSolutions),
    ),
    "bbg": _chain(
        "GRPO weighed by how much pass@k would rise with each problem's pass rate (BBG, arXiv 2606.15455), k = 16.",
        *(SubtractGroupMean, DivideByGroupStd, GateByBoundary),
        eps=1e-6,
    ),
    "flow_rl": _chain(
        "Match the reference times exp(beta A) with the group's own log Z (FlowRL, arXiv 2509.15207), beta = 15.",
        *(SubtractGroupMean, DivideByGroupStd, SubtractDrift, SubtractGroupMean),
        eps=1e-6,
    ),
    "ucpo": _chain(
        "GRPO whose credit for correct answers goes to the unlikely ones (UCPO, arXiv 2605.00365); tau = 0.2.",
        *(SubtractGroupMean, DivideByGroupStd, FavourUnlikelyCorrect),
        eps=1e-8,
    ),
    "pro_grpo": _chain(
        "GRPO plus prompt confidence minus answer confidence (ProGRPO, arXiv 2602.05281); coef 0.3 is ours.",
        *(SubtractGroupMean, DivideByGroupStd, ReweightByConfidence),
        eps=1e-6,
    ),
    "passk_grpo": _chain("Pass@k training with analytical advantages (arXiv 2508.10751), k = 4.", PassAtK),
    "unlikeliness": _chain(
        "Likely answers earn less, then GRPO (Rewarding the Unlikely, arXiv 2506.02355, beta = 0.25).",
        *(DiscountByLikelihoodRank, SubtractGroupMean, DivideByGroupStd),
        eps=1e-6,
    ),
    # The paper's setting goes with `train.epsilon_high: 0.28`, an entropy bonus of 0.003 and `train.beta: 0.001`.
    "evol_rl": _chain(
        "Vote for the sign, novelty for the size, then GRPO (EVOL-RL, arXiv 2509.15194).",
        *(NoveltyBands, SubtractGroupMean, DivideByGroupStd),
        eps=1e-6,
    ),
    "ttrl": _chain(
        "The majority's answer as the label, then GRPO (TTRL, arXiv 2504.16084), with `train.beta: 0.001`.",
        *(MatchMajority, SubtractGroupMean, DivideByGroupStd),
        eps=1e-6,
    ),
    "outcome_ucb": _chain(
        "GRPO plus a bonus on answers rare in training so far (arXiv 2509.06941, UCB-Con; c = 0.2, b0 = 0.5).",
        *(SubtractGroupMean, DivideByGroupStd, AddOutcomeBonus),
    ),
    "outcome_batch": _chain(
        "GRPO minus a tax on answers repeated in the group (arXiv 2509.06941, Batch; c = 0.2).",
        *(SubtractGroupMean, DivideByGroupStd, partial(AddOutcomeBonus, kind="batch")),
        without=("offset", "count"),
    ),
    # The `eps` is that of the standard deviation, as released.
    "dra_grpo": _chain(
        "Reward over total similarity to the group, then GRPO (DRA-GRPO, arXiv 2505.09655, `eps` as released).",
        *(DivideBySimilarity, SubtractGroupMean, DivideByGroupStd),
    ),
    # A standard deviation would give each prompt its own alpha, and blow small differences between right answers up to
    # full size.
    "dqo": _chain(
        "Reward plus a share of the spanned volume, centred (DQO, arXiv 2509.04784); not scaled: coef is alpha.",
        *(AddLogdetMarginal, SubtractGroupMean),
    ),
    "rep_exp": _chain(
        "Reward plus the leverage of its features, then GRPO (RepExp, arXiv 2510.11686, as released).",
        *(AddLeverageBonus, SubtractGroupMean, DivideByGroupStd),
        eps=1e-6,
    ),
    "elliptical": _chain(
        "Reward plus how badly the siblings span its direction, then GRPO; our variant of RepExp, coef 0.1.",
        *(AddEllipticalBonus, SubtractGroupMean, DivideByGroupStd),
    ),
}
"""Name -> what builds the chain, with the parameters of its transforms."""
