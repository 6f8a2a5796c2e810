"""Hold partitions against the exact one on whole groups of Countdown completions, after closure.

    python scripts/measure_partitions.py pair_classifier '{name: pair_classifier, threshold: 0.9}' equation_set

Groups are the first G samples of the bundled model, for each test problem, whose arithmetic can be read. A line says
in how many groups all classes are exactly right, the mean number of classes beside the true one, and in how many groups
something different was merged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from make_countdown_pairs import draw_samples
from rlkit.diversity import Partition, resolve_partition
from rlkit.errors import RlkitError
from rlkit.recipe.yaml_text import parse_yaml
from rlkit.tasks.countdown import Countdown


def main(words: Sequence[str] | None = None) -> int:
    """Print one line a partition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("partitions", nargs="+", metavar="PARTITION", help="a name, or {name: ..., param: ...}")
    parser.add_argument("--group-size", type=int, default=8, metavar="G")
    parser.add_argument("--model", default="countdown-tiny", help="whose samples are grouped (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args(words)
    try:
        partitions = {text: resolve_partition(parse_yaml(text, "PARTITION")) for text in args.partitions}
        # Twice as many, as some cannot be read.
        samples = draw_samples(args.model, Countdown().load("test"), 2 * args.group_size, args.seed)
    except RlkitError as error:
        print(error, file=sys.stderr)
        return 2
    groups = [texts[: args.group_size] for texts in samples.values() if len(texts) >= args.group_size]
    print(f"{len(groups)} groups of {args.group_size}")
    for text, partition in partitions.items():
        exact, classes, true_classes, merged = measure(partition, groups)
        print(
            f"{text}: {exact:.3f} of the groups exact, {classes:.2f} classes (true {true_classes:.2f}), "
            f"{merged:.3f} with a false merge"
        )
    return 0


def measure(partition: Partition, groups: Sequence[list[str]]) -> np.ndarray:
    """Return share of groups with all classes right, mean classes, mean true classes, share with a false merge."""
    truth = resolve_partition("canonical_expression")
    rows = []
    for texts in groups:
        labels_G, true_G = (each.labels(each.features(texts)) for each in (partition, truth))
        is_merged = (labels_G[:, None] == labels_G) & (true_G[:, None] != true_G)
        rows.append([np.array_equal(labels_G, true_G), labels_G.max() + 1, true_G.max() + 1, is_merged.any()])
    return np.array(rows, dtype=np.float64).mean(axis=0)


if __name__ == "__main__":
    sys.exit(main())
