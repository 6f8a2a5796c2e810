"""Everything of a run of supervised fine-tuning that can be judged before its model's weights are loaded."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError
from rlkit.models import locate_model
from rlkit.objective.negatives import Negatives
from rlkit.recipe.sft import SftRecipe
from rlkit.tasks.demonstrations import Demonstration, part_signs
from rlkit.tasks.held_out import hold_out
from rlkit.trainers.sft.encoding import EncodedRow, Encoder, fit_lengths
from rlkit.trainers.sft.sources import load_data, resolve_data

if TYPE_CHECKING:
    from peft import LoraConfig


@dataclasses.dataclass(frozen=True)
class CheckedSft:
    """A recipe's run before any model is loaded."""

    model: str
    """What `from_pretrained` takes."""
    settings: dict[str, Any]
    """Arguments for `DiverseSFTConfig`."""
    peft: LoraConfig | None
    """None trains all weights."""
    negatives: Negatives | None

    def setting(self, name: str) -> Any:
        """Return a setting, or its default."""
        from rlkit.trainers.sft.config import DiverseSFTConfig

        return self.settings.get(name, getattr(DiverseSFTConfig, name, None))


@dataclasses.dataclass(frozen=True)
class SftRows:
    """The rows of a run as token ids."""

    learnt: list[EncodedRow]
    held_out: list[EncodedRow]
    """Of the problems that are watched; empty where none are."""
    pushed: list[EncodedRow]
    """Wrong ones; empty without negatives."""
    tokenizer: Any


def check_sft(recipe: SftRecipe) -> CheckedSft:
    """Return a recipe's run with everything judged but its rows.

    Raises:
        ConfigError: a setting, source or option that does not exist or does not go with the others.
    """
    from rlkit.trainers.settings import build_peft, check_train, complete_settings
    from rlkit.trainers.sft.config import TRULY_TAKES, DiverseSFTConfig, check_settings_of_trl
    from rlkit.trainers.sft.evaluating import plan_evaluation_of

    model = locate_model(recipe.model)
    resolve_data(recipe.data)
    negatives = recipe.build_negatives()
    if recipe.negatives is not None and recipe.negatives.get("data") is not None:
        resolve_data(recipe.negatives["data"], "negatives.data")
    train = check_train(recipe.train, DiverseSFTConfig, TRULY_TAKES)
    check_settings_of_trl(train)
    if negatives is not None and train.get("packing"):
        raise ConfigError("negatives and train.packing do not go together; write packing: false.")
    if train.get("packing") and train.get("max_length", 1) is None:
        raise ConfigError("train.packing lays rows end to end up to max_length; give max_length a number.")
    plan_evaluation_of(recipe)
    return CheckedSft(model, complete_settings(train, recipe.output), build_peft(recipe.peft), negatives)


def load_rows(recipe: SftRecipe, checked: CheckedSft) -> SftRows:
    """Read the rows of a run, hold some back, and turn them into token ids.

    Raises:
        ConfigError: a row cannot be learnt or is too long, or there are too few problems to hold any back.
        StoreError: an archive or evaluation cannot be read.
    """
    tokenizer, encoder, limit = _load_encoder(checked)
    learnt, wrong = part_signs(load_data(recipe.data), checked.negatives is not None)
    if recipe.negatives is not None and recipe.negatives.get("data") is not None:
        given = load_data(recipe.negatives["data"], "negatives.data")
        wrong += [dataclasses.replace(row, weight=-abs(row.weight)) for row in given]
    _check_negatives(checked.negatives, wrong)
    learnt, held_out = _part(learnt, recipe.hold_out)
    how = checked.setting("too_long")
    return SftRows(
        fit_lengths(encoder.encode(learnt), limit, how),
        fit_lengths(encoder.encode(held_out), limit, how) if held_out else [],
        fit_lengths(encoder.encode(wrong), limit, how, "negatives") if wrong else [],
        tokenizer,
    )


def _check_negatives(negatives: Negatives | None, wrong: list[Demonstration]) -> None:
    if negatives is None:
        return
    if not wrong:
        raise ConfigError("negatives has no rows; name them by negatives.data, or give rows of data a weight below 0.")
    unknown = next((row for row in wrong if row.logp is None), None)
    if negatives.push == "ratio" and unknown is not None:
        raise ConfigError(
            f"negatives.push is ratio, but {unknown.place} says nothing of its log-prob under its sampler; give it a "
            "column 'logp', or write push: probability."
        )


def _part(rows: list[Demonstration], share: float | None) -> tuple[list[Demonstration], list[Demonstration]]:
    if share is None:
        return rows, []
    by_prompt = [{"prompt": row.prompt, "row": row} for row in rows]
    held = [each["row"] for each in hold_out(by_prompt, share, True)]
    kept = [each["row"] for each in hold_out(by_prompt, share, False)]
    if not kept or not held:
        raise ConfigError("hold_out takes problems from the data, which has one only; leave it out.")
    return kept, held


def _load_encoder(checked: CheckedSft) -> tuple[Any, Encoder, int | None]:
    from types import SimpleNamespace

    from transformers import AutoConfig, GenerationConfig

    from rlkit.evaluation.engines.encoding import context_length, end_token_ids
    from rlkit.trainers.run import load_tokenizer

    init = checked.setting("model_init_kwargs") or {}
    trust = bool(checked.setting("trust_remote_code"))
    tokenizer = load_tokenizer(checked.model, SimpleNamespace(model_init_kwargs=init, trust_remote_code=trust))
    tokenizer.padding_side = "right"
    given: dict[str, Any] = {"revision": init["revision"]} if "revision" in init else {}
    try:
        ends = GenerationConfig.from_pretrained(checked.model, **given).eos_token_id
    except OSError:
        ends = None
    context = context_length(AutoConfig.from_pretrained(checked.model, trust_remote_code=trust, **given))
    limits = [limit for limit in (context, checked.setting("max_length")) if limit is not None]
    encoder = Encoder(
        tokenizer, frozenset(end_token_ids(tokenizer, ends)), checked.setting("chat_template_kwargs") or {}
    )
    return tokenizer, encoder, min(limits, default=None)
