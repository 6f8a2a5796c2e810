"""From rows to token ids, as a model meets them when it is sampled: prompt, answer, end token; nothing is ever cut.

A text answer follows a text prompt as one text where the tokenizer lets it; where tokens would merge across the seam
(or a word tokenizer needs the space between), both are tokenized apart, which is what sampling does. After a chat the
answer follows the generation prompt: a text as it is, messages as the template writes them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.encoding import encode_prompts
from rlkit.tasks.demonstrations import Demonstration
from rlkit.terminal import note

TOO_LONG = ("refuse", "drop")
_BATCH = 4096
"""Texts that a tokenizer is given at once."""


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One row as token ids."""

    prompt_ids: list[int]
    completion_ids: list[int]
    """What is learnt; ends with an end token."""
    row: Demonstration

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True)
class Encoder:
    """A tokenizer and what it is told."""

    tokenizer: Any
    end_ids: Collection[int]
    """Tokens that end an answer: the tokenizer's, and those that the model's generation config names."""
    template_args: Mapping[str, Any]
    """What the chat template is told."""

    def encode(self, rows: Sequence[Demonstration]) -> list[EncodedRow]:
        """Return the rows as token ids, each answer with an end token.

        Raises:
            ConfigError: the tokenizer has no end token, an empty prompt, or no chat template for a chat.
        """
        if self.tokenizer.eos_token_id is None:
            raise ConfigError("The tokenizer has no end token, so no answer could end; give it an eos_token.")
        encoded: list[EncodedRow] = []
        for start in range(0, len(rows), _BATCH):
            encoded += self._encode_batch(rows[start : start + _BATCH])
        return encoded

    def _encode_batch(self, rows: Sequence[Demonstration]) -> Iterator[EncodedRow]:
        texts = iter(self._encode_texts([row for row in rows if isinstance(row.prompt, str)]))
        chats: dict[str, list[int]] = {}
        for row in rows:
            if isinstance(row.prompt, str):
                prompt_ids, completion_ids = next(texts)
            else:
                key = json.dumps(row.prompt)
                if key not in chats:
                    chats[key] = self._encode_chat(row)
                prompt_ids = chats[key]
                completion_ids = self._encode_answer(row, prompt_ids)
            if not prompt_ids:
                raise ConfigError(f"{row.place} has a prompt without tokens; a model needs one to go on from.")
            yield EncodedRow(prompt_ids, self._end(completion_ids), row)

    def _encode_texts(self, rows: Sequence[Demonstration]) -> Iterator[tuple[list[int], list[int]]]:
        if not rows:
            return
        prompts, answers = [str(row.prompt) for row in rows], [str(row.completion) for row in rows]
        prompt_ids = self.tokenizer(prompts)["input_ids"]
        whole_ids = self.tokenizer([*map("".join, zip(prompts, answers, strict=True))])["input_ids"]
        apart_ids = self.tokenizer(answers, add_special_tokens=False)["input_ids"]
        for before, whole, apart in zip(prompt_ids, whole_ids, apart_ids, strict=True):
            yield list(before), list(whole[len(before) :] if whole[: len(before)] == before else apart)

    def _encode_chat(self, row: Demonstration) -> list[int]:
        chat = ChatFormat(template_args=dict(self.template_args))
        return encode_prompts(self.tokenizer, [{"id": row.place, "prompt": row.prompt}], None, chat)[0]

    def _encode_answer(self, row: Demonstration, prompt_ids: list[int]) -> list[int]:
        if not isinstance(row.completion, str):
            whole = self._template(row)
            if whole[: len(prompt_ids)] == prompt_ids and len(whole) > len(prompt_ids):
                return whole[len(prompt_ids) :]
            if len(row.completion) > 1:
                raise ConfigError(
                    f"{row.place} answers in {len(row.completion)} messages, which the chat template does not write "
                    "after the prompt as it stands; write one message."
                )
        text = row.completion if isinstance(row.completion, str) else row.completion[0]["content"]
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _template(self, row: Demonstration) -> list[int]:
        try:
            ids = self.tokenizer.apply_chat_template(
                [*row.prompt, *row.completion], tokenize=True, return_dict=False, **self.template_args
            )
        except Exception as error:
            raise ConfigError(
                f"The chat template fails on the answer of {row.place}: {' '.join(str(error).split())}."
            ) from error
        return list(ids)

    def _end(self, ids: list[int]) -> list[int]:
        """Return an answer with its end token last: what a template writes behind it is no part of the answer."""
        last = next((at for at in reversed(range(len(ids))) if ids[at] in self.end_ids), None)
        if last is not None and not self.tokenizer.decode(ids[last + 1 :]).strip():
            return ids[: last + 1]
        return [*ids, self.tokenizer.eos_token_id]


def fit_lengths(rows: Sequence[EncodedRow], limit: int | None, too_long: str, key: str = "data") -> list[EncodedRow]:
    """Return the rows that fit; others are refused, or dropped and counted.

    Args:
        rows: encoded.
        limit: most tokens of prompt and answer; None for no limit.
        too_long: `refuse` or `drop`.
        key: of the recipe, for messages.

    Raises:
        ConfigError: rows are too long and `too_long` is `refuse`, or none is left.
    """
    fitting = [row for row in rows if limit is None or row.length <= limit]
    count = len(rows) - len(fitting)
    if count == 0:
        return fitting
    longest = max(rows, key=lambda row: row.length)
    found = (
        f"{count:,} of the {len(rows):,} rows of {key} are longer than {limit:,} tokens, the longest, "
        f"{longest.row.place}, has {longest.length:,}"
    )
    if too_long == "refuse" or not fitting:
        raise ConfigError(f"{found}; raise train.max_length, as far as the model reads, or write too_long: drop.")
    note(f"{found}; they are left out.")
    return fitting


def problem_of(row: Demonstration) -> str:
    """Return what tells problems apart: the prompt."""
    return json.dumps(row.prompt, sort_keys=True)


def make_examples(rows: Sequence[EncodedRow]) -> dict[str, list[Any]]:
    """Return the columns of rows that stand alone, as the collator takes them."""
    return {
        "input_ids": [[*row.prompt_ids, *row.completion_ids] for row in rows],
        "labels": [[*[-100] * len(row.prompt_ids), *row.completion_ids] for row in rows],
        "weights": [[abs(row.row.weight)] for row in rows],
        "sampler_logp": [float("nan") if row.row.logp is None else row.row.logp for row in rows],
    }


def pack_examples(rows: Sequence[EncodedRow], limit: int) -> dict[str, list[Any]]:
    """Return rows laid end to end in examples of at most `limit` tokens: longest first, each where it fits best."""
    by_room: dict[int, list[list[EncodedRow]]] = {}
    for row in sorted(rows, key=lambda row: -row.length):
        room = next((room for room in range(row.length, limit + 1) if by_room.get(room)), None)
        pack = [] if room is None else by_room[room].pop()
        pack.append(row)
        by_room.setdefault((limit if room is None else room) - row.length, []).append(pack)
    packs = list(itertools.chain.from_iterable(by_room.values()))
    alone = [make_examples(pack) for pack in packs]
    return {
        "input_ids": [[*itertools.chain(*each["input_ids"])] for each in alone],
        "labels": [[*itertools.chain(*each["labels"])] for each in alone],
        "weights": [[*itertools.chain(*each["weights"])] for each in alone],
        "seq_lengths": [[row.length for row in pack] for pack in packs],
    }
