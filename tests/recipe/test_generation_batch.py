"""Whole groups in a generation batch."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.recipe.generation_batch import GenerationBatch

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 8), st.integers(1, 4), st.integers(2, 40))


def test_prompts_times_generations_is_the_batch():
    batch = GenerationBatch(per_device_train_batch_size=16, world_size=8, steps_per_generation=2, num_generations=4)
    batch.check(num_rows=64)
    assert (batch.num_completions, batch.num_prompts) == (256, 64)


def test_fewer_problems_than_a_batch_takes_are_refused():
    with pytest.raises(ConfigError, match="takes 64 problems, but the task has 63"):
        GenerationBatch(16, 8, 2, 4).check(num_rows=63)


def test_the_sentence_gives_the_arithmetic_and_numbers_that_would_do():
    with pytest.raises(ConfigError) as caught:
        GenerationBatch(512, 1, 1, 24).check()
    assert "per_device_train_batch_size 512 x 1 process x steps_per_generation 1" in str(caught.value)
    assert "; num_generations 16 or 32 or per_device_train_batch_size 504 or 528 would do." in str(caught.value)


@settings(deadline=None)
@given(SIZES)
def test_whole_groups_pass_and_every_number_offered_instead_would_pass(sizes):
    per_device, world_size, steps, num_generations = sizes
    batch = GenerationBatch(*sizes)
    if per_device * world_size * steps % num_generations == 0:
        batch.check()
        return
    with pytest.raises(ConfigError) as caught:
        batch.check()
    offers = re.fullmatch(
        r".*; (?:num_generations ([\d or]+) or )?per_device_train_batch_size ([\d or]+) would do\.", str(caught.value)
    )
    assert offers is not None
    for offered in re.findall(r"\d+", offers[1] or ""):
        GenerationBatch(per_device, world_size, steps, int(offered)).check()
    for offered in re.findall(r"\d+", offers[2]):
        GenerationBatch(int(offered), world_size, steps, num_generations).check()


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((0, 1, 1, 4), "takes 1 or more"),
        ((8, 1, 0, 4), "takes 1 or more"),
        ((8, 1, 1, 1), "takes 2"),
        ((8, 1, 1, None), "takes 2"),
    ],
)
def test_numbers_out_of_range_are_refused(sizes, said):
    with pytest.raises(ConfigError, match=said):
        GenerationBatch(*sizes).check()
