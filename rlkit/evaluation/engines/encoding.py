"""Prompts to token ids, the same for every engine, and when a completion has ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.tasks.rows import check_prompt
from rlkit.types import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_AS_IT_IS = ChatFormat()


def load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model; raises ConfigError when there is none to be had."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise load_error(model, error) from error


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], context: int | None, chat: ChatFormat = _AS_IT_IS
) -> list[list[int]]:
    """Return the token ids of each row's prompt; chat prompts go through the tokenizer's chat template.

    Args:
        tokenizer: the model's.
        rows: problems with `id` and `prompt`.
        context: longest sequence the model takes; None where it has no limit.
        chat: the template, where it is not the tokenizer's own, and what it is told.

    Raises:
        ConfigError: a chat prompt but no chat template, a template that fails on it, an empty prompt, or one that
            leaves no room for an answer.
    """
    for row in rows:
        check_prompt(row["prompt"], f"Problem {row['id']!r}")
    encoded = [_encode(tokenizer, row, chat) for row in rows]
    for row, ids in zip(rows, encoded, strict=True):
        if not ids:
            raise ConfigError(
                f"The prompt of problem {row['id']!r} has no tokens; a model needs at least one to go on from."
            )
        if context is not None and len(ids) >= context:
            raise ConfigError(
                f"The prompt of problem {row['id']!r} has {len(ids)} tokens, but the model's context is {context}: "
                "no room for an answer is left; choose shorter prompts or another model."
            )
    return encoded


def load_error(model: str, error: Exception) -> ConfigError:
    """Return the sentence for a model that does not load, whether it is a damaged directory or an unknown hub id."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if "trust_remote_code" in str(error):
        reason = (
            "it comes with code of its own, which is not run here; if you trust it, serve it with vLLM and name the "
            "server with --engine openai"
        )
    if Path(model).is_dir():
        return ConfigError(f"The model in {model!r} does not load: {reason}.")
    return ConfigError(
        f"There is no model {model!r}: it is no directory, not bundled, and could not be had from the hub: {reason}."
    )


def end_token_ids(tokenizer: PreTrainedTokenizerBase, stated: int | list[int] | None) -> list[int]:
    """Return every token that ends a completion: those the generation config states and the tokenizer's own."""
    ids = {stated} if isinstance(stated, int) else set(stated or ())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    return sorted(ids)


def context_length(config: Any) -> int | None:
    """Return the longest sequence a model takes, from its configuration; None where none is stated."""
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(length) if length else None


def decode_completions(
    tokenizer: PreTrainedTokenizerBase, tokens: Sequence[Sequence[int]], stop: Sequence[str]
) -> list[str]:
    """Return the texts of drawn tokens, without special tokens and up to the first stop text."""
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return [_cut_at_stop(text, stop) for text in texts]


def _cut_at_stop(text: str, stop: Sequence[str]) -> str:
    found = [at for each in stop if (at := text.find(each)) >= 0]
    return text[: min(found)] if found else text


def _encode(tokenizer: PreTrainedTokenizerBase, row: Row, chat: ChatFormat) -> list[int]:
    prompt = row["prompt"]
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    if not (chat.template or tokenizer.chat_template):
        raise ConfigError(
            f"The prompt of problem {row['id']!r} is a chat, but the model's tokenizer has no chat template; "
            "choose an instruct model, give --chat-template FILE, or write format: plain in the task."
        )
    # A template is a program that came with the model or the user; whatever it raises says so.
    try:
        ids = tokenizer.apply_chat_template(
            prompt,
            chat_template=chat.template,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
            **chat.template_args,
        )
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"The chat template fails on the prompt of problem {row['id']!r}: {reason}.") from error
    return list(ids)
