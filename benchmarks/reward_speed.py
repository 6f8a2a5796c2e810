"""Time the shipped reward math_verify against TRL's accuracy_reward on the same completions; compare their verdicts.

    OMP_NUM_THREADS=1 python benchmarks/reward_speed.py --json runs/reward_speed.json

A batch is as training makes it: groups of completions of one problem, with a few distinct answers a group. Both get the
same chats and the same solutions, batch by batch, alternating who goes first, and never the same problem twice, so that
what math_verify remembers of one batch helps it in no other. Both import what they need, and start their processes, on
a batch that does not count. TRL's reward runs on the main thread, with its timers, as it does in its trainer.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

from rlkit.rewards import resolve_reward

_SENTENCES = (
    "We first rewrite the equation so that the unknown stands alone.",
    "Multiplying both sides by {a} gives {b} on the right.",
    "Let $x_{{{a}}} = \\frac{{{a}}}{{{b}}}$, which simplifies to ${a} + {b}$.",
    "Check: {a} times {b} is {c}, so this case is impossible.",
    "Hence the sum of the first {a} terms is \\( {b}n^2 - {c} \\).",
)


def main(argv: list[str] | None = None) -> int:
    """Print a line a setting."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="example: OMP_NUM_THREADS=1 python benchmarks/reward_speed.py",
    )
    parser.add_argument("--groups", type=int, default=8, help="problems a batch (default: %(default)s)")
    parser.add_argument("--generations", type=int, default=16, help="completions a problem (default: %(default)s)")
    parser.add_argument("--distinct", type=int, default=4, help="distinct answers a problem (default: %(default)s)")
    parser.add_argument("--batches", type=int, default=6, help="batches of each length (default: %(default)s)")
    parser.add_argument("--characters", type=int, nargs="+", default=[300, 6000], help="lengths of completions")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    args = parser.parse_args(argv)
    for name in ("groups", "generations", "distinct", "batches"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} was given as {getattr(args, name)}; write a number of at least 1.")
    found = [measure(args, characters) for characters in args.characters]
    print("characters  TRL, completions/s  rlkit, completions/s  ratio (lowest to highest)  same verdict")
    for row in found:
        print(
            f"{row['characters']:10}  {row['trl_per_s']:18.0f}  {row['rlkit_per_s']:20.0f}  "
            f"{row['ratio']:5.2f} ({row['ratios'][0]:.2f} to {row['ratios'][-1]:.2f})          "
            f"{row['num_same']} of {row['num_completions']}"
        )
        for pair in row["differences"][:5]:
            print(f"    {pair}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"settings": vars(args) | {"json": str(args.json)}, "rows": found}, indent=1))
    return 0


def measure(args: argparse.Namespace, characters: int) -> dict[str, Any]:
    """Return speed and verdicts for completions of one length."""
    from trl.rewards import accuracy_reward

    ours, theirs = resolve_reward("math_verify"), accuracy_reward
    batches = [draw_batch(args, characters, seed) for seed in range(args.batches + 1)]
    seconds: dict[str, list[float]] = {"trl": [], "rlkit": []}
    num_same, differences = 0, []
    for number, (chats, solutions) in enumerate(batches):
        rewards = {}
        calls = [("trl", theirs), ("rlkit", ours)]
        for name, function in calls if number % 2 else reversed(calls):
            started = time.perf_counter()
            rewards[name] = function(completions=chats, prompts=["p"] * len(chats), solution=solutions)
            seconds[name].append(time.perf_counter() - started)
        if number:
            pairs = zip(rewards["trl"], rewards["rlkit"], chats, solutions, strict=True)
            unlike = [(one, other, chat[0]["content"][-60:], gold) for one, other, chat, gold in pairs if one != other]
            num_same += len(chats) - len(unlike)
            differences += [f"TRL {one}, rlkit {other}: {text!r} for {gold!r}" for one, other, text, gold in unlike]
    ratios = sorted(trl / own for trl, own in zip(seconds["trl"][1:], seconds["rlkit"][1:], strict=True))
    size = args.groups * args.generations
    return {
        "characters": characters,
        "num_completions": size * args.batches,
        "trl_per_s": size / statistics.median(seconds["trl"][1:]),
        "rlkit_per_s": size / statistics.median(seconds["rlkit"][1:]),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "num_same": num_same,
        "differences": sorted({*differences}),
    }


def draw_batch(args: argparse.Namespace, characters: int, seed: int) -> tuple[list[list[dict[str, str]]], list[str]]:
    """Return chats and solutions, both of groups * generations rows; the right answer is one of the distinct ones."""
    rng = random.Random(f"{seed}/{characters}")
    chats, solutions = [], []
    for _ in range(args.groups):
        gold, spellings = _draw_problem(rng)
        answers = spellings[: args.distinct]
        for _ in range(args.generations):
            # The first answers are the frequent ones, as in groups that policies draw.
            answer = answers[min(int(rng.expovariate(0.8)), len(answers) - 1)]
            chats.append([{"role": "assistant", "content": f"{_reason(rng, characters)} \\boxed{{{answer}}}."}])
            solutions.append(f"${gold}$")
    return chats, solutions


def _draw_problem(rng: random.Random) -> tuple[str, list[str]]:
    """Return a gold answer and ways in which completions answer: some of them right, others not."""
    a, b = rng.randint(2, 9999), rng.randint(2, 99)
    kind = rng.choice(("integer", "ratio", "root", "polynomial", "set"))
    if kind == "integer":
        return str(a), [str(a), str(a + 1), f"{a}.0", str(2 * a), str(a - 3)]
    if kind == "ratio":
        return f"\\frac{{{a}}}{{{b}}}", [
            f"\\frac{{{a}}}{{{b}}}",
            f"\\frac{{{2 * a}}}{{{2 * b}}}",
            f"\\frac{{{a + 1}}}{{{b}}}",
            f"{a}/{b}",
            str(a),
        ]
    if kind == "root":
        return f"{b}\\sqrt{{{a}}}", [f"{b}\\sqrt{{{a}}}", f"\\sqrt{{{a * b * b}}}", f"\\sqrt{{{a}}}", str(b), f"{b}{a}"]
    if kind == "polynomial":
        right = f"x^2+{a}x+{b}"
        return right, [right, f"{b}+x(x+{a})", f"x^2-{a}x+{b}", f"(x+{b})^2", f"x^2+{b}x+{a}"]
    return f"\\{{{b}, {a}\\}}", [f"\\{{{b}, {a}\\}}", f"\\{{{a},{b}\\}}", str(a), f"({a},{b})", f"\\{{{a}\\}}"]


def _reason(rng: random.Random, characters: int) -> str:
    parts: list[str] = []
    while sum(map(len, parts)) < characters:
        a, b = rng.randint(2, 99), rng.randint(2, 99)
        parts.append(rng.choice(_SENTENCES).format(a=a, b=b, c=a * b))
    return " ".join(parts)[:characters] + " So the answer is"


if __name__ == "__main__":
    raise SystemExit(main())
