"""`rlkit explain`: what an advantage chain makes of one small group, stage by stage."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.errors import ConfigError, suggest
from rlkit.explaining.fields import GROUP_FIELDS, ask, flag, options_needed
from rlkit.explaining.group_table import print_explanation, print_list
from rlkit.explaining.tokens import TOKEN_OPTIONS
from rlkit.explaining.tracing import explain, list_specs
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
  rlkit explain ppo --rewards 1,0 --values "0.5 0.6 0.7, 0.4 0.3"

Commas part completions, spaces the numbers of one completion, semicolons groups. A file of facts, YAML or JSON, has
the options as keys, e.g. {rewards: [1, 1, 0, none], mean_logps: [-.2, -.5, -.9, -.1]}; lists of lists are groups.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `explain` to the commands."""
    parser = subparsers.add_parser(
        "explain",
        help="what an advantage chain makes of one group",
        usage="%(prog)s [-h] [--list] [--json] [SPEC] [--rewards 1,1,1,0] [other facts] [--facts FILE]",
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
    for option, said in GROUP_FIELDS.items():
        options.add_argument(flag(option), metavar=said.write_example(), help=said.help)
    options.add_argument("--facts", metavar="FILE", help="file of the above, YAML or JSON; an option here wins")
    tokens = parser.add_argument_group("ppo: what is known of tokens")
    for option, (example, words) in TOKEN_OPTIONS.items():
        tokens.add_argument(flag(option), metavar=f'"{example}"' if " " in example else example, help=words)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit explain`."""
    if args.list or args.spec is None:
        found = list_specs()
        print(json.dumps(found, indent=1)) if args.json else print_list(found)
        return 0
    if args.spec == "ppo":
        return _explain_ppo(args)
    for option in TOKEN_OPTIONS:
        if getattr(args, option) is not None:
            raise ConfigError(f"{flag(option)} is of tokens, which rlkit explain ppo shows; a chain has none.")
    chain = resolve_spec(args.spec)
    given = _read_facts(args.facts) if args.facts else {}
    given |= {option: text for option in GROUP_FIELDS if (text := getattr(args, option)) is not None}
    if "rewards" not in given:
        asked = [ask(option) for option in ("rewards", *options_needed(chain.needs, given))]
        raise ConfigError(f"{args.spec} starts from rewards; add {' '.join(asked)}.")
    explanation = explain(args.spec, chain, given)
    print(json.dumps(explanation, indent=1)) if args.json else print_explanation(explanation)
    return 0


def _explain_ppo(args: argparse.Namespace) -> int:
    from rlkit.explaining.token_table import print_tokens
    from rlkit.explaining.tokens import explain_tokens

    known = ("rewards", *TOKEN_OPTIONS)
    given = _read_facts(args.facts, known) if args.facts else {}
    given |= {option: text for option in known if (text := getattr(args, option)) is not None}
    explanation = explain_tokens(given)
    print(json.dumps(explanation, indent=1)) if args.json else print_tokens(explanation)
    return 0


def _read_facts(path: str, known: Iterable[str] = tuple(GROUP_FIELDS)) -> dict[str, Any]:
    from rlkit.recipe.yaml_text import parse_yaml

    try:
        facts = parse_yaml(Path(path).read_text(encoding="utf-8-sig"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The facts {show(path)} cannot be read: {error}.") from error
    if not isinstance(facts, dict):
        raise ConfigError(f"{path} holds {show(facts)}; write a mapping such as {{rewards: [1, 1, 1, 0]}}.")
    for option in facts:
        if option not in known:
            raise ConfigError(f"{path} has {show(option)}, which is no fact.{suggest(str(option), [*known])}")
    return facts


def resolve_spec(text: str) -> Chain:
    """Return the chain that SPEC names.

    Args:
        text: a preset, a transform, inline YAML of either or of a list, or a recipe.

    Raises:
        RlkitError: there is none, or it says nothing of advantages.
    """
    from rlkit.advantages import ADVANTAGES, resolve
    from rlkit.objective.objective import OBJECTIVES
    from rlkit.recipe.yaml_text import parse_yaml

    if text.lstrip()[:1] in ("{", "["):
        return resolve(parse_yaml(text, "SPEC"))
    if ":" in text or text in ADVANTAGES.names():
        return resolve(text)
    if "/" in text or Path(text).suffix in (".yaml", ".yml") or _is_file(text):
        return resolve(_read_advantage(text))
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
