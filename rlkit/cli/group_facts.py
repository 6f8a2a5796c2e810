"""What can be said of the completions of a group on a command line, and how it becomes a `GroupContext`."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError, MissingInputError

if TYPE_CHECKING:
    from rlkit.advantages import GroupContext


_LARGEST = 1e100
"""Squares of larger numbers would soon be infinite, and what is divided by them 0."""


@dataclasses.dataclass(frozen=True)
class Fact:
    """One thing that can be said of the completions of a group, and how it is written."""

    field: str
    """Its name in `GroupContext`."""
    kind: str
    """Of a completion: `number`, `count`, `logp`, `flag`, `word`, `vector` or `logps`; of a group: `prompt`."""
    heading: str
    """Of its column; a prompt's has none."""
    example: str
    """What four completions may be given."""
    help: str

    def write_example(self, num_groups: int = 1, size: int = 4) -> str:
        """Return the example, repeated for as many completions as there are, quoted where a shell needs it."""
        cells = itertools.cycle(self.example.split(","))
        group = ",".join(itertools.islice(cells, 1 if self.kind == "prompt" else size))
        text = "; ".join([group] * num_groups)
        return f'"{text}"' if " " in text else text


FACTS = {
    "rewards": Fact("rewards_PGK", "number", "reward", "1,1,1,0", "reward of each; none: it was not scored"),
    "correct": Fact("correct_PG", "flag", "correct", "1,1,1,0", "1 or 0, none: unknown; rewards of 0 and 1 say it too"),
    "labels": Fact("labels_PG", "word", "label", "0,0,1,2", "class of each, any word"),
    "answers": Fact("answers_PG", "word", "answer", "7,7,3,none", "final answer of each, any word; none: no answer"),
    "counts": Fact("answer_counts_PG", "count", "count", "9,9,0,4", "how often its answer was given before"),
    "mean_logps": Fact("mean_logps_PG", "logp", "mean logp", "-.2,-.5,-.9,-.1", "mean log-probability per token"),
    "logps": Fact("logps_PGT", "logps", "logps", "-.1 -.9,-.4,-2 -1 -.1,-.3", "log-probability of each token"),
    "prompt_logps": Fact("prompt_logps_PS", "prompt", "", "-.5 -.1 -2.3", "log-probability of each prompt token"),
    "embeddings": Fact("embeddings_PGE", "vector", "embedding", "1 0,1 0,0 1,.6 .8", "a vector each; none: no vector"),
    "lengths": Fact("lengths_PG", "count", "tokens", "5,7,5,9", "number of tokens of each"),
}
OPTION_OF = {fact.field: option for option, fact in FACTS.items()} | {"equivalent_PGG": "labels"}


def read_facts(given: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return what the text of each option says, as groups of plain values, None where `none` is written.

    Args:
        given: text of each option of `FACTS`, with `rewards` among them.

    Raises:
        ConfigError: a text cannot be read, or has another shape than the rewards'.
    """
    facts = {option: _read(option, text) for option, text in given.items()}
    _check_shapes(facts)
    return facts


def build_context(facts: Mapping[str, list[Any]]) -> GroupContext:
    """Return the facts as tensors; rewards of 0 and 1 say also who is correct, unless something else does."""
    import torch

    from rlkit.advantages import GroupContext

    def to_tensor(option: str) -> torch.Tensor:
        kind, groups = FACTS[option].kind, facts[option]
        if kind == "word":
            groups = [_number_words(group) for group in groups]
        elif kind == "prompt":
            groups = _pad(groups, max(len(cell or []) for cell in groups))
        elif kind in ("vector", "logps"):
            groups = [_pad(group, max(len(cell or []) for row in groups for cell in row)) for group in groups]
        return torch.tensor(_without_none(groups), dtype=torch.float64)

    tensors: dict[str, Any] = {FACTS[option].field: to_tensor(option) for option in facts}
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
    """Return the options that must be added, in the order of `FACTS`."""
    have = {*given} | ({"mean_logps"} if "logps" in given else set()) | ({"correct"} if correct_known else set())
    wanted = {OPTION_OF[field] for field in needs if field in OPTION_OF} - {"rewards"}
    return [option for option in FACTS if option in wanted - have]


def say_missing(who: str, options: list[str], shape: tuple[int, ...]) -> MissingInputError:
    """Return the error that asks for options, with examples for groups of that shape."""
    correctness = "correctness, which only rewards of 0 and 1 say"
    names = " and ".join(option.replace("_", " ").replace("correct", correctness) for option in options)
    return MissingInputError(f"{who} needs {names}; add {' '.join(ask(option, *shape) for option in options)}.")


def ask(option: str, num_groups: int = 1, size: int = 4) -> str:
    """Return an option with an example of what it takes."""
    return f"{flag(option)} {FACTS[option].write_example(num_groups, size)}"


def flag(option: str) -> str:
    """Return how an option of `FACTS` is written."""
    return f"--{option.replace('_', '-')}"


def _read(option: str, text: str) -> list[Any]:
    """Return groups of cells as plain values, None where `none` is written; a prompt's group is one cell."""
    if FACTS[option].kind == "prompt":
        return [_read_cell(option, group.replace(",", " ").strip()) for group in text.split(";")]
    return [[_read_cell(option, cell.strip()) for cell in group.split(",")] for group in text.split(";")]


def _read_cell(option: str, cell: str) -> Any:
    kind = FACTS[option].kind
    if not cell:
        raise ConfigError(f"{flag(option)} has an empty place; write {ask(option)}.")
    if cell.lower() in ("none", "nan"):
        if option == "labels":
            raise ConfigError("--labels has none among them; every completion is of a class, if only of its own.")
        return None
    if kind in ("vector", "logps", "prompt"):
        return [_read_number(option, word) for word in cell.split()]
    return cell if kind == "word" else _read_number(option, cell)


def _read_number(option: str, word: str) -> float:
    kind = FACTS[option].kind
    try:
        number = float(word)
    except ValueError:
        raise ConfigError(f"{flag(option)} has {word!r}, which is not a number; write {ask(option)}.") from None
    if not math.isfinite(number):
        raise ConfigError(f"{flag(option)} has {word!r}; write a finite number, or none.")
    if abs(number) > _LARGEST:
        raise ConfigError(f"{flag(option)} has {word!r}; write a number of at most {_LARGEST:g} in size.")
    if kind == "count" and (number < 0 or number % 1):
        raise ConfigError(f"{flag(option)} has {word}; it takes whole numbers of at least 0.")
    if kind in ("logp", "logps", "prompt") and number > 0:
        raise ConfigError(f"{flag(option)} has {word}; logarithms of probabilities are 0 or less.")
    if kind == "flag" and number not in (0, 1):
        raise ConfigError(f"{flag(option)} has {word}; write 1 for correct, 0 for wrong or none.")
    return number


def _check_shapes(facts: dict[str, list[Any]]) -> None:
    sizes = [len(group) for group in facts["rewards"]]
    if len({*sizes}) > 1:
        raise ConfigError(f"--rewards has groups of {', '.join(map(str, sizes))} completions; make them equally large.")
    for option, groups in facts.items():
        if len(groups) != len(sizes):
            raise ConfigError(
                f"{flag(option)} has {len(groups)} and --rewards {len(sizes)} groups; part them by semicolons."
            )
        for group in groups:
            if FACTS[option].kind != "prompt" and len(group) != sizes[0]:
                raise ConfigError(f"{flag(option)} has {len(group)} values in a group and --rewards {sizes[0]}.")
    lengths = sorted({len(cell) for group in facts.get("embeddings", []) for cell in group if cell is not None})
    if len(lengths) > 1:
        raise ConfigError(
            f"--embeddings has vectors of {', '.join(map(str, lengths))} numbers; make them equally long."
        )
