"""Fitting a pair head: reading and splitting pairs, scores, threshold, and the fit as a whole."""

from __future__ import annotations

import itertools
import json
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity import false_merge_chance
from rlkit.diversity.pair_data import Pair, read_pairs, split_pairs
from rlkit.diversity.pair_fitting import FitSettings, fit_head
from rlkit.diversity.pair_scores import (
    calibrate_threshold,
    calibration_error,
    pairs_needed,
    score_pairs,
)
from rlkit.errors import ConfigError, PluginError
from rlkit.estimators import wilson_interval

TOPICS = ["ape bee cat dog", "elk fox gnu hen", "ibis jay koi lynx", "mole newt owl pig"]


def make_pairs(size, seed=0, noise=0.0, prompts=40):
    """Bags of words on one of four topics; the same topic is the same."""
    generator = random.Random(seed)

    def write(topic):
        return " ".join(generator.choices(TOPICS[topic].split(), k=6))

    pairs = []
    for _ in range(size):
        left, right = generator.randrange(4), generator.randrange(4)
        right = left if generator.random() < 0.4 else right
        same = (left == right) != (generator.random() < noise)
        pairs.append(Pair(write(left), write(right), same, f"p{generator.randrange(prompts)}"))
    return pairs


def write_pairs(path, records):
    path.write_text("".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records))
    return path


GOOD = [{"a": "x", "b": "y", "same": False}, {"a": "x", "b": "x", "same": True, "prompt": 7, "note": "kept out"}]


def test_pairs_are_read_with_and_without_prompts(tmp_path):
    path = write_pairs(tmp_path / "pairs.jsonl", [GOOD[0], "", GOOD[1]])
    assert read_pairs(path) == [Pair("x", "y", False), Pair("x", "x", True, "7")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Line 3 of .* is not JSON"),
        ("[1]", "Line 3 of .* is no object"),
        ({"a": "x", "same": True}, "Line 3 of .* has no key 'b'"),
        ({"a": "x", "b": "y"}, "Line 3 of .* has no key 'same'"),
        ({"a": " ", "b": "y", "same": True}, "Line 3 of .* has ' ' as 'a'; write a text"),
        ({"a": "x", "b": 3, "same": True}, "Line 3 of .* has 3 as 'b'; write a text"),
        ({"a": "x", "b": "y", "same": 1}, "Line 3 of .* has 1 as 'same'; write true or false"),
        ({"a": "x", "b": "y", "same": True, "prompt": ["p"]}, "as 'prompt'; write the id of a prompt"),
        ({"a": "x", "b": "y", "same": True, "prompt": False}, "has False as 'prompt'"),
    ],
)
def test_malformed_lines_are_named_by_number(tmp_path, line, said):
    with pytest.raises(ConfigError, match=said):
        read_pairs(write_pairs(tmp_path / "pairs.jsonl", [*GOOD, line]))


def test_too_few_pairs_one_class_and_no_file_get_one_sentence(tmp_path):
    path = write_pairs(tmp_path / "pairs.jsonl", GOOD)
    with pytest.raises(ConfigError, match="holds 2 pairs; at least 50 are needed: label more"):
        read_pairs(path, 50)
    with pytest.raises(ConfigError, match=r"All pairs in .* are labelled same: false; add pairs of the other kind"):
        read_pairs(write_pairs(path, [GOOD[0]] * 3))
    with pytest.raises(ConfigError, match=r"gone\.jsonl cannot be read: No such file"):
        read_pairs(tmp_path / "gone.jsonl")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_pairs(tmp_path)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        read_pairs(path)


@given(st.integers(0, 1000), st.integers(100, 300))
def test_a_split_uses_every_pair_once_and_shares_no_prompt(seed, size):
    pairs = make_pairs(size, seed)
    split = split_pairs(pairs, seed)
    assert sorted(np.concatenate(split).tolist()) == list(range(size))
    prompts = [{pairs[place].prompt for place in places} for places in split]
    assert not (prompts[0] & prompts[1])
    assert not (prompts[0] & prompts[2])
    assert not (prompts[1] & prompts[2])
    for share, places in zip((0.6, 0.2, 0.2), split, strict=True):
        # Forty prompts: each part is off by at most about one prompt at either border.
        assert abs(len(places) / size - share) < 0.15


@given(st.integers(0, 1000))
def test_without_prompts_no_text_is_in_two_parts(seed):
    generator = random.Random(seed)
    texts = [[f"{cluster}-{number}" for number in range(3)] for cluster in range(60)]
    pairs = [Pair(*generator.choices(group, k=2), generator.random() < 0.5) for group in texts for _ in range(4)]
    parts = [{text for place in places for text in (pairs[place].a, pairs[place].b)} for places in split_pairs(pairs)]
    assert not (parts[0] & parts[1])
    assert not (parts[0] & parts[2])
    assert not (parts[1] & parts[2])


def test_the_split_depends_on_the_seed_alone():
    pairs = make_pairs(200)
    first, again, other = (split_pairs(pairs, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_pairs_that_hang_together_cannot_be_split():
    chain = [Pair(str(number), str(number + 1), number % 2 == 0) for number in range(100)]
    with pytest.raises(ConfigError, match=r"The part .* of the 100 pairs would have"):
        split_pairs(chain)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_scores_against_counting_by_hand(rows):
    judged, same = zip(*rows, strict=True)
    scores = score_pairs(judged, same, 8)
    both = rows.count((True, True))
    assert scores["true_same"] == both
    assert scores["accuracy"]["value"] == sum(j == s for j, s in rows) / len(rows)
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]
    assert scores["precision"]["value"] == (both / sum(judged) if any(judged) else None)
    assert scores["recall"]["value"] == (both / sum(same) if any(same) else None)
    different = same.count(False)
    rate = rows.count((True, False)) / different if different else None
    assert scores["false_positive_rate"]["value"] == rate
    merge = None if rate is None else false_merge_chance(rate, 8)
    assert scores["false_merge"]["value"] == merge
    json.dumps(scores, allow_nan=False)


def best_threshold_by_trying(probabilities, same, size, bound):
    """Try a threshold in every gap; from the top, so that the highest of the best wins."""
    edges = [0.0, *sorted(set(probabilities)), 1.0]
    best = None
    for low, high in reversed(list(itertools.pairwise(edges))):
        threshold = (low + high) / 2
        judged = [p >= threshold for p in probabilities]
        num_false = sum(j and not s for j, s in zip(judged, same, strict=True))
        hits = sum(j == s for j, s in zip(judged, same, strict=True))
        if false_merge_chance(num_false / same.count(False), size) <= bound and (best is None or hits > best[0]):
            best = hits, threshold
    return best[1]


@given(
    st.lists(st.tuples(st.integers(1, 19), st.booleans()), min_size=2, max_size=25).filter(
        lambda rows: len({same for _, same in rows}) == 2
    ),
    st.integers(2, 9),
    st.sampled_from([0.0, 0.05, 0.5, 0.9, 1.0]),
)
def test_the_threshold_is_the_best_of_all_that_are_allowed(rows, size, bound):
    probabilities, same = [value / 20 for value, _ in rows], [label for _, label in rows]
    found = calibrate_threshold(probabilities, same, size, bound)
    assert found == pytest.approx(best_threshold_by_trying(probabilities, same, size, bound))
    assert 0 < found < 1


def test_a_different_pair_with_certainty_of_one_leaves_only_the_threshold_one():
    assert calibrate_threshold([0.2, 1.0], [True, False], 8, 0.05) == 1.0


def test_calibration_error():
    # Two bins: |0.2 - 0.5| over two pairs and |0.9 - 1| over two.
    assert calibration_error([0.2, 0.2, 0.9, 0.9], [True, False, True, True]) == pytest.approx(0.2)
    assert calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert math.isnan(calibration_error([], []))


@pytest.mark.parametrize(("size", "bound"), [(8, 0.05), (8, 0.5), (2, 0.05), (16, 0.2)])
def test_the_pairs_needed_are_just_enough(size, bound):
    needed = pairs_needed(size, bound)
    assert false_merge_chance(wilson_interval(needed, 0)[1], size) <= bound
    assert false_merge_chance(wilson_interval(needed - 1, 0)[1], size) > bound


def test_no_number_of_pairs_is_needed_or_enough_at_the_ends():
    assert pairs_needed(8, 0.0) is None
    assert pairs_needed(8, 1.0) is None
    assert pairs_needed(1, 0.05) is None


@pytest.mark.parametrize("hidden", [0, 16, None])
def test_a_fit_learns_what_can_be_learned(hidden):
    words = {"name": "hashed_ngrams", "n": 1, "unit": "word", "dims": 128}
    head = fit_head(make_pairs(400), FitSettings([words], hidden=hidden))
    held_out = head.measured["held_out"]
    assert held_out["accuracy"]["value"] > 0.95
    assert held_out["false_positive_rate"]["value"] < 0.05
    assert head.measured["hidden"] == (hidden or 0)
    assert ("first_weight_HF" in head.weights) is bool(hidden)
    # Folding in the standardisation and the temperature has not changed what was learned: it works on new texts.
    fresh = make_pairs(200, seed=9)
    scores = head.score(head.embed([pair.a for pair in fresh]), head.embed([pair.b for pair in fresh]))
    assert np.mean((scores >= 0.5) == [pair.same for pair in fresh]) > 0.95


def test_labels_at_random_are_not_learned_and_the_report_says_so():
    pairs = make_pairs(400, noise=0.5)
    measured = fit_head(pairs, FitSettings(max_false_merge=1.0)).measured
    accuracy = measured["held_out"]["accuracy"]
    assert accuracy["low"] < 0.65
    assert measured["held_out"]["false_merge"]["value"] > 0.5 or measured["held_out"]["recall"]["value"] < 0.5


def test_fits_repeat_to_the_bit_and_leave_the_global_generator_alone():
    pairs, settings = make_pairs(120), FitSettings(hidden=4)
    torch.manual_seed(5)
    first = fit_head(pairs, settings)
    drawn = torch.rand(3)
    again, other = fit_head(pairs, settings), fit_head(pairs, FitSettings(hidden=4, seed=1))
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    assert first.measured == again.measured
    assert all(np.array_equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert not np.array_equal(first.weights["last_weight_H"], other.weights["last_weight_H"])


@pytest.mark.parametrize("bound", [0.0, 0.05, 0.5])
def test_the_bound_is_kept_on_the_calibration_part(bound):
    measured = fit_head(make_pairs(300, noise=0.1), FitSettings(max_false_merge=bound)).measured
    assert measured["calibration"]["false_merge"]["value"] <= bound
    assert measured["held_out"]["threshold"] == measured["calibration"]["threshold"]
    assert measured["most_accurate"]["threshold"] <= measured["held_out"]["threshold"]


def test_what_follows_the_answer_is_not_compared():
    pairs = make_pairs(120)
    answered = [Pair(pair.a + r" \boxed{1}", pair.b + r" \boxed{1}", pair.same, pair.prompt) for pair in pairs]
    rambling = [Pair(pair.a + " and more", pair.b + " no less", pair.same, pair.prompt) for pair in answered]
    first, second = (fit_head(each, FitSettings()) for each in (answered, rambling))
    assert first.measured == second.measured


def test_progress_names_every_stage_and_ends_complete():
    told = []
    fit_head(make_pairs(60), FitSettings(), lambda *words: told.append(words))
    assert {stage for stage, *_ in told} == {"Embedding texts", "Training"}
    ends = {stage: (done, total) for stage, done, total, *_ in told}
    assert all(done == total > 0 for done, total in ends.values())


def test_too_few_pairs_are_refused():
    with pytest.raises(ConfigError, match="49 pairs were given; at least 50 are needed"):
        fit_head(make_pairs(49), FitSettings())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"embedding": "hashed_ngrams"}, "write a list of at least one"),
        ({"embedding": []}, "write a list of at least one"),
        ({"embedding": [object()]}, "cannot be written down"),
        ({"hidden": -1}, "hidden=-1"),
        ({"hidden": True}, "hidden=True"),
        ({"group_size": 1}, "group_size=1"),
        ({"max_false_merge": math.nan}, "max_false_merge=nan"),
        ({"max_false_merge": 1.5}, r"max_false_merge=1\.5"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        FitSettings(**settings)


def test_an_unknown_embedding_is_refused():
    with pytest.raises(PluginError, match="Did you mean 'hashed_ngrams'"):
        fit_head(make_pairs(60), FitSettings(["hashed_ngram"]))
