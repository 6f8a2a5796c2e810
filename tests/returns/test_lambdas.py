"""Lambdas by length: worked numbers and what is refused."""

from __future__ import annotations

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.returns import ConstantLambda, LengthAdaptiveLambda, RelativePositionLambda, read_lambda

LENGTHS_B = torch.tensor([5, 10, 20, 21, 100, 400, 1000])


def test_length_adaptive_numbers():
    found_B = LengthAdaptiveLambda(0.05)(LENGTHS_B)
    torch.testing.assert_close(found_B, torch.tensor([0, 0, 0, 0.047619, 0.8, 0.95, 0.98]), atol=1e-6, rtol=0)
    assert LengthAdaptiveLambda(0.5)(torch.tensor([5])).item() == pytest.approx(0.6)
    lengths = LengthAdaptiveLambda(0.05)
    assert [lengths.is_too_short(length) for length in (1, 20, 21)] == [True, True, False]


def test_the_weights_of_the_sum_add_up_to_alpha_times_the_length():
    lam = LengthAdaptiveLambda(0.05)(torch.tensor([400])).item()
    assert 1 / (1 - lam) == pytest.approx(0.05 * 400, rel=1e-5)


def test_relative_position_numbers():
    found_B = RelativePositionLambda(0.5)(LENGTHS_B)
    expected = torch.tensor([0.840896, 0.925875, 0.964176, 0.965936, 0.993023, 0.998264, 0.999306])
    torch.testing.assert_close(found_B, expected, atol=1e-6, rtol=0)
    assert RelativePositionLambda(0.5)(torch.tensor([0, 1])).tolist() == [0.0, 1.0]
    torch.testing.assert_close(RelativePositionLambda(0.3)(LENGTHS_B) ** (LENGTHS_B - 1), torch.full((7,), 0.3))


def test_a_number_is_the_same_for_all():
    assert ConstantLambda(0.9)(LENGTHS_B).tolist() == pytest.approx([0.9] * 7)


def test_recipes_name_three_of_them():
    assert read_lambda(0.9) == ConstantLambda(0.9)
    assert read_lambda({"length_adaptive": 0.05}) == LengthAdaptiveLambda(0.05)
    assert read_lambda({"relative_position": 0.5}) == RelativePositionLambda(0.5)


@pytest.mark.parametrize(
    "given",
    [1.5, -0.1, "much", None, True, {}, {"length": 1}, {"length_adaptive": 0}, {"relative_position": 1.2}, [0.9]],
)
def test_anything_else_is_refused(given):
    with pytest.raises(ConfigError, match="lambda_policy"):
        read_lambda(given, "train.lambda_policy")
