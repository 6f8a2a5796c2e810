"""Rewards of tokens and values of a critic in, returns and advantages of tokens out; pure, of one rank's rows.

`values_BT[t]` is what is expected *before* token t is chosen. Tokens of mask 0 (padding, what a tool wrote) are as if
they were not there, wherever they stand. What spans ranks is given as sums, which add up: `measure_moments` and
`measure_fit`.
"""

from rlkit.returns.gae import gae, place_terminal_rewards
from rlkit.returns.lambdas import (
    ConstantLambda,
    Lambda,
    LengthAdaptiveLambda,
    RelativePositionLambda,
    read_lambda,
)
from rlkit.returns.values import explain_variance, measure_fit, value_losses
from rlkit.returns.whitening import measure_moments, whiten

__all__ = [
    "ConstantLambda",
    "Lambda",
    "LengthAdaptiveLambda",
    "RelativePositionLambda",
    "explain_variance",
    "gae",
    "measure_fit",
    "measure_moments",
    "place_terminal_rewards",
    "read_lambda",
    "value_losses",
    "whiten",
]
