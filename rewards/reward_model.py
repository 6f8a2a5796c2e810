"""What a trained reward model, a sequence classifier, thinks of prompt and completion: a probability.

    rewards: [{name: reward_model, model: my/reward-model}]
    rewards: [{name: reward_model, model: my/reward-model, url: "http://localhost:8000"}]

With `url` it is asked as vLLM serves it (`vllm serve MODEL --runner pooling`, `/classify`); without, it runs here, on
the GPU when there is one. A policy finds what such a model overrates: put a verifier beside it, and read samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlkit.diversity import CrossEncoder
from rlkit.types import Completion, Prompt, completion_text, prompt_text

CASES: list[tuple[dict[str, Any], list[float | None]]] = [
    ({"completions": [], "prompts": [], "model": "my/reward-model", "url": "http://localhost:8000"}, [])
]
"""What it must say of each batch; all but the empty one is up to the model."""


def reward_model(
    completions: Sequence[Completion],
    *,
    prompts: Sequence[Prompt],
    model: str,
    url: str | None = None,
    template: str = "{first}\n{second}",
    label: int = -1,
    batch_size: int = 32,
    deadline_s: float = 120.0,
    api_key_variable: str | None = None,
    **columns: Any,
) -> list[float | None]:
    """Return the probability of the wanted class for each completion, in [0, 1].

    Args:
        completions, prompts: B texts, or chats.
        model: a directory or hub id; with `url`, as the server calls it.
        url: of the server, without `/classify`; None to run the model in this process.
        template: how a prompt, {first}, and a completion, {second}, become the text that the model was trained on.
        label: which class is good; -1 is the last. A model with one output gives the sigmoid of it, which orders
            completions as the output itself does.
        batch_size: completions in one forward pass or request.
        deadline_s, api_key_variable: with `url`, as for the partition `cross_encoder`.
        columns: unused; other columns of the data.

    Raises:
        ConfigError: a parameter is not allowed, or there is no such model or class.
        RewardError: no usable reply before the deadline.
    """
    classifier = CrossEncoder(
        model=model,
        url=url,
        template=template,
        equivalent_index=label,
        keep="last",
        batch_size=batch_size,
        deadline_s=deadline_s,
        api_key_variable=api_key_variable,
    )
    pairs = [
        (_clean(prompt_text(prompt)), _clean(completion_text(text)))
        for prompt, text in zip(prompts, completions, strict=True)
    ]
    return [*map(float, classifier.score(pairs))] if pairs else []


def _clean(text: str) -> str:
    """Return a text without the lone surrogates that no tokenizer reads."""
    return text.encode("utf-8", "replace").decode()
