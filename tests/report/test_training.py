from __future__ import annotations

import json
from pathlib import Path

from rlkit.report.training import read_training, series_title, shown_series, smooth, smoothing_window


def write_log(directory: Path, lines: list[str]) -> Path:
    (directory / "train_log.jsonl").write_text("\n".join(lines))
    return directory


def test_missing_keys_broken_lines_and_nan_leave_gaps(tmp_path):
    rows = ['{"step": 1, "reward": 0.1, "loss": 3}', "not json", '{"step": 2, "reward": NaN}', '{"epoch": 1}']
    rows += ['{"step": 3, "reward": 0.3, "entropy": 0.5}', '{"step": 4, "rew']
    training = read_training(write_log(tmp_path, rows))
    assert training.steps == [1, 2, 3]
    assert training.series == {"reward": [0.1, None, 0.3], "entropy": [None, None, 0.5]}
    assert training.status is None


def test_there_is_no_training_without_a_log(tmp_path):
    assert read_training(tmp_path) is None


def test_both_spellings_of_our_own_series_are_one_series(tmp_path):
    training = read_training(
        write_log(tmp_path, ['{"step": 1, "pass_at_g": 0.5}', '{"step": 2, "diversity/pass_at_g": 1}'])
    )
    assert training.series == {"pass_at_g": [0.5, 1.0]}


def test_a_resumed_run_that_logs_a_step_again_has_it_once(tmp_path):
    log = ['{"step": 1, "reward": 0.1}', '{"step": 2, "reward": 0.2}', '{"step": 2, "reward": 0.25}']
    training = read_training(write_log(tmp_path, log))
    assert training.steps == [1, 2]
    assert training.series["reward"] == [0.1, 0.25]


def test_every_diversity_series_is_shown_and_bookkeeping_is_not():
    names = ["loss", "kl", "diversity/zebra", "reward", "grad_norm", "distinct_correct", "entropy", "advantages/mean"]
    assert shown_series(names) == ["reward", "entropy", "distinct_correct", "diversity/zebra", "kl"]
    assert series_title("diversity/solution classes") == "Solution classes"


def test_the_command_is_what_came_after_the_program(tmp_path):
    (tmp_path / "run.json").write_text('{"command": ["/x/rlkit", "train", "countdown/grpo"], "status": 3}')
    training = read_training(write_log(tmp_path, ['{"step": 1, "reward": 1}']))
    assert training.command == ("train", "countdown/grpo")
    assert training.status is None


def test_the_summary_averages_the_ends(tmp_path):
    rows = [json.dumps({"step": i, "reward": i / 10}) for i in range(1, 21)]
    (tmp_path / "run.json").write_text('{"status": "finished"}')
    summary = read_training(write_log(tmp_path, rows)).summary()
    assert summary == {
        "status": "finished",
        "steps": 20,
        "series": {"reward": {"first": 0.15000000000000002, "last": 1.95}},
    }


def test_smoothing_keeps_constants_lines_and_gaps():
    assert smooth([2.0] * 5, 3) == [2.0] * 5
    assert smooth([0.0, 1.0, 2.0, 3.0], 3) == [0.5, 1.0, 2.0, 2.5]
    assert smooth([1.0, None, 3.0], 3) == [1.0, None, 3.0]
    assert smooth([1.0, 5.0], 1) == [1.0, 5.0]
    assert all(smoothing_window(n) % 2 == 1 for n in range(200))
