"""Fit a pair head to labelled pairs: train, calibrate the threshold, measure on pairs that nothing has seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlkit.diversity.pair_data import Pair, Split, split_pairs
from rlkit.diversity.pair_head import FloatArray, PairHead, compare_embeddings, embed_texts
from rlkit.diversity.pair_scores import (
    Scores,
    calibrate_threshold,
    calibration_error,
    pairs_needed,
    score_pairs,
)
from rlkit.errors import ConfigError
from rlkit.parameters import check_count, check_number
from rlkit.verifiers.announcements import cut_after_answer

FEWEST_PAIRS = 50
"""With fewer there is nothing to measure on."""

Progress = Callable[..., None]
"""Called with what is being done, how much of it is done, and how much there is."""

_FEW_PAIRS = 1000
_HIDDEN = 64
_LEARNING_RATE, _WEIGHT_DECAY = 3e-3, 0.01
_BATCH = 256
_EPOCHS, _FEWEST_STEPS, _MOST_STEPS = 12, 300, 20_000
_TEXTS_AT_ONCE = 2048


@dataclass(frozen=True)
class FitSettings:
    """How a head is fitted.

    Raises:
        ConfigError: a value is not allowed.
    """

    embedding: Sequence[Any] = ("hashed_ngrams",)
    """One or more embeddings as a recipe names them."""
    hidden: int | None = None
    """Hidden units; 0 is logistic regression; None takes 64 from 1000 pairs to train on, else 0."""
    group_size: int = 8
    """G of the groups that will be partitioned."""
    max_false_merge: float = 0.05
    """Bound on the chance that G different answers lose any to a merge, on the calibration part."""
    seed: int = 0
    """Of the split, the weights and the order of training."""

    def __post_init__(self) -> None:
        """Check every value; embeddings are built, and so checked, when they are first used."""
        if isinstance(self.embedding, str) or not self.embedding:
            raise ConfigError(f"embedding was given as {self.embedding!r}; write a list of at least one embedding.")
        for spec in self.embedding:
            if not isinstance(spec, str | dict):
                raise ConfigError(f"The embedding {spec!r} cannot be written down; write a name or {{name: ...}}.")
        if self.hidden is not None:
            check_count("fit", "hidden", self.hidden, 0)
        check_count("fit", "group_size", self.group_size, 2)
        check_number("fit", "max_false_merge", self.max_false_merge, at_least=0, at_most=1)
        check_count("fit", "seed", self.seed, 0)


def fit_head(pairs: Sequence[Pair], settings: FitSettings, progress: Progress = lambda *_: None) -> PairHead:
    """Fit a head; the same pairs and settings give the same one on the same machine.

    Returns:
        The head, with `measured` as JSON types: `pairs` (counts and share of "same" a part), `group_size`,
        `max_false_merge`, `hidden`, `seed`; `held_out`, the `score_pairs` of the held-out part at the stored
        threshold, with `threshold` and `calibration_error`; `calibration`, `score_pairs` there at the same threshold;
        `most_accurate`, the same as `held_out` at the threshold that is calibrated for accuracy alone; and
        `pairs_needed`, how many different pairs the calibration part would need for its upper limit to keep the bound.

    Raises:
        ConfigError: fewer than 50 pairs, too few of a kind, an embedding that gives no vector for a text.
        PluginError: there is no such embedding.
    """
    if len(pairs) < FEWEST_PAIRS:
        raise ConfigError(f"{len(pairs)} pairs were given; at least {FEWEST_PAIRS} are needed: label more.")
    split = split_pairs(pairs, settings.seed)
    left_NE, right_NE = embed_pairs(pairs, settings.embedding, progress)
    same_N = np.array([pair.same for pair in pairs])
    hidden = settings.hidden
    if hidden is None:
        hidden = _HIDDEN if len(split.train) >= _FEW_PAIRS else 0
    train, calibration = split.train, split.calibration
    weights = train_weights(left_NE[train], right_NE[train], same_N[train], hidden, settings.seed, progress)
    raw = PairHead(settings.embedding, weights, 0.5, {})
    scale = _fit_temperature(raw.score(left_NE[calibration], right_NE[calibration]), same_N[calibration])
    weights |= {name: (weights[name] * scale).astype(np.float32) for name in ("last_weight_H", "last_bias")}
    # Calibrated on the vectors of the head as it will be used: rounding included.
    probabilities_N = PairHead(settings.embedding, weights, 0.5, {}).score(left_NE, right_NE)
    threshold, measured = _measure(probabilities_N, same_N, split, settings)
    return PairHead(list(settings.embedding), weights, threshold, measured | {"hidden": hidden, "seed": settings.seed})


def embed_pairs(pairs: Sequence[Pair], embedding: Sequence[Any], progress: Progress) -> tuple[FloatArray, FloatArray]:
    """Return the vectors of both sides, each (N, E); as in the partition, what follows a final answer is cut off.

    Raises:
        ConfigError: an embedding gives no vector for a text.
    """
    texts = list(dict.fromkeys(cut_after_answer(text) for pair in pairs for text in (pair.a, pair.b)))
    blocks = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        progress("Embedding texts", start, len(texts))
        blocks.append(embed_texts(embedding, texts[start : start + _TEXTS_AT_ONCE]))
    progress("Embedding texts", len(texts), len(texts))
    vectors_UE = np.concatenate(blocks)
    undefined = np.flatnonzero(np.isnan(vectors_UE).any(axis=1))
    if len(undefined):
        raise ConfigError(
            f"The embedding has no vector for the text {texts[undefined[0]][:60]!r}; leave its pairs out."
        )
    place = {text: at for at, text in enumerate(texts)}
    left = [place[cut_after_answer(pair.a)] for pair in pairs]
    right = [place[cut_after_answer(pair.b)] for pair in pairs]
    return vectors_UE[left], vectors_UE[right]


def train_weights(
    left_NE: FloatArray, right_NE: FloatArray, same_N: np.ndarray, hidden: int, seed: int, progress: Progress
) -> dict[str, FloatArray]:
    """Return the weights of a `PairHead` trained on N pairs by AdamW on the log loss, standardisation folded in."""
    mean_F, scale_F = _standardise(left_NE, right_NE)
    left, right, same = torch.from_numpy(left_NE), torch.from_numpy(right_NE), torch.from_numpy(same_N).float()
    mean, scale = torch.from_numpy(mean_F), torch.from_numpy(scale_F)
    size = min(_BATCH, len(same))
    per_epoch = math.ceil(len(same) / size)
    num_steps = min(_MOST_STEPS, max(_FEWEST_STEPS, _EPOCHS * per_epoch))
    # The caller's random numbers are not ours to use up.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _build_network(len(mean_F), hidden)
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=num_steps)
        for step in range(num_steps):
            if step % per_epoch == 0:
                progress("Training", step, num_steps, "steps")
                batches = torch.randperm(len(same)).split(size)
            rows = batches[step % per_epoch]
            x_BF = (_compare_tensors(left[rows], right[rows]) - mean) * scale
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x_BF)[:, 0], same[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    progress("Training", num_steps, num_steps, "steps")
    return _fold(network, mean, scale)


def _standardise(left_NE: FloatArray, right_NE: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the inverse deviation of every feature; 0 for what never varied, which then has no say."""
    sums_2F = np.zeros((2, 2 * left_NE.shape[1] + 1))
    for start in range(0, len(left_NE), _TEXTS_AT_ONCE):
        rows = slice(start, start + _TEXTS_AT_ONCE)
        x_NF = compare_embeddings(left_NE[rows], right_NE[rows]).astype(np.float64)
        sums_2F += x_NF.sum(axis=0), (x_NF**2).sum(axis=0)
    mean_F, square_F = sums_2F / len(left_NE)
    deviation_F = np.sqrt(np.maximum(square_F - mean_F**2, 0.0))
    scale_F = np.divide(1.0, deviation_F, out=np.zeros_like(deviation_F), where=deviation_F > 1e-6)
    return mean_F.astype(np.float32), scale_F.astype(np.float32)


def _compare_tensors(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    product = left * right
    return torch.cat([(left - right).abs(), product, product.sum(dim=1, keepdim=True)], dim=1)


def _build_network(num_features: int, hidden: int) -> torch.nn.Sequential:
    if not hidden:
        return torch.nn.Sequential(torch.nn.Linear(num_features, 1))
    return torch.nn.Sequential(torch.nn.Linear(num_features, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))


def _fold(network: torch.nn.Sequential, mean: torch.Tensor, scale: torch.Tensor) -> dict[str, FloatArray]:
    first, last = network[0], network[-1]
    assert isinstance(first, torch.nn.Linear)
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        weight = first.weight * scale
        bias = first.bias - weight @ mean
        if first is last:
            folded = {"last_weight_H": weight[0], "last_bias": bias[0]}
        else:
            folded = {"first_weight_HF": weight, "first_bias_H": bias}
            folded |= {"last_weight_H": last.weight[0], "last_bias": last.bias[0]}
        return {name: tensor.numpy().copy() for name, tensor in folded.items()}


def _fit_temperature(probabilities_N: np.ndarray, same_N: np.ndarray) -> float:
    """Return the factor on the logits with the least log loss (Guo et al. 2017, arXiv 1706.04599), 1/16 to 4."""
    logits_N = np.log(probabilities_N / (1 - probabilities_N)) * np.where(same_N, 1.0, -1.0)
    factors = 2.0 ** np.linspace(-4, 2, 97)
    return float(min(factors, key=lambda factor: np.logaddexp(0.0, -factor * logits_N).mean()))


def _measure(
    probabilities_N: np.ndarray, same_N: np.ndarray, split: Split, settings: FitSettings
) -> tuple[float, dict[str, Any]]:
    size, bound = settings.group_size, settings.max_false_merge
    inside = probabilities_N[split.calibration], same_N[split.calibration]
    thresholds = [calibrate_threshold(*inside, size, most) for most in (bound, 1.0)]
    held_out, most_accurate = (
        _score_part(probabilities_N, same_N, split.held_out, threshold, size) for threshold in thresholds
    )
    return thresholds[0], {
        "pairs": {name: len(places) for name, places in split._asdict().items()},
        "share_same": float(same_N.mean()),
        "group_size": size,
        "max_false_merge": bound,
        "pairs_needed": pairs_needed(size, bound),
        "held_out": held_out,
        "calibration": _score_part(probabilities_N, same_N, split.calibration, thresholds[0], size),
        "most_accurate": most_accurate,
    }


def _score_part(
    probabilities_N: np.ndarray, same_N: np.ndarray, places: np.ndarray, threshold: float, group_size: int
) -> Scores:
    scores = score_pairs(probabilities_N[places] >= threshold, same_N[places], group_size)
    error = calibration_error(probabilities_N[places], same_N[places])
    return {"threshold": threshold, **scores, "calibration_error": error}
