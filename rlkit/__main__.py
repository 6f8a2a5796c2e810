"""`python -m rlkit ...`, and `accelerate launch ... -m rlkit ...`: the same as the `rlkit` command."""

import sys

from rlkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
