"""What an evaluation is asked to be: one object from the command line or Python to the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkit.errors import ConfigError
from rlkit.evaluation.directory import MOST_SAMPLES
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.sampling import SamplingConfig
from rlkit.parameters import check_count
from rlkit.types import PluginSpec
from rlkit.verifiers.reasoning import check_thinking_tag


@dataclass(frozen=True)
class EvaluationRequest:
    """One evaluation, as a user asks for it.

    Raises:
        ConfigError: a value is not allowed.
    """

    model: str
    """A directory, the name of a bundled model, or a hub id; a directory that holds only a LoRA adapter means its base
    model with it."""
    task: PluginSpec
    """As in a recipe."""
    n: int
    """Samples a prompt, at least 1; pass@k is then known for k = 1..n."""
    output: str | Path
    """Directory of this evaluation; continued when it holds the same one."""
    engine: PluginSpec = "hf"
    """As in a recipe: `hf`, `vllm`, `openai`, or a plug-in."""
    split: str = "test"
    """Of the task."""
    limit: int | None = None
    """Take only the first so many problems of the split."""
    sampling: SamplingConfig | Mapping[str, Any] | None = None
    """Temperature, truncation, length, seed; a mapping is checked like a recipe."""
    name: str | None = None
    """What reports call this evaluation; by default the directory's name, or its parent's where it is `eval`."""
    adapter: str | None = None
    """Directory of a LoRA adapter to put on the model; for servers, the name they know it by."""
    chat: ChatFormat | None = None
    """System message and chat template of chat prompts."""
    thinking_tag: str | None = "think"
    """Of the reasoning that is left out before grading; None grades whole texts."""
    partition: PluginSpec | None = None
    """What `class` in samples.jsonl means, as in a recipe; None for the answer."""

    directory: Path = field(init=False)
    draws: SamplingConfig = field(init=False)
    """`sampling`, checked."""
    chat_format: ChatFormat = field(init=False)

    def __post_init__(self) -> None:
        """Check what can be checked without the task or the model."""
        check_count("rlkit eval", "n", self.n, largest=MOST_SAMPLES)
        if self.limit is not None:
            check_count("rlkit eval", "limit", self.limit)
        check_thinking_tag(self.thinking_tag)
        draws = self.sampling
        if not isinstance(draws, SamplingConfig):
            draws = SamplingConfig.from_mapping(draws or {})
        if draws.temperature == 0.0 and self.n > 1:
            raise ConfigError(
                f"temperature 0 gives the same completion every time; write n 1 instead of {self.n}, or raise it."
            )
        for name, value in (
            ("directory", Path(self.output).expanduser()),
            ("draws", draws),
            ("chat_format", self.chat or ChatFormat()),
        ):
            object.__setattr__(self, name, value)
