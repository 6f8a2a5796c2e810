"""`rlkit partition` as a user meets it."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from rlkit.cli import main
from rlkit.diversity.pair_classifier import PairClassifier
from rlkit.diversity.pair_scores import score_pairs
from rlkit.explaining.pair_table import build_table, warnings_of
from tests.diversity.test_pair_fitting import GOOD, make_pairs, write_pairs


@pytest.fixture
def pairs(tmp_path):
    return str(write_pairs(tmp_path / "pairs.jsonl", [vars(pair) for pair in make_pairs(200)]))


def test_fit_writes_a_classifier_that_a_partition_and_agree_can_use(tmp_path, pairs, capsys):
    head = str(tmp_path / "head")
    assert main(["partition", "fit", pairs, "--output", head, "--max-false-merge", "1"]) == 0
    streams = capsys.readouterr()
    for words in (
        "200 pairs, ",
        "held out and measured",
        "as stored ",
        "for accuracy alone",
        "accuracy ",
        "precision",
        "recall",
        "false-positive rate",
        "false merge, 8 different",
        "calibration error",
        "95 % Wilson intervals",
    ):
        assert words in streams.out
    assert "…" not in streams.out
    assert "Training: 300 steps" in streams.err
    assert f"partition: {{name: pair_classifier, path: {head}}}" in streams.err
    partition = PairClassifier(path=head)
    assert partition.labels(
        partition.features(["ape bee cat dog", "dog cat bee ape", "mole newt owl pig"])
    ).tolist() == [
        0,
        0,
        1,
    ]
    assert main(["partition", "agree", head, pairs, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["num_pairs"] == 200
    assert scores["accuracy"]["value"] > 0.9


def test_json_is_what_the_head_remembers_and_repeats(tmp_path, pairs, capsys):
    printed = []
    for name in ("one", "two"):
        words = ["--hidden", "4", "--seed", "3", "--group-size", "4", "--json"]
        assert main(["partition", "fit", pairs, "--output", str(tmp_path / name), *words]) == 0
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == printed[1]
    stored = json.loads((tmp_path / "one" / "head.json").read_text())
    assert printed[0] == {"threshold": stored["threshold"], **stored["measured"]}
    assert (tmp_path / "one" / "head.safetensors").read_bytes() == (tmp_path / "two" / "head.safetensors").read_bytes()


def test_several_embeddings_are_put_side_by_side(tmp_path, pairs):
    specs = ["--embedding", "hashed_ngrams", "--embedding", "{name: hashed_ngrams, n: 1, unit: word, dims: 32}"]
    assert main(["partition", "fit", pairs, "--output", str(tmp_path / "head"), *specs]) == 0
    stored = json.loads((tmp_path / "head" / "head.json").read_text())
    assert stored["embedding"] == ["hashed_ngrams", {"name": "hashed_ngrams", "n": 1, "unit": "word", "dims": 32}]
    (vector,) = PairClassifier(path=str(tmp_path / "head")).features(["ape bee"])
    assert vector.shape == (544,)


def test_agree_counts_right_and_wrong_of_any_partition(tmp_path, capsys):
    records = [
        {"a": "3+5", "b": "5+3", "same": True},
        {"a": "3+5", "b": "4*2", "same": False},
        {"a": "1+2", "b": "2+1", "same": False},
        {"a": "9-1", "b": "8", "same": True},
    ]
    path = str(write_pairs(tmp_path / "pairs.jsonl", records))
    assert main(["partition", "agree", "canonical_expression", path, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    counts = [scores[name] for name in ("true_same", "false_different", "false_same", "true_different")]
    assert counts == [1, 1, 1, 1]
    assert scores["accuracy"]["value"] == scores["recall"]["value"] == scores["false_positive_rate"]["value"] == 0.5
    assert main(["partition", "agree", "canonical_expression", path, "--group-size", "3"]) == 0
    table = capsys.readouterr().out
    assert "canonical_expression on 4 pairs, 50% of them the same" in table
    assert "false merge, 3 different" in table
    assert main(["partition", "agree", "{name: ngram_overlap, n: 1, threshold: 0.1}", path]) == 0
    # Different words throughout: nothing is judged the same, so precision does not exist.
    assert "undefined" in capsys.readouterr().out


def test_agree_says_how_many_texts_hold_no_final_answer(tmp_path, capsys):
    records = [
        {"a": r"so \boxed{8}", "b": "no answer here", "same": False},
        {"a": r"so \boxed{8}", "b": r"8, so \boxed{8}", "same": True},
        {"a": "nor here", "b": "no answer here", "same": True},
    ]
    path = str(write_pairs(tmp_path / "pairs.jsonl", records))
    assert main(["partition", "agree", "final_answer", path, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["accuracy"]["value"] == 1.0
    assert "2 of 4 texts have no final answer" in err
    assert main(["partition", "agree", "canonical_expression", path]) == 0
    assert "final answer" not in capsys.readouterr().err


def test_agree_knows_the_shipped_classifier_by_name(tmp_path, capsys):
    records = [
        {"a": "3 + 5 [8] [8] * 2 [16]", "b": "3 + 5 [8] [8] * 2 [16]", "same": True},
        {"a": "3 + 5 [8] [8] * 2 [16]", "b": "12 - 7 [5] [5] + 11 [16]", "same": False},
    ]
    path = str(write_pairs(tmp_path / "pairs.jsonl", records))
    assert main(["partition", "agree", "countdown-pairs", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"]["value"] == 1.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "PAIRS"], "required: --output"),
        (["fit", "gone.jsonl", "--output", "OUT"], "cannot be read: No such file"),
        (["fit", "FEW", "--output", "OUT"], "holds 2 pairs; at least 50 are needed"),
        (["fit", "BROKEN", "--output", "OUT"], "Line 201 of"),
        (["fit", "PAIRS", "--output", "PAIRS"], "is a file; a pair head is a directory"),
        (["fit", "PAIRS", "--output", "."], "which is no part of a pair head"),
        (["fit", "PAIRS", "--output", "OUT", "--embedding", "hashed_ngram"], "Did you mean 'hashed_ngrams'"),
        (["fit", "PAIRS", "--output", "OUT", "--embedding", "{name: hashed_ngrams, size: 3}"], "no parameter 'size'"),
        (["fit", "PAIRS", "--output", "OUT", "--max-false-merge", "2"], "max_false_merge=2.0"),
        (["fit", "PAIRS", "--output", "OUT", "--group-size", "1"], "group_size=1"),
        (["agree", "normalised_txt", "PAIRS"], "Did you mean 'normalised_text'"),
        (["agree", "ROOT", "PAIRS"], "holds no head.json"),
        (["agree", "normalised_text", "BROKEN"], "Line 201 of"),
        (["agree", "normalised_text", "PAIRS", "--group-size", "0"], "group_size=0"),
        ([], "required: ACTION"),
    ],
)
def test_mistakes_get_one_sentence_and_write_nothing(tmp_path, pairs, capsys, words, said):
    lines = (tmp_path / "pairs.jsonl").read_text().splitlines()
    write_pairs(tmp_path / "few.jsonl", GOOD)
    write_pairs(tmp_path / "broken.jsonl", [*lines, '{"a": 1}'])
    names = {"PAIRS": pairs, "OUT": tmp_path / "out", "FEW": tmp_path / "few.jsonl", "ROOT": tmp_path}
    names |= {"BROKEN": tmp_path / "broken.jsonl"}
    assert main(["partition", *(str(names.get(word, word)) for word in words)]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    errors = [line for line in streams.err.splitlines() if line.startswith("rlkit: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert not (tmp_path / "out").exists()


def test_the_table_fits_eighty_columns_uncut():
    scores = score_pairs([True] * 30_000 + [False] * 20_000, ([True] * 5 + [False]) * 8333 + [True] * 2, 16)
    scores |= {"threshold": 0.5, "calibration_error": 0.01}
    console = Console(width=80, file=io.StringIO())
    console.print(build_table({"as stored": scores, "for accuracy alone": scores}, 16))
    printed = console.file.getvalue()
    assert "…" not in printed
    assert printed.count(f"{scores['accuracy']['value']:.3f} [{scores['accuracy']['low']:.3f}, ") == 2


def make_measured(different, needed, recall):
    calibration = {"true_different": different, "false_same": 0}
    held_out = {"recall": {"value": recall}}
    return {"max_false_merge": 0.05, "pairs_needed": needed, "calibration": calibration, "held_out": held_out}


def test_what_a_reader_must_know_is_said_and_nothing_else():
    assert warnings_of(make_measured(3000, 2096, 0.9)) == []
    assert warnings_of(make_measured(3000, None, None)) == []
    (few,) = warnings_of(make_measured(20, 2096, 0.9))
    assert "holds on the 20 different pairs" in few
    assert "takes 2096 of them" in few
    (blind,) = warnings_of(make_measured(3000, 2096, 0.1))
    assert "finds only 10% of the same pairs; raise --max-false-merge" in blind
