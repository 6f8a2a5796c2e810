"""Self-BLEU: how well the other texts of a group predict each one, word by word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from rlkit.diversity.ngram_table import NgramTable, number_ngrams
from rlkit.errors import ConfigError
from rlkit.parameters import check_count


def self_bleu(texts: Sequence[str], max_texts: int | None = None, seed: int = 0) -> float:
    """Return the mean sentence BLEU of each text against all others, in [0, 1]; higher is less diverse.

    Grows with the number of texts, as more references match more: compare at one number. Blank texts are left out,
    since one scores 0 and would pass for diversity.

    Args:
        texts: shape (N,).
        max_texts: of more texts than this, so many are drawn; all by default.
        seed: of that draw.

    Returns:
        NaN below two texts that are not blank.

    Raises:
        ConfigError: sacrebleu is not installed, or `max_texts` is not a whole number of at least 2.

    Source: Zhu et al. 2018, "Texygen", arXiv 1802.01886. The numbers of different BLEUs do not compare; ours is
    sacrebleu's `sentence_bleu`: up to 4-grams, tokenizer 13a, exponential smoothing (Post 2018, arXiv 1804.08771).
    """
    if max_texts is not None:
        check_count("self_bleu", "max_texts", max_texts, smallest=2)
    written = [text for text in texts if text.strip()]
    if max_texts is not None and len(written) > max_texts:
        chosen = np.sort(np.random.default_rng(seed).choice(len(written), max_texts, replace=False))
        written = [written[at] for at in chosen]
    if len(written) < 2:
        return math.nan
    # Equal texts score 1.0000000000000004.
    return min(float(np.mean(_scores(written))), 1.0)


def _scores(texts: Sequence[str]) -> list[float]:
    """Return `sentence_score` of each text against all others, in [0, 1], every text being split and counted once."""
    bleu = _load_bleu()
    tokens_N = [bleu.tokenizer(text.rstrip()).split() for text in texts]
    lengths = [len(tokens) for tokens in tokens_N]
    counts = [_count_each(table) for table in number_ngrams(tokens_N, range(1, bleu.max_ngram_order + 1)).values()]
    matched_ON = [np.minimum(counts_NU, _most_elsewhere(counts_NU)).sum(axis=1).tolist() for counts_NU in counts]
    totals_ON = [counts_NU.sum(axis=1).tolist() for counts_NU in counts]
    scores = []
    for at, length in enumerate(lengths):
        # The nearest length of a reference, the shorter of two as near.
        reference = min(lengths[:at] + lengths[at + 1 :], key=lambda other: (abs(length - other), other))
        matched, totals = ([each[at] for each in table] for table in (matched_ON, totals_ON))
        found = bleu.compute_bleu(matched, totals, length, reference, bleu.smooth_method, None, bleu.effective_order)
        scores.append(found.score / 100)
    return scores


def _count_each(table: NgramTable) -> np.ndarray:
    """Return how often each n-gram stands in each text, shape (N, U)."""
    size = table.num_numbers
    places_C = table.owners_C * size + table.numbers_C
    return np.bincount(places_C, minlength=table.num_texts * size).reshape(table.num_texts, size)


def _most_elsewhere(counts_NU: np.ndarray) -> np.ndarray:
    """Return how often each n-gram stands at most in one of the other texts, shape (N, U)."""
    second_U, first_U = np.partition(counts_NU, len(counts_NU) - 2, axis=0)[-2:]
    return np.where(counts_NU == first_U, second_U, first_U)


@cache
def _load_bleu() -> Any:
    """Return the metric behind `sacrebleu.sentence_bleu`; kept, as it remembers the words of each text."""
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise ConfigError("Self-BLEU needs sacrebleu, which is not installed; run `pip install sacrebleu`.") from error
    return BLEU(effective_order=True)
