"""Makes .venv from a lock file, repairs one that was interrupted, and returns at once when nothing changed.

Started by scripts/setup and made of the standard library alone. Everything it writes is in .venv and .cache of this
repository, apart from pip's own cache and temporary folder. What it cannot do it says in one sentence and exits with 2.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RECORD = VENV / "rlkit-setup.json"
LOG = ROOT / ".cache" / "setup.log"
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = {"cpu": 6, "gpu": 18}
"""Room for the packages and for unpacking them; the CPU environment itself was measured at 4 GB."""

# Settings of a user's own pip or Python that would send packages elsewhere than into .venv.
UNWANTED = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIREMENT")


class SetupError(Exception):
    """Something the user has to mend; the message is the sentence to print."""


@dataclass(frozen=True)
class Plan:
    """What .venv should be. Two equal plans need no work."""

    device: str
    """`cpu` or `gpu`: which lock file."""
    python: str
    """Version of the interpreter that .venv is made with."""
    root: str
    """Where the repository lies: the scripts of a virtual environment hold its absolute path."""
    digest: str
    """Hash of the lock file and pyproject.toml."""

    def fits(self, other: Plan) -> bool:
        """Return whether an environment made for `other` can be turned into this one by installing into it."""
        return (self.device, self.python, self.root) == (other.device, other.python, other.root)


def main(argv: list[str] | None = None) -> int:
    """Do what is needed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/setup", description=__doc__)
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="lock file (default: look)")
    asked = parser.parse_args(argv).device
    try:
        check_machine()
        with one_at_a_time():
            set_up(asked)
    except SetupError as error:
        print(f"rlkit setup: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"rlkit setup: {error.strerror}: {error.filename or ROOT}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrlkit setup: interrupted; `make setup` goes on from here.", file=sys.stderr)
        return 130
    return 0


def check_machine() -> None:
    """Refuse what the lock files have no packages for."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SetupError(
            f"the lock files are for Linux on x86_64 and this is {platform.system()} on {platform.machine()}; elsewhere"
            " install the package itself with the extras that exist there: pip install -e '.[train,dev]'."
        )


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for a set-up of the same repository that is already running."""
    LOG.parent.mkdir(exist_ok=True)
    with (LOG.parent / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up of this repository is running; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(asked: str) -> None:
    """Make .venv what the lock file says, doing only what is missing."""
    done, finished = read_record()
    device, why = choose_device(asked, done.device if done else None)
    plan = Plan(device, platform.python_version(), str(ROOT), digest_of(device))
    if finished and plan == done and PYTHON.exists():
        print(f"Nothing to do: .venv is up to date ({device.upper()}, Python {plan.python}).")
        return
    print(f"Setting up .venv from requirements/{device}.lock with Python {plan.python}: {why}.")
    start = time.monotonic()
    prepare_venv(plan, done)
    write_record(plan, finished=False)
    install(device)
    check_result(device)
    write_record(plan, finished=True)
    print(f"Done in {time.monotonic() - start:.0f} s. Next: make demo, or .venv/bin/rlkit --help")


def choose_device(asked: str, before: str | None) -> tuple[str, str]:
    """Return the device to install for and the reason, a phrase for the user."""
    if asked != "auto":
        return asked, "asked for"
    if before is not None:
        return before, "as before; DEVICE=cpu or DEVICE=gpu changes it"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        seen = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
        if seen.startswith("GPU "):
            return "gpu", f"nvidia-smi lists {seen.splitlines()[0].partition(' (UUID')[0]}"
    return "cpu", "nvidia-smi lists no NVIDIA GPU"


def digest_of(device: str) -> str:
    """Return the hash of everything that decides what is installed."""
    inputs = [ROOT / "requirements" / f"{device}.lock", ROOT / "pyproject.toml"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs)).hexdigest()


def read_record() -> tuple[Plan | None, bool]:
    """Return the plan that .venv was last made for and whether that was finished; None when there is no such record."""
    try:
        record = json.loads(RECORD.read_text())
        return Plan(**record["plan"]), bool(record["finished"])
    except (OSError, ValueError, TypeError, KeyError):
        return None, False


def write_record(plan: Plan, *, finished: bool) -> None:
    """Replace the record in one step, so that an interruption leaves the old one or the new one."""
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(json.dumps({"plan": asdict(plan), "finished": finished}, indent=1))
    fresh.replace(RECORD)


def prepare_venv(plan: Plan, done: Plan | None) -> None:
    """Leave a .venv with a working pip: the one that is there, if it can become what is planned, or a new one."""
    if done is not None and plan.fits(done) and has_pip():
        forget_half_installed()
        return
    if VENV.exists() and done is None and has_pip(plan.python):
        return
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_GB[plan.device]:
        raise SetupError(f"{free_gb:.1f} GB are free under {ROOT} and {NEEDED_GB[plan.device]} GB are needed.")
    # The base interpreter: .venv/bin/python itself cannot rebuild the folder it runs from.
    base = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run([base, "-m", "venv", "--clear", VENV], env=clean_env(), capture_output=True, text=True)
    if made.returncode:
        raise SetupError(f"Python could not make {VENV}: {last_line(made.stdout + made.stderr)}")


def has_pip(version: str | None = None) -> bool:
    """Return whether .venv runs pip, and is of that Python version when one is given."""
    code = "import platform, pip; print(platform.python_version())"
    with contextlib.suppress(OSError):
        ran = subprocess.run([PYTHON, "-c", code], env=clean_env(), capture_output=True, text=True)
        return ran.returncode == 0 and version in (None, ran.stdout.strip())
    return False


def site_packages() -> Path:
    """Return the folder that packages of .venv live in."""
    return next((VENV / "lib").glob("python3.*")) / "site-packages"


def forget_half_installed() -> None:
    """Remove the metadata of packages whose installation was cut off, so that pip installs them again.

    pip writes RECORD last, and takes a package for installed as soon as its metadata is there.
    """
    for metadata in site_packages().glob("*.dist-info"):
        if not (metadata / "RECORD").exists():
            shutil.rmtree(metadata)


def install(device: str) -> None:
    """Install PyTorch, everything else in the lock file, and this project as an editable package."""
    lock = ROOT / "requirements" / f"{device}.lock"
    pins = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    torch_pin = next(pin for pin in pins if pin.startswith("torch=="))
    LOG.write_text("")
    # A `+cpu` build is found at once where pip is set up with one, and not found, at once too, on PyPI.
    if not pip_install([torch_pin], "PyTorch", 1):
        if device == "gpu" or "No matching distribution found" not in LOG.read_text() or is_offline():
            raise SetupError(explain_failure())
        LOG.write_text("")
        if not pip_install([torch_pin, "--index-url", PYTORCH_CPU_INDEX], "PyTorch's CPU build", 1):
            raise SetupError(f"{torch_pin} is neither where pip looks nor on {PYTORCH_CPU_INDEX}: {explain_failure()}")
    if not pip_install(["-r", str(lock)], "packages", len(pins)):
        raise SetupError(explain_failure())
    if not pip_install(["--no-build-isolation", "-e", str(ROOT)], "rlkit", len(pins) + 1):
        raise SetupError(explain_failure())


def pip_install(arguments: list[str], what: str, total: int) -> bool:
    """Run `pip install --no-deps` with these arguments, showing progress; returns whether it succeeded.

    Args:
        arguments: what to install and from where.
        what: how the progress line calls it.
        total: packages that .venv should hold afterwards.
    """
    pip = [str(PYTHON), "-m", "pip", "install", "--no-deps", "--no-input", "--progress-bar=off"]
    with LOG.open("a") as log:
        running = subprocess.Popen([*pip, *arguments], env=clean_env(), stdout=log, stderr=subprocess.STDOUT)
    try:
        watch(running, what, total)
    except KeyboardInterrupt:
        # The terminal has sent the interrupt to pip as well; it tidies up after itself.
        running.wait()
        raise
    return running.returncode == 0


def watch(running: subprocess.Popen[bytes], what: str, total: int) -> None:
    """Show what pip is at until it ends: one line that changes on a terminal, a line every 20 s elsewhere."""
    live, start, shown = sys.stdout.isatty(), time.monotonic(), 0.0
    while running.poll() is None:
        time.sleep(0.25)
        seconds = time.monotonic() - start
        if live or seconds - shown >= 20:
            shown = seconds
            line = f"  {what}: {progress(total)}, {seconds:.0f} s"
            print(f"\r\033[K{line}" if live else line, end="" if live else "\n", flush=True)
    if live:
        print("\r\033[K", end="")
    if running.returncode == 0:
        print(f"  {what}: installed in {time.monotonic() - start:.0f} s", flush=True)


def progress(total: int) -> str:
    """Return what pip's log says it is doing, as a phrase."""
    log = LOG.read_text(errors="replace")
    if "Installing collected packages" in log.rpartition("Collecting ")[2]:
        installed = sum(1 for _ in site_packages().glob("*.dist-info"))
        return f"installing, {min(installed, total)} of {total}"
    building = log.rpartition("Building wheel for ")[2].split(" ")[0] if "Building wheel for " in log else None
    if building:
        return f"building {building}"
    fetched = log.count("\nCollecting ") + log.count("Requirement already satisfied")
    return f"fetching, {min(fetched, total)} of {total}"


def is_offline() -> bool:
    """Return whether pip's log shows that it reached no index at all."""
    log = LOG.read_text(errors="replace")
    signs = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "Network is unreachable", "ProxyError")
    return any(sign in log for sign in signs)


def explain_failure() -> str:
    """Turn pip's log into one sentence: the reasons that can be told apart, or pip's own last words."""
    log = LOG.read_text(errors="replace")
    if "No space left on device" in log:
        return f"the disk is full; free some space under {ROOT} or point TMPDIR elsewhere, then run `make setup` again."
    if is_offline():
        return (
            "no package index can be reached; connect, or tell pip of the proxy or mirror, then run `make setup` again."
        )
    errors = [line for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else last_line(log)
    return f"pip stopped: {reason.rstrip('.')} (all of its output: {LOG})."


def check_result(device: str) -> None:
    """Make sure that the environment imports, and that a GPU installation sees the GPU."""
    code = "import rlkit, torch; print(int(torch.cuda.is_available()))"
    ran = subprocess.run([PYTHON, "-c", code], cwd=VENV, env=clean_env(), capture_output=True, text=True)
    if ran.returncode:
        raise SetupError(f"everything is installed but does not import: {last_line(ran.stderr)}")
    if device == "gpu" and ran.stdout.strip() != "1":
        raise SetupError("PyTorch sees no GPU, perhaps for an old driver; update it, or write `make setup DEVICE=cpu`.")


def clean_env() -> dict[str, str]:
    """Return the environment without the settings that would send packages elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in UNWANTED}


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")


if __name__ == "__main__":
    sys.exit(main())
