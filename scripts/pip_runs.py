"""Runs pip for scripts/install.py: shows how far it is and turns its failures into one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Settings of a user's own pip or Python that would send packages elsewhere than into the environment.
UNWANTED = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIREMENT")

# pip compiles modules one after the other; `compile_packages` does it on every core.
OPTIONS = ("--no-deps", "--no-compile", "--no-input", "--progress-bar=off", "--retries=3")

UNREACHABLE = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "Network is unreachable",
    "ProxyError",
)


def clean_env() -> dict[str, str]:
    """Return the environment without the settings that would send packages elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in UNWANTED}


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")


@dataclass(frozen=True)
class Pip:
    """The pip of one virtual environment."""

    venv: Path
    log: Path
    """Receives pip's whole output."""

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.venv / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """The folder that its packages live in."""
        return next((self.venv / "lib").glob("python3.*")) / "site-packages"

    def install(self, *arguments: str, what: str, total: int) -> bool:
        """Install without dependencies, showing progress; returns whether it succeeded.

        Args:
            arguments: what to install and from where.
            what: how the progress line calls it.
            total: packages that the environment should hold afterwards.
        """
        start = time.monotonic()
        with self.log.open("w") as log:
            command = [str(self.python), "-m", "pip", "install", *OPTIONS, *arguments]
            running = subprocess.Popen(command, env=clean_env(), stdout=log, stderr=subprocess.STDOUT)
        try:
            self._watch(running, what, total)
        except KeyboardInterrupt:
            # The terminal has sent the interrupt to pip as well; it tidies up after itself.
            running.wait()
            raise
        if running.returncode == 0:
            print(f"  {what}: installed in {time.monotonic() - start:.0f} s", flush=True)
        return running.returncode == 0

    def compile_packages(self) -> None:
        """Compile the modules that have no bytecode yet, so that no process has to when it imports them."""
        start = time.monotonic()
        print("  bytecode: compiling, about half a minute", end="\r" if sys.stdout.isatty() else "\n", flush=True)
        # Packages bring modules in the syntax of other Pythons; those fail here and are never imported.
        options = ["-q", "-q", "-j", "0", "-x", "/tests?/"]
        command = [str(self.python), "-m", "compileall", *options, "."]
        subprocess.run(command, cwd=self.site_packages, env=clean_env(), capture_output=True)
        print(f"  bytecode: compiled in {time.monotonic() - start:.0f} s" + " " * 20, flush=True)

    def _watch(self, running: subprocess.Popen[bytes], what: str, total: int) -> None:
        """Show what pip is at until it ends: one line that changes on a terminal, a line every 20 s elsewhere."""
        live, start, shown = sys.stdout.isatty(), time.monotonic(), 0.0
        while running.poll() is None:
            time.sleep(0.25)
            seconds = time.monotonic() - start
            if live or seconds - shown >= 20:
                shown = seconds
                line = f"  {what}: {self._progress(total)}, {seconds:.0f} s"
                print(f"\r\033[K{line}" if live else line, end="" if live else "\n", flush=True)
        if live:
            print("\r\033[K", end="", flush=True)

    def _progress(self, total: int) -> str:
        text = self.read_log()
        if "\nInstalling collected packages" in text:
            installed = sum(1 for _ in self.site_packages.glob("*.dist-info"))
            return f"installing, {min(installed, total)} of {total}"
        if "\n  Building wheel for " in text:
            return f"building {text.rpartition('Building wheel for ')[2].split(' ')[0]}"
        fetched = f"\n{text}".count("\nCollecting ") + f"\n{text}".count("\nRequirement already satisfied")
        return f"fetching, {min(fetched, total)} of {total}"

    def read_log(self) -> str:
        """Return the output of the last installation."""
        return self.log.read_text(errors="replace")

    def found_nothing(self) -> bool:
        """Return whether the last installation reached its indexes and none of them has what was asked for."""
        return "No matching distribution found" in self.read_log() and not self.was_offline()

    def was_offline(self) -> bool:
        """Return whether the last installation could not reach an index."""
        text = self.read_log()
        return any(sign in text for sign in UNREACHABLE)

    def explain_failure(self) -> str:
        """Return one sentence about the last installation: a reason that can be told apart, or pip's own last words."""
        text = self.read_log()
        if "No space left on device" in text:
            return (
                f"the disk is full; free some space for {self.venv} or point TMPDIR elsewhere, then `make setup` again."
            )
        if self.was_offline():
            return (
                "no package index can be reached; connect, or tell pip of the proxy or mirror, then `make setup` again."
            )
        errors = [line for line in text.splitlines() if line.startswith("ERROR: ")]
        reason = errors[-1].removeprefix("ERROR: ") if errors else last_line(text)
        return f"pip stopped: {reason.rstrip('.')} (all of its output: {self.log})."
