"""Advantages from embeddings against worked numbers, explicit inverses and determinants, and laws of geometry."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.similarity import AddEllipticalBonus, AddLogdetMarginal, DivideBySimilarity
from rlkit.errors import ConfigError, MissingInputError

RAW = {"coef": 1.0, "root": False, "centre": False, "unit": False}
EVERY = [
    DivideBySimilarity(),
    DivideBySimilarity(negative="keep"),
    AddLogdetMarginal(),
    AddLogdetMarginal(quality_weighted=True),
    AddEllipticalBonus(),
    AddEllipticalBonus(**RAW),
]


def shape(transform, embeddings, values=None):
    embeddings_PGE = np.array([embeddings], dtype=float)
    values = [0.0] * len(embeddings) if values is None else values
    return transform(np.array([values], dtype=float), GroupContext(embeddings_PGE=embeddings_PGE))[0]


def test_worked_numbers_of_dra():
    embeddings, rewards = [[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]], [1, 1, 0, 1]
    weights = shape(DivideBySimilarity(), embeddings, [1] * 4)
    np.testing.assert_allclose(weights, [0.416666, 0.297619, 0.416666, 0.297619], atol=1e-5)
    np.testing.assert_allclose(1 / weights, [2.4, 3.36, 2.4, 3.36], atol=1e-5)
    advantages = shape(resolve("dra_grpo"), embeddings, rewards)
    np.testing.assert_allclose(advantages, [0.920422, 0.251024, -1.422471, 0.251024], atol=1e-5)


def test_worked_numbers_of_dqo():
    embeddings = [[1, 0], [0.96, 0.28], [0, 1]]
    np.testing.assert_allclose(shape(AddLogdetMarginal(), embeddings), [0.425260, 0.405465, 0.667349], atol=1e-5)
    kernel = np.array(embeddings) @ np.array(embeddings).T
    assert np.linalg.slogdet(kernel + np.eye(3))[1] == pytest.approx(1.791759, abs=1e-5)
    centred = np.array([0.425260, 0.405465, 0.667349]) - np.mean([0.425260, 0.405465, 0.667349])
    np.testing.assert_allclose(shape(resolve("dqo"), embeddings), centred, atol=1e-5)


def test_worked_numbers_of_the_leave_one_out_form():
    embeddings, raw = [[1, 0], [0.9, 0.1], [0, 1]], np.array([1.107784, 0.745455, 9.455446])
    np.testing.assert_allclose(shape(AddEllipticalBonus(**RAW), embeddings), raw, atol=1e-5)
    np.testing.assert_allclose(shape(AddEllipticalBonus(**RAW | {"root": True}), embeddings), np.sqrt(raw), atol=1e-5)
    np.testing.assert_allclose(shape(AddEllipticalBonus(**RAW, cap=1), embeddings), [1, 0.745455, 1], atol=1e-5)


def test_opposite_vectors_flip_the_sign_only_as_published():
    embeddings = [[1, 0], [-1, 0.1], [-1, -0.1]]
    assert (shape(DivideBySimilarity(), embeddings, [1] * 3) > 0).all()
    assert shape(DivideBySimilarity(negative="keep"), embeddings, [1] * 3)[0] < 0


def test_copies_share_one_weight_and_orthogonal_ones_keep_theirs():
    np.testing.assert_allclose(shape(DivideBySimilarity(eps=1e-12), [[2, 0]] * 4, [1] * 4), [0.25] * 4)
    np.testing.assert_allclose(shape(DivideBySimilarity(eps=1e-12), np.eye(4), [1] * 4), [1] * 4)
    np.testing.assert_allclose(shape(AddLogdetMarginal(), np.eye(4)), [math.log(2)] * 4)
    np.testing.assert_allclose(shape(AddLogdetMarginal(), [[1, 0]] * 9), [math.log(10 / 9)] * 9)
    np.testing.assert_allclose(shape(AddEllipticalBonus(), [[0.3, 0.7]] * 5), [0] * 5, atol=1e-6)


def unit_rows(embeddings):
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 7)


@given(seeds, sizes, st.sampled_from([0.1, 1.0, 3.0]), st.booleans(), st.booleans())
def test_the_elliptical_bonus_equals_the_explicit_inverse(seed, size, ridge, centre, unit):
    embeddings = np.random.default_rng(seed).normal(size=(size, 5)) * 2
    features = unit_rows(embeddings) if unit else embeddings
    features = features - features.mean(axis=0) if centre else features
    expected = []
    for i in range(size):
        others = np.delete(features, i, axis=0)
        expected.append(features[i] @ np.linalg.inv(ridge * np.eye(5) + others.T @ others) @ features[i])
    transform = AddEllipticalBonus(coef=1.0, ridge=ridge, root=False, centre=centre, unit=unit)
    np.testing.assert_allclose(shape(transform, embeddings), expected, rtol=1e-6, atol=1e-9)


@given(seeds, sizes, st.booleans())
def test_the_marginal_equals_explicit_determinants(seed, size, quality_weighted):
    rng = np.random.default_rng(seed)
    embeddings, rewards = rng.normal(size=(size, 3)), rng.normal(size=size) * 2
    quality = np.exp(rewards / 2) if quality_weighted else np.ones(size)
    scaled = unit_rows(embeddings) * quality[:, None]
    kernel = scaled @ scaled.T + np.eye(size)
    whole = np.linalg.slogdet(kernel)[1]
    without = [np.linalg.slogdet(np.delete(np.delete(kernel, i, 0), i, 1))[1] for i in range(size)]
    transform = AddLogdetMarginal(coef=0.5, quality_weighted=quality_weighted)
    np.testing.assert_allclose(shape(transform, embeddings, rewards), rewards + 0.5 * (whole - without), atol=1e-8)


@given(seeds, sizes, st.sampled_from(["clip", "keep"]))
def test_the_similarity_factor_equals_its_slow_twin(seed, size, negative):
    embeddings = np.random.default_rng(seed).normal(size=(size, 3))
    floor = 0.0 if negative == "clip" else -1.0
    expected = []
    for a in embeddings:
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in embeddings]
        expected.append(2 / (sum(max(cosine, floor) for cosine in cosines) + 1e-6))
    np.testing.assert_allclose(
        shape(DivideBySimilarity(negative=negative), embeddings, [2] * size), expected, rtol=1e-6
    )


@pytest.mark.parametrize("transform", EVERY, ids=repr)
@given(seed=seeds, size=sizes)
def test_order_and_other_groups_do_not_matter(transform, seed, size):
    rng = np.random.default_rng(seed)
    embeddings_PGE, values_PG, order = rng.normal(size=(2, size, 4)), rng.random((2, size)), rng.permutation(size)
    both = transform(values_PG, GroupContext(embeddings_PGE=embeddings_PGE))
    np.testing.assert_allclose(shape(transform, embeddings_PGE[0], values_PG[0]), both[0], rtol=1e-9)
    shuffled = shape(transform, embeddings_PGE[1][order], values_PG[1][order])
    np.testing.assert_allclose(shuffled, both[1][order], rtol=1e-6)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_the_unscored_and_the_unembedded_are_nobodys_siblings_and_keep_their_value(transform):
    rng = np.random.default_rng(0)
    embeddings, values = rng.normal(size=(7, 4)), rng.random(7)
    embeddings[2], embeddings[4], values[5] = math.nan, 0.0, math.nan
    result, present = shape(transform, embeddings, values), [0, 1, 3, 6]
    np.testing.assert_allclose(result[present], shape(transform, embeddings[present], values[present]), rtol=1e-9)
    np.testing.assert_array_equal(result[[2, 4, 5]], values[[2, 4, 5]])


@pytest.mark.parametrize("transform", [t for t in EVERY if t != AddEllipticalBonus(**RAW)], ids=repr)
@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_only_directions_count(transform, scale):
    rng = np.random.default_rng(1)
    embeddings, values, scales = rng.normal(size=(6, 3)), rng.random(6), scale * (1 + rng.random((6, 1)))
    np.testing.assert_allclose(
        shape(transform, embeddings * scales, values), shape(transform, embeddings, values), rtol=1e-9
    )


@pytest.mark.parametrize(
    "transform", [DivideBySimilarity(), AddLogdetMarginal(), AddEllipticalBonus(centre=False)], ids=repr
)
@given(seed=seeds, size=sizes)
def test_one_more_copy_never_raises_the_value_and_copies_are_worth_the_same(transform, seed, size):
    embeddings = np.random.default_rng(seed).normal(size=(size, 4))
    before = shape(transform, embeddings, [1] * size)
    after = shape(transform, [*embeddings, embeddings[0]], [1] * (size + 1))
    assert after[0] < before[0]
    assert after[0] == pytest.approx(after[-1], rel=1e-9)


@given(seed=seeds, size=st.integers(2, 9), ridge=st.sampled_from([1e-3, 0.1, 1.0]))
def test_bonuses_stay_within_the_bounds_that_their_docstrings_promise(seed, size, ridge):
    embeddings = np.random.default_rng(seed).normal(size=(size, 12))
    elliptical = shape(AddEllipticalBonus(coef=1.0, ridge=ridge), embeddings)
    assert (elliptical >= 0).all()
    assert (elliptical < min(2 / math.sqrt(ridge), math.sqrt(size - 1))).all()
    marginal = shape(AddLogdetMarginal(), embeddings)
    assert ((marginal > 0) & (marginal <= math.log(2) + 1e-12)).all()


def test_rounding_never_makes_an_elliptical_bonus_undefined():
    rng = np.random.default_rng(0)
    for _ in range(200):
        embeddings = rng.normal(size=(5, 4)) * 1e3
        embeddings[2] *= 1e-11
        assert shape(AddEllipticalBonus(centre=False, unit=False), embeddings)[2] >= 0


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_one_completion_and_none_that_is_scored(transform):
    assert np.isfinite(shape(transform, [[1, 2]], [1])).all()
    assert np.isnan(shape(transform, [[1, 2], [3, 4]], [math.nan] * 2)).all()
    assert shape(transform, [[math.nan] * 2] * 3, [1, 0, 2]).tolist() == [1, 0, 2]


def test_all_right_groups_are_told_apart_by_the_embeddings_alone():
    embeddings = [[1, 0, 0], [1, 0.01, 0], [0, 0, 1]]
    for name in ("dra_grpo", "dqo", "rep_exp", "elliptical"):
        advantages = shape(resolve(name), embeddings, [1.0] * 3)
        assert advantages[2] > max(advantages[:2]), name


@pytest.mark.parametrize("transform", [DivideBySimilarity(), AddLogdetMarginal(), AddEllipticalBonus()], ids=repr)
def test_a_batch_takes_milliseconds(transform):
    rng = np.random.default_rng(0)
    ctx = GroupContext(embeddings_PGE=rng.normal(size=(32, 16, 384)).astype(np.float32))
    values_PG = rng.random((32, 16))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        transform(values_PG, ctx)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1


def test_what_they_need_and_how_recipes_name_them():
    assert resolve("divide_by_similarity").transforms == (DivideBySimilarity(),)
    assert resolve({"name": "dqo", "coef": 2}).transforms[0] == AddLogdetMarginal(coef=2)
    assert resolve({"name": "elliptical", "cap": 1.0}).transforms[0] == AddEllipticalBonus(cap=1.0)
    for name in ("dra_grpo", "dqo", "rep_exp", "elliptical"):
        assert resolve(name).needs == {"embeddings_PGE"}
        with pytest.raises(MissingInputError, match=r"embeddings_PGE.*`embedding`"):
            resolve(name)(np.zeros((1, 2)))


def test_gradients_of_the_embedder_do_not_leak_and_the_context_is_left_alone():
    embeddings_PGE = torch.tensor([[[1.0, 2.0], [math.nan, 1.0], [0.5, 0.0]]], dtype=torch.float64, requires_grad=True)
    copy = embeddings_PGE.clone()
    for transform in EVERY:
        assert not transform(torch.ones(1, 3), GroupContext(embeddings_PGE=embeddings_PGE)).requires_grad
    torch.testing.assert_close(embeddings_PGE, copy, equal_nan=True)


def test_huge_rewards_are_refused_where_their_exponential_is_taken():
    with pytest.raises(ConfigError, match="at most 20"):
        shape(AddLogdetMarginal(quality_weighted=True), [[1, 0], [0, 1]], [0, 30])
    assert np.isfinite(shape(AddLogdetMarginal(quality_weighted=True), [[1, 0]] * 3, [20, 20, -20])).all()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: DivideBySimilarity(eps=0), "eps=0"),
        (lambda: DivideBySimilarity(eps=math.nan), "eps=nan"),
        (lambda: DivideBySimilarity(negative="flip"), "Did you mean 'clip'"),
        (lambda: AddLogdetMarginal(coef=math.inf), "coef=inf"),
        (lambda: AddLogdetMarginal(coef=True), "coef=True"),
        (lambda: AddLogdetMarginal(quality_weighted=1), "true or false"),
        (lambda: AddEllipticalBonus(ridge=0), "ridge=0"),
        (lambda: AddEllipticalBonus(ridge="0.1"), "ridge='0.1'"),
        (lambda: AddEllipticalBonus(cap=-1), "cap=-1"),
        (lambda: AddEllipticalBonus(root="yes"), "root='yes'"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(build, words):
    with pytest.raises(ConfigError, match=words):
        build()
