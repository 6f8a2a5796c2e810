"""Write the card of a base model from what its run and its evaluation measured.

python scripts/write_base_card.py recipes/base_model/countdown-tiny.yaml runs/base/countdown-tiny/run
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from base_model.quality import write_card
from base_model.recipe import load_recipe
from rlkit.errors import RlkitError


def main(argv: list[str] | None = None) -> int:
    """Write RUN/model/README.md and print its table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="the YAML file that the corpus was written from")
    parser.add_argument("run", type=Path, help="the finished run of rlkit sft, with its evaluation in eval/")
    args = parser.parse_args(argv)
    try:
        print(write_card(load_recipe(args.recipe), args.recipe, args.run))
    except RlkitError as error:
        print(f"write_base_card: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
