"""Published algorithms as named chains, with their papers' values."""

from __future__ import annotations

from rlkit.advantages.baselines import SubtractGroupMean, SubtractLeaveOneOut
from rlkit.advantages.chain import Chain
from rlkit.advantages.correctness import WeightByCorrectness
from rlkit.advantages.distinctness import MultiplyByDistinctness
from rlkit.advantages.likelihood import DiscountByLikelihoodRank, ReweightByConfidence
from rlkit.advantages.passing import PassAtK
from rlkit.advantages.scaling import DivideByGroupStd
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
