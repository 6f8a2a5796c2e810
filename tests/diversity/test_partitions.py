"""What counts as the same answer."""

from __future__ import annotations

import pickle

import pytest

from rlkit.diversity import label_by_first_seen, resolve_partition
from rlkit.errors import PluginError


def labels(partition, *completions):
    partition = resolve_partition(partition)
    return partition.labels(partition.features(list(completions))).tolist()


def test_labels_are_numbered_in_order_of_first_appearance():
    assert label_by_first_seen(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert label_by_first_seen([]).tolist() == []


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


@pytest.mark.parametrize("name", ["canonical_expression", "normalised_text"])
def test_partitions_are_data(name):
    partition = resolve_partition(name)
    assert pickle.loads(pickle.dumps(partition)) == partition


def test_what_is_no_partition_is_refused():
    with pytest.raises(PluginError, match=r"no features\(\) and labels\(\)"):
        resolve_partition("os:getcwd")


def test_unknown_partition_is_refused_with_the_nearest_name():
    with pytest.raises(PluginError, match="canonical_expression"):
        resolve_partition("canonical_expresion")
