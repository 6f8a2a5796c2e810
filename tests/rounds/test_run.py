"""Two rounds on the bundled model, killed once in the middle; the second call goes on to the same archive."""

from __future__ import annotations

import pytest

from rlkit.archive import Archive
from rlkit.errors import StoreError
from rlkit.files import read_json
from rlkit.recipe import build_recipe
from rlkit.rounds import stages
from rlkit.rounds.run import run_rounds

SMALL = {
    "kind": "rounds",
    "model": "countdown-tiny",
    "task": "countdown",
    "rounds": 2,
    "samples": 4,
    "problems": 16,
    "stop": False,
    "sampling": {"max_tokens": 16},
    "sft": {"train": {"max_steps": 2, "per_device_train_batch_size": 4, "gradient_checkpointing": False}},
    "held_out": {"n": 4, "limit": 8},
}


@pytest.mark.slow
@pytest.mark.side_by_side
def test_rounds_that_were_broken_off_go_on_where_they_were(tmp_path, monkeypatch):
    recipe = build_recipe({**SMALL, "output": str(tmp_path / "out")})
    fine_tune = stages.fine_tune

    def broken(recipe, number):
        if number == 2:
            raise KeyboardInterrupt
        fine_tune(recipe, number)

    monkeypatch.setattr(stages, "fine_tune", broken)
    with pytest.raises(KeyboardInterrupt):
        run_rounds(recipe)
    kept = (tmp_path / "out" / "round-2" / "archive.jsonl").read_bytes()
    monkeypatch.setattr(stages, "fine_tune", fine_tune)
    assert run_rounds(recipe).status == "finished"
    assert (tmp_path / "out" / "round-2" / "archive.jsonl").read_bytes() == kept
    first, second = (Archive.open(tmp_path / "out" / f"round-{number}" / "archive.jsonl") for number in (1, 2))
    assert [source.round for source in second.sources.values()] == [1, 2]
    assert 0 < first.num_solutions <= second.num_solutions
    state = read_json(tmp_path / "out" / "rounds.json")
    assert [entry["round"] for entry in state["rounds"]] == [0, 1, 2]
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()
    assert (tmp_path / "out" / "report.html").is_file()
    assert run_rounds(recipe).status == "already finished"
    with pytest.raises(StoreError, match="samples is 4 there, 5 here"):
        run_rounds(build_recipe({**SMALL, "samples": 5, "output": str(tmp_path / "out")}))
