"""`rlkit eval`: sample a model on a task, grade, and write a directory with every sample and a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Draw N completions for each problem of a task, grade them, and write DIR/samples.jsonl and DIR/report.json: pass@k for
every k up to N, pass^k, maj@k and their kin with 95 % intervals over problems, distinct correct solutions, entropies.

The same command continues an evaluation that was interrupted or killed, and reuses one that is finished.

  rlkit eval --model countdown-tiny --task countdown --n 128 --output runs/base
  rlkit eval --model Qwen/Qwen3-0.6B --task '{name: countdown, format: chat}' --n 64 --output runs/qwen \\
      --engine '{name: vllm, tensor_parallel_size: 2}' --temperature 0.6 --top-p 0.95 --max-tokens 4096
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `eval` to the verbs."""
    parser = subparsers.add_parser(
        "eval",
        help="sample a model on a task and report pass@k and diversity",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to evaluate")
    what.add_argument(
        "--model", required=True, help="a directory, an embedded model such as countdown-tiny, or a hub id"
    )
    what.add_argument("--task", required=True, help="a name, or {name: ..., param: ...} with its parameters")
    what.add_argument("--n", required=True, type=int, help="samples a prompt; pass@k is known for k = 1..N")
    what.add_argument("--output", required=True, metavar="DIR", help="directory to write or continue")
    what.add_argument("--split", default="test", help="split of the task (default: %(default)s)")
    what.add_argument("--limit", type=int, metavar="N", help="only the first N problems of the split")
    what.add_argument("--name", help="what reports call this evaluation (default: the directory's name)")
    _add_sampling_options(parser.add_argument_group("how to sample"))
    parser.set_defaults(run=run)


def _add_sampling_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--engine", default="hf", help="hf, vllm, or {name: ..., param: ...} (default: %(default)s)")
    group.add_argument("--temperature", type=float, default=1.0, help="(default: %(default)s)")
    group.add_argument(
        "--top-p", type=float, default=1.0, help="keep this much probability (default: %(default)s, all)"
    )
    group.add_argument("--top-k", type=int, default=0, help="keep this many tokens (default: %(default)s, all)")
    group.add_argument("--min-p", type=float, default=0.0, help="drop tokens below this share of the likeliest one's")
    group.add_argument("--max-tokens", type=int, default=512, help="longest completion (default: %(default)s)")
    group.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="text that ends a completion; may be repeated"
    )
    group.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run `rlkit eval`."""
    from rlkit.evaluation import SamplingConfig, evaluate
    from rlkit.terminal import note

    sampling = SamplingConfig(
        temperature=args.temperature,
        top_p=args.top_p,
        top_k=args.top_k,
        min_p=args.min_p,
        max_tokens=args.max_tokens,
        stop=tuple(args.stop),
        seed=args.seed,
    )
    report = evaluate(
        args.model,
        _read_spec(args.task, "--task"),
        args.n,
        args.output,
        engine=_read_spec(args.engine, "--engine"),
        split=args.split,
        limit=args.limit,
        sampling=sampling,
        name=args.name,
    )
    print(summarise(report))
    for warning in warnings_of(report):
        note(warning)
    note(f"Wrote {Path(args.output) / 'report.json'}")
    return 0


def summarise(report: dict[str, Any]) -> str:
    """Return the headline numbers as lines of text, each with its interval."""
    from rlkit.evaluation.metrics import k_grid

    n = report["n"]
    cells = {f"pass@{k}": report["pass_at_k"][str(k)] for k in k_grid(n)}
    # All of 8 correct, and a vote of everything: the two ends of what a user of one answer would get.
    reliable = max(k for k in k_grid(n) if k <= 8)
    cells |= {f"pass^{reliable}": report["pass_hat_k"][str(reliable)], f"maj@{n}": report["maj_at_k"][str(n)]}
    shown = ("distinct_correct", "solution_coverage", "token_entropy", "num_tokens", "truncated", "unscored")
    cells |= {name.replace("_", " "): report["metrics"][name] for name in shown}
    width = max(map(len, cells))
    size = f"{report['num_problems']} problems x {n} samples"
    head = f"{report['name']}: {size}, mean [95 % interval over problems]"
    return "\n".join([head, *(f"  {name:<{width}}  {_cell_text(cell)}" for name, cell in cells.items())])


def warnings_of(report: dict[str, Any]) -> list[str]:
    """Return what a reader of the numbers must know, as sentences."""
    truncated, unscored = (report["metrics"][name]["value"] for name in ("truncated", "unscored"))
    limit = report["sampling"]["max_tokens"]
    warnings = []
    if truncated is not None and truncated > 0.05:
        warnings.append(
            f"{truncated:.0%} of the samples were cut at {limit} tokens and count as wrong; raise --max-tokens."
        )
    if unscored:
        warnings.append(f"{unscored:.1%} of the samples could not be graded and are left out of every pass@k.")
    return warnings


def _cell_text(cell: dict[str, Any]) -> str:
    defined, total = cell["num_defined"], cell["num_total"]
    if cell["value"] is None:
        return f"undefined (0 of {total} problems)"
    interval = f"[{cell['low']:.3f}, {cell['high']:.3f}]" if cell["low"] is not None else "[no interval]"
    return f"{cell['value']:.3f} {interval}" + (f"  ({defined} of {total} problems)" if defined < total else "")


def _read_spec(text: str, option: str) -> Any:
    if not text.lstrip().startswith("{"):
        return text
    from rlkit.recipe.yaml_text import parse_yaml

    return parse_yaml(text, option)
