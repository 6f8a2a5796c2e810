"""Make labelled pairs of Countdown completions: same solution up to commutativity and associativity, or not.

    python scripts/make_countdown_pairs.py --output runs/pairs/countdown.jsonl
    rlkit partition fit runs/pairs/countdown.jsonl --output runs/pairs/head

Completions of one problem are samples of the bundled model, right and wrong, and solutions from the exact solver that
are written anew with operands swapped and chains regrouped. Labels come from the canonical form. The same arguments
make the same file on the same machine.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pairs.drawing import draw_balanced, draw_natural
from pairs.rewriting import rewrite
from rlkit.errors import ConfigError, RlkitError
from rlkit.evaluation import SamplingConfig
from rlkit.evaluation.engines.contract import resolve_engine
from rlkit.models import locate_model
from rlkit.tasks.countdown import Countdown
from rlkit.tasks.countdown_solver import solutions_by_target
from rlkit.terminal import note
from rlkit.types import Row
from rlkit.verifiers import solution_key


def main(words: Sequence[str] | None = None) -> int:
    """Write the pairs and say how many there are."""
    args = build_parser().parse_args(words)
    try:
        pairs = make_pairs(args)
    except RlkitError as error:
        print(error, file=sys.stderr)
        return 2
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    num_same = sum(bool(pair["same"]) for pair in pairs)
    note(f"Wrote {len(pairs)} pairs, {num_same} of them the same, to {args.output}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--model", default="countdown-tiny", help="whose samples are paired (default: %(default)s)")
    parser.add_argument("--split", default="train", help="split of Countdown (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=1000, help="problems (default: %(default)s)")
    parser.add_argument("--n", type=int, default=32, help="samples a problem (default: %(default)s)")
    parser.add_argument("--rewritings", type=int, default=3, help="of each of 8 solutions (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=20, help="most pairs a problem (default: %(default)s)")
    parser.add_argument(
        "--natural", action="store_true", help="pairs of samples as they come, neither balanced nor hard"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser


def make_pairs(args: argparse.Namespace) -> list[dict[str, object]]:
    """Return the pairs as `{"a", "b", "same", "prompt"}`; the prompt names the numbers, so that targets share it.

    Raises:
        ConfigError: a split or number is not allowed.
    """
    if min(args.limit, args.n, args.pairs) < 1 or args.rewritings < 0:
        raise ConfigError("limit, n and pairs must be at least 1 and rewritings at least 0; write larger numbers.")
    task = Countdown()
    rows = task.load(args.split)[: args.limit]
    samples = draw_samples(args.model, rows, args.n, args.seed)
    pairs = []
    for row in rows:
        generator = random.Random(f"{row['id']}/{args.seed}")
        if args.natural:
            drawn = draw_natural(samples[row["id"]], args.pairs, generator)
        else:
            texts = [*samples[row["id"]], *rewritten_solutions(task, row, args.rewritings, generator)]
            drawn = draw_balanced(texts, args.pairs, generator)
        prompt = "countdown/" + ",".join(map(str, row["numbers"]))
        pairs += [{"a": a, "b": b, "same": same, "prompt": prompt} for a, b, same in drawn]
    return pairs


def draw_samples(model: str, rows: list[Row], n: int, seed: int) -> dict[str, list[str]]:
    """Return for each problem the samples whose arithmetic can be read, in the order of their numbers."""
    sampling = SamplingConfig(max_tokens=32, seed=seed)
    batches = resolve_engine("hf").sample(locate_model(model), rows, n, sampling, ())
    drawn = sorted((sample.prompt_id, sample.sample, sample.completion) for batch in batches for sample in batch)
    samples: dict[str, list[str]] = {row["id"]: [] for row in rows}
    for prompt_id, _, text in drawn:
        if solution_key(text) is not None:
            samples[prompt_id].append(text)
    return samples


def rewritten_solutions(task: Countdown, row: Row, num_rewritings: int, generator: random.Random) -> Iterator[str]:
    """Yield up to eight solutions of a problem, each in some of the ways it can be written."""
    found = solutions_by_target(row["numbers"], (row["target"],), task.rules)[row["target"]]
    for key in generator.sample(sorted(found), min(8, len(found))):
        for _ in range(num_rewritings):
            text = task.write_solution(rewrite(found[key], task.rules, generator))
            # Two equal intermediate results can be mistaken for each other when steps are read back.
            if solution_key(text) == key:
                yield text


if __name__ == "__main__":
    sys.exit(main())
