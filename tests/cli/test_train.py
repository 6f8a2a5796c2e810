"""`rlkit train`: what is refused and when, real runs, interrupts, and going on as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.recipe import load_recipe
from rlkit.runs import Claim, RunDirectory

REPOSITORY = Path(__file__).parents[2]
SMALL = {
    "train.max_steps": 12,
    "train.per_device_train_batch_size": 32,
    "train.num_generations": 8,
    "task.train_size": 64,
}


def words(output, recipe="countdown/darling", **changes):
    settings = SMALL | {"output": output} | {key.replace("__", "."): value for key, value in changes.items()}
    return ["train", recipe, *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]


def start_run(*arguments):
    command = [sys.executable, "-m", "rlkit", *arguments]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish_run(process):
    stdout, stderr = process.communicate(timeout=300)
    return process.returncode, stdout, stderr


def read_log(output):
    return [json.loads(line) for line in (output / "train_log.jsonl").read_text().splitlines()]


def read_state(output):
    return json.loads((output / "run.json").read_text())


def one_sentence(capsys):
    streams = capsys.readouterr()
    assert streams.err.startswith("rlkit: ")
    assert streams.err.count("\n") == 1
    return streams.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "countdown/grop"], "Did you mean 'countdown/grpo'"),
        (["train", "gone.yaml"], "no such file"),
        (["train", "countdown/grpo", "--set", "advantages=nsr"], "Did you mean 'advantage'"),
        (["train", "countdown/grpo", "--set", "advantage=gpro"], "Did you mean 'grpo'"),
        (["train", "countdown/grpo", "--set", "task.format=prose"], "tokens"),
        (["train", "countdown/grpo", "--set", "model=/nowhere/model"], "There is no model directory '/nowhere/model'"),
        (["train", "countdown/grpo", "--set", "train.max_steps"], "not of the form key=value"),
    ],
)
def test_mistakes_that_need_no_trainer_to_see_are_told_without_one(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert said in one_sentence(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train__lerning_rate": 1}, "Did you mean 'learning_rate'"),
        ({"train__learning_rate": "fast"}, "train.learning_rate was given as 'fast', which is text; it takes a number"),
        ({"train__max_steps": "ten"}, "it takes a whole number"),
        ({"train__loss_type": "gpro"}, "Did you mean 'grpo'"),
        ({"train__num_generations": 24}, "num_generations 16 or 32 or per_device_train_batch_size 24 or 48 would do"),
        ({"train__eval_strategy": "steps"}, "use rlkit eval"),
        ({"train__auto_find_batch_size": "true"}, "These train settings are refused: auto_find_batch_size"),
        ({"task__train_size": 3}, "A generation batch takes 4 problems, but the task has 3"),
        ({"peft__rank": 8}, "peft has no setting 'rank'"),
        ({"peft__layers_pattern": "h"}, "These peft settings are refused"),
        ({"model": "countdown-tyni"}, "Did you mean 'countdown-tiny'"),
    ],
)
def test_mistakes_in_settings_are_told_before_a_model_is_loaded(tmp_path, capsys, change, said):
    assert main(words(tmp_path / "run", **change)) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_dry_run_prints_the_resolved_recipe_and_writes_nothing(tmp_path, capsys):
    assert main([*words(tmp_path / "run", train__learning_rate="1e-4"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "learning_rate: 0.0001" in printed
    assert "max_completion_length: 16" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    output = tmp_path_factory.mktemp("train") / "whole run"
    code, stdout, stderr = finish_run(start_run(*words(output)))
    assert (code, stdout) == (0, ""), stderr
    assert stderr.splitlines()[-1] == f"Finished {output} after 12 steps; the model is in {output}/model."
    return output


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_run_leaves_its_recipe_log_state_and_model(whole_run):
    assert [entry["step"] for entry in read_log(whole_run)] == list(range(1, 13))
    keys = {"reward", "entropy", "loss", "grad_norm", "diversity/pass_at_g", "diversity/distinct_correct"}
    assert all(keys <= set(entry) for entry in read_log(whole_run))
    state = read_state(whole_run)
    assert (state["status"], state["step"], state["world_size"]) == ("finished", 12, 1)
    assert {"rlkit", "torch", "trl"} <= set(state["versions"])
    assert not list(whole_run.glob("checkpoint-*"))


@pytest.mark.slow
@pytest.mark.side_by_side
def test_the_trained_model_loads_by_itself_and_has_learnt_something(whole_run):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rlkit.assets import model_path

    trained = AutoModelForCausalLM.from_pretrained(whole_run / "model")
    base = AutoModelForCausalLM.from_pretrained(model_path("countdown-tiny"))
    assert any(not torch.equal(a, b) for a, b in zip(trained.parameters(), base.parameters(), strict=True))
    assert AutoTokenizer.from_pretrained(whole_run / "model")("3 + 5")["input_ids"]


@pytest.mark.slow
@pytest.mark.side_by_side
def test_the_saved_recipe_describes_the_run_by_itself(whole_run, capsys):
    assert main(["train", str(whole_run / "recipe.yaml")]) == 0
    assert "holds this run, finished after 12 steps" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.side_by_side
def test_another_recipe_is_refused_in_one_sentence_and_harms_nothing(whole_run):
    before = {path: path.stat().st_mtime_ns for path in whole_run.rglob("*")}
    code, stdout, stderr = finish_run(start_run(*words(whole_run, train__seed=1)))
    assert (code, stdout) == (2, "")
    assert len(stderr.splitlines()) == 1
    assert "holds another run: train.seed is 0 there, 1 here" in stderr
    assert {path: path.stat().st_mtime_ns for path in whole_run.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.side_by_side
def test_an_interrupted_run_continues_as_if_nothing_had_happened(tmp_path, whole_run):
    output = tmp_path / "run"
    process = start_run(*words(output))
    wait_for_steps(output, 3, process)
    process.send_signal(signal.SIGINT)
    code, _, stderr = finish_run(process)
    assert code == 130, stderr
    assert "the same command continues" in stderr
    assert "Traceback" not in stderr
    stopped_at = read_state(output)["step"]
    assert read_state(output)["status"] == "interrupted"
    assert 3 <= stopped_at < 12
    assert (output / f"checkpoint-{stopped_at}" / "trainer_state.json").is_file()
    code, _, stderr = finish_run(start_run(*words(output)))
    assert code == 0, stderr
    assert f"Continuing {output} from step {stopped_at}." in stderr
    for key in ("step", "reward", "entropy", "loss", "grad_norm", "diversity/distinct"):
        ours, whole = ([entry[key] for entry in read_log(run)] for run in (output, whole_run))
        assert ours == pytest.approx(whole, abs=1e-6), key


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_killed_run_is_free_to_continue(tmp_path):
    output = tmp_path / "run"
    process = start_run(*words(output, train__max_steps=4000))
    wait_for_steps(output, 2, process)
    process.kill()
    process.communicate()
    assert read_state(output)["status"] == "running"
    run = RunDirectory(output)
    with run.lock():
        assert run.inspect(load_recipe(str(output / "recipe.yaml"))) == Claim("continue")


SLOW_REWARD = """
import time
from pathlib import Path

def sleep_long(completions, **columns):
    (Path(__file__).parent / "called").touch()
    time.sleep(200)
    return [1.0] * len(completions)
"""


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_second_ctrl_c_does_not_wait_for_the_step(tmp_path):
    reward, output = tmp_path / "reward.py", tmp_path / "run"
    reward.write_text(SLOW_REWARD)
    process = start_run(*words(output, rewards=f"['{reward}:sleep_long']"))
    wait_until((tmp_path / "called").exists, process)
    process.send_signal(signal.SIGINT)
    # One Ctrl-C can arrive twice; only later ones count as the second.
    time.sleep(1.5)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, _, stderr = finish_run(process)
    assert (code, time.monotonic() - begun < 60) == (130, True), stderr
    assert "Traceback" not in stderr
    assert read_state(output)["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_reward_that_fails_leaves_a_failed_run_that_a_mended_recipe_replaces(tmp_path):
    reward, output = tmp_path / "reward.py", tmp_path / "run"
    reward.write_text("def broken(completions, **columns):\n    raise ZeroDivisionError('mine')\n")
    code, _, stderr = finish_run(start_run(*words(output, rewards=f"['{reward}:broken']")))
    assert code != 0
    assert "mine" in stderr
    assert (read_state(output)["status"], "mine" in read_state(output)["error"]) == ("failed", True)
    assert RunDirectory(output).inspect(load_recipe("countdown/grpo")) == Claim("start")


def wait_for_steps(output, count, process):
    log = output / "train_log.jsonl"
    wait_until(lambda: log.is_file() and len(log.read_text().splitlines()) >= count, process)


def wait_until(condition, process):
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
