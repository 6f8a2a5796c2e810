"""What can be said of the completions of a group, in the words of an option or in a file, made a `GroupContext`."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError, MissingInputError
from rlkit.parameters import show

if TYPE_CHECKING:
    from rlkit.advantages import GroupContext

_LARGEST = 1e100
"""Squares of larger numbers would soon be infinite, and what is divided by them 0."""
_OF_PROMPTS = ("prompt", "tally")
_OF_MANY_NUMBERS = ("vector", "logps", *_OF_PROMPTS)


@dataclasses.dataclass(frozen=True)
class GroupField:
    """One thing that can be said of the completions of a group, and how it is written."""

    field: str
    """Its name in `GroupContext`."""
    kind: str
    """Of a completion: `number`, `count`, `logp`, `flag`, `word`, `vector` or `logps`; of a group: `prompt` or
    `tally`."""
    heading: str
    """Of its column; a prompt's has none."""
    example: str
    """What four completions may be given."""
    help: str

    def write_example(self, num_groups: int = 1, size: int = 4) -> str:
        """Return the example, repeated for as many completions as there are, quoted where a shell needs it."""
        cells = itertools.cycle(self.example.split(","))
        group = ",".join(itertools.islice(cells, 1 if self.kind in _OF_PROMPTS else size))
        text = "; ".join([group] * num_groups)
        return f'"{text}"' if " " in text else text


GROUP_FIELDS = {
    "rewards": GroupField("rewards_PGK", "number", "reward", "1,1,1,0", "reward of each; none: it was not scored"),
    "correct": GroupField(
        "correct_PG", "flag", "correct", "1,1,1,0", "1 or 0, none: unknown; rewards of 0 and 1 say it too"
    ),
    "labels": GroupField("labels_PG", "word", "label", "0,0,1,2", "class of each, any word"),
    "answers": GroupField("answers_PG", "word", "answer", "7,7,3,none", "final answer of each; none: no answer"),
    "counts": GroupField("answer_counts_PG", "count", "count", "9,9,0,4", "how often its answer was given before"),
    "pass_counts": GroupField("pass_counts_P2", "tally", "", "3 8", "correct, judged before, of the prompt"),
    "mean_logps": GroupField("mean_logps_PG", "logp", "mean logp", "-.2,-.5,-.9,-.1", "mean log-probability per token"),
    "ref_mean_logps": GroupField(
        "ref_mean_logps_PG", "logp", "ref logp", "-.3,-.4,-.9,-.2", "the same under the reference policy"
    ),
    "logps": GroupField("logps_PGT", "logps", "logps", "-.1 -.9,-.4,-2 -1 -.1,-.3", "log-probability of each token"),
    "prompt_logps": GroupField("prompt_logps_PS", "prompt", "", "-.5 -.1 -2.3", "of each prompt token"),
    "embeddings": GroupField("embeddings_PGE", "vector", "embedding", "1 0,1 0,0 1,.6 .8", "a vector each, or none"),
    "lengths": GroupField("lengths_PG", "count", "tokens", "5,7,5,9", "number of tokens of each"),
}
"""Option -> what it says."""
OPTION_OF = {said.field: option for option, said in GROUP_FIELDS.items()} | {"equivalent_PGG": "labels"}


def split_text(option: str, text: str) -> list[Any]:
    """Return the words of an option as groups of cells: semicolons part groups, commas completions, spaces numbers."""
    kind = GROUP_FIELDS[option].kind
    groups = text.split(";")
    if kind in _OF_PROMPTS:
        return [group.replace(",", " ").split() for group in groups]
    cells = [[cell.strip() for cell in group.split(",")] for group in groups]
    if kind not in _OF_MANY_NUMBERS:
        return cells
    return [[cell if cell.lower() in ("", "none", "nan") else cell.split() for cell in group] for group in cells]


def read_values(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what is said by each option as groups of plain values, None where there is none.

    Args:
        given: of each option of `GROUP_FIELDS`, with `rewards` among them: a text as on the command line, or a list of
            cells (one group) or of such lists. A cell is a number, a word, a list of numbers, or None.

    Raises:
        ConfigError: something cannot be read, or has another shape than the rewards'.
    """
    lists = {option: split_text(option, said) if isinstance(said, str) else said for option, said in given.items()}
    several = isinstance(lists["rewards"], list) and all(isinstance(cell, list) for cell in lists["rewards"])
    values = {}
    for option, groups in lists.items():
        if not isinstance(groups, list) or not groups:
            raise ConfigError(f"{flag(option)} was given {show(groups)}; write a list, one entry a completion.")
        is_text = isinstance(given[option], str)
        values[option] = [_read_group(option, group) for group in (groups if several or is_text else [groups])]
    _check_shapes(values)
    return values


def build_context(values: Mapping[str, list[Any]]) -> GroupContext:
    """Return the values as tensors; rewards of 0 and 1 say also who is correct, unless something else does."""
    import torch

    from rlkit.advantages import GroupContext

    def to_tensor(option: str) -> torch.Tensor:
        kind, groups = GROUP_FIELDS[option].kind, values[option]
        if kind == "word":
            groups = [_number_words(group) for group in groups]
        elif kind in _OF_PROMPTS:
            groups = _pad(groups, max(len(cell or []) for cell in groups))
        elif kind in _OF_MANY_NUMBERS:
            groups = [_pad(group, max(len(cell or []) for row in groups for cell in row)) for group in groups]
        return torch.tensor(_without_none(groups), dtype=torch.float64)

    tensors: dict[str, Any] = {GROUP_FIELDS[option].field: to_tensor(option) for option in values}
    rewards_PG = tensors["rewards_PGK"]
    tensors |= {"rewards_PGK": rewards_PG[:, :, None], "scored_PG": ~rewards_PG.isnan()}
    if torch.isin(rewards_PG[~rewards_PG.isnan()], torch.tensor([0.0, 1.0], dtype=torch.float64)).all():
        tensors.setdefault("correct_PG", rewards_PG)
    return GroupContext(**tensors)


def _number_words(words: list[str | None]) -> list[int]:
    seen = {word: number for number, word in enumerate(dict.fromkeys(word for word in words if word is not None))}
    return [-1 if word is None else seen[word] for word in words]


def _pad(cells: list[Any], length: int) -> list[list[float]]:
    # At least one place: an axis of length 0 would leave nothing to take a mean of.
    return [[*(cell or []), *[math.nan] * (max(length, 1) - len(cell or []))] for cell in cells]


def _without_none(values: Any) -> Any:
    if isinstance(values, list):
        return [_without_none(value) for value in values]
    return math.nan if values is None else values


def options_needed(needs: Iterable[str], given: Iterable[str], correct_known: bool = False) -> list[str]:
    """Return the options that must be added, in the order of `GROUP_FIELDS`."""
    have = {*given} | ({"mean_logps"} if "logps" in given else set()) | ({"correct"} if correct_known else set())
    wanted = {OPTION_OF[field] for field in needs if field in OPTION_OF} - {"rewards"}
    return [option for option in GROUP_FIELDS if option in wanted - have]


def say_missing(who: str, options: list[str], shape: tuple[int, ...]) -> MissingInputError:
    """Return the error that asks for options, with examples for groups of that shape."""
    correctness = "correctness, which only rewards of 0 and 1 say"
    names = " and ".join(option.replace("_", " ").replace("correct", correctness) for option in options)
    return MissingInputError(f"{who} needs {names}; add {' '.join(ask(option, *shape) for option in options)}.")


def ask(option: str, num_groups: int = 1, size: int = 4) -> str:
    """Return an option with an example of what it takes."""
    return f"{flag(option)} {GROUP_FIELDS[option].write_example(num_groups, size)}"


def flag(option: str) -> str:
    """Return how an option of `GROUP_FIELDS` is written."""
    return f"--{option.replace('_', '-')}"


def _read_group(option: str, group: Any) -> Any:
    if GROUP_FIELDS[option].kind in _OF_PROMPTS:
        return _read_cell(option, group)
    if not isinstance(group, list):
        raise ConfigError(f"{flag(option)} has the group {show(group)}; write a list, one entry a completion.")
    return [_read_cell(option, cell) for cell in group]


def _read_cell(option: str, cell: Any) -> Any:
    kind = GROUP_FIELDS[option].kind
    if cell in ("", []):
        raise ConfigError(f"{flag(option)} has an empty place; write {ask(option)}.")
    if cell is None or str(cell).lower() in ("none", "nan"):
        if option == "labels":
            raise ConfigError("--labels has none among them; every completion is of a class, if only of its own.")
        return None
    if kind in _OF_MANY_NUMBERS and isinstance(cell, list):
        return [_read_number(option, word) for word in cell]
    if kind == "word" and not isinstance(cell, list | dict):
        return str(cell)
    return _read_number(option, cell)


def _read_number(option: str, word: Any) -> float:
    kind = GROUP_FIELDS[option].kind
    try:
        number = float(word)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{flag(option)} has {show(word)}, which is not a number; write {ask(option)}.") from None
    if not math.isfinite(number):
        raise ConfigError(f"{flag(option)} has {word!r}; write a finite number, or none.")
    if abs(number) > _LARGEST:
        raise ConfigError(f"{flag(option)} has {word!r}; write a number of at most {_LARGEST:g} in size.")
    if kind in ("count", "tally") and (number < 0 or number % 1):
        raise ConfigError(f"{flag(option)} has {word}; it takes whole numbers of at least 0.")
    if kind in ("logp", "logps", "prompt") and number > 0:
        raise ConfigError(f"{flag(option)} has {word}; logarithms of probabilities are 0 or less.")
    if kind == "flag" and number not in (0, 1):
        raise ConfigError(f"{flag(option)} has {word}; write 1 for correct, 0 for wrong or none.")
    return number


def _check_shapes(values: dict[str, list[Any]]) -> None:
    sizes = [len(group) for group in values["rewards"]]
    if len({*sizes}) > 1:
        raise ConfigError(f"--rewards has groups of {', '.join(map(str, sizes))} completions; make them equally large.")
    for option, groups in values.items():
        if len(groups) != len(sizes):
            raise ConfigError(
                f"{flag(option)} has {len(groups)} and --rewards {len(sizes)} groups; part them by semicolons."
            )
        for group in groups:
            if GROUP_FIELDS[option].kind not in _OF_PROMPTS and len(group) != sizes[0]:
                raise ConfigError(f"{flag(option)} has {len(group)} values in a group and --rewards {sizes[0]}.")
    if any(cell is None or len(cell) != 2 or cell[0] > cell[1] for cell in values.get("pass_counts", [])):
        raise ConfigError("--pass-counts takes two numbers a prompt, correct and judged, the first no larger.")
    lengths = sorted({len(cell) for group in values.get("embeddings", []) for cell in group if cell is not None})
    if len(lengths) > 1:
        raise ConfigError(
            f"--embeddings has vectors of {', '.join(map(str, lengths))} numbers; make them equally long."
        )
