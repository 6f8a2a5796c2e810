"""From a real evaluation to an archive: against a slow loop over the samples, and what must never enter it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from rlkit.archive import Archive
from rlkit.cli import main
from rlkit.diversity import resolve_partition
from rlkit.errors import PluginError, StoreError
from rlkit.evaluation import evaluate
from rlkit.evaluation.collecting import collect_solutions
from rlkit.evaluation.samples.reading import read_samples
from rlkit.tasks import resolve_task
from rlkit.verifiers.answers import solution_key

TASK = {"name": "countdown", "train_size": 24}


@pytest.fixture(scope="module")
def draws(tmp_path_factory) -> Path:
    """Eight samples of each of 24 training problems by the bundled model."""
    output = tmp_path_factory.mktemp("collecting") / "draws"
    evaluate("countdown-tiny", TASK, n=8, output=output, split="train", sampling={"max_tokens": 16})
    return output


def test_it_holds_what_a_slow_loop_finds(draws, tmp_path):
    archive, done = collect_solutions(tmp_path / "found.jsonl", [draws])
    counts: Counter[tuple[str, str]] = Counter()
    texts: dict[tuple[str, str], set[str]] = {}
    for record in read_samples(draws):
        if record["correct"]:
            at = record["prompt_id"], f"expression:{solution_key(record['completion'])}"
            counts[at] += 1
            texts.setdefault(at, set()).add(record["completion"])
    assert counts
    found = {(id, each.key): each for id, problem in archive.problems.items() for each in problem.solutions}
    assert {at: each.count for at, each in found.items()} == counts
    assert all(each.completion == min(texts[at], key=lambda text: (len(text), text)) for at, each in found.items())
    assert (done.num_samples, done.num_correct, done.num_new) == (192, counts.total(), len(counts))
    prompts = {row["id"]: row["prompt"] for row in resolve_task(TASK).load("train")}
    assert {id: problem.prompt for id, problem in archive.problems.items()} == prompts
    assert all(problem.drawn == 8 for problem in archive.problems.values())
    assert archive.partition == "canonical_expression"


def test_collecting_again_or_a_part_first_is_the_same(draws, tmp_path):
    whole, _ = collect_solutions(tmp_path / "whole.jsonl", [draws])
    before = whole.path.read_bytes()
    _, done = collect_solutions(whole.path, [draws, draws])
    assert (done.num_new, whole.path.read_bytes()) == (0, before)
    part = shutil.copytree(draws, tmp_path / "part")
    lines = (part / "samples.jsonl").read_text().splitlines(keepends=True)
    (part / "samples.jsonl").write_text("".join(lines[: len(lines) // 2]))
    collect_solutions(tmp_path / "grown.jsonl", [part])
    grown, _ = collect_solutions(tmp_path / "grown.jsonl", [draws])
    assert grown.rows(weights="as_drawn") == whole.rows(weights="as_drawn")


def test_samples_that_could_not_be_judged_were_not_drawn(draws, tmp_path):
    other = shutil.copytree(draws, tmp_path / "other")
    records = [json.loads(line) for line in (other / "samples.jsonl").read_text().splitlines()]
    first = records[0]["prompt_id"]
    for record in records:
        if record["prompt_id"] == first:
            record["correct"] = None
    (other / "samples.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    archive, _ = collect_solutions(tmp_path / "a.jsonl", [other])
    assert (archive.problems[first].drawn, archive.problems[first].solutions) == (0, ())


def test_problems_of_the_test_split_are_refused(tmp_path):
    held_out = tmp_path / "test"
    evaluate("countdown-tiny", {**TASK, "test_size": 3}, n=2, output=held_out, sampling={"max_tokens": 16})
    with pytest.raises(StoreError, match=r"3 held-out problems, such as 'countdown/.*--split train"):
        collect_solutions(tmp_path / "a.jsonl", [held_out])
    assert not (tmp_path / "a.jsonl").exists()


def test_other_problems_can_be_held_out_too_by_their_prompts(draws, tmp_path):
    row = resolve_task(TASK).load("train")[3]
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"question": f"  {row['prompt'].upper()} ", "answer": "1"}) + "\n")
    task_file = tmp_path / "other.yaml"
    task_file.write_text(f"path: {other}\nprompt: '{{question}}'\ngold: answer\nverifier: exact\n")
    with pytest.raises(StoreError, match="1 held-out problems"):
        collect_solutions(tmp_path / "a.jsonl", [draws], held_out=[(str(task_file), "test")])


def test_what_cannot_be_collected_is_one_sentence(draws, tmp_path):
    with pytest.raises(PluginError, match="No partition is called 'lexical'"):
        collect_solutions(tmp_path / "a.jsonl", [draws], partition="lexical")
    with pytest.raises(StoreError, match="is not a directory"):
        collect_solutions(tmp_path / "a.jsonl", [tmp_path / "none"])
    with pytest.raises(StoreError, match="other problems"):
        collect_solutions(tmp_path / "a.jsonl", [draws], task={"name": "countdown", "train_size": 20})
    collect_solutions(tmp_path / "a.jsonl", [draws])
    with pytest.raises(StoreError, match="archive of the partition"):
        collect_solutions(tmp_path / "a.jsonl", [draws], partition="final_answer")


def test_a_directory_that_names_code_is_not_run(draws, tmp_path):
    other = shutil.copytree(draws, tmp_path / "other")
    header = json.loads((other / "config.json").read_text())
    header["grader"]["task"] = header["config"]["task"] = f"{tmp_path / 'evil.py'}:Task"
    (tmp_path / "evil.py").write_text("raise SystemExit(7)")
    (other / "config.json").write_text(json.dumps(header))
    with pytest.raises(StoreError, match="which is code"):
        collect_solutions(tmp_path / "a.jsonl", [other])


def test_the_commands(draws, tmp_path, capsys):
    path = str(tmp_path / "found.jsonl")
    assert main(["archive", "collect", path, str(draws)]) == 0
    assert "of 192 samples are correct" in " ".join(capsys.readouterr().out.split())
    assert main(["archive", "show", path]) == 0
    shown = capsys.readouterr().out
    assert "distinct solutions of" in shown
    assert "█" in shown
    assert main(["archive", "show", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_solutions"] == Archive.open(path).num_solutions
    assert found["sources"][0]["growth"][-1][0] == 8
    assert sum(each["num_problems"] for each in found["bins"]) == 24
    rows = tmp_path / "rows.jsonl"
    assert main(["archive", "export", path, str(rows), "--per-problem", "2", "--weights", "per_problem"]) == 0
    written = [json.loads(line) for line in rows.read_text().splitlines()]
    assert written == [vars(row) for row in Archive.open(path).rows(2, "per_problem")]
    assert max(Counter(row["problem"] for row in written).values()) == 2


def test_a_partition_that_judges_pairs_sees_all_texts_of_a_problem(draws, tmp_path):
    overlap = {"name": "ngram_overlap", "threshold": 0.5}
    whole, done = collect_solutions(tmp_path / "whole.jsonl", [draws], partition=overlap)
    part = shutil.copytree(draws, tmp_path / "part")
    lines = (part / "samples.jsonl").read_text().splitlines(keepends=True)
    (part / "samples.jsonl").write_text("".join(lines[: len(lines) // 2]))
    collect_solutions(tmp_path / "grown.jsonl", [part], partition=overlap)
    grown, _ = collect_solutions(tmp_path / "grown.jsonl", [draws])
    assert (
        grown.rows(weights="as_drawn")
        == whole.rows(weights="as_drawn")
        == Archive.open(whole.path).rows(None, "as_drawn")
    )
    assert done.num_new == whole.num_solutions
    partition = resolve_partition(overlap)
    for id, problem in whole.problems.items():
        texts = sorted((each.completion for each in whole.texts(id)), key=lambda text: (len(text), text))
        expected = len({*partition.labels(partition.features(texts)).tolist()}) if texts else 0
        assert len(problem.solutions) == expected
        assert sum(problem.counts) == problem.correct
    assert whole.num_solutions < sum(len(whole.texts(id)) for id in whole.problems)


def test_the_archive_may_be_named_by_an_option_and_says_how_it_is_learnt(draws, tmp_path, capsys):
    path = tmp_path / "found.jsonl"
    words = ["archive", "collect", str(draws), "--output", str(path), "--per-problem", "2", "--weights", "capped"]
    assert main(words) == 0
    archive = Archive.open(path)
    assert archive.num_solutions > 0
    assert archive.defaults == {"per_problem": 2, "weights": "capped"}
    assert main(["archive", "collect", str(path), str(draws)]) == 0
    assert Archive.open(path).defaults == archive.defaults


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["found.jsonl"], "nothing to collect from is named"),
        (["found.jsonl", "draws", "--weights", "caped"], "capped"),
        (["found.jsonl", "draws", "--per-problem", "0"], "per_problem"),
    ],
)
def test_what_cannot_be_collected_is_said_before_anything_is_read(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["archive", "collect", *words]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
