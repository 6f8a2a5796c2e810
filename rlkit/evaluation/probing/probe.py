"""Look into a checkpoint through the samples of its evaluation, and write DIR/probe.json.

    probe("runs/grpo/eval", base="runs/base")["branching_factor"]["value"]

Parts that cannot be had (another vocabulary, another architecture) are None, with the reason beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rlkit.errors import ConfigError, RlkitError
from rlkit.evaluation.directory import PROBE, holds_evaluation
from rlkit.evaluation.engines.hf import HfEngine
from rlkit.evaluation.probing.divergence_cells import divergence_section
from rlkit.evaluation.probing.policy import Policy, load_policy, lora_changes, vocabulary_obstacle
from rlkit.evaluation.probing.rescoring import context_obstacle, is_plain, rescore
from rlkit.evaluation.probing.selection import Selection, encode_selected, restrict, select_samples
from rlkit.evaluation.probing.states import last_states, rank_section
from rlkit.evaluation.probing.token_cells import Scored, branching_section, entropy_section, top_k_section
from rlkit.evaluation.probing.token_measure import TOP_K
from rlkit.evaluation.probing.update import measure_update
from rlkit.files import write_json
from rlkit.terminal import note

Value = TypeVar("Value")


def probe(
    directory: str | Path,
    *,
    base: str | None = None,
    model: str | None = None,
    limit: int | None = None,
    samples_per_prompt: int = 8,
    batch_tokens: int | None = None,
    device: str | None = None,
    dtype: str = "auto",
) -> dict[str, Any]:
    """Read an evaluation's samples through its model again and write what log-probs, states and weights tell.

    Args:
        directory: an evaluation, or a training run with one in `eval/`.
        base: what the model is compared with: another evaluation (its model and its samples), a model directory, an
            bundled model or a hub id.
        model: where the evaluated model lies now, if not where the evaluation says.
        limit: only the first so many prompts.
        samples_per_prompt: only the first so many samples of each.
        batch_tokens: tokens read at once; None fits the memory.
        device: `cpu` or `cuda`; None takes the GPU when there is one.
        dtype: `float32`, `bfloat16`, `float16`; `auto` is float32 on a CPU and the checkpoint's own on a GPU.

    Returns:
        What was written to `directory/probe.json`: `token_entropy`, `branching_factor`, `top_k`, `kl_from_base`,
        `kl_to_base`, `update`, `rank`; a part that could not be had is None and `reasons` says why.

    Raises:
        ConfigError: an argument is not allowed, or a model is not there.
        StoreError: there is no evaluation with samples, or its samples are not the model's.
    """
    # The engine's own checks of the three, in its own sentences.
    HfEngine(dtype, device, batch_tokens)
    selection = select_samples(directory, limit, samples_per_prompt)
    is_evaluated = base is not None and holds_evaluation(base)
    base_selection = select_samples(base, limit, samples_per_prompt) if base is not None and is_evaluated else None
    policy = load_policy(model or selection.model, selection.adapter, device=device, dtype=dtype)
    base_policy = None
    if base is not None:
        named = (base, None) if base_selection is None else (base_selection.model, base_selection.adapter)
        base_policy = load_policy(*named, device=device, dtype=dtype)
    found = _Probe(selection, policy, base_selection, base_policy, batch_tokens).run()
    found["settings"] |= {"limit": limit, "samples_per_prompt": samples_per_prompt}
    write_json(selection.directory / PROBE, found)
    return found


class _Probe:
    """What is measured, and the reasons for what is not."""

    def __init__(
        self,
        selection: Selection,
        policy: Policy,
        base_selection: Selection | None,
        base_policy: Policy | None,
        batch_tokens: int | None,
    ) -> None:
        self.selection, self.policy = selection, policy
        self.base_selection, self.base = base_selection, base_policy
        self.batch_tokens = batch_tokens
        self.reasons: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        """Return the contents of probe.json."""
        obstacle = self._obstacle()
        both = [self.policy] if self.base is None or obstacle else [self.policy, self.base]
        own = rescore(
            self.selection,
            self.selection.rows,
            self.selection.records,
            both,
            f"{self.selection.name}: reading samples",
            batch_tokens=self.batch_tokens,
        )
        found: dict[str, Any] = {
            **self._provenance(),
            "re_encoding": own.reencoding,
            **self._token_sections(own.groups_M),
            "kl_from_base": None,
        }
        if obstacle:
            self.reasons["kl_from_base"] = obstacle
        else:
            found["kl_from_base"] = divergence_section(own.groups_M, "KL(model || base), on samples of the model")
        found["kl_to_base"] = self._part("kl_to_base", lambda: self._divergence_to_base(obstacle))
        found["update"] = self._part("update", self._update)
        found["rank"] = self._part("rank", self._rank)
        found["reasons"] = self.reasons
        return found

    def _obstacle(self) -> str | None:
        if self.base is None:
            return "No base was given."
        vocabulary = vocabulary_obstacle(self.policy, self.base)
        return vocabulary or context_obstacle(self.selection, self.policy, self.base)

    def _provenance(self) -> dict[str, Any]:
        base = self.base
        parameter = next(self.policy.model.parameters())
        return {
            "name": self.selection.name,
            "model": self.policy.name,
            "adapter": self.policy.adapter,
            "base": None if base is None else {"model": base.name, "adapter": base.adapter},
            "settings": {
                "num_prompts": len(self.selection.rows),
                "num_samples": len(self.selection.records),
                "device": str(parameter.device),
                "dtype": str(parameter.dtype).removeprefix("torch."),
                "vocab_size": self.policy.vocab_size,
            },
            "distributions": {
                "model": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0},
                "sampling": {
                    name: getattr(self.selection.sampling, name) for name in ("temperature", "top_p", "top_k", "min_p")
                },
            },
        }

    def _token_sections(self, groups_M: list[list[Scored]]) -> dict[str, Any]:
        size = self.policy.vocab_size
        entropy, branching = entropy_section(groups_M, size), branching_section(groups_M, size)
        # Where tokens were drawn from the model's own distribution, the second one would say the same.
        drawn_otherwise = not is_plain(self.selection.sampling)
        entropy["sampling"] = entropy_section(groups_M, size, "sampling_entropies") if drawn_otherwise else None
        branching["sampling"] = branching_section(groups_M, size, "sampling_") if drawn_otherwise else None
        return {"token_entropy": entropy, "branching_factor": branching, "top_k": top_k_section(groups_M, TOP_K)}

    def _divergence_to_base(self, obstacle: str | None) -> dict[str, Any]:
        if obstacle:
            raise ConfigError(obstacle)
        if self.base is None or self.base_selection is None:
            raise ConfigError("The base was given as a model; give an evaluation of it to measure on its samples.")
        if too_long := context_obstacle(self.base_selection, self.base, self.policy):
            raise ConfigError(too_long)
        records = restrict(self.base_selection, self.selection.rows)
        shared = {record["prompt_id"] for record in records}
        if not shared:
            raise ConfigError(
                f"The evaluations in {self.selection.directory} and {self.base_selection.directory} share no prompt."
            )
        rows = [row for row in self.base_selection.rows if row["id"] in shared]
        theirs = rescore(
            self.base_selection,
            rows,
            records,
            [self.base, self.policy],
            f"{self.base_selection.name}: reading samples",
            batch_tokens=self.batch_tokens,
        )
        section = divergence_section(theirs.groups_M, "KL(base || model), on samples of the base")
        return {**section, "re_encoding": theirs.reencoding}

    def _update(self) -> dict[str, Any]:
        if self.base is None:
            raise ConfigError("No base was given.")
        note(f"{self.selection.name}: comparing the weights of {self.policy.name} and {self.base.name}")
        return measure_update(
            self.policy.path,
            self.base.path,
            lora_changes(self.policy),
            lora_changes(self.base),
            str(self.policy.model.device),
        )

    def _rank(self) -> dict[str, Any]:
        base = self.base
        base_states = None if base is None else self._part("rank.base", lambda: self._states(base))
        return rank_section(self._states(self.policy), base_states)

    def _states(self, policy: Policy) -> Any:
        note(f"{self.selection.name}: states of {len(self.selection.all_rows)} prompts in {policy.name}")
        prompts = encode_selected(self.selection, policy, self.selection.all_rows)
        return last_states(policy.model, prompts, self.batch_tokens)

    def _part(self, name: str, measure: Callable[[], Value]) -> Value | None:
        """Return a part, or None with the reason kept where the user's models do not allow it."""
        try:
            return measure()
        except RlkitError as error:
            self.reasons[name] = str(error)
            return None
