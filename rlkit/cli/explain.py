"""`rlkit explain`: what an advantage chain makes of one small group, stage by stage."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.cli.group_facts import FACTS, OPTION_OF, ask, build_context, flag, options_needed, read_facts, say_missing
from rlkit.cli.group_table import ROUNDING, print_explanation, print_list
from rlkit.errors import ConfigError, MissingInputError, RlkitError, suggest
from rlkit.parameters import show

if TYPE_CHECKING:
    from rlkit.advantages import Chain

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


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `explain` to the commands."""
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
        options.add_argument(flag(option), metavar=fact.write_example(), help=fact.help)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit explain`."""
    if args.list or args.spec is None:
        found = list_specs()
        print(json.dumps(found, indent=1)) if args.json else print_list(found)
        return 0
    chain = resolve_spec(args.spec)
    given = {option: text for option in FACTS if (text := getattr(args, option)) is not None}
    if "rewards" not in given:
        asked = [ask(option) for option in ("rewards", *options_needed(chain.needs, given))]
        raise ConfigError(f"{args.spec} starts from rewards; add {' '.join(asked)}.")
    explanation = explain(args.spec, chain, given)
    print(json.dumps(explanation, indent=1, ensure_ascii=False)) if args.json else print_explanation(explanation)
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
    if "/" in text or Path(text).suffix in (".yaml", ".yml") or _is_file(text):
        return resolve(_read_advantage(text))
    from rlkit.objective.objective import OBJECTIVES

    if text in OBJECTIVES.names():
        raise ConfigError(f"{text} is an objective: it changes the loss, and rlkit explain shows advantages only.")
    near = suggest(text, ADVANTAGES.names())
    hint = near if near.startswith(" Did you mean") else " See rlkit explain --list."
    raise ConfigError(f"No preset, transform or recipe is called {show(text)}.{hint}")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:
        # Too long for the name of a file.
        return False


def _read_advantage(reference: str) -> Any:
    from rlkit.recipe.source import read_mapping

    try:
        spec = read_mapping(reference).get("advantage")
    except OSError as error:
        raise ConfigError(f"The recipe {show(reference)} cannot be read: {error.strerror}.") from error
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

    facts = read_facts(given)
    ctx = build_context(facts)
    rewards_PG = ctx.rewards_PGK[:, :, 0]
    shape = tuple(rewards_PG.shape)
    if missing := options_needed(chain.needs, given, correct_known=ctx.correct_PG is not None):
        raise say_missing(spec, missing, shape)
    try:
        values = [torch.as_tensor(stage) for stage in chain.trace(rewards_PG, ctx)]
    except MissingInputError as error:
        options = [OPTION_OF[field] for field in re.findall(r"\w+_P[A-Z]*\b", str(error)) if field in OPTION_OF]
        if not options or options[0] in given:
            raise
        raise say_missing(str(error).partition(" ")[0], options[:1], shape) from error
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


def _to_lists(values_PG: Any) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in group] for group in values_PG.tolist()]


def _describe(transform: Any) -> dict[str, Any]:
    """Return a transform's name, its parameters that differ from their defaults, and its first sentence."""
    from rlkit import plugins
    from rlkit.advantages.user_transforms import name_transform

    changed = {}
    if dataclasses.is_dataclass(transform):
        defaults = {field.name: plugins.describe(field.default) for field in dataclasses.fields(transform)}
        values = plugins.describe(transform)
        changed = {name: value for name, value in values.items() if name in defaults and value != defaults[name]}
    documented = transform if inspect.isroutine(transform) else type(transform)
    return {"name": name_transform(transform), "parameters": changed, "says": _first_sentence(documented)}


def _first_sentence(documented: Any) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


def _sum_up(advantages: list[float | None]) -> dict[str, Any]:
    known = [value for value in advantages if value is not None]
    numbered = list(enumerate(advantages, start=1))
    return {
        "pushed_up": [i for i, value in numbered if value is not None and value > ROUNDING],
        "pushed_down": [i for i, value in numbered if value is not None and value < -ROUNDING],
        "not_pushed": [i for i, value in numbered if value is not None and abs(value) <= ROUNDING],
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
        needs = [flag(option) for option in options_needed(built.needs, ())]
        return {"name": name, "kind": kind, "needs": needs, "says": _first_sentence(thing)}

    return sorted(map(describe, ADVANTAGES.names()), key=lambda spec: spec["kind"])
