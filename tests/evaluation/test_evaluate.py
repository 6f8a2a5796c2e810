"""A whole evaluation with a real tiny model: report, continuation after kills, and what is refused before any of it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from rlkit.cli import main
from rlkit.errors import ConfigError, PluginError, StoreError
from rlkit.estimators import pass_at_k
from rlkit.evaluation import Sample, evaluate
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.samples.reading import read_samples
from rlkit.types import Grade, Row
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


def test_samples_of_other_problems_stand_for_none_of_these(tiny_model: Path, tmp_path: Path) -> None:
    evaluate(str(tiny_model), FirstLetter(), 4, tmp_path, sampling=SAMPLING, engine=SMALL_BATCHES)
    file = tmp_path / "samples.jsonl"
    before = lines_by_key(tmp_path)
    first, *rest = file.read_text().splitlines(keepends=True)
    record = json.loads(first)
    file.write_text("".join([json.dumps(record | {"prompt_id": "elsewhere"}) + "\n", *rest]))
    report = evaluate(str(tiny_model), FirstLetter(), 4, tmp_path, sampling=SAMPLING, engine=SMALL_BATCHES)
    assert report["pass_at_k"]["4"]["num_defined"] == report["num_problems"]
    assert (
        lines_by_key(tmp_path)[record["prompt_id"], record["sample"]] == before[record["prompt_id"], record["sample"]]
    )


def test_what_is_missing_is_drawn_as_it_first_was(finished: Path, tiny_model: Path, tmp_path: Path) -> None:
    whole = lines_by_key(finished)
    evaluate(str(tiny_model), FirstLetter(), 8, tmp_path, sampling=SAMPLING, engine=SMALL_BATCHES)
    lines = (tmp_path / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "samples.jsonl").write_text("".join(lines[:7]) + lines[8][:20])
    report = evaluate(str(tiny_model), FirstLetter(), 8, tmp_path, sampling=SAMPLING, engine=SMALL_BATCHES, name="base")
    assert lines_by_key(tmp_path) == whole
    assert report == json.loads((finished / "report.json").read_text())


@pytest.mark.slow
@pytest.mark.side_by_side
def test_killed_at_twenty_random_moments_it_ends_with_the_same_samples_and_report(
    tiny_model: Path, tmp_path: Path
) -> None:
    """One evaluation, killed and continued twenty times: from before the first file to after the last sample.

    Real processes, but forked from one that has imported everything, which is most of the time of so small a run.
    """
    words = ["eval", "--model", str(tiny_model), "--n", "64", "--max-tokens", "20", "--name", "x"]
    words += ["--task", f"{Path(__file__).parent / 'conftest.py'}:FirstLetter"]
    words += ["--engine", "{name: hf, batch_tokens: 100}", "--output"]
    subprocess.run([sys.executable, "-m", "rlkit", *words, str(tmp_path / "whole")], check=True, capture_output=True)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["rlkit.evaluation.engines.hf", "transformers.models.llama.modeling_llama"])
    samples, rng = tmp_path / "killed" / "samples.jsonl", random.Random(0)
    sizes = []
    for number in range(20):
        before = samples.read_bytes() if samples.exists() else b""
        process = processes.Process(target=main, args=([*words, str(samples.parent)],))
        process.start()
        if number % 4:
            wait_for_growth(process, samples, len(before))
            time.sleep(rng.uniform(0, 0.02))
        else:
            # While loading.
            time.sleep(rng.uniform(0, 1.0))
        process.kill()
        process.join()
        if process.exitcode == 0:
            # A machine that lets this test wait may finish the work before the last of the kills.
            break
        assert process.exitcode == -signal.SIGKILL
        after = samples.read_bytes() if samples.exists() else b""
        # Whole lines stay as they are; only a torn last one may have been cut off.
        assert after.startswith(before[: before.rfind(b"\n") + 1])
        sizes.append(len(after))
    assert len(set(sizes)) > 10
    subprocess.run([sys.executable, "-m", "rlkit", *words, str(samples.parent)], check=True, capture_output=True)
    assert lines_by_key(samples.parent) == lines_by_key(tmp_path / "whole")
    assert (samples.parent / "report.json").read_bytes() == (tmp_path / "whole" / "report.json").read_bytes()


def wait_for_growth(process: BaseProcess, file: Path, size: int) -> None:
    """Return when a file is larger than that, or a process has ended."""
    while process.is_alive() and not (file.exists() and file.stat().st_size > size):
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("limit", ["small file system", "largest file"])
def test_a_disk_that_fills_up_is_one_sentence_and_what_is_on_it_is_kept(
    tiny_model: Path, tmp_path: Path, limit: str
) -> None:
    output, task = tmp_path / "disk" / "out", f"{Path(__file__).parent / 'conftest.py'}:FirstLetter"
    output.parent.mkdir()
    words = ["--model", str(tiny_model), "--task", task, "--n", "64", "--max-tokens", "20", "--output", str(output)]
    command = [sys.executable, "-m", "rlkit", "eval", *words, "--engine", "{name: hf, batch_tokens: 100}"]
    with small_disk(output.parent, limit) as limits:
        ran = subprocess.run(command, capture_output=True, text=True, preexec_fn=limits)
        assert ran.returncode == 2
        assert "cannot be written: " in ran.stderr.splitlines()[-1]
        assert "what is in it is kept." in ran.stderr.splitlines()[-1]
        assert "Traceback" not in ran.stderr
        kept = list(read_samples(output))
        assert 0 < len(kept) < 6 * 64
        shutil.copytree(output, tmp_path / "more")
    command[command.index(str(output))] = str(tmp_path / "more")
    subprocess.run(command, check=True, capture_output=True)
    whole = lines_by_key(tmp_path / "more")
    assert len(whole) == 6 * 64
    assert all(whole[record["prompt_id"], record["sample"]] == record for record in kept)


def limit_files() -> None:
    # Without this the kernel ends the process where a full disk would give an error.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32768, 32768))


@contextlib.contextmanager
def small_disk(folder: Path, limit: str) -> Iterator[Callable[[], None] | None]:
    """Make a folder too small: a file system of 32 KiB, or a process whose files cannot grow beyond that."""
    if limit == "largest file":
        yield limit_files
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.side_by_side
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


class NoGold(FirstLetter):
    def grade(self, completion: str, row: Row) -> Grade:
        return Grade(completion == row["gold"], "compared")


class OneWithoutGold(FirstLetter):
    def load(self, split: str) -> list[Row]:
        rows = [row | {"gold": "a"} for row in super().load(split)]
        del rows[4]["gold"]
        return rows

    def grade(self, completion: str, row: Row) -> Grade:
        return Grade(completion == row["gold"], "compared")


class NoProblems(FirstLetter):
    def load(self, split: str) -> list[Row]:
        return []


class SameId(FirstLetter):
    def load(self, split: str) -> list[Row]:
        return [{"id": "twin", "prompt": "a"}] * 2


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"n": 0}, ConfigError, "was given n=0; write a whole number from 1 to 65536"),
        ({"n": 4.0}, ConfigError, "was given n=4.0; write a whole number"),
        ({"n": int("9" * 50)}, ConfigError, "was given n=9+; write a whole number from 1 to 65536"),
        ({"n": float("nan")}, ConfigError, "was given n=nan; write a whole number"),
        ({"n": "4"}, ConfigError, "was given n='4'; write a whole number"),
        ({"n": True}, ConfigError, "was given n=True; write a whole number"),
        ({"limit": 0}, ConfigError, "was given limit=0; write a whole number of at least 1"),
        ({"limit": "all"}, ConfigError, "was given limit='all'; write a whole number"),
        ({"sampling": {"max_tokens": 10**60}}, ConfigError, "write a number of tokens, at least 1"),
        ({"sampling": {"top_k": 10**60}}, ConfigError, "or a number of tokens"),
        ({"sampling": {"temperature": float("nan")}}, ConfigError, "write a number of 0 or more"),
        ({"model": "./missing"}, ConfigError, "no model directory './missing'"),
        ({"engine": "vlm"}, PluginError, "Did you mean 'vllm'"),
        ({"task": "countdwn"}, PluginError, "Did you mean 'countdown'"),
        ({"task": NoProblems()}, ConfigError, "has no problems"),
        ({"task": NoGold()}, ConfigError, "'test-0' of the task 'first_letter' has no column 'gold'"),
        ({"task": OneWithoutGold()}, ConfigError, "'test-4' of the task 'first_letter' has no column 'gold'"),
        ({"chat": ChatFormat(system="Be brief.")}, ConfigError, "is plain text, on which system would have no effect"),
        ({"thinking_tag": "<think>"}, ConfigError, "the tag's name without brackets"),
        ({"partition": "normalized_text"}, PluginError, "Did you mean 'normalised_text'"),
        ({"adapter": "./missing"}, ConfigError, "There is no adapter in './missing'"),
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
