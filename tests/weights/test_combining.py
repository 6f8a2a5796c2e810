"""The weighted sum of tensors: its ends bit by bit, its middle against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.weights.combining import combine


def draw(count: int, dtype: torch.dtype = torch.float32, scale: float = 1e-3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    origin = torch.randn(500, generator=generator)
    return [(origin + scale * torch.randn(500, generator=generator)).to(dtype) for _ in range(count)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_copies_come_out_bit_by_bit(count: int, dtype: torch.dtype) -> None:
    (value,) = draw(1, dtype)
    assert torch.equal(combine([value] * count, [1 / count] * count), value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_of_one_and_zero_are_the_ends_bit_by_bit(dtype: torch.dtype) -> None:
    values = draw(3, dtype, scale=10.0)
    for place, value in enumerate(values):
        assert torch.equal(combine(values, [float(place == at) for at in range(3)]), value)


def test_it_is_the_sum_and_its_error_is_that_of_the_differences() -> None:
    values, weights = draw(4), [0.1, 0.2, 0.3, 0.4]
    exact = sum(weight * value.double() for value, weight in zip(values, weights, strict=True))
    plain = sum(weight * value for value, weight in zip(values, weights, strict=True))
    error, plain_error = ((each.double() - exact).abs().mean() for each in (combine(values, weights), plain))
    assert error < 4e-8
    assert error < plain_error


@given(st.floats(-1, 2, allow_nan=False), st.floats(0, 1))
def test_it_is_linear(weight: float, along: float) -> None:
    one, other = (value.double() for value in draw(2))
    middle = combine([one, other], [1 - weight, weight])
    torch.testing.assert_close(middle, one + weight * (other - one), rtol=0, atol=1e-12)
    # A point between two points of the line is the point whose weight lies as far between theirs.
    between = combine([one, middle], [1 - along, along])
    torch.testing.assert_close(between, combine([one, other], [1 - along * weight, along * weight]), rtol=0, atol=1e-12)


def test_sixteen_bits_are_summed_in_thirty_two_and_types_widen() -> None:
    # One step of bfloat16 at 0.02 is 1.2207e-4, so a half of it rounds back to even; sums of many halves must not.
    small = torch.full((1,), 0.02, dtype=torch.bfloat16)
    step = small + torch.tensor([1.2207e-4], dtype=torch.bfloat16)
    assert float(step - small) == pytest.approx(1.2207e-4, rel=1e-3)
    eight = combine([small] + [step] * 7, [1 / 8] * 8)
    assert torch.equal(eight, step)
    assert combine([small, step.float()], [0.5, 0.5]).dtype == torch.float32
    assert combine([small, step.half()], [0.5, 0.5]).dtype == torch.float32
    assert combine([small, step.float()], [1.0, 0.0]).dtype == torch.bfloat16


def test_nothing_given_is_changed() -> None:
    values = draw(3)
    before = [value.clone() for value in values]
    combine(values, [0.2, 0.3, 0.5])
    assert all(torch.equal(one, other) for one, other in zip(values, before, strict=True))
