"""The fitted partition: its directory, its features, its judgement and its classes; and the head that is shipped."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rlkit.assets import bundled_models
from rlkit.diversity import resolve_partition
from rlkit.diversity.pair_classifier import PairClassifier
from rlkit.diversity.pair_head import CONFIG, WEIGHTS, PairHead, compare_embeddings, load_head, shipped_heads
from rlkit.diversity.text_partition import TRUNCATED_CLASS
from rlkit.errors import ConfigError, PluginError
from rlkit.verifiers import solution_key

DIMS = 64
SPEC = {"name": "hashed_ngrams", "n": 1, "unit": "word", "dims": DIMS}
# P(same) = sigmoid(20 * (cosine - 0.5)), as words that are all different hash to different places here.
COSINE = {
    "last_weight_H": np.array([0.0] * (2 * DIMS) + [20.0], dtype=np.float32),
    "last_bias": np.array(-10.0, dtype=np.float32),
}


@pytest.fixture
def directory(tmp_path):
    PairHead([SPEC], COSINE, 0.5, {"seed": 0}).save(tmp_path / "head")
    return str(tmp_path / "head")


def random_head(hidden, dims=DIMS, seed=0):
    generator = np.random.default_rng(seed)
    shapes = {"last_weight_H": (hidden or 2 * dims + 1,), "last_bias": ()}
    if hidden:
        shapes |= {"first_weight_HF": (hidden, 2 * dims + 1), "first_bias_H": (hidden,)}
    return PairHead([SPEC], {k: generator.normal(size=v).astype(np.float32) for k, v in shapes.items()}, 0.7, {})


@pytest.mark.parametrize("hidden", [0, 3])
def test_the_score_is_the_formula_and_does_not_know_left_from_right(hidden):
    head = random_head(hidden)
    left, right = head.embed(["a b c", "a", "d e f"]), head.embed(["a b d", "b", "d e f"])
    for row, score in enumerate(head.score(left, right)):
        a, b = left[row].astype(float), right[row].astype(float)
        x = [*(abs(a - b)), *(a * b), float(a @ b)]
        if hidden:
            weight, bias = head.weights["first_weight_HF"], head.weights["first_bias_H"]
            x = [max(0.0, sum(w * v for w, v in zip(weight[h], x, strict=True)) + bias[h]) for h in range(hidden)]
        logit = sum(w * v for w, v in zip(head.weights["last_weight_H"], x, strict=True)) + head.weights["last_bias"]
        assert score == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-5)
    np.testing.assert_array_equal(head.score(left, right), head.score(right, left))


def test_the_score_leaves_room_for_a_threshold_on_either_side():
    huge = COSINE | {"last_bias": np.array(1e6, dtype=np.float32)}
    vectors = PairHead([SPEC], huge, 0.5, {}).embed(["a", "b"])
    assert 0 < PairHead([SPEC], huge, 0.5, {}).score(vectors[:1], vectors[1:])[0] < 1


def test_several_embeddings_count_alike_and_stand_side_by_side():
    both = PairHead([SPEC, {"name": "hashed_ngrams", "dims": 8}], COSINE, 0.5, {}).embed(["a b", " ", "c"])
    assert both.shape == (3, DIMS + 8)
    assert both.dtype == np.float32
    assert np.isnan(both[1]).all()
    np.testing.assert_allclose(np.linalg.norm(both[[0, 2], :DIMS], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(compare_embeddings(both[:1], both[:1])[0, -1], 2, atol=1e-6)


def test_a_head_comes_back_from_its_directory_as_it_was(tmp_path):
    head = random_head(5)
    head.save(tmp_path / "new" / "head")
    loaded = load_head(str(tmp_path / "new" / "head"))
    assert (loaded.embedding, loaded.threshold, loaded.measured) == (head.embedding, 0.7, {})
    assert {*loaded.weights} == {*head.weights}
    for name, array in head.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], array)


def test_a_head_that_was_fitted_again_is_read_again(directory):
    texts = ["a b c d", "a b c e", "f"]
    partition = PairClassifier(path=directory)
    assert partition.labels(partition.features(texts)).tolist() == [0, 0, 1]
    PairHead([SPEC], COSINE, 0.999999, {"seed": 1}).save(directory)
    assert partition.labels(partition.features(texts)).tolist() == [0, 1, 2]


def test_judgement_and_classes_follow_threshold_and_closure(directory):
    # Neighbours share 3 of 4 words (cosine 0.75), ends of the chain 2 (0.5).
    texts = ["a b c d", "b c d e", "c d e f", "w x y z"]
    strict = PairClassifier(path=directory, threshold=0.9)
    features = strict.features(texts)
    expected = np.eye(4, dtype=bool)
    for left, right in [(0, 1), (1, 2)]:
        expected[left, right] = expected[right, left] = True
    np.testing.assert_array_equal(strict.equivalent(features), expected)
    assert strict.labels(features).tolist() == [0, 0, 0, 1]
    cliques = PairClassifier(path=directory, threshold=0.9, closure="complete_linkage")
    assert cliques.labels(features).tolist() == [0, 0, 1, 2]
    assert PairClassifier(path=directory, threshold=0.999).labels(features).tolist() == [0, 1, 2, 3]


def test_the_stored_threshold_holds_unless_another_is_given(directory):
    stored = Path(directory) / CONFIG
    config = json.loads(stored.read_text())
    stored.write_text(json.dumps(config | {"threshold": 0.9999}))
    texts = ["a b c d", "b c d e"]
    default, given = PairClassifier(path=directory), PairClassifier(path=directory, threshold=0.5)
    assert default.labels(default.features(texts)).tolist() == [0, 1]
    assert given.labels(given.features(texts)).tolist() == [0, 0]


def test_equal_texts_are_one_class_whatever_the_head_says(tmp_path):
    never = COSINE | {"last_bias": np.array(-1000.0, dtype=np.float32)}
    PairHead([SPEC], never, 0.5, {}).save(tmp_path / "head")
    partition = PairClassifier(path=str(tmp_path / "head"))
    assert partition.labels(partition.features(["a b", "c", "A  b", "c"])).tolist() == [0, 1, 0, 1]


def test_empty_truncated_and_rambling_completions(directory):
    partition = PairClassifier(path=directory)
    texts = ["", "a b", "  ", "x y", "z w", r"p q \boxed{1}", r"p q \boxed{1} and so on and on"]
    features = partition.features(texts, truncated=[False, False, True, True, True, False, True])
    assert features[3] == features[4] == TRUNCATED_CLASS
    assert partition.labels(features).tolist() == [0, 1, 0, 2, 2, 3, 3]
    assert partition.labels(partition.features([])).tolist() == []
    assert partition.labels(partition.features(["", ""])).tolist() == [0, 0]
    assert partition.labels(partition.features(["a"])).tolist() == [0]


def test_features_are_float32_vectors_and_survive_pickling(directory):
    partition = PairClassifier(path=directory)
    features = partition.features(["a b c d", "a b c e", ""])
    assert [feature.dtype for feature in features[:2]] == [np.float32] * 2
    assert len(pickle.dumps(partition)) < 500
    again, travelled = pickle.loads(pickle.dumps(partition)), pickle.loads(pickle.dumps(features))
    assert again == partition
    assert again.labels(travelled).tolist() == [0, 0, 1]


def test_a_recipe_can_name_it(directory):
    built = resolve_partition({"name": "pair_classifier", "path": directory, "threshold": 0.6})
    assert built == PairClassifier(path=directory, threshold=0.6)


@pytest.mark.parametrize("threshold", [0, -1, 1.5, True, math.nan, "0.5"])
def test_thresholds_out_of_range_are_refused(directory, threshold):
    with pytest.raises(ConfigError, match=r"threshold=.*write a number above 0"):
        PairClassifier(path=directory, threshold=threshold)


def test_unknown_heads_get_one_sentence(tmp_path):
    with pytest.raises(PluginError, match=r"No pair head is called 'countdown-pair'.*Did you mean 'countdown-pairs'"):
        PairClassifier(path="countdown-pair")
    with pytest.raises(PluginError, match=r"holds no head\.json; write one that rlkit partition fit has made"):
        PairClassifier(path=str(tmp_path))
    with pytest.raises(ConfigError, match="path=3"):
        PairClassifier(path=3)


def break_json(folder):
    (folder / CONFIG).write_text("{")


def break_weights(folder):
    (folder / WEIGHTS).write_bytes(b"nothing")


def lose_weights(folder):
    (folder / WEIGHTS).unlink()


def lose_a_key(folder):
    config = json.loads((folder / CONFIG).read_text())
    del config["threshold"]
    (folder / CONFIG).write_text(json.dumps(config))


def put_a_wrong_threshold(folder):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"threshold": 1.5}))


def lose_a_tensor(folder):
    save_file({"last_bias": load_file(folder / WEIGHTS)["last_bias"]}, folder / WEIGHTS)


def put_nan(folder):
    save_file(load_file(folder / WEIGHTS) | {"last_bias": np.array(math.nan, dtype=np.float32)}, folder / WEIGHTS)


BREAKAGES = [break_json, break_weights, lose_weights, lose_a_key, put_a_wrong_threshold, lose_a_tensor, put_nan]


@pytest.mark.parametrize("damage", BREAKAGES)
def test_damaged_directories_get_one_sentence(tmp_path, damage):
    PairHead([SPEC], COSINE, 0.5, {}).save(tmp_path / "head")
    damage(tmp_path / "head")
    with pytest.raises(PluginError, match=r"^The pair head in .* cannot be read \(.*\); fit it again\.$"):
        PairClassifier(path=str(tmp_path / "head"))


def test_another_format_is_refused(tmp_path):
    PairHead([SPEC], COSINE, 0.5, {}).save(tmp_path / "head")
    config = json.loads((tmp_path / "head" / CONFIG).read_text())
    (tmp_path / "head" / CONFIG).write_text(json.dumps(config | {"format": 2}))
    with pytest.raises(PluginError, match="has format 2, this version reads 1; fit it again"):
        PairClassifier(path=str(tmp_path / "head"))


def test_an_embedding_of_another_length_is_refused(tmp_path):
    PairHead([{**SPEC, "dims": 16}], COSINE, 0.5, {}).save(tmp_path / "head")
    partition = PairClassifier(path=str(tmp_path / "head"))
    with pytest.raises(ConfigError, match="gives 16 numbers a text, but the pair head was fitted to 64"):
        partition.labels(partition.features(["a", "b"]))


def test_a_head_is_not_written_over_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match=r"holds 'notes\.txt', which is no part of a pair head"):
        random_head(0).save(tmp_path)
    with pytest.raises(ConfigError, match="is a file; a pair head is a directory"):
        random_head(0).save(tmp_path / "notes.txt")


def test_the_shipped_head_is_found_is_no_model_and_needs_none():
    assert "countdown-pairs" in shipped_heads()
    assert "countdown-pairs" not in bundled_models()
    code = """
import sys
sys.modules["transformers"] = None
from rlkit.diversity.pair_classifier import PairClassifier
p = PairClassifier()
print(p.labels(p.features(["3 + 5 [8] [8] * 2 [16] [16] + 8 [24]"] * 2)).tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == "[0, 0]", done.stderr


SAME = [
    ("3 + 5 [8] [8] * 2 [16] [16] + 8 [24]", "5 + 3 [8] 2 * [8] [16] 8 + [16] [24]"),
    ("7 * 3 [21] 11 - 4 [7] [21] + [7] [28]", "11 - 4 [7] 3 * 7 [21] [7] + [21] [28]"),
]
DIFFERENT = [
    ("3 + 5 [8] [8] * 2 [16] [16] + 8 [24]", "8 * 5 [40] [40] / 2 [20] [20] + 3 [23]"),
    ("7 * 3 [21] 11 - 4 [7] [21] + [7] [28]", "11 - 7 [4] [4] + 3 [7] [7] * 4 [28]"),
]


@pytest.mark.parametrize(("pairs", "is_same"), [(SAME, True), (DIFFERENT, False)])
def test_the_shipped_head_knows_clear_countdown_pairs(pairs, is_same):
    partition = PairClassifier(threshold=0.5)
    for a, b in pairs:
        assert (solution_key(a) == solution_key(b)) is is_same
        assert partition.equivalent(partition.features([a, b]))[0, 1] == is_same


def test_the_shipped_head_says_how_good_it_is_and_is_small():
    head = load_head("countdown-pairs")
    held_out = head.measured["held_out"]
    assert held_out["threshold"] == head.threshold
    assert held_out["num_pairs"] == head.measured["pairs"]["held_out"]
    assert sum(array.nbytes for array in head.weights.values()) < 1_000_000
