"""Grading stored samples again: other verdicts over the same samples, in one step that a kill cannot tear."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rlkit.cli import main
from rlkit.errors import PluginError, StoreError
from rlkit.evaluation import Sample, evaluate, read_report
from rlkit.evaluation.samples.reading import read_samples
from rlkit.evaluation.samples.regrade import regrade
from rlkit.evaluation.samples.store import SampleStore
from rlkit.types import Grade, Row
from tests.evaluation.conftest import FirstLetter

HERE = Path(__file__).parent
TASK = f"{HERE.parent / 'conftest.py'}:FirstLetter"


@dataclass(frozen=True)
class LastLetter(FirstLetter):
    """The same problems; correct when the answer ends with the prompt's first letter."""

    name: ClassVar[str] = "last_letter"

    def grade(self, completion: str, row: Row) -> Grade:
        letters = completion.split()
        return Grade(bool(letters) and letters[-1] == row["prompt"][0], "last", " ".join(letters) or None)


@dataclass(frozen=True)
class OtherProblems(FirstLetter):
    def load(self, split: str) -> list[Row]:
        return [row | {"prompt": "h"} for row in super().load(split)]


@dataclass(frozen=True)
class CrashesOnB(FirstLetter):
    def grade(self, completion: str, row: Row) -> Grade:
        if "b" in completion:
            raise RecursionError("too deep")
        return super().grade(completion, row)


@dataclass(frozen=True)
class Scripted:
    """Writes the texts it is given, the same for each problem."""

    texts: tuple[str, ...] = ("a b", "b a", "<think>a</think>b", "<think>a", "", "a  b")

    def check(self) -> None:
        pass

    def sample(self, model: str, rows: list[Row], n: int, sampling: object, done: object) -> Iterator[list[Sample]]:
        for row in rows:
            texts = enumerate(self.texts[:n])
            yield [Sample(row["id"], at, text, len(text) + 1, "stop", -1.0, None) for at, text in texts]


@pytest.fixture
def finished(tiny_model: Path, tmp_path: Path) -> Path:
    evaluate(str(tiny_model), TASK, 6, tmp_path / "base", engine=Scripted())
    return tmp_path / "base"


@pytest.mark.parametrize("thinking_tag", ["think", None])
def test_samples_of_other_problems_stay_as_they_are(finished: Path, thinking_tag: str | None) -> None:
    lines = (finished / "samples.jsonl").read_text().splitlines()
    foreign = lines[3].replace('"prompt_id": "test-0"', '"prompt_id": "elsewhere"')
    assert foreign != lines[3]
    (finished / "samples.jsonl").write_text("\n".join([*lines[:3], foreign, *lines[4:]]) + "\n")
    done = regrade(finished, task=TASK, thinking_tag=thinking_tag, partition="normalised_text")
    assert done.errors == {}
    assert (finished / "samples.jsonl").read_text().splitlines()[3] == foreign


def fields(path: Path, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(record[name] for name in names) for record in read_samples(path)]


def config_of(path: Path) -> dict[str, Any]:
    return json.loads((path / "config.json").read_text())


def test_samples_say_what_was_graded_and_how(finished: Path) -> None:
    first = fields(finished, "completion", "correct", "label", "answer", "class")[:6]
    assert first == [
        ("a b", True, "correct", "ab", "ab"),
        ("b a", False, "wrong_letter", "b", "b"),
        ("<think>a</think>b", False, "wrong_letter", "b", "b"),
        ("<think>a", False, "unclosed_thinking", None, None),
        ("", False, "empty", None, None),
        ("a  b", True, "correct", "ab", "ab"),
    ]
    grader = config_of(finished)["grader"]
    assert (grader["task"], grader["thinking_tag"], grader["partition"]) == (TASK, "think", None)
    assert len(grader["verifier"]) == 16


def test_another_verifier_changes_verdicts_and_nothing_else(finished: Path) -> None:
    before, header = list(read_samples(finished)), config_of(finished)
    done = regrade(finished, task=f"{HERE / 'test_regrade.py'}:LastLetter")
    after = list(read_samples(finished))
    kept = ("prompt_id", "sample", "completion", "num_tokens", "finish_reason", "logp_sum", "logp_mean", "entropy_mean")
    assert [[r[name] for name in kept] for r in after] == [[r[name] for name in kept] for r in before]
    assert [r["label"] for r in after[:6]] == ["last", "last", "last", "unclosed_thinking", "last", "last"]
    assert (done.num_samples, done.num_changed) == (36, 30)
    assert done.changes["empty", "last"] == 6
    assert done.examples[0] == (before[0]["prompt_id"], 0, before[0]["label"], "last")
    now = config_of(finished)
    assert (now["hash"], now["config"]) == (header["hash"], header["config"])
    assert now["grader"]["task"].endswith(":LastLetter")
    assert now["grader"]["verifier"] != header["grader"]["verifier"]
    report = json.loads((finished / "report.json").read_text())
    correct = sum(bool(record["correct"]) for record in after)
    assert sum(problem["num_correct"] for problem in report["problems"]) == correct
    assert report["name"] == "base"


def test_graded_again_the_same_way_nothing_changes(finished: Path) -> None:
    files = {path.name: path.read_bytes() for path in finished.iterdir()}
    assert regrade(finished, task=TASK).num_changed == 0
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == files


def test_another_output_leaves_the_directory_as_it_is(finished: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in finished.iterdir()}
    regrade(finished, task=f"{HERE / 'test_regrade.py'}:LastLetter", output=tmp_path / "other")
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == files
    assert {record["label"] for record in read_samples(tmp_path / "other")} == {"last", "unclosed_thinking"}
    assert config_of(tmp_path / "other")["hash"] == config_of(finished)["hash"]
    with pytest.raises(StoreError, match="is not empty"):
        regrade(finished, task=TASK, output=tmp_path / "other")


def test_the_thinking_tag_stays_unless_another_is_given(finished: Path) -> None:
    regrade(finished, task=TASK, thinking_tag=None)
    assert fields(finished, "label")[3] == ("wrong_letter",)
    assert config_of(finished)["grader"]["thinking_tag"] is None
    assert regrade(finished, task=TASK).num_changed == 0
    assert regrade(finished, task=TASK, thinking_tag="think").changes["wrong_letter", "unclosed_thinking"] == 6


def test_crashes_are_counted_and_score_nothing(finished: Path) -> None:
    done = regrade(finished, task=f"{HERE / 'test_regrade.py'}:CrashesOnB")
    assert done.errors == {"RecursionError: too deep": 24}
    assert done.changes["correct", "grader_error"] == 4
    assert [row for row in fields(finished, "correct", "label") if row[1] == "grader_error"] == [
        (None, "grader_error")
    ] * 24


def test_a_partition_says_what_class_means(finished: Path) -> None:
    regrade(finished, task=TASK, partition="normalised_text")
    assert [name for (name,) in fields(finished, "class")[:6]] == ["a b", "b a", "b", "<empty>", "<empty>", "a b"]
    assert config_of(finished)["grader"]["partition"] == "normalised_text"
    regrade(finished, task=TASK, partition={"name": "ngram_overlap", "n": 1, "threshold": 0.9})
    classes = [name for (name,) in fields(finished, "class")[:6]]
    assert classes[0] == classes[1] == classes[5] == "class 0"
    assert classes[2] == "class 1"
    assert classes[3] == classes[4]
    regrade(finished, task=TASK)
    assert fields(finished, "class") == fields(finished, "answer")


def test_long_classes_end_in_a_digest(tiny_model: Path, tmp_path: Path) -> None:
    texts = ("a " * 200 + "b", "a " * 200 + "c")
    evaluate(str(tiny_model), TASK, 2, tmp_path / "out", engine=Scripted(texts), partition="normalised_text")
    (one,), (two,) = fields(tmp_path / "out", "class")[:2]
    assert one != two
    assert len(one) == len(two) == 120


def test_an_evaluation_with_a_partition_tells_classes_apart_when_all_is_drawn(tiny_model: Path, tmp_path: Path) -> None:
    evaluate(str(tiny_model), TASK, 6, tmp_path / "out", engine=Scripted(), partition="normalised_text")
    assert fields(tmp_path / "out", "class")[0] == ("a b",)
    assert config_of(tmp_path / "out")["grader"]["partition"] == "normalised_text"
    assert regrade(tmp_path / "out", task=TASK, partition="normalised_text").num_changed == 0


def test_other_problems_and_lost_tasks_are_one_sentence(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="gives other problems than those"):
        regrade(finished, task=f"{HERE / 'test_regrade.py'}:OtherProblems")
    with pytest.raises(PluginError, match="Did you mean"):
        regrade(finished, task="countdwn")
    with pytest.raises(StoreError, match=r"holds no evaluation"):
        regrade(tmp_path)
    header = config_of(finished)
    header["grader"]["task"] = "Gone()"
    (finished / "config.json").write_text(json.dumps(header))
    with pytest.raises(PluginError, match="name it with --task"):
        regrade(finished)
    assert regrade(finished, task=TASK).num_changed == 0


def test_a_directory_that_is_being_written_is_left_alone(tiny_model: Path, finished: Path) -> None:
    from rlkit.evaluation.configuration import EvaluationConfig

    config = EvaluationConfig.from_json(config_of(finished)["config"])
    with SampleStore(finished, config), pytest.raises(StoreError, match="being written by another process"):
        regrade(finished, task=TASK)


def test_drawing_goes_on_only_under_the_same_grader(tiny_model: Path, finished: Path) -> None:
    lines = (finished / "samples.jsonl").read_text().splitlines(keepends=True)
    (finished / "samples.jsonl").write_text("".join(lines[:10]))
    arguments = (str(tiny_model), TASK, 6, finished)
    with pytest.raises(StoreError, match=r"graded in another way .* rlkit grade"):
        evaluate(*arguments, engine=Scripted(), thinking_tag=None)
    regrade(finished, task=TASK, thinking_tag=None)
    evaluate(*arguments, engine=Scripted(), thinking_tag=None)
    assert len(fields(finished, "label")) == 36
    assert fields(finished, "label").count(("unclosed_thinking",)) == 0


def test_old_directories_go_on_and_are_graded(tiny_model: Path, finished: Path) -> None:
    header = config_of(finished)
    del header["grader"]
    (finished / "config.json").write_text(json.dumps(header))
    records = [{k: v for k, v in record.items() if k != "class"} for record in read_samples(finished)]
    (finished / "samples.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records[:12]))
    evaluate(str(tiny_model), TASK, 6, finished, engine=Scripted())
    assert regrade(finished, task=TASK).num_samples == 36
    assert fields(finished, "class") == fields(finished, "answer")


@pytest.mark.slow
@pytest.mark.side_by_side
def test_killed_at_any_moment_the_old_or_the_new_verdicts_are_there(tiny_model: Path, finished: Path) -> None:
    path = finished / "samples.jsonl"
    old = path.read_bytes()
    program = """
        import sys
        from rlkit.evaluation.samples.regrade import regrade
        from rlkit.evaluation.configuration import EvaluationConfig
        print("go", flush=True)
        for number in range(100_000):
            regrade(sys.argv[1], task=sys.argv[2 + number % 2])
    """
    tasks = [f"{HERE / 'test_regrade.py'}:LastLetter", TASK]
    regrade(finished, task=tasks[0])
    wholes = {old, path.read_bytes()}
    seen = set()
    for moment in range(6):
        command = [sys.executable, "-c", textwrap.dedent(program), str(finished), *tasks]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "go\n"
            time.sleep(0.5 + 0.017 * moment)
            os.kill(process.pid, signal.SIGKILL)
        assert path.read_bytes() in wholes
        grader = config_of(finished)["grader"]
        if not grader.get("pending"):
            assert (grader["task"] == TASK) == (path.read_bytes() == old)
        seen.add(path.read_bytes())
    regrade(finished, task=TASK)
    assert path.read_bytes() == old
    assert "pending" not in config_of(finished)["grader"]


def test_pending_grades_are_not_mixed_with_new_ones(tiny_model: Path, finished: Path) -> None:
    header = config_of(finished)
    header["grader"]["pending"] = "labels"
    (finished / "config.json").write_text(json.dumps(header))
    lines = (finished / "samples.jsonl").read_text().splitlines(keepends=True)
    (finished / "samples.jsonl").write_text("".join(lines[:10]))
    with pytest.raises(StoreError, match="rlkit grade"):
        evaluate(str(tiny_model), TASK, 6, finished, engine=Scripted())
    header["grader"]["pending"] = "classes"
    (finished / "config.json").write_text(json.dumps(header))
    evaluate(str(tiny_model), TASK, 6, finished, engine=Scripted(), partition="normalised_text")
    assert "pending" not in config_of(finished)["grader"]
    assert fields(finished, "class")[0] == ("a b",)


def test_on_the_command_line(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = f"{HERE / 'test_regrade.py'}:LastLetter"
    assert main(["grade", str(finished), "--task", task]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "30 of 36 labels changed"
    assert "empty -> last" in printed.out
    assert "test-0, sample 0: correct -> last" in printed.out
    assert main(["grade", str(finished), "--task", task, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "num_samples": 36, "num_changed": 0, "changes": [], "examples": [], "num_errors": 0
    }  # fmt: skip
    assert main(["grade", str(finished), "--task", task, "--thinking-tag", "<think>"]) == 2
    assert "the tag's name without brackets" in capsys.readouterr().err
    assert main(["grade", str(finished / "none")]) == 2
    assert "is not a directory" in capsys.readouterr().err


def test_code_that_a_directory_names_is_run_only_when_the_user_names_it(tiny_model: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "task.py"
    runs = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
    plugin.write_text(f"{runs}from tests.evaluation.conftest import FirstLetter\n")
    evaluate(str(tiny_model), TASK, 6, tmp_path / "out", engine=Scripted())
    spec = f"{plugin}:FirstLetter"
    for named in (spec, {"name": "dataset", "path": "x.jsonl", "verifier": spec}, str(tmp_path / "task.yaml")):
        header = config_of(tmp_path / "out")
        header["grader"]["task"] = named
        (tmp_path / "out" / "config.json").write_text(json.dumps(header))
        with pytest.raises(StoreError, match=r"which is code; if you trust it, name the task yourself with --task"):
            regrade(tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert regrade(tmp_path / "out", task=spec).num_changed == 0
    assert (tmp_path / "ran").exists()


def test_a_kill_before_the_report_is_written_is_noticed_and_mended(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"{HERE / 'test_regrade.py'}:LastLetter"
    before = (finished / "report.json").read_bytes()

    def killed(plan: object) -> dict[str, Any]:
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr("rlkit.evaluation.samples.regrade.build_report", killed)
        with pytest.raises(SystemExit):
            regrade(finished, task=other)
    assert (finished / "report.json").read_bytes() == before
    assert {label for (label,) in fields(finished, "label")} == {"last", "unclosed_thinking"}
    with pytest.raises(StoreError, match=r"was broken off.*rlkit grade .* finishes it"):
        read_report(finished)
    assert regrade(finished, task=other).num_changed == 0
    assert "last" in read_report(finished)["labels"]


def test_a_directory_that_cannot_be_written_is_graded_into_another(finished: Path) -> None:
    program = f"""
        import filelock, os, sys
        from rlkit.evaluation.samples.regrade import regrade
        # Loads what the other user cannot read.
        regrade(sys.argv[1], task={TASK!r}, output=sys.argv[2] + "-first")
        os.setgid(65534), os.setuid(65534)
        print(regrade(sys.argv[1], task={TASK!r}, output=sys.argv[2]).num_samples)
        try:
            regrade(sys.argv[1], task={TASK!r})
        except Exception as error:
            print(type(error).__name__, error)
    """
    if os.geteuid() != 0:
        pytest.skip("needs another user to be without rights")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        shutil.copytree(finished, Path(folder, "base"))
        command = [sys.executable, "-c", textwrap.dedent(program), f"{folder}/base", f"{folder}/out"]
        ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    first, second = ran.stdout.splitlines()
    assert first == "36"
    assert second.startswith("StoreError")
    assert "cannot be written" in second
