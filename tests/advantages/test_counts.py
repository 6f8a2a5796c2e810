"""What is remembered of prompts: answers and pass rates, and that a resumed run remembers the same."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.advantages.counts import AnswerCounts, PassRates
from rlkit.errors import ConfigError


def test_counts_are_those_before_the_batch_for_both_occurrences_of_a_prompt():
    table = AnswerCounts()
    ids, answers = ["p", "q", "p"], [["7", "7"], ["7", None], ["7", "3"]]
    np.testing.assert_array_equal(table.lookup(ids, answers), [[0, 0], [0, math.nan], [0, 0]])
    table.add(ids, answers)
    np.testing.assert_array_equal(table.lookup(ids, answers), [[3, 3], [1, math.nan], [3, 1]])
    assert table.to_json() == {"p": {"3": 1, "7": 3}, "q": {"7": 1}}


def test_looking_up_remembers_nothing():
    table = AnswerCounts()
    table.lookup(["p"], [["7"]])
    assert table.to_json() == {}


def test_missing_answers_share_a_key_when_one_is_given():
    table = AnswerCounts(no_answer_key="none")
    table.add(["p"], [[None, None, "7"]])
    assert table.lookup(["p"], [["7", None]]).tolist() == [[1, 2]]
    again = AnswerCounts.from_json(table.to_json(), no_answer_key="none")
    assert again.lookup(["p"], [[None]]).tolist() == [[2]]


batches = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]), st.lists(st.sampled_from(["1", "2", "", None]), min_size=2, max_size=2)
    ),
    max_size=6,
)


@given(st.lists(batches, max_size=4), st.randoms(use_true_random=False))
def test_counts_equal_a_plain_count_whatever_the_order_and_survive_json(history, rng):
    table, rows = AnswerCounts(), [row for batch in history for row in batch]
    for batch in history:
        table.add([prompt for prompt, _ in batch], [answers for _, answers in batch])
    expected = Counter((prompt, answer) for prompt, answers in rows for answer in answers if answer is not None)
    asked = ["1", "2", "", None]
    got = table.lookup(["a", "b", "c"], [asked] * 3)
    wanted = [[math.nan if answer is None else expected[prompt, answer] for answer in asked] for prompt in "abc"]
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == np.float64

    text = json.dumps(table.to_json())
    np.testing.assert_array_equal(AnswerCounts.from_json(json.loads(text)).lookup(["a", "b", "c"], [asked] * 3), got)
    shuffled = AnswerCounts()
    rng.shuffle(rows)
    shuffled.add([prompt for prompt, _ in rows], [answers for _, answers in rows])
    assert json.dumps(shuffled.to_json()) == text


def test_a_restored_table_is_a_copy():
    data = {"p": {"7": 1}}
    table = AnswerCounts.from_json(data)
    table.add(["p"], [["7"]])
    assert data == {"p": {"7": 1}}
    exported = table.to_json()
    exported["p"]["7"] = 9
    assert table.to_json() == {"p": {"7": 2}}


def test_empty_batches_are_fine():
    assert AnswerCounts().lookup([], []).shape == (0, 0)
    AnswerCounts().add([], [])
    assert PassRates().rates([]).shape == (0,)
    assert PassRates().counts([]).shape == (0, 2)


def test_rates_count_verdicts_and_leave_unknown_ones_out():
    table = PassRates()
    table.add(["p", "q", "r"], [[1, 0, math.nan], [math.nan] * 3, [True, True, True]])
    np.testing.assert_array_equal(table.rates(["p", "q", "r", "new", "p"]), [0.5, math.nan, 1, math.nan, 0.5])
    table.add(["p", "p"], np.array([[1.0, 1.0], [1.0, math.nan]]))
    assert table.rates(["p"]).tolist() == [0.8]
    assert table.to_json() == {"p": [4, 5], "r": [3, 3]}
    assert table.counts(["r", "new", "p"]).tolist() == [[3, 3], [0, 0], [4, 5]]


def test_forgetting_halves_the_weight_of_each_earlier_visit_but_not_within_a_batch():
    table = PassRates(decay=0.5)
    table.add(["p", "p"], [[1, 1], [1, 1]])
    table.add(["p"], [[math.nan, math.nan]])
    assert table.to_json() == {"p": [4, 4]}, "a batch without verdicts is no visit"
    table.add(["p"], [[0, 0]])
    assert table.to_json() == {"p": [2, 4]}
    assert table.rates(["p"]).tolist() == [0.5]
    table.add(["p"], [[0, 0]])
    assert table.rates(["p"]).tolist() == [0.25]


visits = st.lists(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=3, max_size=3), min_size=1, max_size=6)


@given(visits, st.sampled_from([1.0, 0.9, 0.25]))
def test_rates_equal_a_weighted_mean_and_survive_json(history, decay):
    table, judged = PassRates(decay), [row for row in history if not np.isnan(row).all()]
    for row in history:
        table.add(["p"], [row])
        table = PassRates.from_json(json.loads(json.dumps(table.to_json())), decay)
    weights = [decay ** (len(judged) - 1 - i) for i in range(len(judged))]
    right = sum(w * np.nansum(row) for w, row in zip(weights, judged, strict=True))
    total = sum(w * np.sum(~np.isnan(row)) for w, row in zip(weights, judged, strict=True))
    np.testing.assert_allclose(table.rates(["p"]), [right / total if total else math.nan], atol=1e-12)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: AnswerCounts().add(["p"], [["1"], ["2"]]), "1 prompts came with 2 rows"),
        (lambda: AnswerCounts().lookup(["p", "q"], [["1"], ["2", "3"]]), r"lengths \[1, 2\]"),
        (lambda: AnswerCounts().add([3], [["1"]]), "texts, one a prompt"),
        (lambda: AnswerCounts().add(["p"], [[7]]), "given as 7"),
        (lambda: AnswerCounts().lookup(["p"], [["7", math.nan]]), "given as nan"),
        (lambda: AnswerCounts().add("p", [["1"]]), "texts, one a prompt"),
        (lambda: AnswerCounts.from_json([1]), "mapping"),
        (lambda: AnswerCounts.from_json({"p": [1]}), "mapping"),
        (lambda: AnswerCounts.from_json({"p": {"7": 0}}), "integers from 1"),
        (lambda: AnswerCounts.from_json({"p": {"7": 1.5}}), "integers from 1"),
        (lambda: AnswerCounts.from_json({"p": {7: 1}}), "texts as keys"),
        (lambda: PassRates(decay=0), "decay=0"),
        (lambda: PassRates(decay=math.nan), "decay=nan"),
        (lambda: PassRates(decay=True), "decay=True"),
        (lambda: PassRates().add(["p", "q"], [[1]]), "2 prompts came with 1 rows"),
        (lambda: PassRates.from_json({"p": [3, 2]}), "num_correct, num_scored"),
        (lambda: PassRates.from_json({"p": [0, 0]}), "num_correct, num_scored"),
        (lambda: PassRates.from_json({"p": 3}), "num_correct, num_scored"),
        (lambda: PassRates.from_json({"p": [1, math.nan]}), "num_correct, num_scored"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(build, words):
    with pytest.raises(ConfigError, match=words):
        build()
