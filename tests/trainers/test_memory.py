"""What a run remembers counts from the next batch on, survives a checkpoint, and is not counted twice."""

from __future__ import annotations

import numpy as np
import pytest

from rlkit.trainers.memory import RunMemory

ANSWERS = [["7", "7", None], ["3", "4", "3"]]


def test_a_batch_counts_from_the_next_one_on():
    memory = RunMemory()
    memory.add_batch(["a", "b"], ANSWERS)
    np.testing.assert_equal(memory.count_answers(["a"], [["7", None]]), [[0.0, 0.0]])
    memory.finish_batch()
    np.testing.assert_equal(memory.count_answers(["b", "a"], [["3", "9"], ["7", None]]), [[2.0, 0.0], [2.0, 1.0]])


def test_a_checkpoint_inside_a_batch_leaves_that_batch_out(tmp_path):
    memory = RunMemory()
    memory.add_batch(["a", "b"], ANSWERS, np.array([[1.0, 0.0, np.nan], [1.0, 1.0, 1.0]]))
    memory.add_batch(["a"], [["7"]])
    memory.anchor_coef, memory.stall = 0.25, {"best": 0.5, "without_gain": 2}
    memory.monitors = {"first_gap": 0.5, "alarms": {"length": [0.7, 3, True]}}
    memory.save(tmp_path)

    restored = RunMemory()
    assert restored.load(tmp_path)
    assert (restored.anchor_coef, restored.stall) == (0.25, {"best": 0.5, "without_gain": 2})
    assert restored.monitors == memory.monitors
    np.testing.assert_equal(restored.count_answers(["a"], [["7"]]), [[2.0]])
    np.testing.assert_equal(restored.pass_rates.rates(["a", "b", "c"]), [0.5, 1.0, np.nan])
    memory.finish_batch()
    np.testing.assert_equal(memory.count_answers(["a"], [["7"]]), [[3.0]])


def test_a_checkpoint_without_the_file_changes_nothing(tmp_path):
    memory = RunMemory()
    memory.anchor_coef = 0.5
    assert not memory.load(tmp_path)
    assert memory.anchor_coef == 0.5


@pytest.mark.parametrize("rates", [[0.5, 1.0]])
def test_pass_rates_pool_batches(rates):
    memory = RunMemory()
    for correct in ([[1.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, np.nan]]):
        memory.add_batch(["a", "b"], None, np.array(correct))
    memory.finish_batch()
    np.testing.assert_equal(memory.pass_rates.rates(["a", "b"]), rates)
