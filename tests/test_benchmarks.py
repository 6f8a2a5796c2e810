"""The benchmarks run and print what they promise; how fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from rlkit.advantages.presets import PRESETS
from rlkit.diversity import resolve_partition
from rlkit.tasks.countdown import Countdown, grade_row

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # as `python benchmarks/diversity_cost.py` has it

from cost.chains import time_chains  # noqa: E402
from cost.methods import NAMES  # noqa: E402
from cost.models import build_tokenizer  # noqa: E402
from cost.stopwatch import Stopwatch  # noqa: E402
from cost.texts import write_worked  # noqa: E402
from diversity_cost import main  # noqa: E402
from merge_speed import main as main_merge  # noqa: E402
from passk_speed import main as main_passk  # noqa: E402
from passk_speed import spread  # noqa: E402
from report_speed import main as main_report  # noqa: E402
from update.rollouts import Size, count_without_signal, draw_lengths, draw_rollouts, give_rewards  # noqa: E402
from update_speed import main as main_update  # noqa: E402


def run(*words: str, script: str = "diversity_cost.py") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.slow
def test_quick_run_says_of_every_method_what_share_of_a_step_it_takes(tmp_path):
    written = tmp_path / "new" / "cost.json"
    done = run("--quick", "--steps", "2", "--completion-tokens", "80", "--json", str(written))
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(written.read_text())
    assert [*found["methods"]] == [*NAMES]
    for name, row in found["methods"].items():
        assert name in done.stdout
        assert row["num_steps"] == 2
        share = row["share"]
        assert 0 < share["lowest"] <= share["median"] <= share["highest"] < 100
        assert f"{share['median']:.3f}" in done.stdout
        assert min(row["parts_ms"][part] for part in ("reading", "comparing", "chain", "metrics")) > 0
    forwards = {name: row["forward_share"]["median"] for name, row in found["methods"].items()}
    assert 0 < forwards.pop("pro_grpo") < 100
    assert {*forwards.values()} == {0.0}


def test_help_shows_how_to_run_it(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "python benchmarks/diversity_cost.py" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--steps", "0"], ["--completion-tokens", "-3"], ["--methods", "grpo"]])
def test_mistakes_are_told(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert words[1] in capsys.readouterr().err


def test_every_preset_chain_is_timed():
    found = time_chains(2, 4, repeats=2)
    assert {"grpo", "darling", "rep_exp"} <= {*PRESETS} == {*found}
    assert all(0 < row["fastest"] <= row["median"] <= row["slowest"] for row in found.values())


def test_worked_texts_give_partitions_something_to_do():
    tokenizer, row = build_tokenizer(), Countdown(format="chat", train_size=1).load("train")[0]
    group = [write_worked(row, 128, tokenizer, random.Random(place)) for place in range(64)]
    texts = [each.text for each in group]
    assert {grade_row(text, row).correct for text in texts} == {True, False}
    for name in ("canonical_expression", "equation_set", "final_answer"):
        partition = resolve_partition(name)
        assert 4 < len({*partition.labels(partition.features(texts))}) < 64, name
    assert tokenizer.unk_token_id not in {token for each in group for token in each.ids}
    assert all(64 < len(each.ids) <= 128 and each.ids[-1] == tokenizer.eos_token_id for each in group)


def test_worked_texts_that_do_not_fit_are_cut_and_do_not_end():
    tokenizer, row = build_tokenizer(), Countdown(format="chat", train_size=1).load("train")[0]
    whole, cut = (write_worked(row, length, tokenizer, random.Random(0)) for length in (128, 20))
    assert len(cut.ids) == 20
    assert tokenizer(cut.text)["input_ids"] == cut.ids
    assert tokenizer.eos_token_id not in cut.ids
    assert whole.ids[-1] == tokenizer.eos_token_id


def test_time_inside_a_watched_function_counts_once(monkeypatch):
    # The clock moves by one second a look.
    monkeypatch.setattr("cost.stopwatch.time.perf_counter", iter(range(100)).__next__)

    class Work:
        def outer(self, depth):
            return self.inner() + (self.outer(depth - 1) if depth else 0)

        def inner(self):
            return 1

        def failing(self):
            raise ValueError

    watch, work = Stopwatch(), Work()
    for owner, name, part in ((Work, "inner", "b"), (work, "outer", "a"), (work, "failing", "b")):
        watch.watch(owner, name, part)
    assert work.outer(1) == 2
    # Looks: outer 0, inner 1 2, outer 3, inner 4 5, out 6, out 7: seven seconds, of which inner took two.
    assert watch.take() == {"a": 5, "b": 2}
    assert watch.take() == {}
    with pytest.raises(ValueError):
        work.failing()
    assert watch.take() == {"b": 1}
    assert work.outer(0) == 1
    assert watch.take() == {"a": 2, "b": 1}


SIZE = Size(rows=40, rows_at_once=8, num_generations=4, prompt_tokens=5, completion_tokens=100)


@pytest.mark.slow
def test_quick_run_compares_updates_that_do_the_same(tmp_path):
    written = tmp_path / "new" / "update.json"
    done = run("--quick", "--lengths", "spread", "--sampler", "--json", str(written), script="update_speed.py")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(written.read_text())
    assert [row["zero_share"] for row in found["speed"]] == [0.0, 0.5]
    for row in found["speed"]:
        ratio = row["ratio"]
        assert 0 < ratio["lowest"] <= ratio["median"] <= ratio["highest"] < float("inf")
        assert f"{ratio['median']:.2f}" in done.stdout
        assert 0 < row["cpu_ratio"]["median"] < float("inf")
        assert row["grad_norm_difference"] < 1e-4
        # 8 rows of 8 + 16 tokens, once for the old log-probs and once for the loss.
        assert row["trl_tokens"] == 2 * 8 * 24
    assert found["speed"][1]["rlkit_tokens"] < found["speed"][0]["rlkit_tokens"] < 8 * 24
    (memory,) = found["memory"]
    assert 0 < memory["trl"]["held_mib"] <= memory["trl"]["peak_mib"]
    assert 0 < memory["rlkit"]["held_mib"] <= memory["rlkit"]["peak_mib"]


def test_help_of_the_update_benchmark_shows_how_to_run_it(capsys):
    with pytest.raises(SystemExit, match="0"):
        main_update(["--help"])
    assert "python benchmarks/update_speed.py" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["--rows", "0"], ["--rows", "21"], ["--generations", "1"], ["--zero-share", "1"], ["--zero-share", "nan"]],
    ids=" ".join,
)
def test_mistakes_about_updates_are_told(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main_update(words)
    assert words[1] in capsys.readouterr().err


def test_a_small_curve_is_timed_and_agrees_with_the_reference(tmp_path):
    written = tmp_path / "new" / "passk.json"
    sizes = ["--problems", "40", "--samples", "12", "--resamples", "20", "--repeats", "2"]
    done = run(*sizes, "--json", str(written), script="passk_speed.py")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(written.read_text())
    curve, intervals = found["curve"], found["intervals"]
    assert found["settings"] == {"problems": 40, "samples": 12, "resamples": 20}
    assert curve["largest_difference"] < 1e-12
    assert curve["reference_ks"] == 12
    lowest, highest = curve["rlkit_range_s"]
    assert 0 < lowest <= curve["rlkit_s"] <= highest
    assert curve["ratio"] == pytest.approx(curve["reference_s"] / curve["rlkit_s"])
    assert f"{curve['ratio']:,.0f} times" in done.stdout
    assert 0 < intervals["before_mib"] <= intervals["peak_mib"]
    assert min(intervals["seconds"], intervals["rows_s"]) > 0


def test_a_part_of_the_reference_is_scaled_up_and_said_so(capsys):
    assert main_passk(["--problems", "20", "--samples", "16", "--resamples", "5", "--reference-ks", "4"]) == 0
    assert "from 4 values of k" in capsys.readouterr().out
    assert spread(16, 4) == [1, 6, 11, 16]
    assert spread(3, 9) == [1, 2, 3]


@pytest.mark.parametrize("words", [["--problems", "0"], ["--samples", "x"], ["--resamples", "-1"]], ids=" ".join)
def test_mistakes_about_curves_are_told(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main_passk(words)
    assert words[1] in capsys.readouterr().err


@pytest.mark.slow
def test_averages_of_toy_checkpoints_are_timed(tmp_path):
    written = tmp_path / "new" / "merge.json"
    sizes = ["--quick", "--checkpoints", "2", "--repeats", "1"]
    done = run(*sizes, "--json", str(written), script="merge_speed.py")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(written.read_text())["averages"]
    assert [each["dtype"] for each in found] == ["float32", "bfloat16"]
    for each in found:
        assert 0 < each["model_mib"] < each["before_mib"] <= each["peak_mib"]
        assert each["ratio"] == pytest.approx(each["peak_mib"] / each["model_mib"])
        assert each["seconds"] >= each["cpu_seconds"] > 0
        assert f"{each['ratio']:.2f} times one model" in " ".join(done.stdout.split())


def test_mistakes_about_merges_are_told(capsys):
    with pytest.raises(SystemExit, match="2"):
        main_merge(["--checkpoints", "0"])
    assert "'0' is no count" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main_merge(["--help"])
    assert "python benchmarks/merge_speed.py" in capsys.readouterr().out


def test_help_of_the_curve_benchmark_shows_how_to_run_it(capsys):
    with pytest.raises(SystemExit, match="0"):
        main_passk(["--help"])
    assert "python benchmarks/passk_speed.py" in capsys.readouterr().out


def test_lengths_are_spread_around_a_third_of_the_longest():
    lengths = sorted(draw_lengths("spread", SIZE))
    assert lengths[-1] == SIZE.completion_tokens
    assert 33 <= lengths[19] <= 35 <= lengths[20] <= 37
    assert 0 < lengths[0] < 15
    assert draw_lengths("equal", SIZE) == [100] * 40


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.6])
def test_that_share_of_the_groups_has_no_signal_and_the_others_have(share):
    drawn = draw_rollouts("spread", SIZE, 50, {0, 1, 2}, seed=0)
    assert {0, 1, 2}.isdisjoint(token for row in drawn.completions + drawn.prompts for token in row)
    for seed in range(5):
        given = give_rewards(drawn, share, SIZE.num_generations, seed)
        groups = [given.rewards[start : start + 4] for start in range(0, 40, 4)]
        flat = [group for group in groups if len({*group}) == 1]
        assert 4 * len(flat) == count_without_signal(given, 4) == round(40 * share)
        assert abs(sum(1 if group[0] else -1 for group in flat)) <= 1
        assert all(sum(group) == 2 for group in groups if group not in flat)
    assert all(len({*map(tuple, drawn.prompts[start : start + 4])}) == 1 for start in range(0, 40, 4))


def test_the_clock_of_an_update_rests_where_it_should(monkeypatch):
    from update.measured import Clock

    # The clock moves by one second a look.
    monkeypatch.setattr("update.measured.time.perf_counter", iter(range(100)).__next__)
    monkeypatch.setattr("update.measured.time.process_time", iter(range(0, 1000, 10)).__next__)
    clock = Clock()
    clock.start()
    with pytest.raises(ValueError), clock.pause():
        raise ValueError
    clock.stop()
    assert (clock.seconds, clock.cpu_seconds) == (2, 20)
    clock.start()
    clock.stop()
    assert (clock.seconds, clock.cpu_seconds) == (1, 10)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_isolation_costs_are_measured_for_every_kind():
    ran = run("--calls", "20", "--rounds", "1", script="reward_isolation.py")
    assert ran.returncode == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines()] == [
        "inline",
        "process,",
        "process,",
        "async",
        "replacing",
    ]


@pytest.mark.slow
def test_judging_mathematics_is_timed_beside_trl_and_agrees(tmp_path):
    written = tmp_path / "new" / "speed.json"
    sizes = ["--groups", "3", "--generations", "4", "--batches", "2", "--characters", "200"]
    ran = run(*sizes, "--json", str(written), script="reward_speed.py")
    assert ran.returncode == 0, ran.stderr[-3000:]
    (row,) = json.loads(written.read_text())["rows"]
    assert row["num_same"] == row["num_completions"] == 24
    assert 0 < row["ratios"][0] <= row["ratio"] <= row["ratios"][-1]
    assert f"{row['ratio']:.2f}" in ran.stdout


def test_problems_of_two_batches_differ_and_answers_repeat():
    from argparse import Namespace

    from reward_speed import draw_batch

    args = Namespace(groups=4, generations=16, distinct=4)
    (chats, golds), (_, others) = draw_batch(args, 100, 0), draw_batch(args, 100, 1)
    assert {*golds}.isdisjoint(others)
    for start in range(0, 64, 16):
        answers = {chat[0]["content"].rpartition("So the answer is")[2] for chat in chats[start : start + 16]}
        assert 2 <= len(answers) <= 4
        assert len({*golds[start : start + 16]}) == 1


def test_mistakes_about_judging_are_told(capsys):
    from reward_speed import main as main_reward

    with pytest.raises(SystemExit, match="2"):
        main_reward(["--groups", "0"])
    assert "--groups was given as 0" in capsys.readouterr().err


def test_reports_are_timed_beside_reading_the_samples(tmp_path, capsys):
    written = tmp_path / "speed.json"
    assert main_report(["--sizes", "3x4", "5x8", "--runs", "3", "--run-size", "4x8", "--json", str(written)]) == 0
    found = json.loads(written.read_text())
    assert [(each["problems"], each["samples"]) for each in found["evaluations"]] == [(3, 4), (5, 8)]
    printed = capsys.readouterr().out
    for each in (*found["evaluations"], found["page"]):
        assert each["ratio"] == pytest.approx(each["report_cpu_s"] / each["read_cpu_s"])
        assert f"{each['report_s']:.1f} s" in printed
    assert found["page"]["page_mb"] > 0.1
    with pytest.raises(SystemExit, match="2"):
        main_report(["--sizes", "3"])
    assert "'3' is no size" in capsys.readouterr().err
