"""Makes .venv from a lock file with uv, and returns at once when nothing changed.

Started by scripts/setup and made of the standard library alone. It writes into .venv and .cache of this repository and
into uv's and pip's own caches. What it cannot do it says in one sentence and exits with 2.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RECORD = VENV / "rlkit-setup.json"
CACHE = ROOT / ".cache"
NEEDED_GB = {"cpu": 6, "gpu": 18}
"""Room for the packages and for unpacking them; the CPU environment itself was measured at 4 GB."""

# Settings of a user's own pip or Python that would send packages elsewhere than into the environment, or slow it down.
UNWANTED = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}
UNWANTED |= {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIREMENT"}

# uv reads none of pip's settings, and mirrors, proxies and folders of wheels are told to pip.
UV_NAMES = {
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "no-index": "UV_OFFLINE",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
}

# How pip and uv say that they reached no index.
UNREACHABLE = ["NewConnectionError", "NameResolutionError", "TimeoutError", "ProxyError", "client error (Connect)"]


class SetupError(Exception):
    """Something the user has to mend; the message is the sentence to print."""


def main() -> int:
    """Do what is needed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/setup", description=__doc__)
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="lock file (default: look)")
    try:
        with one_at_a_time():
            set_up(parser.parse_args().device)
    except (SetupError, OSError) as error:
        said = f"{error.strerror}: {error.filename or ROOT}." if isinstance(error, OSError) else error
        print(f"rlkit setup: {said}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrlkit setup: interrupted; `make setup` begins anew with what is already fetched.", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for a set-up of the same repository that is already running."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up of this repository is running; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(asked: str) -> None:
    """Make .venv what the lock file says, doing only what is missing."""
    done = read_record()
    device, why = choose_device(asked, done.get("device"))
    # A virtual environment's scripts hold its absolute path, so one of a repository that was moved does not fit.
    kind = {"device": device, "python": "{}.{}".format(*sys.version_info), "root": str(ROOT)}
    plan = kind | {"digest": digest_of(device)}
    if done == plan and PYTHON.exists():
        print(f"Nothing to do: .venv is up to date ({device.upper()}, Python {plan['python']}).")
        return
    print(f"Setting up .venv from requirements/{device}.lock with Python {plan['python']}: {why}.", flush=True)
    start = time.monotonic()
    if not (done.items() >= kind.items() and PYTHON.exists()):
        make_venv(device, is_ours=bool(done))
    # Until the end it is known as ours and as unfinished, which is made anew: uv has kept what it had fetched.
    write_record({"unfinished": "yes"})
    install(device)
    check_result(device)
    write_record(plan)
    print(f"Done in {time.monotonic() - start:.0f} s. Next: make demo, or .venv/bin/rlkit --help")


def choose_device(asked: str, before: str | None) -> tuple[str, str]:
    """Return the device to install for and the reason, a phrase for the user."""
    if asked != "auto":
        return asked, "asked for"
    if before is not None:
        return before, "as before; DEVICE=cpu or DEVICE=gpu changes it"
    gpu = first_gpu()
    return ("gpu", f"nvidia-smi lists {gpu}") if gpu else ("cpu", "nvidia-smi lists no NVIDIA GPU")


def first_gpu() -> str | None:
    """Return the first NVIDIA GPU that a working driver lists, such as `GPU 0: NVIDIA H200`."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        seen = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
        if seen.startswith("GPU "):
            return seen.splitlines()[0].partition(" (UUID")[0]
    return None


def digest_of(device: str) -> str:
    """Return the hash of everything that decides what is installed."""
    inputs = [ROOT / "requirements" / f"{device}.lock", ROOT / "pyproject.toml"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs)).hexdigest()


def read_record() -> dict[str, str]:
    """Return what .venv was last made for; empty when we did not make it."""
    try:
        return dict(json.loads(RECORD.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def write_record(record: dict[str, str]) -> None:
    """Replace the record in one step, so that an interruption leaves the old one or the new one."""
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(json.dumps(record, indent=1))
    fresh.replace(RECORD)


def make_venv(device: str, *, is_ours: bool) -> None:
    """Make .venv anew, unless that would delete somebody else's or the machine cannot hold it."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SetupError(
            f"the lock files are for Linux on x86_64 and this is {platform.system()} on {platform.machine()}; elsewhere"
            " install the package itself with the extras that exist there: pip install -e '.[train,dev]'."
        )
    bare = {"pip", "setuptools"}
    packages = {path.name.split("-")[0] for path in VENV.glob("lib/python3.*/site-packages/*.dist-info")}
    if VENV.is_symlink() or not (is_ours or packages <= bare):
        raise SetupError(f"{VENV} was made by something else and does not fit; move it away or delete it.")
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_GB[device]:
        raise SetupError(f"{free_gb:.1f} GB are free under {ROOT} and {NEEDED_GB[device]} GB are needed.")
    # The base interpreter: .venv/bin/python itself cannot rebuild the folder it runs from.
    base = getattr(sys, "_base_executable", sys.executable)
    run([base, "-m", "venv", "--clear", VENV], clean_env(), what="Python could not make .venv")


def install(device: str) -> None:
    """Install uv itself, everything in the lock file, and this project as an editable package."""
    lock = ROOT / "requirements" / f"{device}.lock"
    pins = lock.read_text().splitlines()
    env = clean_env()
    uv_pin = next(pin for pin in pins if pin.startswith("uv=="))
    pip = [PYTHON, "-m", "pip"]
    quiet = ["--quiet", "--no-input", "--no-deps", "--no-compile", "--progress-bar=off", "--retries=3"]
    run([*pip, "install", *quiet, uv_pin], env, what=f"pip could not install {uv_pin}")
    env = pip_settings_for_uv(run([*pip, "config", "list"], env, what="pip could not read its settings")) | env
    uv = [VENV / "bin" / "uv", "pip", "install", "--no-deps", "--python", PYTHON]
    try:
        run([*uv, "-r", lock], env, what="uv could not install the packages")
    except SetupError as error:
        # PyPI has no `+cpu` build: it is in a folder or mirror that pip is told of, or on PyTorch's own index.
        if not re.search(r"torch==\S+\+cpu.*unsatisfiable", str(error)):
            raise
        what = "PyTorch's CPU build is not where pip looks, and with PyTorch's own index uv failed too"
        run([*uv, "--torch-backend", "cpu", "-r", lock], env, what=what)
    run([*uv, "--no-build-isolation", "-e", ROOT], env, what="uv could not install rlkit")


def clean_env() -> dict[str, str]:
    """Return the environment without the settings that would send packages elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in UNWANTED}


def pip_settings_for_uv(config: str) -> dict[str, str]:
    """Return what `pip config list` says as the variables that uv reads; variables come first there, as they count."""
    env = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does: the pinned version, from whichever index has it
    for line in config.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in UV_NAMES:
            words = str(ast.literal_eval(value)).split()
            env.setdefault(UV_NAMES[name], ("," if name == "find-links" else " ").join(words))
    return env


def run(command: Sequence[object], env: dict[str, str], *, what: str) -> str:
    """Run a command, show its lines as progress and return them; a failure is one sentence that begins with `what`."""
    live, shown, lines = sys.stdout.isatty(), time.monotonic(), []
    with subprocess.Popen(
        [*map(str, command)], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        assert running.stdout is not None
        for line in map(str.strip, running.stdout):
            lines.append(line)
            # One line that changes on a terminal, a line every five seconds elsewhere.
            if live or time.monotonic() - shown >= 5:
                shown = time.monotonic()
                print(f"\r\033[K  {line[:100]}" if live else f"  {line}", end="" if live else "\n", flush=True)
    if live:
        print("\r\033[K", end="", flush=True)
    if running.returncode:
        raise SetupError(f"{what}: {explain(lines)}")
    return "\n".join(lines)


def explain(lines: list[str]) -> str:
    """Return why a command failed: a reason that can be told apart, or its own last words."""
    text = " ".join(lines)
    if "No space left on device" in text:
        return f"the disk is full; free some space for {VENV} or point TMPDIR elsewhere, then `make setup` again."
    if any(sign in text for sign in UNREACHABLE):
        return "no package index can be reached; connect, or tell pip of the proxy or mirror, then `make setup` again."
    first = next((i for i, line in enumerate(lines) if line.lower().startswith(("error", "×"))), -1)
    return " ".join(lines[first:]).rstrip(".") + "." if lines else "no reason given."


def check_result(device: str) -> None:
    """Make sure that the environment imports, and that it sees the GPU it is for, where there is one."""
    code = "import rlkit, torch; print('PyTorch sees', torch.cuda.device_count(), 'GPUs')"
    seen = run([PYTHON, "-I", "-c", code], clean_env(), what="everything is installed but does not import")
    # An image is built where no GPU is visible; that is no failure.
    if device == "gpu" and "sees 0 GPUs" in seen and first_gpu():
        raise SetupError("PyTorch sees no GPU, perhaps for an old driver; update it, or write `make setup DEVICE=cpu`.")


if __name__ == "__main__":
    sys.exit(main())
