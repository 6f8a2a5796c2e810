"""A learned judge of pairs: a sequence-classification model that reads both texts at once, as DARLING uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.diversity.classify_here import Pair, classify_pairs
from rlkit.diversity.pretrained import load_tokenizer
from rlkit.diversity.text_partition import PairwiseTextPartition
from rlkit.errors import ConfigError
from rlkit.models import locate_model
from rlkit.parameters import check_choice, check_count, check_number, check_text, show
from rlkit.servers.classify import classify_texts
from rlkit.servers.endpoint import check_server, read_key

PAPER_TEMPLATE = "[CLS] {first} [SEP] {second} [SEP]"
"""How DARLING writes a pair as one text."""


@dataclass(frozen=True, kw_only=True)
class CrossEncoder(PairwiseTextPartition):
    """Two completions are the same when a classifier gives at least `threshold` to the class "equivalent".

    The method of DARLING (arXiv 2509.02534): each pair of a group is judged by a model that was trained on labelled
    pairs, and classes are the closure of its judgements; the problem is not shown to it. The model runs in this
    process, in float32, loaded when first used; or, with `url`, behind a server that speaks vLLM's `/classify`. Equal
    texts are the same without being asked about. A server that fails or replies with nonsense is asked again until
    `deadline_s` and then stops the run: silence is never a judgement. One that gives no sign of life when first used
    stops it after 15 seconds at most.

    Where we differ: texts are cut by tokens (the released code counts white-space words, and so can exceed its
    budget); with a `url`, words are counted unless `tokenizer` says whose tokens. Of a model with a single output the
    sigmoid is taken. The released short-answer rule is off by default: two short answers that share words, such as
    `x = 3` and `x = 4`, are not the same solution; set `short_words: 5` for it.

    Raises:
        ConfigError: a parameter is not allowed; when first used: the model does not load or is no classifier, or the
            server refuses requests.
        RewardError: when used: no usable reply of the server before the deadline.
    """

    model: str
    """A directory or hub id; with `url`, the name under which the server knows it."""
    url: str | None = None
    """Address of a server, `http://host:port`; None runs the model in this process."""
    threshold: float = 0.5
    """Smallest probability, in (0, 1]. DARLING: 0.5 for mathematics, 0.32 for its open-ended classifier."""
    equivalent_index: int = -1
    """Which class means "equivalent"; -1 is the last."""
    order: str = "once"
    """`once`: each pair in order of appearance, as in the paper; `both`: mean of both orders, at twice the cost."""
    max_tokens: int = 2048
    """Tokens that are kept of each text, fewer where the model takes fewer."""
    keep: str = "first"
    """Which tokens of a text that is too long are kept, `first` or `last`."""
    template: str | None = None
    """How a pair becomes one text, with {first} and {second}. None: the tokenizer's own way; with `url`, the paper's
    `[CLS] {first} [SEP] {second} [SEP]`. Tokenizers, here and in vLLM, put their own special tokens around it: a model
    trained on pairs, not on the paper's text, wants `{first} [SEP] {second}`."""
    tokenizer: str | None = None
    """With `url`: a directory or hub id whose tokens `max_tokens` counts; None counts white-space words."""
    short_words: int = 0
    """Two texts of at most this many words are the same when 2 |common words| >= the longer one's; 0: never used."""
    batch_size: int = 32
    """Pairs in one forward pass or request."""
    device: str | None = None
    """`cpu`, `cuda`, ...; None takes the GPU when there is one."""
    deadline_s: float = 120.0
    """With `url`: seconds from the first attempt of a request to giving up."""
    concurrency: int = 8
    """With `url`: requests under way at a time."""
    api_key_variable: str | None = None
    """With `url`: the environment variable that holds the server's key; None where it asks for none."""

    def __post_init__(self) -> None:
        """Check every parameter, and that a model of that name can be meant."""
        super().__post_init__()
        for field in ("model", "url", "tokenizer", "device", "api_key_variable"):
            if getattr(self, field) is not None or field == "model":
                check_text("cross_encoder", field, getattr(self, field))
        check_number("cross_encoder", "threshold", self.threshold, above=0, at_most=1)
        check_choice("cross_encoder", "order", self.order, ("once", "both"))
        check_choice("cross_encoder", "keep", self.keep, ("first", "last"))
        for field, smallest in (("max_tokens", 1), ("batch_size", 1), ("concurrency", 1), ("short_words", 0)):
            check_count("cross_encoder", field, getattr(self, field), smallest)
        if isinstance(self.equivalent_index, bool) or not isinstance(self.equivalent_index, int):
            index = show(self.equivalent_index)
            raise ConfigError(f"cross_encoder was given equivalent_index={index}; write an integer.")
        check_number("cross_encoder", "deadline_s", self.deadline_s, above=0)
        check_template(self.template)
        self._check_place()

    def _check_place(self) -> None:
        if self.url is None:
            locate_model(self.model)
        else:
            check_server("cross_encoder", "url", self.url, self.api_key_variable, "http://host:port")
        if self.tokenizer is not None:
            locate_model(self.tokenizer)

    def boil_down(self, texts: list[str]) -> list[str]:
        if self.url is not None and self.tokenizer is None:
            return [
                self._cut(text.split(), " ".join) if len(text.split()) > self.max_tokens else text for text in texts
            ]
        tokenizer = load_tokenizer(locate_model(self.tokenizer or self.model), self.keep)
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        return [
            self._cut(row, tokenizer.decode) if len(row) > self.max_tokens else text
            for text, row in zip(texts, ids, strict=True)
        ]

    def _cut(self, units: list[Any], join: Any) -> str:
        return str(join(units[: self.max_tokens] if self.keep == "first" else units[-self.max_tokens :]))

    def judge(self, features_M: Sequence[str]) -> np.ndarray:
        judged_MM = np.eye(len(features_M), dtype=bool)
        open_pairs = []
        for i, j in zip(*np.triu_indices(len(features_M), k=1), strict=True):
            known = self._judge_plainly(features_M[i], features_M[j])
            judged_MM[i, j] = bool(known)
            if known is None:
                open_pairs.append((i, j))
        if open_pairs:
            shares = self.score([(features_M[i], features_M[j]) for i, j in open_pairs])
            judged_MM[tuple(np.array(open_pairs).T)] = shares >= self.threshold
        return judged_MM

    def _judge_plainly(self, first: str, second: str) -> bool | None:
        """Return the judgement that needs no model, None where it does."""
        if first == second:
            return True
        words = [text.split() for text in (first, second)]
        longest = max(map(len, words))
        return 2 * len({*words[0]} & {*words[1]}) >= longest if longest <= self.short_words else None

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Return the probability of "equivalent" for each pair, float64 of shape (len(pairs),)."""
        both = self.order == "both"
        asked = [*pairs, *((second, first) for first, second in pairs)] if both else list(pairs)
        shares = np.array([self._pick(row) for row in self._classify(asked)], dtype=np.float64)
        return shares.reshape(2, -1).mean(axis=0) if both else shares

    def _pick(self, shares: Sequence[float]) -> float:
        if len(shares) == 1:
            return shares[0]
        if not -len(shares) <= self.equivalent_index < len(shares):
            raise ConfigError(
                f"cross_encoder was given equivalent_index={self.equivalent_index}, but the model {self.model!r} knows "
                f"{len(shares)} classes; write 0 to {len(shares) - 1}."
            )
        return shares[self.equivalent_index]

    def _classify(self, pairs: list[Pair]) -> list[list[float]]:
        if self.url is None:
            return classify_pairs(
                self.model, pairs, self.template, keep=self.keep, batch_size=self.batch_size, device=self.device
            )
        template = self.template or PAPER_TEMPLATE
        texts = [template.format(first=first, second=second) for first, second in pairs]
        batches = [texts[start : start + self.batch_size] for start in range(0, len(texts), self.batch_size)]
        key = read_key(self.api_key_variable)
        replies = classify_texts(self.url, self.model, batches, self.deadline_s, self.concurrency, key)
        return [row for reply in replies for row in reply]


def check_template(template: str | None) -> None:
    """Raise ConfigError unless a template holds {first} and {second} and nothing else to fill in."""
    if template is None:
        return
    try:
        filled = template.format(first="\0a", second="\0b")
    except (AttributeError, KeyError, IndexError, ValueError):
        filled = ""
    if "\0a" not in filled or "\0b" not in filled:
        raise ConfigError(
            f"cross_encoder was given template={show(template)}; write one with {{first}} and {{second}}."
        )
