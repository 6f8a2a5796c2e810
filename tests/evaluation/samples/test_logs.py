"""Logs of lm-evaluation-harness and lighteval, written here in their schemas, as evaluation directories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.errors import ConfigError, StoreError
from rlkit.evaluation.comparing.comparison import compare_runs, read_report
from rlkit.evaluation.samples.importing import import_logs
from rlkit.evaluation.samples.logs import read_log
from rlkit.evaluation.samples.reading import read_samples
from rlkit.evaluation.samples.regrade import regrade
from rlkit.report import build_report, write_report

DATE = "2025-11-05T14-43-47.148527"


def harness_record(doc_id: int, texts: list[str], filtered: str, correct: float, filter: str = "none") -> dict:
    """Return a line of samples_*.jsonl as the harness writes it for a task that generates."""
    settings = {"until": ["Question:"], "do_sample": True, "temperature": 0.7, "max_gen_toks": 256}
    return {
        "doc_id": doc_id,
        "doc": {"question": f"What is {doc_id} + 1?", "answer": f"#### {doc_id + 1}"},
        "target": f"It is.\n#### {doc_id + 1}",
        "arguments": {"gen_args_0": {"arg_0": f"Question: What is {doc_id} + 1?\nAnswer:", "arg_1": settings}},
        "resps": [texts],
        "filtered_resps": [filtered],
        "filter": filter,
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": correct,
    }


def write_harness(folder: Path, records: list[dict], task: str = "toy_sums") -> Path:
    """Write a log of the harness."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"samples_{task}_{DATE}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def lighteval_record(index: int, texts: list[str], metric: dict) -> dict:
    """Return a row of details_*.parquet as lighteval writes it for a task that generates."""
    return {
        "doc": {
            "query": f"What is {index} + 1?",
            "choices": [f" {index + 1}"],
            "gold_index": 0,
            "id": str(index),
            "task_name": "toy",
            "generation_size": 128,
            "stop_sequences": ["Q:"],
            "num_samples": len(texts),
        },
        "metric": metric,
        "model_response": {
            "input": f"Q: What is {index} + 1?",
            "input_tokens": [1, 2],
            "text": texts,
            "output_tokens": [[5] * len(text.split()) for text in texts],
            "text_post_processed": texts,
            "logprobs": [],
            "truncated_tokens_count": 0,
        },
    }


def write_lighteval(folder: Path, records: list[dict]) -> Path:
    """Write a log of lighteval."""
    import pyarrow
    import pyarrow.parquet

    path = folder / f"details_toy|0_{DATE}.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    return path


def two_runs(tmp_path: Path) -> list[Path]:
    """Write what two runs of the harness with other seeds leave."""
    first = [harness_record(0, ["It is 1."], "1", 1.0), harness_record(1, ["No idea."], "[invalid]", 0.0)]
    second = [harness_record(0, ["It is 9."], "9", 0.0), harness_record(1, ["It is 2."], "2", 1.0)]
    return [write_harness(tmp_path / "1", first), write_harness(tmp_path / "2", second)]


def test_two_harness_runs_are_two_samples_a_problem(tmp_path):
    report = import_logs(two_runs(tmp_path), tmp_path / "out", model="m")
    assert report["task"] == "toy_sums"
    assert (report["n"], report["num_problems"], report["model"]) == (2, 2, "m")
    assert report["pass_at_k"]["1"]["value"] == 0.5
    assert report["pass_at_k"]["2"]["value"] == 1.0
    assert report["engine"] == "lm-evaluation-harness"
    assert report["sampling"] | {"temperature": 0.7, "max_tokens": 256, "stop": ["Question:"]} == report["sampling"]
    assert report["sampling"]["seed"] is report["sampling"]["top_p"] is None


def test_what_a_log_does_not_hold_is_undefined_everywhere(tmp_path):
    report = import_logs(two_runs(tmp_path), tmp_path / "out", model="m")
    for name in ("num_tokens", "token_entropy", "surprisal", "truncated"):
        assert report["metrics"][name]["value"] is None, name
    for problem in report["problems"]:
        assert problem["num_tokens"] is problem["num_truncated"] is problem["surprisal"] is None
    records = list(read_samples(tmp_path / "out"))
    assert {(record["num_tokens"], record["logp_sum"], record["finish_reason"]) for record in records} == {(None,) * 3}
    assert [record["answer"] for record in records] == ["1", None, "9", "2"]


def test_report_and_compare_work_on_imported_logs(tmp_path, capsys):
    logs = two_runs(tmp_path)
    for log, name in zip(logs, "ab", strict=True):
        import_logs([log], tmp_path / name, model=name)
    comparison = compare_runs(read_report(tmp_path / "a"), read_report(tmp_path / "b"))
    assert comparison["pass_at_k"]["1"]["difference"] == 0.0
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "pass@1" in capsys.readouterr().out
    paths = write_report(build_report([tmp_path / "a", tmp_path / "b"]), tmp_path / "page.html")
    assert all(path.stat().st_size for path in paths)


def test_repeats_have_no_grade_of_their_own_until_a_verifier_gives_them_one(tmp_path):
    texts = [r"\boxed{1}", r"\boxed{5}", r"\boxed{\frac{2}{2}}"]
    log = write_harness(tmp_path, [harness_record(0, texts, texts[0], 1.0)])
    report = import_logs([log], tmp_path / "as_logged", model="m")
    assert report["problems"][0]["num_unscored"] == 3
    assert report["pass_at_k"]["1"]["value"] is None
    graded = import_logs([log], tmp_path / "anew", model="m", verifier="math")
    assert (graded["problems"][0]["num_samples"], graded["problems"][0]["num_correct"]) == (3, 2)


def test_reasoning_is_no_answer_in_an_imported_log_either(tmp_path, capsys):
    texts = [r"<think>maybe \boxed{2}", r"<why>\boxed{2}</why>I give up.", r"\boxed{2}"]
    log = write_harness(tmp_path / "a", [harness_record(1, texts, texts[0], 1.0)])
    graded = {
        tag: import_logs([log], tmp_path / tag, model="m", verifier="math", thinking_tag=tag)
        for tag in ("why", "think")
    }
    assert graded["think"]["pass_at_k"]["1"]["value"] == pytest.approx(2 / 3)
    assert graded["why"]["pass_at_k"]["1"]["value"] == pytest.approx(2 / 3)
    words = ["import", str(log), "--model", "m", "--verifier", "math", "--output", str(tmp_path / "whole")]
    assert main([*words, "--thinking-tag", ""]) == 0
    assert "pass@1 1.000" in capsys.readouterr().out
    assert main([*words, "--thinking-tag", "<why>"]) == 2


def test_lighteval_details_keep_their_tokens_and_gold(tmp_path):
    records = [
        lighteval_record(0, ["It is 1."], {"extractive_match": 1.0}),
        lighteval_record(1, ["no idea"], {"extractive_match": 0.0}),
    ]
    path = write_lighteval(tmp_path, records)
    log = read_log(path)
    assert (log.tool, log.task, log.problems[0].gold) == ("lighteval", "toy|0", " 1")
    report = import_logs([path], tmp_path / "out", model="m")
    assert report["pass_at_k"]["1"]["value"] == 0.5
    assert report["metrics"]["num_tokens"]["value"] == 2.5
    assert report["sampling"]["max_tokens"] == 128
    assert report["problems"][0]["prompt"] == "Q: What is 0 + 1?"


def test_the_model_is_read_from_the_results_beside_the_samples(tmp_path):
    log = write_harness(tmp_path, [harness_record(0, ["1"], "1", 1.0)])
    with pytest.raises(ConfigError, match="does not say which model wrote it; give --model"):
        import_logs([log], tmp_path / "out")
    (tmp_path / f"results_{DATE}.json").write_text(json.dumps({"model_name": "org/model"}))
    assert import_logs([log], tmp_path / "out")["model"] == "org/model"


def test_older_logs_with_lists_of_arguments_are_read(tmp_path):
    record = harness_record(0, ["1"], "1", 1.0)
    record["arguments"] = [["Question?", {"do_sample": False}]]
    log = read_log(write_harness(tmp_path, [record]))
    assert (log.problems[0].prompt, log.sampling) == ("Question?", {"temperature": 0.0})


def test_one_of_several_filters_is_chosen(tmp_path):
    records = [
        harness_record(0, ["is 1."], "1", 1.0, "flexible-extract"),
        harness_record(0, ["is 1."], "[invalid]", 0.0, "strict-match"),
    ]
    path = write_harness(tmp_path, records)
    with pytest.raises(ConfigError, match="has the filters flexible-extract, strict-match; choose one with --filter"):
        read_log(path)
    assert [read_log(path, filter=name).problems[0].score for name in ("flexible-extract", "strict-match")] == [
        1.0,
        0.0,
    ]
    with pytest.raises(ConfigError, match="no filter 'strict'"):
        read_log(path, filter="strict")


def test_what_is_no_log_of_completions_is_refused(tmp_path):
    choices = harness_record(0, ["x"], "x", 1.0)
    choices["resps"] = [[["-1.5", "True"]], [["-2.5", "False"]]]
    with pytest.raises(ConfigError, match="log-likelihoods of given choices"):
        read_log(write_harness(tmp_path, [choices]))
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match="is no sample log that can be read"):
        read_log(tmp_path / "other.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ConfigError, match="holds no samples"):
        read_log(tmp_path / "empty.jsonl")
    odd = harness_record(0, ["x"], "x", 1.0) | {"metrics": ["bleu", "rouge"]}
    with pytest.raises(ConfigError, match="has the metrics bleu, rouge; choose one with --metric"):
        read_log(write_harness(tmp_path, [odd]))


def test_logs_of_two_tasks_or_a_directory_in_use_are_refused(tmp_path):
    one = write_harness(tmp_path, [harness_record(0, ["1"], "1", 1.0)])
    other = write_harness(tmp_path, [harness_record(0, ["1"], "1", 1.0)], task="other")
    with pytest.raises(ConfigError, match="of the tasks 'toy_sums' and 'other'"):
        import_logs([one, other], tmp_path / "out", model="m")
    import_logs([one], tmp_path / "out", model="m")
    with pytest.raises(StoreError, match="holds another evaluation"):
        import_logs([other], tmp_path / "out", model="m")


def test_the_verb_says_what_it_wrote_and_what_has_no_grade(tmp_path, capsys):
    texts = [r"\boxed{1}", r"\boxed{5}"]
    log = write_harness(tmp_path, [harness_record(0, texts, texts[0], 1.0)])
    words = ["import", str(log), "--output", str(tmp_path / "out"), "--model", "m"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out == "out: 1 problems x 2 samples, pass@1 undefined\n"
    assert "--verifier grades them anew" in err
    assert main(["import", str(tmp_path / "gone.jsonl"), "--output", str(tmp_path / "x")]) == 2


def test_an_imported_evaluation_is_graded_anew_by_importing_it_again(tmp_path):
    import_logs(two_runs(tmp_path), tmp_path / "out", model="m")
    with pytest.raises(StoreError, match=r"was imported from lm-evaluation-harness.* import the log again"):
        regrade(tmp_path / "out")


def old_record(doc_id: int, correct: float | None) -> dict:
    """Return a line as versions before 0.4.3 wrote it: no filter, no metrics, a list of requests."""
    record = harness_record(doc_id, [f"{doc_id + 1}"], f"{doc_id + 1}", 1.0)
    for name in ("filter", "metrics", "doc_hash", "prompt_hash", "target_hash"):
        del record[name]
    asked = [record["arguments"]["gen_args_0"]["arg_0"], {"until": ["Question:"]}]
    return record | {"arguments": [asked], "exact_match": correct}


def test_older_logs_are_read_and_their_halves_are_chosen_by_number(tmp_path):
    once = write_harness(tmp_path, [old_record(at, float(at < 2)) for at in range(3)])
    assert [problem.score for problem in read_log(once).problems] == [1.0, 1.0, 0.0]
    assert read_log(once, metric="exact_match").sampling == {"stop": ["Question:"]}
    halves = [old_record(at, 1.0) for at in range(3)] + [old_record(at, 0.0) for at in range(3)]
    twice = write_harness(tmp_path, halves, "twice")
    with pytest.raises(ConfigError, match="has the filters 1, 2; choose one with --filter"):
        read_log(twice)
    assert [problem.score for problem in read_log(twice, filter="2").problems] == [0.0] * 3


@pytest.mark.parametrize("filter", [None, "none"])
def test_a_problem_that_is_there_more_often_than_others_is_refused(tmp_path, filter):
    records = [harness_record(at, ["x"], "x", 1.0) | {"filter": filter} for at in (0, 1, 1)]
    with pytest.raises(ConfigError, match="holds problem 1 2 times"):
        read_log(write_harness(tmp_path, records))


def test_null_completions_are_empty_and_scores_that_are_no_numbers_leave_a_sample_unscored(tmp_path):
    records = [harness_record(at, ["x"], "x", score) for at, score in enumerate([1.0, float("nan"), 0.0])]
    records[2] |= {"resps": [[None]], "filtered_resps": [None], "target": None}
    records[1]["exact_match"] = float("nan")
    problems = read_log(write_harness(tmp_path, records)).problems
    assert [(problem.completions, problem.score) for problem in problems] == [(["x"], 1.0), (["x"], None), ([""], 0.0)]
    assert problems[2].gold is None


@pytest.mark.parametrize("damage", [{"arguments": None}, {"arguments": []}, {"resps": None}, {"resps": 3}])
def test_a_damaged_sample_is_named(tmp_path, damage):
    records = [harness_record(0, ["x"], "x", 1.0), harness_record(1, ["x"], "x", 1.0) | damage]
    with pytest.raises(ConfigError, match=r"Sample 2 of .* lacks something"):
        read_log(write_harness(tmp_path, records))


def test_a_row_of_lighteval_without_metric_is_unscored(tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [lighteval_record(0, ["1"], {"acc": 1.0}), lighteval_record(1, ["x"], {"acc": 1.0}) | {"metric": None}]
    path = tmp_path / f"details_toy_{DATE}.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [problem.score for problem in read_log(path).problems] == [1.0, None]
