"""Diversity of an evaluation: from hand-made samples, from a store on disk, and what undefined looks like."""

from __future__ import annotations

import json
import math
import random
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.diversity import HashedNgrams
from rlkit.diversity.bleu import self_bleu
from rlkit.diversity.cosine import mean_cosine_distance
from rlkit.diversity.lexical import distinct_n, expectation_adjusted_distinct
from rlkit.diversity.vendi import vendi_score
from rlkit.errors import ConfigError, PluginError, StoreError
from rlkit.estimators import hill_number, simpson_diversity, split_diversity_loss
from rlkit.evaluation.diversity.measuring import DiversityConfig, measure_diversity

ROWS = [{"id": "varied", "prompt": "p"}, {"id": "collapsed", "prompt": "q"}, {"id": "empty", "prompt": "r"}]
WORDS = [
    "add",
    "take",
    "split",
    "first",
    "then",
    "both",
    "half",
    "twice",
    "of",
    "the",
    "number",
    "three",
    "five",
    "eight",
]


def record(
    prompt: str, sample: int, text: str, correct: bool | None, answer: str | None, **more: Any
) -> dict[str, Any]:
    fields = {"num_tokens": 9, "finish_reason": "stop", "logp_sum": -4.5, "logp_mean": -0.5, "entropy_mean": 0.1}
    graded = {"correct": correct, "label": "correct" if correct else "wrong", "answer": answer}
    return {"prompt_id": prompt, "sample": sample, "completion": text, **fields, **graded, **more}


def write_text(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=12 + number % 3))


def varied(sample: int) -> dict[str, Any]:
    cut = sample % 5 == 4
    answer = None if cut else "abc"[sample % 3]
    return record(
        "varied",
        sample,
        write_text(sample),
        not cut and sample % 2 == 0,
        answer,
        finish_reason="length" if cut else "stop",
    )


RECORDS = [
    *(varied(sample) for sample in range(20)),
    *(record("collapsed", sample, "the same 3 + 5 [8] again", True, "a") for sample in range(20)),
    record("a problem of no row", 0, "x", True, "a"),
]


@pytest.fixture(scope="module")
def measured() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return measure_diversity(RECORDS, ROWS)


def test_blocks_of_texts_by_hand(measured) -> None:
    values = measured[0][0]["all"]
    texts = [write_text(number) for number in range(20)]
    fours = [texts[start : start + 4] for start in range(0, 20, 4)]
    assert values["distinct_2_at_4"] == pytest.approx(np.mean([distinct_n(block, 2) for block in fours]))
    assert values["ead_at_4"] == pytest.approx(np.mean([expectation_adjusted_distinct(block) for block in fours]))
    assert values["distinct_2_at_16"] == pytest.approx(distinct_n(texts[:16], 2))
    assert values["self_bleu_at_4"] == pytest.approx(self_bleu(texts[:4]))
    rows = HashedNgrams().embed(texts)
    assert values["distance_hashed_ngrams"] == pytest.approx(mean_cosine_distance(rows))
    for order in (1, 2):
        expected = np.mean([vendi_score(rows[start : start + 4], order) for start in range(0, 20, 4)])
        assert values[f"vendi_{order}_hashed_ngrams_at_4"] == pytest.approx(expected)
        assert values[f"vendi_{order}_hashed_ngrams_at_16"] == pytest.approx(vendi_score(rows[:16], order))


def test_classes_by_hand(measured) -> None:
    values = measured[0][0]
    answers = ["abc"[sample % 3] if sample % 5 != 4 else "none" for sample in range(20)]
    unlike = np.mean([left != right for left, right in combinations(answers, 2)])
    assert values["all"]["simpson"] == pytest.approx(unlike)
    assert values["all"]["parsed"] == pytest.approx(0.8)
    counts = np.unique(answers[:16], return_counts=True)[1]
    assert values["all"]["hill_1_at_16"] == pytest.approx(hill_number(counts, 1))
    # Equal log-probs weigh samples alike.
    assert values["all"]["semantic_entropy_at_16"] == pytest.approx(math.log(hill_number(counts, 1)))
    finished = [answer for answer in answers if answer != "none"]
    assert values["finished"]["simpson"] == pytest.approx(simpson_diversity(np.unique(finished, return_counts=True)[1]))
    right = [answer for sample, answer in enumerate(answers) if answer != "none" and sample % 2 == 0]
    assert len(right) == 8
    assert values["correct"]["distinct_classes_at_8"] == pytest.approx(len({*right}))
    assert values["correct"]["hill_1_at_16"] is None


def test_collapse_is_seen_everywhere(measured) -> None:
    values = measured[0][1]
    for scope in ("all", "correct", "finished"):
        assert values[scope]["distance_hashed_ngrams"] == pytest.approx(0.0, abs=1e-9)
        assert values[scope]["vendi_1_hashed_ngrams_at_16"] == pytest.approx(1.0)
        assert values[scope]["simpson"] == 0.0
        assert values[scope]["self_bleu_at_4"] == 1.0
        assert values[scope]["distinct_classes_at_4"] == pytest.approx(1.0)
        assert values[scope]["distinct_2_at_16"] == pytest.approx(1 / 16)


def test_a_problem_without_samples_is_undefined_and_counted(measured) -> None:
    per_problem, report = measured
    assert {value for scope in per_problem[2].values() for value in scope.values()} == {None}
    for scope in ("all", "correct", "finished"):
        assert {cell["num_total"] for cell in report[scope].values()} == {3}
    assert report["all"]["simpson"]["num_defined"] == 2
    assert report["correct"]["hill_1_at_16"]["num_defined"] == 1
    assert report["all"]["compression_at_16"]["value"] is None
    json.dumps([per_problem, report], allow_nan=False)


def test_scopes_hold_the_same_names_so_that_losses_can_be_split(measured) -> None:
    per_problem, _ = measured
    assert per_problem[0]["all"].keys() == per_problem[0]["correct"].keys() == per_problem[0]["finished"].keys()
    columns = [
        [
            math.nan if (value := values[scope]["vendi_1_hashed_ngrams_at_4"]) is None else value
            for values in per_problem
        ]
        for scope in ("all", "correct", "all", "correct")
    ]
    split = split_diversity_loss(*columns)
    assert split.num_problems == 2
    assert split.total.value == 0.0


def test_across_prompts_and_formats(measured) -> None:
    report = measured[1]
    pairs = [[write_text(draw), "the same 3 + 5 [8] again"] for draw in range(8)]
    assert report["cross_input"]["distinct_2"] == pytest.approx(np.mean([distinct_n(pair, 2) for pair in pairs]))
    distances = [mean_cosine_distance(HashedNgrams().embed(pair)) for pair in pairs]
    assert report["cross_input"]["distance_hashed_ngrams"] == pytest.approx(np.mean(distances))
    assert report["formats"]["shares"] == {"prose": 1.0}
    assert report["formats"]["accuracy"]["prose"] == pytest.approx((8 + 20) / 40)
    assert report["formats"]["effective"] == pytest.approx(1.0)
    assert report["settings"]["num_prompts_across"] == 2


def test_a_store_gives_what_its_lines_give_in_any_order(tmp_path: Path, measured) -> None:
    lines = [json.dumps(each) + "\n" for each in [*RECORDS, *RECORDS[:5]]]
    random.Random(0).shuffle(lines)
    # A torn last line, as a kill leaves it.
    (tmp_path / "samples.jsonl").write_text("".join(lines) + '{"prompt_id": "varied", "sam')
    assert measure_diversity(tmp_path, ROWS) == measured
    assert measure_diversity(str(tmp_path), ROWS[::-1])[0] == measured[0][::-1]


def test_texts_beyond_the_limit_are_left_out_but_not_their_classes() -> None:
    config = DiversityConfig(max_texts=16)
    (limited,), _ = measure_diversity(RECORDS, ROWS[:1], config=config)
    (first,), _ = measure_diversity([each for each in RECORDS if each["sample"] < 16], ROWS[:1])
    assert limited["all"]["distance_hashed_ngrams"] == first["all"]["distance_hashed_ngrams"]
    assert limited["all"]["simpson"] != first["all"]["simpson"]


def test_without_truncation_finished_texts_are_all_texts() -> None:
    records = [record("varied", sample, write_text(sample), True, "a") for sample in range(8)]
    (values,), _ = measure_diversity(records, ROWS[:1])
    assert values["finished"] == values["all"] == values["correct"]


def test_a_task_without_answers_has_no_classes_rather_than_one() -> None:
    records = [record("varied", sample, write_text(sample), True, None) for sample in range(8)]
    (values,), report = measure_diversity(records, ROWS[:1])
    assert values["all"]["simpson"] is None
    assert values["correct"]["distinct_classes_at_4"] is None
    assert values["all"]["distance_hashed_ngrams"] > 0
    assert report["all"]["simpson"]["num_defined"] == 0


def test_classes_stand_before_answers_and_failed_verdicts_have_none() -> None:
    records = [record("varied", sample, "x y", True, "24", **{"class": "ab"[sample % 2]}) for sample in range(4)]
    records.append(record("varied", 4, "x y", None, None))
    (values,), _ = measure_diversity(records, ROWS[:1])
    assert values["all"]["simpson"] == pytest.approx(simpson_diversity([2, 2]))
    assert values["all"]["parsed"] == 1.0


def test_blank_outputs_are_one_kind_not_diversity() -> None:
    records = [record("varied", sample, "", False, None) for sample in range(16)]
    records[0]["answer"] = "a"
    (values,), report = measure_diversity(records, ROWS[:1])
    assert values["all"]["distinct_2_at_4"] is None
    assert values["all"]["self_bleu_at_4"] is None
    assert values["all"]["distance_hashed_ngrams"] == 0.0
    assert values["all"]["vendi_1_hashed_ngrams_at_16"] == pytest.approx(1.0)
    assert report["formats"]["shares"] == {"empty": 1.0}


def test_reasoning_and_answer_are_measured_apart() -> None:
    records = [record("varied", at, f"<think>{write_text(at)}</think> the answer is 8", True, "8") for at in range(8)]
    thought, said = (
        measure_diversity(records, ROWS[:1], config=DiversityConfig(part=part))[0][0]["all"]
        for part in ("reasoning", "answer")
    )
    assert said["distance_hashed_ngrams"] == pytest.approx(0.0, abs=1e-9)
    assert thought["distance_hashed_ngrams"] > 0.1


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_sentence_encoder_is_measured_beside_the_surface() -> None:
    spec = {"name": "sentence_embedding", "model": "countdown-tiny"}
    (values,), report = measure_diversity(RECORDS, ROWS[:1], embedding=spec)
    assert values["all"]["sbert_distance_countdown-tiny"] > 0
    assert "vendi_1_countdown-tiny_at_4" in report["correct"]
    assert "sbert_distance_countdown-tiny" in report["cross_input"]
    assert "distance_hashed_ngrams" in values["all"]


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no directory"):
        measure_diversity(tmp_path / "nowhere", ROWS)
    with pytest.raises(PluginError):
        measure_diversity(RECORDS, ROWS, embedding="no_such_embedding")
    with pytest.raises(ConfigError, match="part="):
        DiversityConfig(part="ending")
    with pytest.raises(ConfigError, match="max_texts=8"):
        DiversityConfig(max_texts=8)


def test_no_problems_give_an_empty_report() -> None:
    per_problem, report = measure_diversity([], [])
    assert per_problem == []
    assert report["all"] == {}
    assert report["formats"]["dominant_share"] is None


def test_every_number_of_the_report_is_on_the_page_about_diversity(measured) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "diversity.md").read_text()
    # The page names each metric once, whatever the size of its blocks and the embedding.
    for name in measured[1]["all"]:
        plain = re.sub(r"_at_\d+$", "", name)
        plain = plain.replace("vendi_1_hashed_ngrams", "vendi_1_").replace("vendi_2_hashed_ngrams", "vendi_2_")
        assert f"`{plain}" in page, name
