"""Rows keep their tokens through picking, cutting, putting together and writing back."""

from __future__ import annotations

import torch

from rlkit.trainers.update import Pick, cut_picks, gather_rows, measure_budget, pick_rows, scatter_rows


def build(prompts, completions, width_S, width_T):
    """Return a micro-batch as TRL pads it: prompts on the left, completions on the right."""
    rows = len(prompts)
    batch = {
        "prompt_ids": torch.zeros(rows, width_S, dtype=torch.long),
        "prompt_mask": torch.zeros(rows, width_S, dtype=torch.long),
        "completion_ids": torch.zeros(rows, width_T, dtype=torch.long),
        "completion_mask": torch.zeros(rows, width_T, dtype=torch.long),
        "advantages": torch.arange(rows, dtype=torch.float32) + 1,
        "num_items_in_batch": torch.tensor(7),
    }
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        batch["prompt_ids"][row, width_S - len(prompt) :] = torch.tensor(prompt)
        batch["prompt_mask"][row, width_S - len(prompt) :] = 1
        batch["completion_ids"][row, : len(completion)] = torch.tensor(completion)
        batch["completion_mask"][row, : len(completion)] = 1
    return batch


BATCHES = [
    build([[1, 2], [3], [4, 5, 6]], [[7], [8, 9, 10], [11, 12]], 5, 6),
    build([[13], [14, 15, 16, 17]], [[18, 19], [20]], 4, 2),
]
EVERYTHING = [torch.ones(3, dtype=torch.bool), torch.ones(2, dtype=torch.bool)]


def read(rows):
    found = []
    for row in range(len(rows["prompt_ids"])):
        prompt = rows["prompt_ids"][row][rows["prompt_mask"][row] == 1].tolist()
        completion = rows["completion_ids"][row][rows["completion_mask"][row] == 1].tolist()
        found.append((prompt, completion, rows["advantages"][row].item()))
    return found


def test_rows_come_out_as_they_went_in_with_less_padding():
    picks = pick_rows(BATCHES, EVERYTHING)
    parts = cut_picks(picks, 8)
    found = [row for part in parts for row in read(gather_rows(BATCHES, part))]
    assert sorted(found) == sorted(read(BATCHES[0]) + read(BATCHES[1]))
    for part in parts:
        rows = gather_rows(BATCHES, part)
        assert rows["prompt_ids"].shape == (len(part), max(pick.prompt_length for pick in part))
        assert rows["completion_ids"].shape == (len(part), max(pick.completion_length for pick in part))
        assert "num_items_in_batch" not in rows


def test_rows_that_are_not_needed_stay_behind():
    needed = [torch.tensor([False, True, False]), torch.tensor([False, False])]
    assert pick_rows(BATCHES, needed) == [Pick(0, 1, 1, 3)]


def test_tokens_behind_a_hole_in_the_mask_are_kept():
    holed = build([[1]], [[2, 3, 4]], 1, 5)
    holed["completion_mask"][0, 1] = 0
    assert pick_rows([holed], [torch.tensor([True])])[0].completion_length == 3


def test_a_value_a_token_and_a_value_a_row_are_both_carried():
    batch = build([[1], [2]], [[3, 4], [5]], 2, 4)
    batch["old_per_token_logps"] = -torch.arange(8.0).reshape(2, 4)
    batch["importance_sampling_ratio"] = torch.tensor([[0.5], [2.0]])
    rows = gather_rows([batch], pick_rows([batch], [torch.tensor([False, True])]))
    assert rows["old_per_token_logps"].tolist() == [[-4.0]]
    assert rows["importance_sampling_ratio"].tolist() == [[2.0]]


def test_what_only_some_micro_batches_know_is_left_out():
    known, unknown = build([[1]], [[2]], 1, 1), build([[3]], [[4]], 1, 1)
    known["ref_per_token_logps"] = torch.zeros(1, 1)
    picks = pick_rows([known, unknown], [torch.tensor([True])] * 2)
    assert "ref_per_token_logps" not in gather_rows([known, unknown], picks)
    assert "ref_per_token_logps" in gather_rows([known, unknown], picks[:1])


def test_values_find_their_way_back():
    batches = [build([[1], [2]], [[3, 4], [5]], 2, 4), build([[6]], [[7, 8, 9]], 1, 3)]
    picks = [Pick(1, 0, 1, 3), Pick(0, 0, 1, 2)]
    scatter_rows(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]), picks, batches, "logps")
    assert batches[0]["logps"].tolist() == [[4, 5, 0, 0], [0, 0, 0, 0]]
    assert batches[1]["logps"].tolist() == [[1, 2, 3]]


def test_the_budget_is_what_the_largest_micro_batch_holds():
    assert measure_budget(BATCHES) == 3 * (5 + 6)


def test_a_batch_of_completions_of_one_token_joins_a_wider_one():
    narrow = build([[1, 2], [3]], [[7], [8]], 2, 1) | {"ref_per_token_logps": torch.tensor([[-1.0], [-2.0]])}
    wide = build([[4]], [[9, 10, 11]], 1, 3) | {"ref_per_token_logps": torch.tensor([[-3.0, -4.0, -5.0]])}
    picks = pick_rows([narrow, wide], [torch.ones(2, dtype=torch.bool), torch.ones(1, dtype=torch.bool)])
    rows = gather_rows([narrow, wide], picks)
    assert read(rows) == [([1, 2], [7], 1.0), ([3], [8], 2.0), ([4], [9, 10, 11], 1.0)]
    assert rows["ref_per_token_logps"].tolist() == [[-1.0, 0.0, 0.0], [-2.0, 0.0, 0.0], [-3.0, -4.0, -5.0]]
