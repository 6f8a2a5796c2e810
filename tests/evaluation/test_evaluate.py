"""A whole evaluation with a real tiny model: report, continuation after kills, and what is refused before any of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlkit.errors import ConfigError, PluginError, StoreError
from rlkit.estimators import pass_at_k
from rlkit.evaluation import Sample, evaluate
from rlkit.types import Row
from tests.evaluation.conftest import FirstLetter

SAMPLING = {"max_tokens": 20, "seed": 1}
SMALL_BATCHES = {"name": "hf", "batch_tokens": 100}


def lines_by_key(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    records = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    assert len({(record["prompt_id"], record["sample"]) for record in records}) == len(records)
    return {(record["prompt_id"], record["sample"]): record for record in records}


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluations") / "base"
    evaluate(str(tiny_model), FirstLetter(), 8, path, sampling=SAMPLING, engine=SMALL_BATCHES)
    return path


def test_the_report_is_what_the_samples_say(finished: Path, tiny_model: Path) -> None:
    report, records = json.loads((finished / "report.json").read_text()), lines_by_key(finished)
    assert (report["name"], report["task"], report["split"], report["n"]) == ("base", "first_letter", "test", 8)
    assert (report["engine"], report["model"], report["num_problems"]) == ("hf", str(tiny_model), 6)
    assert report["config_hash"] == json.loads((finished / "config.json").read_text())["hash"]
    assert list(report["pass_at_k"]) == [str(k) for k in range(1, 9)]
    correct = [sum(bool(r["correct"]) for r in records.values() if r["prompt_id"] == f"test-{i}") for i in range(6)]
    assert sum(correct) > 0
    assert [problem["num_correct"] for problem in report["problems"]] == correct
    for k in (1, 3, 8):
        assert report["pass_at_k"][str(k)]["value"] == pytest.approx(sum(pass_at_k(8, c, k) for c in correct) / 6)
    tokens = sum(record["num_tokens"] for record in records.values())
    assert report["metrics"]["num_tokens"]["value"] == pytest.approx(tokens / 48)
    assert report["problems"][0]["prompt"] == "a"


FAMILIES = ("maj_at_k", "pass_hat_k", "bayes_pass_at_k", "mg_pass_at_k", "distinct_at_k")


def test_the_report_holds_every_family_and_a_cell_says_what_it_rests_on(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    families = [report[name] for name in FAMILIES] + [*report["best_of_k"].values()]
    assert all([*family] == ["1", "2", "4", "8"] for family in families)
    assert [*report["g_pass_at_k"]] == ["1", "2", "4", "8"]
    families += [report["pass_at_k"], report["cover_at_tau"], report["cover_posterior_at_tau"], report["metrics"]]
    families += [*report["g_pass_at_k"].values(), report["extrapolation"]["pass_at_k"]]
    for cell in [cell for family in families for cell in family.values()]:
        assert {"value", "low", "high", "num_defined", "num_total"} <= {*cell}
        assert 0 <= cell["num_defined"] <= cell["num_total"] == 6
        assert (cell["value"] is None) == (cell["num_defined"] == 0)
    for k in ("1", "2", "4", "8"):
        assert report["maj_at_k"][k]["value"] <= report["pass_at_k"][k]["value"] + 1e-12
        assert report["g_pass_at_k"][k]["1"]["value"] == pytest.approx(report["pass_hat_k"][k]["value"])
    assert report["best_of_k"]["logp_mean"]["8"]["value"] == pytest.approx(report["metrics"]["confident_pick"]["value"])


def test_answers_of_the_report_are_those_of_the_samples(finished: Path) -> None:
    report, records = json.loads((finished / "report.json").read_text()), lines_by_key(finished)
    for problem in report["problems"]:
        of_it = [record for record in records.values() if record["prompt_id"] == problem["id"]]
        scored = [record for record in of_it if record["correct"] is not None]
        for key, (count, correct) in problem["answers"].items():
            assert count == sum((record["answer"] or "") == key for record in scored)
            assert correct == sum((record["answer"] or "") == key and record["correct"] for record in scored)
        assert sum(count for count, _ in problem["answers"].values()) == problem["num_samples"]


def test_a_finished_evaluation_is_measured_anew_without_its_report(tiny_model: Path, tmp_path: Path) -> None:
    engine = CountingEngine()
    first = evaluate(str(tiny_model), FirstLetter(), 4, tmp_path, sampling=SAMPLING, engine=engine)
    (tmp_path / "report.json").unlink()
    again = evaluate(str(tiny_model), FirstLetter(), 4, tmp_path, sampling=SAMPLING, engine=engine)
    assert again == first == json.loads((tmp_path / "report.json").read_text())
    assert engine.calls == 1


def test_a_finished_evaluation_is_reused_without_the_model(finished: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = (finished / "samples.jsonl").read_bytes()
    engine = CountingEngine()
    with pytest.raises(StoreError, match="engine is"):
        evaluate(str(tiny_model), FirstLetter(), 8, finished, sampling=SAMPLING, engine=engine)
    copy = tmp_path / "moved"
    evaluate(str(tiny_model), FirstLetter(), 8, copy, sampling=SAMPLING, engine=engine)
    evaluate(str(tiny_model), FirstLetter(), 8, copy, sampling=SAMPLING, engine=engine)
    assert engine.calls == 1
    assert (finished / "samples.jsonl").read_bytes() == before


def test_what_is_missing_is_drawn_as_it_first_was(finished: Path, tiny_model: Path, tmp_path: Path) -> None:
    whole = lines_by_key(finished)
    evaluate(str(tiny_model), FirstLetter(), 8, tmp_path, sampling=SAMPLING, engine=SMALL_BATCHES)
    lines = (tmp_path / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "samples.jsonl").write_text("".join(lines[:7]) + lines[8][:20])
    report = evaluate(str(tiny_model), FirstLetter(), 8, tmp_path, sampling=SAMPLING, engine=SMALL_BATCHES, name="base")
    assert lines_by_key(tmp_path) == whole
    assert report == json.loads((finished / "report.json").read_text())


@pytest.mark.slow
def test_killed_at_many_moments_it_ends_with_the_same_report(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rlkit", "eval", "--model", str(tiny_model), "--n", "64", "--max-tokens", "20"]
    command += ["--task", f"{Path(__file__).parent / 'conftest.py'}:FirstLetter", "--name", "x"]
    command += ["--engine", "{name: hf, batch_tokens: 100}"]
    subprocess.run([*command, "--output", str(tmp_path / "whole")], check=True, capture_output=True)
    samples = tmp_path / "killed" / "samples.jsonl"
    for _ in range(4):
        size = samples.stat().st_size if samples.exists() else 0
        with subprocess.Popen([*command, "--output", str(samples.parent)], stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not (samples.exists() and samples.stat().st_size > size):
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
    assert 0 < len(samples.read_text().splitlines()) < 6 * 64
    subprocess.run([*command, "--output", str(samples.parent)], check=True, capture_output=True)
    assert lines_by_key(samples.parent) == lines_by_key(tmp_path / "whole")
    assert (samples.parent / "report.json").read_bytes() == (tmp_path / "whole" / "report.json").read_bytes()


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rlkit", "eval", "--model", str(tiny_model), "--n", "4000", "--max-tokens", "20"]
    command += ["--task", f"{Path(__file__).parent / 'conftest.py'}:FirstLetter", "--output", str(tmp_path / "out")]
    command += ["--engine", "{name: hf, batch_tokens: 100}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not (tmp_path / "out" / "samples.jsonl").exists():
            time.sleep(0.05)
        time.sleep(2.0)  # on a busy machine the first lines can be there before sampling is under way
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("rlkit: interrupted: ")
    assert "the same command goes on from there." in said
    assert "Traceback" not in said


class CountingEngine:
    """Gives every sample the first letter of its prompt, and counts how often it is asked."""

    calls = 0

    def __repr__(self) -> str:
        return "CountingEngine()"

    def check(self) -> None:
        pass

    def sample(self, model: str, rows: list[Row], n: int, sampling: object, done: set) -> Iterator[list[Sample]]:
        self.calls += 1
        for row in rows:
            yield [Sample(row["id"], number, row["prompt"][0], 2, "stop", -1.0, None) for number in range(n)]


def test_an_engine_of_one_s_own_is_enough(tiny_model: Path, tmp_path: Path) -> None:
    report = evaluate(str(tiny_model), FirstLetter(), 3, tmp_path, engine=CountingEngine(), limit=4)
    assert report["pass_at_k"]["1"]["value"] == 1.0
    assert report["pass_at_k"]["1"]["low"] < 1.0
    assert report["num_problems"] == 4
    assert report["metrics"]["token_entropy"] == {
        "value": None, "low": None, "high": None, "num_defined": 0, "num_total": 4
    }  # fmt: skip


class NoProblems(FirstLetter):
    def load(self, split: str) -> list[Row]:
        return []


class SameId(FirstLetter):
    def load(self, split: str) -> list[Row]:
        return [{"id": "twin", "prompt": "a"}] * 2


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"n": 0}, ConfigError, "at least 1 sample"),
        ({"n": 4.0}, ConfigError, "n was given as 4.0"),
        ({"limit": 0}, ConfigError, "at least 1 problem"),
        ({"model": "./missing"}, ConfigError, "no model directory './missing'"),
        ({"engine": "vlm"}, PluginError, "Did you mean 'vllm'"),
        ({"task": "countdwn"}, PluginError, "Did you mean 'countdown'"),
        ({"task": NoProblems()}, ConfigError, "has no problems"),
        ({"task": SameId()}, ConfigError, "gives 2 problems the id 'twin'"),
        ({"sampling": {"temperature": 0}}, ConfigError, "same completion every time"),
        ({"sampling": {"top_q": 0}}, ConfigError, "Did you mean 'top_"),
    ],
)
def test_mistakes_are_found_before_anything_is_loaded_or_written(
    tiny_model: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    arguments = {"model": str(tiny_model), "task": FirstLetter(), "n": 4, "output": tmp_path / "out", **changes}
    with pytest.raises(error, match=said):
        evaluate(**arguments)
    assert not (tmp_path / "out").exists()


def test_an_evaluation_in_a_run_is_called_after_the_run(tiny_model: Path, tmp_path: Path) -> None:
    report = evaluate(str(tiny_model), FirstLetter(1), 1, tmp_path / "grpo" / "eval", engine=CountingEngine())
    assert report["name"] == "grpo"
