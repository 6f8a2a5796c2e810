"""The base model's tokenizer: one token a word, words separated by single spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def build_tokenizer(words: Sequence[str], max_length: int) -> PreTrainedTokenizerFast:
    """Return a fast tokenizer whose ids are places in `words` and whose decoding puts the single spaces back.

    No token is added at the start or the end of a text; an unknown word becomes `<unk>`.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # No decoder: words are then joined by single spaces, which is exactly how the text format is written.
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
