"""Write what the base of the second task is made from: walks on grids, and a model that has learnt nothing yet.

    python benchmarks/paths/write_base.py --output runs/paths/base
    rlkit sft benchmarks/paths/base_sft.yaml

DIR/corpus.jsonl holds prompts of `ShortestPaths` with one walk each, which takes at every cell one of the moves that
bring the goal nearer, each alike; `--wrong` of the walks are shown under another goal. No prompt of a held-out split is
among them. DIR/untrained is a freshly initialised Llama with a token a word.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HOME / "benchmarks"), str(HOME / "scripts")]

from base_model.corpus import Problems  # noqa: E402
from base_model.recipe import BaseModelRecipe, CorpusSize, ModelShape  # noqa: E402
from base_model.tokenizer import build_tokenizer  # noqa: E402
from paths.shortest_paths import (  # noqa: E402
    MOVES,
    ShortestPaths,
    find_cells,
    measure_ways,
    name_cell,
    step_nearer,
    write_prompt,
)
from write_base_corpus import build_model  # noqa: E402

SHAPE = ModelShape(hidden_size=128, intermediate_size=344, num_layers=4, num_heads=4, max_length=64)


def main(words: Sequence[str] | None = None) -> int:
    """Write corpus and model; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="directory that receives corpus and model")
    parser.add_argument("--rows", type=int, default=153_600, help="walks (%(default)s)")
    parser.add_argument("--wrong", type=float, default=0.03, help="share of them under a wrong goal (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of walks and weights (%(default)s)")
    args = parser.parse_args(words)
    task = ShortestPaths()
    args.output.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(list_words(task.side), SHAPE.max_length)
    size = CorpusSize(num_rows=args.rows, wrong_target_share=args.wrong, seed=args.seed)
    build_model(BaseModelRecipe(Problems(), SHAPE, size), tokenizer).save_pretrained(args.output / "untrained")
    tokenizer.save_pretrained(args.output / "untrained")
    held_out = {row["prompt"] for split in ("validation", "test") for row in task.load(split)}
    walks = draw_walks(task, args.wrong, random.Random(args.seed), held_out)
    with (args.output / "corpus.jsonl").open("w") as file:
        for _ in range(args.rows):
            file.write(json.dumps(next(walks)) + "\n")
    print(f"Wrote {args.rows:,} rows and an untrained model to {args.output}.")
    return 0


def list_words(side: int) -> list[str]:
    """Return the vocabulary; a token's id is its place."""
    cells = [name_cell((row, column)) for row in range(side) for column in range(side)]
    return ["<pad>", "<bos>", "<eos>", "<unk>", "from", "to", "around", *MOVES, *cells]


def draw_walks(task: ShortestPaths, wrong: float, generator: random.Random, held_out: set[str]) -> Iterator[dict]:
    """Yield rows of prompt and completion for ever, of grids with as many solutions as the task asks for."""
    while True:
        grid = draw_grid(task, generator)
        ways = measure_ways(grid)
        (cell,), (goal,) = find_cells(grid, "*"), find_cells(grid, "#")
        if not task.min_solutions <= ways.get(cell, (0, 0))[1] <= task.max_solutions:
            continue
        moves = []
        while cell != goal:
            move, cell = generator.choice(step_nearer(cell, grid, ways))
            moves.append(move)
        if generator.random() < wrong:
            row, column = generator.choice(find_cells(grid, "O"))
            grid[goal[0]][goal[1]], grid[row][column] = "O", "#"
        prompt = write_prompt(grid)
        if prompt not in held_out:
            yield {"prompt": prompt, "completion": " ".join(moves)}


def draw_grid(task: ShortestPaths, generator: random.Random) -> list[list[str]]:
    """Return a random grid, drawn as reasoning-gym draws them."""
    cells = [(row, column) for row in range(task.side) for column in range(task.side)]
    grid = [["X" if generator.random() < task.p_blocked else "O" for _ in range(task.side)] for _ in range(task.side)]
    for (row, column), what in zip(generator.sample(cells, 2), "*#", strict=True):
        grid[row][column] = what
    return grid


if __name__ == "__main__":
    sys.exit(main())
