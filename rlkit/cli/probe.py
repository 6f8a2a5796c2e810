"""`rlkit probe`: what log-probs, states and weights of a checkpoint tell, from the samples of its evaluation."""

from __future__ import annotations

import argparse
from typing import Any

_DESCRIPTION = """\
Read stored samples of an evaluation through its model again and write DIR/probe.json: token entropy, branching
factor and its curve, mass of the ten likeliest tokens, RankMe of the prompts' states; with --base also the exact KL
divergence both ways, and how many weights the training changed, by how much and in how many directions.

A run directory stands for the evaluation in its eval/ folder. A base that is an evaluation brings model and samples.

  rlkit probe runs/grpo --base runs/base
  rlkit probe runs/qwen --base Qwen/Qwen3-0.6B-Base --limit 64 --samples-per-prompt 4
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `probe` to the commands."""
    parser = subparsers.add_parser(
        "probe",
        help="entropy, branching, KL from a base and change of weights of a checkpoint",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", help="what rlkit eval has written")
    parser.add_argument("--base", metavar="MODEL_OR_DIR", help="a model or an evaluation to compare with")
    parser.add_argument("--model", help="where the evaluated model lies now (default: where the evaluation says)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N prompts (default: all)")
    parser.add_argument(
        "--samples-per-prompt", type=int, default=8, metavar="K", help="only the first K samples (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-tokens", type=int, metavar="N", help="tokens read at once (default: what memory holds)"
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the GPU when there is one)")
    parser.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="auto is float32 on a CPU and the checkpoint's own on a GPU (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `rlkit probe`."""
    from rlkit.evaluation.directory import find_evaluation
    from rlkit.evaluation.probing import probe
    from rlkit.terminal import note, say

    found = probe(
        args.directory,
        base=args.base,
        model=args.model,
        limit=args.limit,
        samples_per_prompt=args.samples_per_prompt,
        batch_tokens=args.batch_tokens,
        device=args.device,
        dtype=args.dtype,
    )
    say(summarise(found))
    for sentence in notes_of(found):
        note(sentence)
    note(f"Wrote {find_evaluation(args.directory)}/probe.json")
    return 0


def summarise(found: dict[str, Any]) -> str:
    """Return the headline numbers as lines of text, each with its interval over prompts where it has one."""
    lines = {
        "token entropy, nats": _cell(found["token_entropy"]),
        "tokens above 1 nat": _cell(found["token_entropy"]["forking_share"]),
        "branching factor": _cell(found["branching_factor"]),
        "top-10 mass": _cell(found["top_k"]["mass"]),
    }
    for name, words in (("kl_from_base", "KL(model || base)"), ("kl_to_base", "KL(base || model)")):
        if found[name]:
            lines[f"{words}, nats a token"] = _cell(found[name]["per_token"], ".4g")
            lines[f"{words}, nats a completion"] = _cell(found[name]["per_sequence"], ".4g")
    if update := found["update"]:
        lines["weights bit-identical"] = f"{update['sparsity']['0']:.2%}"
        lines["weights within 1e-5"] = f"{update['sparsity']['1e-05']:.2%}"
        lines["relative change of weights"] = _number(update["relative_change"], ".3g")
    if rank := found["rank"]:
        base = f" (base {_number(rank['base']['rank_me'])})" if rank["base"] else ""
        lines["RankMe of prompts' states"] = _number(rank["model"]["rank_me"]) + base
    width = max(map(len, lines))
    settings = found["settings"]
    head = f"{found['name']}: {settings['num_prompts']} prompts, {found['re_encoding']['num_used']} samples"
    return "\n".join(
        [f"{head}, mean [95 % interval over prompts]", *(f"  {k:<{width}}  {v}" for k, v in lines.items())]
    )


def notes_of(found: dict[str, Any]) -> list[str]:
    """Return what a reader of the numbers must know, as sentences."""
    encoding = found["re_encoding"]
    left_out = encoding["num_samples"] - encoding["num_used"]
    notes = []
    if left_out:
        notes.append(
            f"{left_out} of {encoding['num_samples']} samples are left out: their text does not encode to the tokens "
            "that were drawn."
        )
    if found["base"]:
        notes.extend(f"{part} is left out: {reason}" for part, reason in found["reasons"].items())
    notes.extend(found[part]["caution"] for part in ("update", "rank") if found[part] and found[part]["caution"])
    return notes


def _cell(cell: dict[str, Any], form: str = ".3f") -> str:
    if cell["value"] is None:
        return f"undefined (0 of {cell['num_total']} prompts)"
    interval = "no interval" if cell["low"] is None else f"{cell['low']:{form}}, {cell['high']:{form}}"
    defined = (
        "" if cell["num_defined"] == cell["num_total"] else f"  ({cell['num_defined']} of {cell['num_total']} prompts)"
    )
    return f"{cell['value']:{form}} [{interval}]{defined}"


def _number(value: float | None, form: str = ".1f") -> str:
    return "undefined" if value is None else f"{value:{form}}"
