"""What partitions and embeddings of a user's own may return, and that anything else is one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlkit.diversity import (
    EmbeddingPartition,
    FinalAnswer,
    HashedNgrams,
    judge_pairs,
    label_group,
    read_features,
    read_vectors,
    resolve_partition,
)
from rlkit.diversity.partitions import PARTITIONS
from rlkit.diversity.text_partition import PairwiseTextPartition
from rlkit.errors import ConfigError, PluginError

NAN, INF = float("nan"), float("inf")


class Mine:
    """Returns what it is told to, whatever is asked."""

    def __init__(self, returned):
        self.features = self.labels = self.embed = lambda given, **columns: returned(given)


class Judge(Mine):
    def __init__(self, returned):
        super().__init__(lambda given: list(range(len(given))))
        self.equivalent = returned


@pytest.mark.parametrize("returned", [[0, 1, 0], (0, 1, 0), np.array([0.0, 1, 0]), torch.tensor([0, 1, 0])])
def test_any_kind_of_whole_numbers_is_a_labelling(returned):
    labels_G = label_group(Mine(lambda given: returned), ["a", "b", "c"])
    assert labels_G.tolist() == [0, 1, 0]
    assert labels_G.dtype == np.int64


@pytest.mark.parametrize(
    "returned",
    [
        [0, 1],
        [0, 1, 2, 3],
        [[0, 1, 2]],
        [],
        None,
        5,
        "abc",
        ["a", "b", "c"],
        [0.5, 1, 2],
        [0, 1, NAN],
        [0, 1, INF],
        [0, 1, -1],
        [0, [1], 2],
        [0, 1, 1e300],
    ],
)
def test_other_labels_are_refused(returned):
    with pytest.raises(PluginError, match=r"^The partition 'mine' gave the labels .* to 3 completions; give one whole"):
        label_group(Mine(lambda given: returned), ["a", "b", "c"])


@pytest.mark.parametrize("returned", [["x"], ["x"] * 3, None, "xy", iter("xy"), 2])
def test_features_are_one_a_completion(returned):
    assert read_features(Mine(list), ["a", "b"], truncated=[False, False]) == ["a", "b"]
    with pytest.raises(PluginError, match=r"^The partition 'mine' gave .* of 2 completions; give one each\."):
        read_features(Mine(lambda given: returned), ["a", "b"])


def test_judgements_are_truth_values_of_pairs_and_nobody_differs_from_himself():
    judged = judge_pairs(Judge(lambda given: [[0, 1], [1, 0]]), ["a", "b"])
    assert judged.tolist() == [[True, True], [True, True]]
    assert judge_pairs(Mine(lambda given: [0, 1]), ["a", "b"]).tolist() == [[True, False], [False, True]]
    for wrong in (
        [True, False],
        [[True]],
        [[0, 0.4], [0, 0]],
        [[0, NAN], [0, 0]],
        None,
        [[1, 0], [1]],
        [["a"] * 2] * 2,
    ):
        with pytest.raises(
            PluginError, match=r"'judge' gave judgements of shape .* of 2 completions; give True or Fal"
        ):
            judge_pairs(Judge(lambda given, wrong=wrong: wrong), ["a", "b"])


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ([[1.0, 2.0]], r"shape \(1, 2\) for 2 texts"),
        ([[1.0]] * 3, r"shape \(3, 1\) for 2 texts"),
        ([1.0, 2.0], r"shape \(2,\)"),
        ([[], []], r"shape \(2, 0\)"),
        ([[1.0], [1.0, 2.0]], "for 2 texts"),
        (None, r"shape \(\)"),
        ([["a"], ["b"]], "vectors of <U1; give numbers"),
        ([[1.0], [INF]], "infinite"),
        ([[1.0], [1e300]], "infinite"),
    ],
)
def test_vectors_are_one_a_text(returned, words):
    with pytest.raises(PluginError, match=words) as error:
        read_vectors(Mine(lambda given: returned), ["a", "b"])
    assert str(error.value).startswith("The embedding 'mine' gave ")
    with pytest.raises(PluginError, match=words):
        EmbeddingPartition(embedding=Mine(lambda given: returned)).features(["a", "b"])


def test_a_row_with_one_nan_is_no_vector_and_what_is_given_is_not_written_to():
    given = np.array([[1.0, NAN], [3.0, 4.0]], dtype=np.float32)
    read = read_vectors(Mine(lambda _: given), ["a", "b"])
    np.testing.assert_array_equal(read, [[NAN, NAN], [3, 4]])
    assert given[0, 0] == 1
    tensor = torch.tensor([[3.0, 4.0]], requires_grad=True)
    assert read_vectors(Mine(lambda _: tensor), ["a"]).tolist() == [[3.0, 4.0]]
    assert len(read_vectors(Mine(lambda _: 1 / 0), [])) == 0


def test_what_raises_is_named_with_its_line_and_our_own_errors_pass():
    for call in (read_features, read_vectors, label_group, judge_pairs):
        with pytest.raises(PluginError, match=r"'mine' failed in line \d+ of .*test_contract\.py: ZeroDivisionError"):
            call(Mine(lambda given: 1 / 0), ["a", "b"])
    with pytest.raises(ConfigError, match="truncated"):
        read_features(FinalAnswer(), ["a"], truncated=["yes"])


def test_ours_keep_the_contract():
    texts = ["3 + 5 [8]", "", r"so \boxed{8}", "3 + 5 [8]"]
    for name in (
        "canonical_expression",
        "embedding",
        "equation_set",
        "final_answer",
        "ngram_overlap",
        "normalised_text",
    ):
        assert name in PARTITIONS.builtins
        partition = resolve_partition(name)
        features = read_features(partition, texts)
        np.testing.assert_array_equal(label_group(partition, features), partition.labels(features))
        assert judge_pairs(partition, features)[0, 3]
    np.testing.assert_array_equal(read_vectors(HashedNgrams(), texts), HashedNgrams().embed(texts))


def test_subclasses_that_lose_texts_or_pairs_are_refused():
    class Loses(PairwiseTextPartition):
        def boil_down(self, texts):
            return texts[1:]

    class Flat(PairwiseTextPartition):
        def boil_down(self, texts):
            return texts

        def judge(self, features_M):
            return [True] * len(features_M)

    with pytest.raises(PluginError, match="boiled 2 texts down to 1 features"):
        Loses().features(["a", "", "b"])
    with pytest.raises(PluginError, match=r"judgements of shape \(2,\) of 2 completions"):
        Flat().labels(Flat().features(["a", "b"]))


def test_judgements_of_ones_own_go_both_ways():
    with pytest.raises(PluginError, match="judges completion 0 the same as 1, but not 1 as 0"):
        judge_pairs(Judge(lambda given: [[1, 1], [0, 1]]), ["a", "b"])


def test_what_a_plugin_writes_to_touches_nobody_else():
    class Greedy:
        def features(self, completions, **columns):
            completions.clear()
            columns["answer"].clear()
            return [np.zeros(2), np.ones(2)]

        def labels(self, features_G):
            features_G[0][:] = 1
            del features_G[:1]
            return [0, 1]

    texts, answers = ["a", "b"], ["1", "2"]
    features_G = read_features(Greedy(), texts, answer=answers)
    assert (texts, answers) == (["a", "b"], ["1", "2"])
    assert label_group(Greedy(), features_G).tolist() == [0, 1]
    assert [each.tolist() for each in features_G] == [[0, 0], [1, 1]]
