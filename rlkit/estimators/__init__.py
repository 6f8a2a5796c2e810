"""Pure maths on counts, log-probs and logits: no models, no files."""

from rlkit.estimators.bayesian import (
    PosteriorMean,
    bayes_benchmark_pass_at_k,
    bayes_pass_at_k,
    bayes_pass_at_k_sd,
    probability_at_least,
)
from rlkit.estimators.beta import beta_cdf, beta_quantile
from rlkit.estimators.beta_binomial import BetaBinomialFit, fit_beta_binomial
from rlkit.estimators.branching import PromptBranching, prompt_branching
from rlkit.estimators.classes import (
    chao1,
    good_turing_coverage,
    hill_number,
    rarefied_distinct,
    shannon_entropy,
    simpson_diversity,
)
from rlkit.estimators.crossing import Crossing, crossing_budget, estimate_crossing
from rlkit.estimators.decomposition import DiversityLoss, split_diversity_loss
from rlkit.estimators.divergence import kl
from rlkit.estimators.drop_alarm import drop_alarm
from rlkit.estimators.exact_divergence import exact_kl
from rlkit.estimators.intervals import (
    Interval,
    auc_log2,
    mean_interval,
    mean_intervals,
    pass_at_k_intervals,
)
from rlkit.estimators.passing import (
    pass_at_k,
    pass_at_k_curve,
    pass_at_k_jackknife_variance,
    pass_at_k_sampling_errors,
    pass_at_k_variance,
)
from rlkit.estimators.planning import Needed, plan_for_difference
from rlkit.estimators.proportions import jeffreys_interval, wilson_interval
from rlkit.estimators.ratios import ratio_of_means
from rlkit.estimators.reliability import (
    cover_at_tau,
    cover_posterior_at_tau,
    g_pass_at_k,
    mg_pass_at_k,
    pass_hat_k,
)
from rlkit.estimators.representation_rank import alpha_req, rank_me, rank_me_covariance, singular_spectrum
from rlkit.estimators.resampling import SignFlipTest, bootstrap_means, sign_flip_test
from rlkit.estimators.selection import best_of_eligible, best_of_k, selection_auroc
from rlkit.estimators.simultaneous import holm_p_values, widen, widening_factors
from rlkit.estimators.support import (
    Sharpening,
    SupportTable,
    mcnemar_p_value,
    sharpening_index,
    support_table,
    thin_counts,
)
from rlkit.estimators.token_profiles import position_means, sequence_mean, share_above, token_mean, token_quantiles
from rlkit.estimators.top_k_mass import TopK, top_k_of_logps
from rlkit.estimators.voting import MajorityVote, majority_vote
from rlkit.estimators.weight_change import ChangeCounts, ChangeRank, change_rank

__all__ = [
    "BetaBinomialFit",
    "ChangeCounts",
    "ChangeRank",
    "Crossing",
    "DiversityLoss",
    "Interval",
    "MajorityVote",
    "Needed",
    "PosteriorMean",
    "PromptBranching",
    "Sharpening",
    "SignFlipTest",
    "SupportTable",
    "TopK",
    "alpha_req",
    "auc_log2",
    "bayes_benchmark_pass_at_k",
    "bayes_pass_at_k",
    "bayes_pass_at_k_sd",
    "best_of_eligible",
    "best_of_k",
    "beta_cdf",
    "beta_quantile",
    "bootstrap_means",
    "change_rank",
    "chao1",
    "cover_at_tau",
    "cover_posterior_at_tau",
    "crossing_budget",
    "drop_alarm",
    "estimate_crossing",
    "exact_kl",
    "fit_beta_binomial",
    "g_pass_at_k",
    "good_turing_coverage",
    "hill_number",
    "holm_p_values",
    "jeffreys_interval",
    "kl",
    "majority_vote",
    "mcnemar_p_value",
    "mean_interval",
    "mean_intervals",
    "mg_pass_at_k",
    "pass_at_k",
    "pass_at_k_curve",
    "pass_at_k_intervals",
    "pass_at_k_jackknife_variance",
    "pass_at_k_sampling_errors",
    "pass_at_k_variance",
    "pass_hat_k",
    "plan_for_difference",
    "position_means",
    "probability_at_least",
    "prompt_branching",
    "rank_me",
    "rank_me_covariance",
    "rarefied_distinct",
    "ratio_of_means",
    "selection_auroc",
    "sequence_mean",
    "shannon_entropy",
    "share_above",
    "sharpening_index",
    "sign_flip_test",
    "simpson_diversity",
    "singular_spectrum",
    "split_diversity_loss",
    "support_table",
    "thin_counts",
    "token_mean",
    "token_quantiles",
    "top_k_of_logps",
    "widen",
    "widening_factors",
    "wilson_interval",
]
