"""`rlkit explain`: what an advantage chain makes of one small group, stage by stage."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import itertools
import json
import math
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError, MissingInputError, RlkitError, suggest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rlkit.advantages import Chain, GroupContext

_DESCRIPTION = """\
Print what an advantage chain makes of a small group: a row a completion, a column a stage, the last one the advantage;
below it who is pushed up and who down, and what each stage does. No model is loaded.

  rlkit explain darling --rewards 1,1,1,0 --labels 0,0,1,2
  rlkit explain '{name: darling, floor: 0.0}' --rewards 1,1,1,0 --labels a,a,b,c
  rlkit explain '[subtract_group_mean, {name: clip_by_abs, limit: 0.5}]' --rewards 1,0.2,none,0
  rlkit explain countdown/nsr --rewards "1,1,0,0; 0,0,0,0"
  rlkit explain --list

Commas part completions, spaces the numbers of one completion, semicolons groups.
"""
_SHOWN = 3
"""Numbers of a vector that are shown."""
_ROUNDING = 1e-12
"""Advantages smaller than this are zero but for the last bits of the arithmetic."""


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
_OPTION_OF = {fact.field: option for option, fact in FACTS.items()} | {"equivalent_PGG": "labels"}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `explain` to the verbs."""
    parser = subparsers.add_parser(
        "explain",
        help="what an advantage chain makes of one group",
        usage="%(prog)s [-h] [--list] [--json] [SPEC] [--rewards 1,1,1,0] [other facts]",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # argparse takes only a whole word for a negative number, and `-.2,-.5` for an option it does not know.
    parser._negative_number_matcher = re.compile(r"^-\.?\d")
    parser.add_argument(
        "spec",
        metavar="SPEC",
        nargs="?",
        help="a preset or transform, by name or as inline YAML, or a recipe, whose advantage is taken",
    )
    parser.add_argument("--list", action="store_true", help="list what SPEC can be and what each needs")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.add_argument_group("what is known of the completions")
    for option, fact in FACTS.items():
        options.add_argument(_flag(option), metavar=fact.write_example(), help=fact.help)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit explain`."""
    if args.list or args.spec is None:
        found = list_specs()
        print(json.dumps(found, indent=1)) if args.json else _print_list(found)
        return 0
    chain = resolve_spec(args.spec)
    given = {option: text for option in FACTS if (text := getattr(args, option)) is not None}
    if "rewards" not in given:
        asked = [_ask(option) for option in ("rewards", *_options_needed(chain.needs, given))]
        raise ConfigError(f"{args.spec} starts from rewards; add {' '.join(asked)}.")
    explanation = explain(args.spec, chain, given)
    print(json.dumps(explanation, indent=1, ensure_ascii=False)) if args.json else _print_explanation(explanation)
    return 0


def resolve_spec(text: str) -> Chain:
    """Return the chain that SPEC names.

    Args:
        text: a preset, a transform, inline YAML of either or of a list, or a recipe.

    Raises:
        RlkitError: there is none, or it says nothing of advantages.
    """
    from rlkit.advantages import ADVANTAGES, resolve
    from rlkit.recipe.yaml_text import parse_yaml

    if text.lstrip()[:1] in ("{", "["):
        return resolve(parse_yaml(text, "SPEC"))
    if ":" in text or text in ADVANTAGES.names():
        return resolve(text)
    if "/" in text or Path(text).suffix in (".yaml", ".yml") or Path(text).is_file():
        return resolve(_read_advantage(text))
    from rlkit.objective.objective import OBJECTIVES

    if text in OBJECTIVES.names():
        raise ConfigError(f"{text} is an objective: it changes the loss, and rlkit explain shows advantages only.")
    near = suggest(text, ADVANTAGES.names())
    hint = near if near.startswith(" Did you mean") else " See rlkit explain --list."
    raise ConfigError(f"No preset, transform or recipe is called {text!r}.{hint}")


def _read_advantage(reference: str) -> Any:
    from rlkit.recipe.source import read_mapping

    spec = read_mapping(reference).get("advantage")
    if spec is None:
        raise ConfigError(
            f"{reference} names no advantage and leaves it to TRL, whose default is what rlkit explain grpo shows."
        )
    return spec


def explain(spec: str, chain: Chain, given: dict[str, str]) -> dict[str, Any]:
    """Return everything there is to say, as plain data; None stands for no signal, completions count from 1.

    Args:
        spec: how the user calls the chain.
        chain: the chain.
        given: text of each option of `FACTS`, with `rewards` among them.

    Raises:
        ConfigError: a text cannot be read, or has another shape than the rewards'.
        MissingInputError: the chain needs something that is not given; the sentence names the option.
    """
    import torch

    facts = {option: _read(option, text) for option, text in given.items()}
    _check_shapes(facts)
    ctx = _build_context(facts)
    rewards_PG = ctx.rewards_PGK[:, :, 0]
    shape = tuple(rewards_PG.shape)
    if missing := _options_needed(chain.needs, given, correct_known=ctx.correct_PG is not None):
        raise _say_missing(spec, missing, shape)
    try:
        values = [torch.as_tensor(stage) for stage in chain.trace(rewards_PG, ctx)]
    except MissingInputError as error:
        options = [_OPTION_OF[field] for field in re.findall(r"\w+_P[A-Z]*\b", str(error)) if field in _OPTION_OF]
        if not options or options[0] in given:
            raise
        raise _say_missing(str(error).partition(" ")[0], options[:1], shape) from error
    advantages = _to_lists(values[-1] if values else rewards_PG)
    return {
        "spec": spec,
        "facts": {FACTS[option].heading: facts[option] for option in facts if FACTS[option].heading},
        "stages": [
            {**_describe(transform), "values": _to_lists(stage)}
            for transform, stage in zip(chain.transforms, values, strict=True)
        ],
        "advantages": advantages,
        "groups": [_sum_up(group) for group in advantages],
    }


def _options_needed(needs: Iterable[str], given: Iterable[str], correct_known: bool = False) -> list[str]:
    """Return the options that must be added, in the order of `FACTS`."""
    have = {*given} | ({"mean_logps"} if "logps" in given else set()) | ({"correct"} if correct_known else set())
    wanted = {_OPTION_OF[field] for field in needs if field in _OPTION_OF} - {"rewards"}
    return [option for option in FACTS if option in wanted - have]


def _say_missing(who: str, options: list[str], shape: tuple[int, ...]) -> MissingInputError:
    correctness = "correctness, which only rewards of 0 and 1 say"
    names = " and ".join(option.replace("_", " ").replace("correct", correctness) for option in options)
    return MissingInputError(f"{who} needs {names}; add {' '.join(_ask(option, *shape) for option in options)}.")


def _ask(option: str, num_groups: int = 1, size: int = 4) -> str:
    return f"{_flag(option)} {FACTS[option].write_example(num_groups, size)}"


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _read(option: str, text: str) -> list[Any]:
    """Return groups of cells as plain values, None where `none` is written; a prompt's group is one cell."""
    if FACTS[option].kind == "prompt":
        return [_read_cell(option, group.replace(",", " ").strip()) for group in text.split(";")]
    return [[_read_cell(option, cell.strip()) for cell in group.split(",")] for group in text.split(";")]


def _read_cell(option: str, cell: str) -> Any:
    kind = FACTS[option].kind
    if not cell:
        raise ConfigError(f"{_flag(option)} has an empty place; write {_ask(option)}.")
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
        raise ConfigError(f"{_flag(option)} has {word!r}, which is not a number; write {_ask(option)}.") from None
    if not math.isfinite(number):
        raise ConfigError(f"{_flag(option)} has {word!r}; write a finite number, or none.")
    if kind == "count" and number < 0:
        raise ConfigError(f"{_flag(option)} has {word}; it takes 0 or more.")
    if kind in ("logp", "logps", "prompt") and number > 0:
        raise ConfigError(f"{_flag(option)} has {word}; logarithms of probabilities are 0 or less.")
    if kind == "flag" and number not in (0, 1):
        raise ConfigError(f"{_flag(option)} has {word}; write 1 for correct, 0 for wrong or none.")
    return number


def _check_shapes(facts: dict[str, list[Any]]) -> None:
    sizes = [len(group) for group in facts["rewards"]]
    if len({*sizes}) > 1:
        raise ConfigError(f"--rewards has groups of {_join(sizes)} completions; make them equally large.")
    for option, groups in facts.items():
        if len(groups) != len(sizes):
            raise ConfigError(
                f"{_flag(option)} has {len(groups)} and --rewards {len(sizes)} groups; part them by semicolons."
            )
        for group in groups:
            if FACTS[option].kind != "prompt" and len(group) != sizes[0]:
                raise ConfigError(f"{_flag(option)} has {len(group)} values in a group and --rewards {sizes[0]}.")
    lengths = {len(cell) for group in facts.get("embeddings", []) for cell in group if cell is not None}
    if len(lengths) > 1:
        raise ConfigError(f"--embeddings has vectors of {_join(sorted(lengths))} numbers; make them equally long.")


def _build_context(facts: dict[str, list[Any]]) -> GroupContext:
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


def _to_lists(values_PG: Any) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in group] for group in values_PG.tolist()]


def _describe(transform: Any) -> dict[str, Any]:
    """Return a transform's name, its parameters that differ from their defaults, and its first sentence."""
    fields = dataclasses.fields(transform) if dataclasses.is_dataclass(transform) else ()
    values = {field.name: getattr(transform, field.name) for field in fields}
    changed = {field.name: values[field.name] for field in fields if values[field.name] != field.default}
    documented = transform if inspect.isroutine(transform) else type(transform)
    name = getattr(transform, "name", None) or getattr(transform, "__name__", documented.__name__)
    return {"name": name, "parameters": changed, "says": _first_sentence(documented)}


def _first_sentence(documented: Any) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


def _sum_up(advantages: list[float | None]) -> dict[str, Any]:
    known = [value for value in advantages if value is not None]
    numbered = list(enumerate(advantages, start=1))
    return {
        "pushed_up": [i for i, value in numbered if value is not None and value > _ROUNDING],
        "pushed_down": [i for i, value in numbered if value is not None and value < -_ROUNDING],
        "not_pushed": [i for i, value in numbered if value is not None and abs(value) <= _ROUNDING],
        "no_signal": [i for i, value in numbered if value is None],
        "sum": math.fsum(known) if known else None,
    }


def list_specs() -> list[dict[str, Any]]:
    """Return every preset and transform with the options it needs beside the rewards and its first sentence."""
    from rlkit.advantages import ADVANTAGES, chain, resolve
    from rlkit.plugins import load_target

    def describe(name: str) -> dict[str, Any]:
        try:
            built = resolve(name)
        except RlkitError:
            # It cannot be built without parameters, and only they decide what it needs.
            built = chain()
        target = ADVANTAGES.builtins.get(name)
        thing = load_target(target, "advantage") if target else built.transforms[0] if built.transforms else built
        kind = "preset" if getattr(thing, "is_plugin_factory", False) else "transform"
        needs = [_flag(option) for option in _options_needed(built.needs, ())]
        return {"name": name, "kind": kind, "needs": needs, "says": _first_sentence(thing)}

    return sorted(map(describe, ADVANTAGES.names()), key=lambda spec: spec["kind"])


def _print_list(found: list[dict[str, Any]]) -> None:
    from rich.text import Text

    table = _start_table()
    for heading in ("preset", "needs", ""):
        table.add_column(heading, overflow="fold")
    for previous, spec in zip([None, *found], found, strict=False):
        if previous is not None and previous["kind"] != spec["kind"]:
            table.add_section()
            table.add_row(*(Text(word, style="bold") for word in ("transform", "needs", "")))
        table.add_row(spec["name"], "\n".join(spec["needs"]), Text(spec["says"]))
    _console(table).print(table)


def _print_explanation(explanation: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = build_table(explanation)
    console = _console(table)
    console.print(table)
    groups = explanation["groups"]
    for number, group in enumerate(groups, start=1):
        words = describe_group(group)
        console.print(Text(f"Group {number}: {words}" if len(groups) > 1 else words[0].upper() + words[1:]))
    if any(group["no_signal"] for group in groups):
        console.print(Text("A dash among the values is no signal: the trainer leaves that completion out of the loss."))
    if not explanation["stages"]:
        return
    legend = Table.grid(padding=(0, 2, 0, 0))
    for number, stage in enumerate(explanation["stages"], start=1):
        legend.add_row(str(number), Text.assemble((stage["name"], "bold"), f": {stage['says']}"))
    console.print()
    console.print(legend)


def build_table(explanation: dict[str, Any]) -> Table:
    """Return the values as a table: a row a completion, first what was given of it, then each stage."""
    from rich.text import Text

    stages = explanation["stages"] or [{"name": "unchanged", "parameters": {}, "values": explanation["advantages"]}]
    facts, groups = explanation["facts"], explanation["groups"]
    table = _start_table()
    for heading in ("group", "#") if len(groups) > 1 else ("#",):
        table.add_column(heading, justify="right", no_wrap=True)
    heads = [_head(stage) for stage in stages]
    for heading in (*facts, *heads[:-1], f"{heads[-1]}\n= advantage"):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for p, advantages in enumerate(explanation["advantages"]):
        for g in range(len(advantages)):
            place = [str(p + 1), str(g + 1)] if len(groups) > 1 else [str(g + 1)]
            given = [_write_fact(column[p][g]) for column in facts.values()]
            passed = [_write_number(stage["values"][p][g]) for stage in stages[:-1]]
            table.add_row(*place, *map(Text, given + passed), _write_advantage(advantages[g]))
        table.add_section()
    return table


def _start_table() -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    return Table(box=SIMPLE, header_style="bold", padding=(0, 1, 0, 0))


def _console(table: Table) -> Console:
    """Return the console on standard output, no narrower than the table: a wrapped line beats a cut number."""
    from rich.console import Console

    measured = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if measured else 100)
    console.width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).minimum)
    return console


def _head(stage: dict[str, Any]) -> str:
    """Return a stage's heading, a few letters wide: its name broken at underscores, then a line a parameter."""
    lines = [""]
    for part in re.findall(r"[^_]*_?", stage["name"]):
        fits = len(lines[-1]) + len(part) <= 12
        lines = [*lines[:-1], lines[-1] + part] if fits else [*lines, part]
    return "\n".join([*lines, *(f"{name}={_write_fact(value)}" for name, value in stage["parameters"].items())])


def describe_group(group: dict[str, Any]) -> str:
    """Return in words who is pushed where, and how hard the group as a whole is."""
    if group["sum"] is None:
        return "no signal from any completion."
    parts = [
        f"{key.replace('_', ' ')}: {_join(group[key])}"
        for key in ("pushed_up", "pushed_down", "not_pushed", "no_signal")
        if group[key]
    ]
    total = group["sum"]
    whole = "" if abs(total) < 5e-4 else f", so the group as a whole is pushed {'up' if total > 0 else 'down'}"
    return f"{'; '.join(parts)}. Sum of advantages {_write_number(total)}{whole}."


def _join(things: Iterable[Any]) -> str:
    return ", ".join(map(str, things))


def _write_advantage(value: float | None) -> Any:
    from rich.text import Text

    if value is None or abs(value) <= _ROUNDING:
        return Text(_write_number(value), style="dim")
    return Text(f"+{_write_number(value)}", "bold blue") if value > 0 else Text(_write_number(value), "bold red")


def _write_number(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) <= _ROUNDING:
        return "0.000"
    return f"{value:.3f}" if 5e-4 <= abs(value) < 1e4 else f"{value:.1e}"


def _write_fact(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_write_fact, value[:_SHOWN])) + (" …" if len(value) > _SHOWN else "")
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
