"""Rehearsal rows come from the initial policy, are correct, are kept, and pull back a policy that drifted."""

from __future__ import annotations

import json

import pytest
import torch

from rlkit.errors import StoreError
from rlkit.trainers.rehearsing import read_rows
from rlkit.trainers.statistics import Statistics
from tests.trainers.test_grpo import build_trainer


def length_is_even(completions, **_):
    return [float(len(text.split()) % 2 == 0) for text in completions]


def build(tmp_path, **rehearsal):
    settings = {"coef": 0.5, "mastered_above": 0.5, "num_prompts": 6, "rows_per_step": 4} | rehearsal
    trainer = build_trainer(tmp_path, length_is_even, objective={"rehearsal": settings}, advantage="grpo")
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    return trainer


def test_rows_are_correct_completions_of_mastered_prompts_with_the_initial_log_probs(tmp_path):
    trainer = build(tmp_path)
    before = {key: list(values) for key, values in trainer._metrics["train"].items()}
    trainer.rehearser.draw(8)
    rows = read_rows(tmp_path / "rehearsal.jsonl")
    assert 2 <= len(rows) <= 24
    for row in rows:
        text = trainer.processing_class.decode(row["completion_ids"], skip_special_tokens=True)
        assert length_is_even([text]) == [1.0]
        ids = torch.tensor([row["prompt_ids"] + row["completion_ids"]])
        logits = trainer.model(ids).logits[0, :-1].log_softmax(-1)
        expected = logits[torch.arange(ids.shape[1] - 1), ids[0, 1:]][len(row["prompt_ids"]) - 1 :]
        torch.testing.assert_close(torch.tensor(row["logps"]), expected.detach(), atol=1e-4, rtol=0)
    assert {key: list(values) for key, values in trainer._metrics["train"].items()} == before
    assert len(trainer._logs["prompt"]) == 0


def test_at_the_start_there_is_no_gradient_and_after_drift_it_leads_back(tmp_path):
    trainer = build(tmp_path)
    trainer.rehearser.draw(8)
    model = trainer.model

    def measure():
        model.zero_grad()
        loss = trainer.stored.loss(model, 0, Statistics())
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters()])

    loss, gradient = measure()
    assert abs(loss) < 1e-6
    assert gradient.norm() < 1e-4
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    drifted, gradient = measure()
    assert drifted > 1e-3
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.01 * parameter.grad
    assert measure()[0] < drifted


def test_rows_take_turns(tmp_path):
    trainer = build(tmp_path)
    trainer.rehearser._rows = [{"prompt_ids": [place], "completion_ids": [1], "logps": [0.0]} for place in range(6)]
    seen = []
    for step in range(3):
        trainer.state.global_step = step
        seen += [row.prompt_ids[0] for row in trainer.rehearser.choose()]
    assert seen == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_nothing_mastered_is_said_and_costs_nothing(tmp_path, capfd):
    trainer = build(tmp_path, mastered_above=1.0, num_prompts=2)
    trainer.reward_funcs = [lambda completions, **_: [0.0] * len(completions)]
    trainer.rehearser.draw(8)
    assert "nothing is rehearsed; lower mastered_above" in capfd.readouterr().err
    assert trainer.rehearser.choose() == []


def test_a_run_that_lost_its_rows_says_so(tmp_path):
    with pytest.raises(StoreError, match="start the run anew"):
        build(tmp_path).rehearser.load()


def test_a_file_that_was_cut_short_is_said(tmp_path):
    path = tmp_path / "rehearsal.jsonl"
    row = {"prompt_ids": [1, 2], "completion_ids": [3], "logps": [-0.5]}
    lines = [json.dumps(line) + "\n" for line in ({"num_rows": 2}, row, row)]
    path.write_text("".join(lines))
    assert read_rows(path) == [row, row]
    # As older versions wrote it.
    path.write_text("".join(lines[1:]))
    assert read_rows(path) == [row, row]
    for text, said in (
        ("".join(lines[:2]), "holds 1 of 2 rows"),
        ("".join(lines)[:-9], "Line 3 of .* is no row"),
        (lines[1] + json.dumps({**row, "logps": []}) + "\n", "Line 2 of .* is no row"),
        (lines[1] + "[1]\n", "Line 2 of .* is no row"),
    ):
        path.write_text(text)
        with pytest.raises(StoreError, match=said):
            read_rows(path)
