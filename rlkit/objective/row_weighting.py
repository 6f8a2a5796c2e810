"""What a row of supervised data weighs in the loss: the rules by name, as one coefficient a learnt token.

With weights w_i, T_i learnt tokens in row i, and sums over all rows of an optimizer step, on all ranks:

    sequence_mean   sum_i w_i * mean_t nll_it / sum_i w_i          every row counts as its weight says, long or short
    token_sum       sum_i w_i * sum_t  nll_it / sum_i w_i          the rows' true log-likelihood
    trl             sum_i w_i * sum_t  nll_it / sum_i w_i * T_i    the mean over tokens: a row counts by its length

With weights of 1, `trl` is what TRL 1.16 and transformers compute. Every rule is a sum over tokens of coefficient times
nll, divided by a sum over rows, so that a step may be cut into micro-batches and ranks in any way.
"""

from __future__ import annotations

from collections.abc import Sequence

ROW_WEIGHTINGS = ("sequence_mean", "token_sum", "trl")


def weigh_row(rule: str, weight: float, num_tokens: int) -> tuple[float, float]:
    """Return what each learnt token of a row counts, and what the row adds to the divisor.

    Args:
        rule: of `ROW_WEIGHTINGS`.
        weight: of the row, 0 or more.
        num_tokens: learnt tokens of the row; a row without any counts nothing.
    """
    if num_tokens == 0:
        return 0.0, 0.0
    if rule == "sequence_mean":
        return weight / num_tokens, weight
    if rule == "token_sum":
        return weight, weight
    assert rule == "trl", f"{rule} is none of {ROW_WEIGHTINGS}"
    return weight, weight * num_tokens


def sum_divisors(rule: str, weights: Sequence[float], nums_tokens: Sequence[int]) -> float:
    """Return the divisor of a rule over some rows."""
    return sum(weigh_row(rule, weight, count)[1] for weight, count in zip(weights, nums_tokens, strict=True))
