"""Published algorithms as named chains, with their papers' values."""

from __future__ import annotations

from rlkit.advantages.baselines import SubtractGroupMean, SubtractLeaveOneOut
from rlkit.advantages.chain import Chain
from rlkit.advantages.correctness import WeightByCorrectness
from rlkit.advantages.distinctness import MultiplyByDistinctness
from rlkit.advantages.likelihood import DiscountByLikelihoodRank, ReweightByConfidence
from rlkit.advantages.majority import MatchMajority
from rlkit.advantages.novelty import NoveltyBands
from rlkit.advantages.outcomes import AddOutcomeBonus
from rlkit.advantages.passing import PassAtK
from rlkit.advantages.scaling import DivideByGroupStd
from rlkit.advantages.similarity import AddEllipticalBonus, AddLogdetMarginal, DivideBySimilarity
from rlkit.plugins import factory


@factory
def grpo(ddof: int = 1, eps: float = 1e-4) -> Chain:
    """Group mean and standard deviation (arXiv 2402.03300); ddof and eps are TRL's, and so are the numbers."""
    return Chain((SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps)))


@factory
def dr_grpo() -> Chain:
    """Group mean only (Dr. GRPO, arXiv 2503.20783); combine with `train.loss_type: dr_grpo` for its normaliser."""
    return Chain((SubtractGroupMean(),))


@factory
def rloo() -> Chain:
    """Leave-one-out baseline (arXiv 2402.14740)."""
    return Chain((SubtractLeaveOneOut(),))


@factory
def psr() -> Chain:
    """Positive sample reinforcement: correct +1, wrong 0 (arXiv 2506.01347)."""
    return Chain((WeightByCorrectness(positive=1.0, negative=0.0),))


@factory
def nsr() -> Chain:
    """Negative sample reinforcement: correct 0, wrong -1 (arXiv 2506.01347)."""
    return Chain((WeightByCorrectness(positive=0.0, negative=-1.0),))


@factory
def w_reinforce(positive: float = 0.1) -> Chain:
    """Weighted REINFORCE: correct +0.1, wrong -1 (arXiv 2506.01347, lambda = 0.1)."""
    return Chain((WeightByCorrectness(positive=positive, negative=-1.0),))


@factory
def darling(floor: float = 0.1, among: str = "all", closure: str = "union_find", lone_correct: float = 1.0) -> Chain:
    """Reward times distinctness, centred, not scaled (arXiv 2509.02534, equation 4 and section 3.2)."""
    distinctness = MultiplyByDistinctness(floor=floor, among=among, closure=closure, lone_correct=lone_correct)
    return Chain((distinctness, SubtractGroupMean()))


@factory
def pro_grpo(
    coef: float = 0.3,
    fraction: float | None = 0.2,
    below: float | None = None,
    correct_only: bool = False,
    on_all_correct: bool = True,
    select_in_prompt: bool = True,
    ddof: int = 1,
    eps: float = 1e-6,
) -> Chain:
    """GRPO plus prompt confidence minus answer confidence (ProGRPO, arXiv 2602.05281); coef 0.3 is ours."""
    confidence = ReweightByConfidence(coef, fraction, below, correct_only, on_all_correct, select_in_prompt)
    return Chain((SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps), confidence))


@factory
def passk_grpo(k: int = 4, eps: float = 1e-6) -> Chain:
    """Pass@k training with analytical advantages (arXiv 2508.10751), k = 4."""
    return Chain((PassAtK(k=k, eps=eps),))


@factory
def unlikeliness(coef: float = 0.25, among: str = "all", ddof: int = 1, eps: float = 1e-6) -> Chain:
    """Likely answers earn less, then GRPO (Rewarding the Unlikely, arXiv 2506.02355, beta = 0.25)."""
    discount = DiscountByLikelihoodRank(coef=coef, among=among)
    return Chain((discount, SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps)))


@factory
def evol_rl(
    labels: str = "majority",
    alpha: float = 0.5,
    ties: str = "middle",
    count_no_answer: bool = False,
    ddof: int = 1,
    eps: float = 1e-6,
) -> Chain:
    """Vote for the sign, novelty for the size, then GRPO (EVOL-RL, arXiv 2509.15194).

    The paper's setting goes with `train.epsilon_high: 0.28`, an entropy bonus of 0.003 and `train.beta: 0.001`.
    """
    bands = NoveltyBands(labels=labels, alpha=alpha, ties=ties, count_no_answer=count_no_answer)
    return Chain((bands, SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps)))


@factory
def ttrl(count_no_answer: bool = False, ddof: int = 1, eps: float = 1e-6) -> Chain:
    """The majority's answer as the label, then GRPO (TTRL, arXiv 2504.16084), with `train.beta: 0.001`."""
    majority = MatchMajority(count_no_answer=count_no_answer)
    return Chain((majority, SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps)))


@factory
def outcome_ucb(
    kind: str = "ucb_con",
    coef: float = 0.2,
    offset: float = 0.5,
    count: str = "before",
    no_answer: str = "skip",
    ddof: int = 1,
    eps: float = 1e-4,
) -> Chain:
    """GRPO plus a bonus on answers rare in training so far (arXiv 2509.06941, UCB-Con; c = 0.2, b0 = 0.5)."""
    bonus = AddOutcomeBonus(kind=kind, coef=coef, offset=offset, count=count, no_answer=no_answer)
    return Chain((SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps), bonus))


@factory
def outcome_batch(coef: float = 0.2, no_answer: str = "skip", ddof: int = 1, eps: float = 1e-4) -> Chain:
    """GRPO minus a tax on answers repeated in the group (arXiv 2509.06941, Batch; c = 0.2)."""
    bonus = AddOutcomeBonus(kind="batch", coef=coef, no_answer=no_answer)
    return Chain((SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps), bonus))


@factory
def dra_grpo(negative: str = "clip", ddof: int = 1, eps: float = 1e-4) -> Chain:
    """Reward over total similarity to the group, then GRPO (DRA-GRPO, arXiv 2505.09655, `eps` as released)."""
    return Chain((DivideBySimilarity(negative=negative), SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps)))


@factory
def dqo(coef: float = 1.0, quality_weighted: bool = False) -> Chain:
    """Reward plus a share of the spanned volume, centred (DQO, arXiv 2509.04784); not scaled, so that coef is alpha.

    A standard deviation would give each prompt its own alpha, and blow small differences between right answers up to
    full size.
    """
    return Chain((AddLogdetMarginal(coef=coef, quality_weighted=quality_weighted), SubtractGroupMean()))


@factory
def rep_exp(
    coef: float = 0.1,
    ridge: float = 0.1,
    cap: float | None = None,
    root: bool = True,
    centre: bool = True,
    unit: bool = True,
    ddof: int = 1,
    eps: float = 1e-4,
) -> Chain:
    """Reward plus an elliptical bonus, then GRPO (RepExp, arXiv 2510.11686); coef 0.1 is ours."""
    bonus = AddEllipticalBonus(coef=coef, ridge=ridge, cap=cap, root=root, centre=centre, unit=unit)
    return Chain((bonus, SubtractGroupMean(), DivideByGroupStd(ddof=ddof, eps=eps)))
