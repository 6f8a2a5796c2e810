"""`rlkit eval`: sample a model on a task, grade, and write a directory with every sample and a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.cli.options import read_spec
from rlkit.errors import ConfigError

if TYPE_CHECKING:
    from rlkit.evaluation.request import EvaluationRequest

_DESCRIPTION = """\
Draw N completions for each problem of a task, grade them, and write DIR/samples.jsonl and DIR/report.json: pass@k for
every k up to N, pass^k, maj@k and their kin with 95 % intervals over problems, distinct correct solutions, entropies.

The same command continues an evaluation that was interrupted or killed, and reuses one that is finished.
Several temperatures, --temperature 0.6,0.8,1.0, are as many evaluations, in DIR/t0.6, DIR/t0.8 and DIR/t1.

  rlkit eval --model countdown-tiny --task countdown --n 128 --output runs/base
  rlkit eval --model Qwen/Qwen3-0.6B --task '{name: countdown, format: chat}' --n 64 --output runs/qwen \\
      --engine '{name: vllm, tensor_parallel_size: 2}' --temperature 0.6 --top-p 0.95 --max-tokens 4096
  rlkit eval --model Qwen/Qwen3-0.6B --task '{name: countdown, format: chat}' --n 64 --output runs/served \\
      --engine '{name: openai, base_url: [http://a:8000/v1, http://b:8000/v1]}' --template-arg enable_thinking=false
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `eval` to the commands."""
    parser = subparsers.add_parser(
        "eval",
        help="sample a model on a task and report pass@k and diversity",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to evaluate")
    what.add_argument("--model", required=True, help="a directory, a bundled model such as countdown-tiny, or a hub id")
    what.add_argument(
        "--adapter",
        metavar="DIR",
        help="LoRA adapter to put on the model, unmerged; a --model that is only an adapter brings its base",
    )
    what.add_argument("--task", required=True, help="a name, {name: ..., param: ...}, or task.yaml")
    what.add_argument("--n", required=True, type=int, help="samples a prompt; pass@k is known for k = 1..N")
    what.add_argument("--output", required=True, metavar="DIR", help="directory to write or continue")
    what.add_argument("--split", default="test", help="split of the task (default: %(default)s)")
    what.add_argument("--limit", type=int, metavar="N", help="only the first N problems of the split")
    what.add_argument("--name", help="what reports call this evaluation (default: the directory's name)")
    add_sampling_options(parser.add_argument_group("how to sample"))
    add_prompt_options(parser.add_argument_group("how chat prompts are put"))
    add_grading_options(parser.add_argument_group("how to grade"))
    parser.set_defaults(run=run)


def add_sampling_options(group: argparse._ActionsContainer) -> None:
    """Add the options that say how samples are drawn."""
    group.add_argument(
        "--engine", default="hf", help="hf, vllm, openai, or {name: ..., param: ...} (default: %(default)s)"
    )
    group.add_argument("--temperature", default="1.0", metavar="T[,T...]", help="(default: %(default)s)")
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


def add_prompt_options(group: argparse._ActionsContainer) -> None:
    """Add the options that say how chat prompts are put."""
    group.add_argument("--system", metavar="TEXT", help="system message, or @FILE with it")
    group.add_argument("--chat-template", metavar="FILE", help="chat template in Jinja (default: the model's own)")
    group.add_argument(
        "--template-arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what the template is told, such as enable_thinking=false; may be repeated",
    )


def add_grading_options(group: argparse._ActionsContainer, tag: str | None = "think") -> None:
    """Add the options that `rlkit eval` and `rlkit grade` share; a tag of None keeps the one in use."""
    group.add_argument(
        "--thinking-tag",
        default=tag,
        metavar="TAG",
        help="leave <TAG>...</TAG> out of what is graded; '' grades whole texts (default: %s)" % (tag or "as before"),
    )
    group.add_argument(
        "--partition", metavar="SPEC", help="what `class` in samples.jsonl means, as in a recipe (default: the answer)"
    )


def run(args: argparse.Namespace) -> int:
    """Run `rlkit eval`."""
    from rlkit.evaluation.evaluate import run_evaluation
    from rlkit.evaluation.planning import plan_evaluation
    from rlkit.terminal import note, say

    plans = [plan_evaluation(request) for request in read_requests(args)]
    for plan in plans:
        report = run_evaluation(plan)
        say(summarise(report))
        for warning in warnings_of(report):
            note(warning)
        note(f"Wrote {plan.output / 'report.json'}")
    return 0


def read_requests(args: argparse.Namespace) -> list[EvaluationRequest]:
    """Return the evaluations that options ask for, one a temperature."""
    from rlkit.evaluation.request import EvaluationRequest

    settings = {
        "engine": read_spec(args.engine, "--engine"),
        "split": args.split,
        "limit": args.limit,
        "adapter": args.adapter,
        "chat": _read_chat(args),
        "thinking_tag": args.thinking_tag or None,
        "partition": read_spec(args.partition, "--partition") if args.partition else None,
    }
    task = read_spec(args.task, "--task")
    return [
        EvaluationRequest(
            args.model, task, args.n, output, sampling=_sampling(args, temperature), name=name, **settings
        )
        for temperature, output, name in _evaluations(args)
    ]


def _evaluations(args: argparse.Namespace) -> list[tuple[float, Path, str | None]]:
    """Return temperature, directory and name of each evaluation that is asked for."""
    output = Path(args.output).expanduser()
    words = [word.strip() for word in args.temperature.split(",")]
    try:
        temperatures = [float(word) for word in words]
    except ValueError:
        raise ConfigError(
            f"--temperature was given as {args.temperature!r}; write a number, or several: 0.6,0.8,1.0."
        ) from None
    if len(temperatures) == 1:
        return [(temperatures[0], output, args.name)]
    if len(set(temperatures)) < len(temperatures):
        raise ConfigError(f"--temperature was given as {args.temperature!r}; write each temperature once.")
    if (output / "config.json").is_file():
        raise ConfigError(f"{output} holds one evaluation; choose another output for several temperatures.")
    stem = args.name or output.resolve().name
    return [(each, output / f"t{each:g}", f"{stem} t{each:g}") for each in temperatures]


def _read_chat(args: argparse.Namespace) -> Any:
    from rlkit.evaluation.engines.chat_format import ChatFormat
    from rlkit.recipe.yaml_text import parse_yaml

    system = args.system
    if system is not None and system.startswith("@"):
        system = Path(system[1:]).expanduser().read_text(encoding="utf-8")
    template = Path(args.chat_template).expanduser().read_text(encoding="utf-8") if args.chat_template else None
    template_args = {}
    for text in args.template_arg:
        key, is_given, value = text.partition("=")
        if not is_given:
            raise ConfigError(f"--template-arg was given as {text!r}; write key=value, such as enable_thinking=false.")
        template_args[key] = parse_yaml(value, "--template-arg")
    return ChatFormat(system=system, template=template, template_args=template_args)


def _sampling(args: argparse.Namespace, temperature: float) -> Any:
    from rlkit.evaluation import SamplingConfig

    return SamplingConfig(
        temperature=temperature,
        top_p=args.top_p,
        top_k=args.top_k,
        min_p=args.min_p,
        max_tokens=args.max_tokens,
        stop=tuple(args.stop),
        seed=args.seed,
    )


def summarise(report: dict[str, Any]) -> str:
    """Return the headline numbers as lines of text, each with its interval."""
    from rlkit.evaluation.metrics.cells import k_grid

    n = report["n"]
    cells = {f"pass@{k}": report["pass_at_k"][str(k)] for k in k_grid(n)}
    # All of 8 correct, and a vote of everything: the two ends of what a user of one answer would get.
    reliable = max(k for k in k_grid(n) if k <= 8)
    cells |= {f"pass^{reliable}": report["pass_hat_k"][str(reliable)], f"maj@{n}": report["maj_at_k"][str(n)]}
    shown = ("distinct_correct", "solution_coverage", "token_entropy", "num_tokens")
    cells |= {name.replace("_", " "): report["metrics"][name] for name in shown}
    texts = {name: _cell_text(cell) for name, cell in cells.items()}
    # What went wrong in drawing is counted: an interval around none of them would look like a finding.
    texts |= {name: _count_text(report, f"num_{name}") for name in ("truncated", "unscored")}
    width = max(map(len, texts))
    size = f"{report['num_problems']} problems x {n} samples"
    head = f"{report['name']}: {size}, mean [95 % interval over problems]"
    return "\n".join([head, *(f"  {name:<{width}}  {text}" for name, text in texts.items())])


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


def _count_text(report: dict[str, Any], name: str) -> str:
    counts = [problem[name] for problem in report["problems"]]
    if None in counts:
        return "not known"
    drawn = sum(problem["num_samples"] + problem["num_unscored"] for problem in report["problems"])
    share = f" ({sum(counts) / drawn:.1%})" if sum(counts) else ""
    return f"{sum(counts):,} of {drawn:,} samples{share}"


def _cell_text(cell: dict[str, Any]) -> str:
    defined, total = cell["num_defined"], cell["num_total"]
    if cell["value"] is None:
        return f"undefined (0 of {total} problems)"
    interval = f"[{cell['low']:.3f}, {cell['high']:.3f}]" if cell["low"] is not None else "[no interval]"
    return f"{cell['value']:.3f} {interval}" + (f"  ({defined} of {total} problems)" if defined < total else "")
