"""`rlkit merge average|interpolate|restore`: a model made of the weights of others, without training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rlkit.cli.eval import add_prompt_options, add_sampling_options
from rlkit.cli.options import add_verdict_options
from rlkit.errors import ConfigError

if TYPE_CHECKING:
    from rlkit.weights import Mixture

_LARGE = 200 << 20
"""Bytes of weights from which on progress is shown."""

_MODEL = "a run directory, a model or adapter directory, or a bundled model such as countdown-tiny"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `merge` and its actions to the commands."""
    from rlkit.cli.listing import add_command

    add_action = add_command(
        subparsers,
        "merge",
        "make a model of the weights of others: mean, interpolation, layers put back",
        "average runs/a runs/b runs/c --output runs/soup",
    )
    average = add_action(
        "average",
        "write the mean of models, or of the last checkpoints of a run",
        "--last 6 runs/countdown/grpo --output runs/averaged",
        run_average,
    )
    average.add_argument("models", nargs="+", metavar="DIR", help=_MODEL)
    average.add_argument("--weights", metavar="W,W,...", help="how much each counts, such as 1,1,2 (default: alike)")
    average.add_argument("--last", type=int, metavar="N", help="take the last N checkpoints of the one run named")
    interpolate = add_action(
        "interpolate",
        "write (1 - w) base + w run, for one weight or several",
        "countdown-tiny runs/countdown/grpo --sweep 0:1:5 --output runs/sweep --task countdown --n 32 --limit 200",
        run_interpolate,
    )
    which = interpolate.add_mutually_exclusive_group(required=True)
    which.add_argument("--weight", type=float, metavar="W", help="of the run: 0 is the base, 1 the run")
    which.add_argument(
        "--sweep", metavar="A:B:N", help="N weights from A to B: 0:1:5 writes OUTPUT/w0/model to OUTPUT/w1/model"
    )
    restore = add_action(
        "restore",
        "write the run with some layers put back to the base's",
        "countdown-tiny runs/countdown/grpo --layers 0:2 --output runs/restored",
        run_restore,
    )
    restore.add_argument(
        "--layers", required=True, metavar="A:B", help="0:3 are layers 0, 1 and 2; several with commas, 0,4:6"
    )
    for action in (interpolate, restore):
        action.add_argument("base", metavar="BASE", help="what the run was trained from, named like RUN")
        action.add_argument("run_name", metavar="RUN", help=_MODEL)
    for action in (average, interpolate, restore):
        action.add_argument("--output", required=True, metavar="DIR", help="directory to write; of a sweep, around all")
        action.add_argument("--overwrite", action="store_true", help="replace what an earlier merge wrote there")
    _add_evaluation_options(interpolate)


def _add_evaluation_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("how to evaluate a sweep, where --task is given; as rlkit eval does")
    what.add_argument("--task", help="a name, {name: ..., param: ...}, or task.yaml")
    what.add_argument("--n", type=int, help="samples a prompt")
    what.add_argument("--split", default="test", help="split of the task (default: %(default)s)")
    what.add_argument("--limit", type=int, metavar="N", help="only the first N problems of the split")
    what.add_argument(
        "--partition", metavar="SPEC", help="what `class` in samples.jsonl means, as in a recipe (default: the answer)"
    )
    what.add_argument("--thinking-tag", default="think", metavar="TAG", help="left out before grading (default: think)")
    add_sampling_options(what)
    add_prompt_options(what)
    add_verdict_options(parser)


def run_average(args: argparse.Namespace) -> int:
    """Write a mean."""
    from rlkit.weights import Source, average_models, last_checkpoints

    sources: Sequence[str | Source] = args.models
    if args.last is not None:
        if len(args.models) > 1:
            raise ConfigError(f"--last takes checkpoints of one run, and {len(args.models)} directories were named.")
        sources = last_checkpoints(args.models[0], args.last)
    weights = None if args.weights is None else _read_weights(args.weights)
    _write(average_models(sources, weights), Path(args.output), args.overwrite)
    return 0


def run_interpolate(args: argparse.Namespace) -> int:
    """Write one interpolation, or a sweep that is evaluated where a task is given."""
    from rlkit.weights import interpolate_models

    if args.sweep is None:
        if args.task is not None:
            raise ConfigError("--task evaluates a sweep; give --sweep 0:1:5, or evaluate the model with rlkit eval.")
        _write(interpolate_models(args.base, args.run_name, args.weight), Path(args.output), args.overwrite)
        return 0
    return _run_sweep(args)


def run_restore(args: argparse.Namespace) -> int:
    """Write a run with layers of its base."""
    from rlkit.weights import restore_layers
    from rlkit.weights.sweeping import read_layers

    _write(restore_layers(args.base, args.run_name, read_layers(args.layers)), Path(args.output), args.overwrite)
    return 0


def _run_sweep(args: argparse.Namespace) -> int:
    from rlkit.terminal import note
    from rlkit.weights import interpolate_models
    from rlkit.weights.directory import RECORD, check_output
    from rlkit.weights.sweeping import is_written, read_sweep

    output = Path(args.output).expanduser()
    if (output / RECORD).is_file():
        raise ConfigError(f"{output} is a merged model; a sweep writes several, so choose another output.")
    points = {
        output / f"w{weight:g}": interpolate_models(args.base, args.run_name, weight)
        for weight in read_sweep(args.sweep)
    }
    missing = {folder: mixture for folder, mixture in points.items() if not is_written(mixture, folder / "model")}
    for folder, mixture in missing.items():
        check_output(folder / "model", mixture.sources, args.overwrite)
    _check_evaluation(args, output)
    for folder, mixture in missing.items():
        _write(mixture, folder / "model", args.overwrite)
    if len(missing) < len(points):
        note(f"{len(points) - len(missing)} of {len(points)} models are there already.")
    return 0 if args.task is None else _draw_front(args, [*points])


def _check_evaluation(args: argparse.Namespace, output: Path) -> None:
    """Find what is wrong with an evaluation before models are written for it."""
    from rlkit.cli.eval import read_requests
    from rlkit.cli.options import read_choices, read_gate
    from rlkit.evaluation.planning import plan_evaluation
    from rlkit.weights import locate_source

    if args.task is None:
        if args.n is not None:
            raise ConfigError(f"--n was given as {args.n} without a --task to evaluate on; give both, or neither.")
        return
    if args.n is None:
        raise ConfigError("--task was given without --n, the samples a prompt; give both, such as --n 32.")
    read_choices(args)
    read_gate(args.gate)
    run = str(locate_source(args.run_name).folder)
    for request in read_requests(_as_eval(args, run, output / ".not-there", "run")):
        plan_evaluation(request)


def _draw_front(args: argparse.Namespace, folders: list[Path]) -> int:
    from rlkit.cli import eval as evaluating
    from rlkit.cli import report

    for folder in folders:
        evaluating.run(_as_eval(args, str(folder / "model"), folder / "eval", folder.name))
    page = Path(args.output).expanduser() / "report.html"
    return report.run(argparse.Namespace(**{**vars(args), "directories": folders, "output": page}))


def _as_eval(args: argparse.Namespace, model: str, output: Path, name: str) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), "model": model, "adapter": None, "output": str(output), "name": name})


def _write(mixture: Mixture, output: Path, overwrite: bool) -> None:
    from rlkit.terminal import StageProgress, note
    from rlkit.weights import write_merge

    with StageProgress() as show:

        def progress(done: int, total: int) -> None:
            if total >= _LARGE:
                show(f"{output}", done >> 20, total >> 20, "MiB")

        merged = write_merge(mixture, output, overwrite=overwrite, progress=progress)
    for sentence in merged.notes:
        note(sentence)
    what = "adapter" if mixture.is_of_adapters else "model"
    note(f"Wrote {merged.output}, {what} of {merged.num_bytes / 1e6:,.1f} MB made of {len(mixture.sources)}.")


def _read_weights(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise ConfigError(f"--weights was given as {text!r}; write numbers with commas, such as 1,1,2.") from None
