"""What others of the group give away of a text: self-BLEU and compression, on golden numbers and in their limits."""

from __future__ import annotations

import gzip
import math
import random

import pytest

from rlkit.diversity.bleu import _load_bleu, _scores, self_bleu
from rlkit.diversity.compression import compression_ratio
from rlkit.errors import ConfigError

CATS = ["the cat sat on the mat", "the cat sat on a mat", "a dog ran in the park"]
WORDS = [f"{first}{second}" for first in "bcdfghjklmnp" for second in ("an", "el", "ir", "os", "u")]


def random_text(seed: int, num_words: int = 80) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=num_words))


def test_golden_self_bleu():
    assert self_bleu(CATS) == pytest.approx(0.3987168800)
    assert [self_bleu([text, text]) for text in CATS] == [1.0] * 3


def test_self_bleu_is_sacrebleu_text_by_text():
    from sacrebleu import sentence_bleu

    texts = [random_text(seed, 20) for seed in range(4)]
    scores = [sentence_bleu(text, [other for other in texts if other != text]).score for text in texts]
    assert self_bleu(texts) == pytest.approx(sum(scores) / 400)
    assert self_bleu(texts[::-1]) == pytest.approx(self_bleu(texts))


@pytest.mark.parametrize("num", [2, 3, 4, 9])
def test_counting_every_text_once_gives_sacrebleus_scores_to_the_last_bit(num):
    odd = [
        "<skipped>",
        "a.b, c-d 3-4 1,000.5 .",
        "x &amp; y\nz",
        "\u6570\u5b66 \u00bd",
        "one",
        "one one one one one",
        *CATS,
    ]
    bleu = _load_bleu()
    for seed in range(30):
        texts = random.Random(seed).choices([*odd, random_text(seed, 9), random_text(seed + 1, 30)], k=num)
        others = (texts[:at] + texts[at + 1 :] for at in range(num))
        assert _scores(texts) == [
            bleu.sentence_score(text, rest).score / 100 for text, rest in zip(texts, others, strict=True)
        ]


def test_blank_texts_neither_count_nor_pass_for_diversity():
    assert self_bleu([*CATS, "", " \n"]) == self_bleu(CATS)
    for texts in ([], [""], CATS[:1], [CATS[0], ""]):
        assert math.isnan(self_bleu(texts))


def test_a_sub_sample_is_drawn_from_many_texts():
    texts = [random_text(seed, 12) for seed in range(9)]
    assert self_bleu(texts, max_texts=9) == self_bleu(texts)
    drawn = self_bleu(texts, max_texts=3, seed=1)
    assert drawn == self_bleu(texts, max_texts=3, seed=1)
    assert len({self_bleu(texts, max_texts=3, seed=seed) for seed in range(5)}) > 1
    with pytest.raises(ConfigError, match="max_texts=1"):
        self_bleu(texts, max_texts=1)


def test_golden_compression_ratios():
    assert compression_ratio(CATS, min_bytes=1) == pytest.approx(65 / 50)
    # gzip's longer header, as others use it, alone makes 62 bytes of the 50.
    assert len(gzip.compress(" ".join(CATS).encode(), 9)) == 62


def test_copies_compress_and_noise_does_not():
    copies, different = [random_text(0)] * 16, [random_text(seed) for seed in range(16)]
    assert compression_ratio(copies) > 5 * compression_ratio(different)


def test_too_little_text_has_no_ratio():
    assert math.isnan(compression_ratio(CATS))
    assert math.isnan(compression_ratio([]))
    assert math.isnan(compression_ratio(["", " "], min_bytes=1))
    assert not math.isnan(compression_ratio(["x" * 2000]))
    assert compression_ratio(["a\ud800b"] * 500) > 1
    with pytest.raises(ConfigError, match="min_bytes"):
        compression_ratio(CATS, 0)
