"""The sample directory: torn lines, kills, two writers, other configurations, full disks."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlkit.errors import StoreError
from rlkit.evaluation.configuration import EvaluationConfig
from rlkit.evaluation.directory import read_config
from rlkit.evaluation.samples.reading import Record, read_samples
from rlkit.evaluation.samples.store import SampleStore, check_directory, replacing_graded
from rlkit.evaluation.sampling import SamplingConfig

CONFIG = EvaluationConfig(
    model="m",
    model_fingerprint="f",
    task="t",
    split="test",
    limit=None,
    prompts_digest="p",
    n=4,
    engine="hf",
    sampling=SamplingConfig(),
)


def record(prompt: str, sample: int, text: str = "x") -> Record:
    numbers = dict.fromkeys(("num_tokens", "finish_reason", "logp_sum", "logp_mean", "entropy_mean"))
    graded = {"correct": True, "label": "right", "answer": None, "class": None}
    return {"prompt_id": prompt, "sample": sample, "completion": text, **numbers, **graded}


def stored(path: Path) -> list[Record]:
    return list(read_samples(path))


def test_what_is_appended_is_read_back_and_continued(tmp_path: Path) -> None:
    batch = [record("a", 0, 'line\nbreak "quote" é \u2028'), record("a", 1)]
    with SampleStore(tmp_path / "new" / "dir", CONFIG) as store:
        store.append(batch)
    with SampleStore(tmp_path / "new" / "dir", CONFIG) as store:
        assert store.done == {("a", 0), ("a", 1)}
        store.append([record("a", 1, "again"), record("b", 0)])
    assert stored(tmp_path / "new" / "dir") == [*batch, record("b", 0)]


def test_the_configuration_is_kept_with_its_hash(tmp_path: Path) -> None:
    with SampleStore(tmp_path, CONFIG):
        pass
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["hash"] == CONFIG.digest
    assert config["config"]["sampling"]["temperature"] == 1.0


def test_the_grader_is_whoever_graded_the_first_sample(tmp_path: Path) -> None:
    graders = [{"task": "t", "thinking_tag": tag} for tag in ("think", "reason")]
    for grader in graders:
        with SampleStore(tmp_path, CONFIG, grader):
            pass
        assert json.loads((tmp_path / "config.json").read_text())["grader"] == grader
    with SampleStore(tmp_path, CONFIG, graders[0]) as store:
        store.append([record("a", 0)])
    with SampleStore(tmp_path, CONFIG, graders[1]):
        pass
    assert json.loads((tmp_path / "config.json").read_text())["grader"] == graders[0]


def test_lines_are_replaced_all_at_once_or_not_at_all(tmp_path: Path) -> None:
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0), record("a", 1)])
    header, before = read_config(tmp_path), (tmp_path / "samples.jsonl").read_bytes()

    def put(records: Iterator[Record]) -> None:
        with replacing_graded(tmp_path, header, {"task": "t"}, records):
            assert read_config(tmp_path)["grader"] == {"task": "t", "pending": "labels"}

    def breaks_off() -> Iterator[Record]:
        yield record("a", 0, "new")
        raise RuntimeError("the verifier went mad")

    with pytest.raises(RuntimeError):
        put(breaks_off())
    assert (tmp_path / "samples.jsonl").read_bytes() == before
    assert read_config(tmp_path) == header
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "config.json", "samples.jsonl"]
    put(iter([record("a", 0, "new")]))
    assert stored(tmp_path) == [record("a", 0, "new")]
    assert read_config(tmp_path) == {**header, "grader": {"task": "t"}}


@pytest.mark.parametrize("torn_at", [1, 10, 30])
def test_a_torn_last_line_is_cut_off_and_drawn_again(tmp_path: Path, torn_at: int) -> None:
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0), record("a", 1)])
    path = tmp_path / "samples.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-torn_at])
    assert stored(tmp_path) == [record("a", 0)]
    with SampleStore(tmp_path, CONFIG) as store:
        assert store.done == {("a", 0)}
        store.append([record("a", 1)])
    assert path.read_bytes() == whole


def test_a_torn_line_longer_than_a_block_is_cut_off(tmp_path: Path) -> None:
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0)])
    path = tmp_path / "samples.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b"y" * 200_000)
    with SampleStore(tmp_path, CONFIG) as store:
        assert store.done == {("a", 0)}
    assert path.read_bytes() == whole


def test_a_first_line_that_is_torn_leaves_nothing(tmp_path: Path) -> None:
    with SampleStore(tmp_path, CONFIG):
        (tmp_path / "samples.jsonl").write_bytes(b'{"prompt_id": "a"')
    with SampleStore(tmp_path, CONFIG) as store:
        assert not store.done
    assert (tmp_path / "samples.jsonl").read_bytes() == b""


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0)])
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write("garbage\n" + json.dumps(record("a", 1)) + "\n")
    with pytest.raises(StoreError, match=r"Line 2 of .* is not a sample"), SampleStore(tmp_path, CONFIG):
        pass


def test_another_configuration_is_refused_in_words(tmp_path: Path) -> None:
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0)])
    hotter = SamplingConfig(temperature=0.7)
    other = dataclasses.replace(CONFIG, n=8, sampling=hotter, model_fingerprint="g")
    with pytest.raises(StoreError) as caught:
        check_directory(tmp_path, other)
    said = str(caught.value)
    assert "n is 4 there and 8 here" in said
    assert "sampling.temperature is 1.0 there and 0.7 here" in said
    assert "the model's files have changed" in said
    assert "choose another output" in said


def test_the_same_files_under_another_path_are_the_same_model(tmp_path: Path) -> None:
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0)])
    check_directory(tmp_path, dataclasses.replace(CONFIG, model="elsewhere/m"))


def test_a_configuration_without_samples_blocks_nobody(tmp_path: Path) -> None:
    with SampleStore(tmp_path, dataclasses.replace(CONFIG, n=99)):
        pass
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0)])
    assert json.loads((tmp_path / "config.json").read_text())["hash"] == CONFIG.digest


def test_directories_of_something_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match=r"holds 'thesis.tex' but no evaluation"), SampleStore(tmp_path, CONFIG):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(StoreError, match="is a file"), SampleStore(tmp_path / "thesis.tex", CONFIG):
        pass


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with (
        SampleStore(tmp_path, CONFIG),
        pytest.raises(StoreError, match="being written by another process"),
        SampleStore(tmp_path, CONFIG),
    ):
        pass
    with SampleStore(tmp_path, CONFIG):
        pass


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0)])
    with SampleStore(tmp_path, CONFIG) as store:
        with open("/dev/full", "ab", buffering=0) as full:
            os.dup2(full.fileno(), store._file._file.fileno())
        with pytest.raises(StoreError, match="No space left on device; what is in it is kept"):
            store.append([record("a", 1)])
    assert stored(tmp_path) == [record("a", 0)]


@pytest.mark.slow
@pytest.mark.side_by_side
def test_killed_at_any_moment_it_continues(tmp_path: Path) -> None:
    program = """
        from tests.evaluation.samples.test_store import CONFIG, record
        from rlkit.evaluation.samples.store import SampleStore
        import sys
        with SampleStore(sys.argv[1], CONFIG) as store:
            print("open", flush=True)
            for prompt in range(10_000):
                store.append([record(str(prompt), sample, "x" * 3000) for sample in range(4)])
                print(prompt, flush=True)
    """
    for round_number in range(3):
        before = stored(tmp_path)
        command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported = [process.stdout.readline() for _ in range(3 + 7 * round_number)]
            process.send_signal(signal.SIGKILL)
        after = stored(tmp_path)
        assert after[: len(before)] == before
        assert len(after) >= 4 * len([line for line in reported if line.strip().isdigit()])
    with SampleStore(tmp_path, CONFIG) as store:
        assert len(store.done) == len(stored(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        {"sample": [1]},
        {"sample": True},
        {"prompt_id": 3},
        {"completion": None},
        {"num_tokens": "12"},
        {"logp_sum": float("nan")},
        {"correct": "yes"},
        {"class": {"a": 1}},
        {"label": None},
    ],
)
def test_a_line_with_what_no_field_can_hold_is_named(tmp_path: Path, damage: dict[str, object]) -> None:
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0)])
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write(json.dumps(record("a", 1) | damage) + "\n")
    with pytest.raises(StoreError, match=r"Line 2 of .* is not a sample"):
        stored(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        {"sample": -1},
        {"sample": 4},
        {"num_tokens": -1},
        {"num_tokens": 10**13},
        {"logp_sum": -(10.0**13)},
        {"entropy_mean": 1e13},
        {"correct": 1},
        {"num_tokens": True},
        {"extra": [1], "label": 2},
    ],
)
def test_a_line_is_judged_alike_whatever_was_read_before_it(tmp_path: Path, damage: dict[str, object]) -> None:
    # The first lines make the reader trust their shape; the last has the same one, or nearly.
    with SampleStore(tmp_path, CONFIG) as store:
        store.append([record("a", 0) | {"num_tokens": 3, "logp_sum": -1.0, "entropy_mean": 0.5}, record("a", 1)])
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write(
            json.dumps(record("a", 2) | {"num_tokens": 3, "logp_sum": -1.0, "entropy_mean": 0.5} | damage) + "\n"
        )
    with pytest.raises(StoreError, match=r"Line 3 of .* is not a sample"):
        stored(tmp_path)


def test_halves_of_characters_are_replaced_in_lines_of_a_known_shape_too(tmp_path: Path) -> None:
    lines = [json.dumps(record("a", at, "x\ud83d" if at else "x")) + "\n" for at in range(3)]
    (tmp_path / "samples.jsonl").write_text("".join(lines))
    assert [found["completion"] for found in stored(tmp_path)] == ["x", "x?", "x?"]


def test_samples_of_an_older_version_are_read_under_todays_names(tmp_path: Path) -> None:
    old = {"prompt_id": "a", "sample": 0, "completion": "x", "correct": None, "verdict": "odd"}
    (tmp_path / "samples.jsonl").write_text(json.dumps(old) + "\n")
    (found,) = stored(tmp_path)
    assert (found["label"], found["class"], found["logp_sum"]) == ("odd", None, None)
    assert "verdict" not in found


def test_samples_of_some_prompts_are_found_however_their_line_is_written(tmp_path: Path) -> None:
    odd = 'a", "\u03c0'
    lines = [record(odd, 0), record("b", 0), {"sample": 0, **record("c", 0)}]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [found["prompt_id"] for found in read_samples(tmp_path, {odd, "c"})] == [odd, "c"]
