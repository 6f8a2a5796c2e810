"""Embeddings: what their vectors mean, and that they are the same everywhere."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from rlkit.diversity import HashedNgrams, SentenceEmbedding, resolve_embedding
from rlkit.diversity.embeddings import measure_cosines, normalise_rows
from rlkit.errors import ConfigError, PluginError
from rlkit.verifiers.normalisation import EMPTY_CLASS, normalise_text

TINY = {"name": "sentence_embedding", "model": "countdown-tiny"}
TEXTS = ["3 + 5 [8]", "", "5 + 3 [8] [8] * 2 [16]", " \n"]


@pytest.mark.parametrize("spec", ["hashed_ngrams", TINY])
def test_one_float32_row_a_text_and_nan_for_blank_ones(spec):
    embedding = resolve_embedding(spec)
    rows = embedding.embed(TEXTS)
    assert rows.dtype == np.float32
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, False, True]
    assert np.isnan(rows).any(axis=1).tolist() == [False, True, False, True]
    assert embedding.embed([]).shape == (0, rows.shape[1])
    assert embedding.embed(["", " "]).shape == (2, rows.shape[1])


@pytest.mark.parametrize("spec", ["hashed_ngrams", TINY])
def test_an_embedding_is_small_data_even_after_its_model_was_used(spec):
    embedding = resolve_embedding(spec)
    before = embedding.embed(TEXTS)
    again = pickle.loads(pickle.dumps(embedding))
    assert again == embedding
    assert len(pickle.dumps(embedding)) < 500
    assert np.array_equal(again.embed(TEXTS), before, equal_nan=True)


def test_hashed_ngrams_are_counts_with_signs():
    many = HashedNgrams(n=1, dims=100_000)
    a, b, aab = many.embed(["a", "b", "aab"])
    assert np.array_equal(aab, 2 * a + b)
    assert sorted(np.abs(aab)[aab != 0]) == [1, 2]


@pytest.mark.parametrize(
    "embedding", [HashedNgrams(), HashedNgrams(n=1, dims=7), HashedNgrams(n=2, dims=64), HashedNgrams(n=4)]
)
def test_texts_counted_all_at_once_are_texts_counted_gram_by_gram(embedding):
    texts = [
        "3 + 5 [8]",
        "",
        "a",
        "ab",
        "abc",
        "<EMPTY>",
        "Gr\u00f6\u00dfe 3 + 5",
        "\ud83d",
        "3 + 5 [8]" * 9,
        "\x00\x01\x02\x03",
        "~~~~",
    ]
    for row, text in zip(embedding.embed(texts), texts, strict=True):
        normalised = normalise_text(text)
        alone = np.full(embedding.dims, np.nan) if normalised == EMPTY_CLASS else embedding._count(normalised)
        assert np.array_equal(row, alone, equal_nan=True), text


def test_hashed_inner_products_estimate_those_of_the_full_counts_without_bias():
    # 200 pairs of words without a common letter: the mean product is 0 within 4 standard errors only with signs.
    rng = np.random.default_rng(0)
    left = ["".join(rng.permutation(list("abcdefghijklm"))) for _ in range(200)]
    right = ["".join(rng.permutation(list("nopqrstuvwxyz"))) for _ in range(200)]
    embedding = HashedNgrams(n=2, dims=16)
    products = (embedding.embed(left) * embedding.embed(right)).sum(axis=1)
    assert abs(products.mean()) < 4 * products.std() / np.sqrt(200)
    assert products.std() > 1


def test_hashed_ngrams_ignore_case_and_spacing_and_read_short_texts_whole():
    one, two, short, other = HashedNgrams(n=4, unit="word").embed(["A  b c d", "a b c d", "a b", "a c"])
    assert np.array_equal(one, two)
    assert np.abs(short).sum() == 1
    assert not np.array_equal(short, other)


def test_hashed_ngrams_agree_between_processes():
    script = "from rlkit.diversity import HashedNgrams; print(HashedNgrams(dims=8).embed(['hello world']).tolist())"
    printed = {
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert printed == {f"{HashedNgrams(dims=8).embed(['hello world']).tolist()}\n"}


def _states(text):
    from transformers import AutoModel, AutoTokenizer

    from rlkit.models import locate_model

    tokenizer = AutoTokenizer.from_pretrained(locate_model("countdown-tiny"))
    model = AutoModel.from_pretrained(locate_model("countdown-tiny")).eval()
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [("mean", lambda states: states.mean(0)), ("last", lambda states: states[-1]), ("cls", lambda states: states[0])],
)
def test_pooling_sees_real_tokens_only(pooling, pool):
    texts = ["3 + 5 [8]", "5 + 3 [8] [8] * 2 [16] [16] + 8 [24]", "3"]
    rows = SentenceEmbedding("countdown-tiny", pooling=pooling, batch_size=3).embed(texts)
    for text, row in zip(texts, rows, strict=True):
        np.testing.assert_allclose(row, pool(_states(text)), atol=2e-5)


@pytest.mark.parametrize(("keep", "left"), [("last", "[8] * 2 [16]"), ("first", "3 + 5 [8] [8]")])
def test_of_a_long_text_the_stated_end_is_kept(keep, left):
    embedding = SentenceEmbedding("countdown-tiny", max_tokens=4 if keep == "last" else 5, keep=keep)
    long, short = embedding.embed(["3 + 5 [8] [8] * 2 [16]", left])
    np.testing.assert_allclose(long, short, atol=2e-5)


def test_a_text_longer_than_the_models_positions_is_cut_to_them():
    assert np.isfinite(SentenceEmbedding("countdown-tiny", max_tokens=4096).embed(["3 + 5 [8] " * 500])).all()


def test_batches_change_nothing_but_rounding():
    texts = ["3 + 5 [8]", "5 * 3 [15]", "8", "3 + 5 [8] [8] * 2 [16] [16] + 8 [24]", "1 + 1"]
    one, many = (SentenceEmbedding("countdown-tiny", batch_size=size).embed(texts) for size in (1, 4))
    np.testing.assert_allclose(one, many, atol=2e-5)


def test_loading_a_model_draws_no_random_numbers_of_the_run():
    from rlkit.diversity.pretrained import _load_model

    _load_model.cache_clear()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    SentenceEmbedding("countdown-tiny").embed(["3"])
    assert torch.equal(torch.rand(2), expected)


def test_a_model_is_loaded_whole_while_a_run_shards_its_own():
    from transformers.integrations import deepspeed

    from rlkit.diversity.pretrained import _load_model

    class Sharding:
        def is_zero3(self):
            return True

        def __getattr__(self, name):
            raise AssertionError(f"the loader asked the run's ZeRO-3 configuration for {name}")

    sharding = Sharding()
    expected = SentenceEmbedding("countdown-tiny").embed(["3 + 5 [8]"])
    _load_model.cache_clear()
    deepspeed.set_hf_deepspeed_config(sharding)
    try:
        assert np.array_equal(SentenceEmbedding("countdown-tiny").embed(["3 + 5 [8]"]), expected)
        assert deepspeed._hf_deepspeed_config_weak_ref() is sharding
    finally:
        deepspeed.unset_hf_deepspeed_config()


def test_cosines_are_symmetric_and_undefined_for_undefined_rows():
    cosines = measure_cosines(np.array([[1.0, 0], [2, 0], [0, 3], [0, 0], [np.nan, np.nan]]))
    expected = np.full((5, 5), np.nan)
    expected[:3, :3] = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(cosines, expected)
    assert np.isnan(normalise_rows(np.zeros((1, 2)))).all()


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "hashed_ngrams", "n": 0},
        {"name": "hashed_ngrams", "dims": True},
        {"name": "hashed_ngrams", "dims": float("nan")},
        {"name": "hashed_ngrams", "unit": "token"},
        TINY | {"pooling": "max"},
        TINY | {"max_tokens": 0},
        TINY | {"batch_size": 1.5},
        TINY | {"keep": "middle"},
        {"name": "sentence_embedding", "model": ""},
        {"name": "sentence_embedding", "model": "./nowhere/at/all"},
        TINY | {"device": 3},
    ],
)
def test_parameters_that_mean_nothing_are_refused(spec):
    with pytest.raises(ConfigError):
        resolve_embedding(spec)


def test_a_sentence_embedding_without_a_model_is_refused():
    with pytest.raises(PluginError, match="needs 'model'"):
        resolve_embedding("sentence_embedding")


def test_what_is_no_embedding_is_refused():
    with pytest.raises(PluginError, match=r"no embed\(\)"):
        resolve_embedding("os:getcwd")
    with pytest.raises(PluginError, match="hashed_ngrams"):
        resolve_embedding("hashed_ngram")


def test_a_model_that_does_not_load_is_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no usable model in the directory"):
        SentenceEmbedding(model=str(tmp_path)).embed(["a"])
