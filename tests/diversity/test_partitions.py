"""What counts as the same answer: pairs that must and must not be one class, and what all partitions promise."""

from __future__ import annotations

import pickle
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity import (
    NO_ANSWER,
    PARTITIONS,
    CanonicalExpression,
    EmbeddingPartition,
    FinalAnswer,
    HashedNgrams,
    NormalisedText,
    judge_pairs,
    label_by_first_seen,
    resolve_partition,
)
from rlkit.diversity.text_partition import TRUNCATED_CLASS
from rlkit.errors import ConfigError, PluginError
from rlkit.verifiers.normalisation import EMPTY_CLASS

LOCAL = ["canonical_expression", "embedding", "equation_set", "final_answer", "ngram_overlap", "normalised_text"]
"""Partitions of prose and arithmetic that need no trained judge."""
ALL_LOCAL = [*LOCAL, "syntax_tree"]
"""The same and the one of programs, to which a text that is none says nothing; see test_syntax_tree.py."""

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["3+5=8", "5+3=8", "x = 3", "y=3", r"\boxed{8}", "3 + 5 [8]", "a b c d e", "A b  c d e f", "", " ", "#### 8"]
    ),
)


def labels(partition, *completions, **columns):
    partition = resolve_partition(partition)
    return partition.labels(partition.features(list(completions), **columns)).tolist()


def test_every_partition_that_can_be_named_is_tested():
    assert {*PARTITIONS.builtins} == {*ALL_LOCAL, "cross_encoder", "llm_judge", "pair_classifier"}


@pytest.mark.parametrize("name", ALL_LOCAL)
@given(st.lists(TEXTS, max_size=6))
def test_labels_are_in_first_seen_order_and_the_closure_of_the_judgement(name, texts):
    partition = resolve_partition(name)
    features = partition.features(texts)
    found = partition.labels(features)
    assert np.array_equal(found, label_by_first_seen(found.tolist()))
    judged = judge_pairs(partition, features)
    assert judged.shape == (len(texts), len(texts))
    assert np.array_equal(judged, judged.T)
    assert judged.diagonal().all()
    assert (judged <= (found[:, None] == found[None, :])).all()


@pytest.mark.parametrize("name", ALL_LOCAL)
@given(st.lists(TEXTS, min_size=2, max_size=5))
def test_classes_do_not_depend_on_the_order_of_the_group(name, texts):
    def classes(order):
        found = labels(name, *(texts[place] for place in order))
        return {frozenset(place for place, label in zip(order, found, strict=True) if label == each) for each in found}

    expected = classes(range(len(texts)))
    assert all(classes(order) == expected for order in list(permutations(range(len(texts))))[:8])


@pytest.mark.parametrize("name", ALL_LOCAL)
def test_equal_texts_are_one_class_and_empty_ones_another(name):
    text = r"first 3 + 5 = 8 then \boxed{8}"
    assert labels(name, text, "", text, " \n") == [0, 1, 0, 1]
    assert labels(name) == []


@pytest.mark.parametrize("name", LOCAL)
def test_what_follows_the_answer_is_not_looked_at_unless_asked_to(name):
    texts = [
        r"3 + 5 = 8 so \boxed{8}",
        r"3 + 5 = 8 so \boxed{8} and by the way 7 * 7 = 49, das ist schön, ou pas du tout",
    ]
    assert labels(name, *texts) == [0, 0]
    if name in ("embedding", "equation_set", "ngram_overlap", "normalised_text"):
        assert labels({"name": name, "cut_after_answer": False}, *texts) == [0, 1]


@pytest.mark.parametrize("name", LOCAL)
def test_unfinished_texts_are_one_class_unless_compared(name):
    texts = ["3 + 5 = 8 and then", "3 * 5 = 15 but", "3 * 5 = 15 but"]
    cut = [True, np.bool_(True), False]
    assert labels(name, *texts, truncated=cut) == [0, 0, 1]
    if name != "final_answer":
        assert labels({"name": name, "truncated": "compare"}, *texts, truncated=cut) == [0, 1, 1]
        assert labels(name, *texts) == [0, 1, 1]


@pytest.mark.parametrize("name", LOCAL)
def test_a_text_cut_off_while_rambling_on_after_its_answer_is_finished(name):
    texts = [r"3 + 5 = 8, \boxed{8}", r"3 + 5 = 8, \boxed{8} and", "3 + 5 = 8\n#### 8\nand", "3 + 5 = 8\n#### 8"]
    found = labels(name, *texts, truncated=[False, True, False, False])
    assert found[0] == found[1]
    found = labels(name, *texts, "3 + 5", truncated=[False, False, True, True, True])
    assert found[2] != found[3], "a line may have more to come"
    assert found[3] == found[4]


def test_a_blank_text_is_empty_even_if_it_was_cut_off():
    assert NormalisedText().features([" ", "a"], truncated=[True, True]) == [EMPTY_CLASS, TRUNCATED_CLASS]


@pytest.mark.parametrize("flags", [[True], ["yes", "no"], [None, True], [1.0, 0.0]])
def test_a_truncated_column_of_anything_but_bools_is_refused(flags):
    with pytest.raises(ConfigError, match="truncated: compare"):
        labels("normalised_text", "a", "b", truncated=flags)
    assert labels({"name": "normalised_text", "truncated": "compare"}, "a", "b", truncated=flags) == [0, 1]


def test_normalised_text_ignores_case_and_spacing_only():
    assert labels("normalised_text", "A  b\n", "a b", "ab", "", "  ") == [0, 0, 1, 2, 2]


def test_canonical_expression_sees_through_order_and_grouping():
    same = ["(3+5)*2+8", "8+2*(5+3)", "2*(3+5)+8"]
    assert labels("canonical_expression", *same, "3*8", "8*3", "3*8+0") == [0, 0, 0, 1, 1, 2]


def test_canonical_expression_reads_both_formats():
    assert labels(
        "canonical_expression", "3 + 5 [8] [8] * 2 [16]", r"So \boxed{2*(5+3)}", "<answer>(5+3)*2</answer>"
    ) == [0, 0, 0]


def test_unreadable_completions_are_compared_as_text_and_empty_ones_together():
    assert labels("canonical_expression", "no idea", "No  idea", "what?", "", " ") == [0, 0, 1, 2, 2]


def test_final_answer_sees_the_answer_only():
    texts = [
        r"3*8, so \boxed{24}",
        r"4*6, \boxed{24.0}",
        r"\boxed{25}",
        "5 * 5 [25]",
        "the answer is 25.",
        "hm",
        "",
        "?",
    ]
    assert labels("final_answer", *texts) == [0, 0, 1, 1, 1, 2, 2, 2]


def test_every_way_of_giving_no_answer_is_the_one_stated_feature():
    texts = ["hm", "", r"\boxed{", "3 + 5 [8] 8", "8"]
    assert FinalAnswer().features(texts, truncated=[False] * 4 + [True]) == [NO_ANSWER] * 5
    assert FinalAnswer().features(["8", r"\boxed{1/2}"]) == ["8", "1/2"]


def test_equation_set_ignores_order_and_words_and_sees_other_steps():
    one = "First 3 + 5 = 8, then 8 * 2 = 16, so 16 + 8 = 24."
    two = "I add: 16+8=24. Where 16 = 2*8.\nOf course 5+3=8."
    other = "First 3 * 8 = 24."
    assert labels(
        "equation_set", one, two, other, "by insight", "By  insight", "3 + 5 [8] [8] * 2 [16] [16] + 8 [24]"
    ) == [
        *(0, 0, 1, 2, 2, 0),
    ]


def test_equation_sets_are_the_same_from_the_threshold_on():
    four = "1+1=2, 2+2=4, 3+3=6, 4+4=8"
    five = four + ", 5+5=10"
    assert labels("equation_set", four, five) == [0, 0]
    assert labels({"name": "equation_set", "threshold": 0.81}, four, five) == [0, 1]


def test_ngram_overlap_sees_the_surface_only():
    text = "we add three and five to get eight and then double it to get sixteen"
    edited = text.replace("sixteen", "sixteen indeed")
    reworded = "five plus three makes eight whose double is sixteen"
    assert labels("ngram_overlap", text, edited, reworded) == [0, 0, 1]


def test_the_calibrated_cut_of_rouge_1_counts_repetitions():
    rouge = {"name": "ngram_overlap", "n": 1, "measure": "f1", "threshold": 0.458}
    # 2 * 2 common words of 4 + 4: 0.5; of 4 + 5: 0.444.
    assert labels(rouge, "a b c d", "a b x y") == [0, 0]
    assert labels(rouge, "a b c d", "a b x y z") == [0, 1]
    assert labels(rouge, "a a a a", "a b c d") == [0, 1]


def test_embedding_is_the_same_from_the_cosine_on():
    class Plane:
        def embed(self, texts):
            angles = np.radians([float(text) for text in texts])
            return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    partition = EmbeddingPartition(embedding=Plane(), threshold=float(np.cos(np.radians(30.001))))
    features = partition.features(["0", "95", "30", "61", "125"])
    assert partition.labels(features).tolist() == [0, 1, 0, 2, 1]
    strict = EmbeddingPartition(embedding=Plane(), threshold=1.0)
    assert strict.labels(strict.features(["10", "10", "11"])).tolist() == [0, 0, 1]


def test_embedding_takes_what_a_recipe_writes_and_what_has_no_vector_is_empty():
    spec = {"name": "embedding", "embedding": {"name": "hashed_ngrams", "n": 2}, "threshold": 0.8}
    assert resolve_partition(spec) == EmbeddingPartition(embedding=HashedNgrams(n=2), threshold=0.8)

    class Mute:
        def embed(self, texts):
            return np.full((len(texts), 3), np.nan, dtype=np.float32)

    assert EmbeddingPartition(embedding=Mute()).features(["a"]) == [EMPTY_CLASS]


def test_a_sentence_encoder_splits_a_group():
    spec = {"name": "embedding", "embedding": {"name": "sentence_embedding", "model": "countdown-tiny"}}
    spec["threshold"] = 0.99
    assert labels(spec, "3 + 5 [8]", "13 * 4 [52]", "3 + 5 [8]") == [0, 1, 0]


def test_complete_linkage_withstands_what_merges_a_union():
    a, b = "1+1=2, 2+2=4, 3+3=6", "4+4=8, 5+5=10, 6+6=12"
    bridge = f"{a}, {b}"
    spec = {"name": "equation_set", "threshold": 0.5}
    assert labels(spec, a, b, bridge) == [0, 0, 0]
    assert labels(spec | {"closure": "complete_linkage"}, a, b, bridge) == [0, 1, 0]


@pytest.mark.parametrize("name", ALL_LOCAL)
def test_partitions_and_features_are_small_data(name):
    partition = resolve_partition(name)
    assert pickle.loads(pickle.dumps(partition)) == partition
    texts = [r"3 + 5 = 8 \boxed{8}", "", "other words"]
    features = pickle.loads(pickle.dumps(partition.features(texts)))
    assert partition.labels(features).tolist() == labels(name, *texts)


def test_features_of_long_texts_travel_light():
    text = "3 + 5 = 8 and so on, " * 5000
    for name in ("canonical_expression", "final_answer", "equation_set", "ngram_overlap", "embedding"):
        assert len(pickle.dumps(resolve_partition(name).features([text]))) < len(text) + 1000


def test_judgements_of_a_plug_in_without_pairs_follow_its_labels():
    class Lengths:
        def features(self, completions, **columns):
            return [len(text) for text in completions]

        def labels(self, features_G):
            return label_by_first_seen(features_G)

    assert judge_pairs(resolve_partition(Lengths()), [1, 2, 1]).tolist() == [
        [True, False, True],
        [False, True, False],
        [True, False, True],
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "equation_set", "threshold": 0},
        {"name": "equation_set", "threshold": True},
        {"name": "ngram_overlap", "threshold": float("nan")},
        {"name": "ngram_overlap", "n": 0},
        {"name": "ngram_overlap", "n": 2.0},
        {"name": "ngram_overlap", "measure": "rouge"},
        {"name": "embedding", "threshold": 1.5},
        {"name": "embedding", "closure": "single"},
        {"name": "normalised_text", "truncated": "drop"},
        {"name": "final_answer", "cut_after_answer": "yes"},
        {"name": "syntax_tree", "keep_names": 1},
    ],
)
def test_parameters_that_mean_nothing_are_refused(spec):
    with pytest.raises(ConfigError):
        resolve_partition(spec)


def test_unknown_parameters_and_embeddings_are_refused():
    with pytest.raises(PluginError, match="threshold"):
        resolve_partition({"name": "equation_set", "treshold": 0.5})
    with pytest.raises(PluginError, match="hashed_ngrams"):
        resolve_partition({"name": "embedding", "embedding": "hashed_ngram"})


def test_what_is_no_partition_is_refused():
    with pytest.raises(PluginError, match=r"no features\(\) and labels\(\)"):
        resolve_partition("os:getcwd")


def test_unknown_partition_is_refused_with_the_nearest_name():
    with pytest.raises(PluginError, match="canonical_expression"):
        resolve_partition("canonical_expresion")


def test_the_names_of_before_still_import():
    from rlkit.diversity import Partition, summarise_groups

    assert isinstance(CanonicalExpression(), Partition)
    assert callable(summarise_groups)
