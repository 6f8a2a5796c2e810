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
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pip_runs import Pip, clean_env, last_line

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
RECORD = VENV / "rlkit-setup.json"
CACHE = ROOT / ".cache"
PIP = Pip(VENV, log=CACHE / "setup.log")
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = {"cpu": 6, "gpu": 18}
"""Room for the packages and for unpacking them; the CPU environment itself was measured at 4 GB."""


class SetupError(Exception):
    """Something the user has to mend; the message is the sentence to print."""


@dataclass(frozen=True)
class Plan:
    """What .venv should be. Two equal plans need no work."""

    device: str
    """`cpu` or `gpu`: which lock file."""
    python: str
    """Minor version of the interpreter that .venv is made with, such as `3.11`."""
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
    done, finished = read_record()
    device, why = choose_device(asked, done.device if done else None)
    plan = Plan(device, "{}.{}".format(*sys.version_info), str(ROOT), digest_of(device))
    if finished and plan == done and PIP.python.exists():
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
    fits = plan.fits(done) if done else plan.python == venv_python()
    if fits and venv_python():
        forget_half_installed()
        return
    if done is None and has_foreign_packages():
        raise SetupError(f"{VENV} was made by something else and does not fit; move it away or delete it.")
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_GB[plan.device]:
        raise SetupError(f"{free_gb:.1f} GB are free under {ROOT} and {NEEDED_GB[plan.device]} GB are needed.")
    if done is not None:
        print(f"  .venv is made anew: it was for {done.device.upper()} and Python {done.python} in {done.root}.")
    # The base interpreter: .venv/bin/python itself cannot rebuild the folder it runs from.
    base = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run([base, "-m", "venv", "--clear", VENV], env=clean_env(), capture_output=True, text=True)
    if made.returncode:
        raise SetupError(f"Python could not make {VENV}: {last_line(made.stdout + made.stderr)}")


def venv_python() -> str | None:
    """Return which Python .venv runs, such as `3.11`; None when it is missing or its pip does not work."""
    code = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        ran = subprocess.run([PIP.python, "-c", code], env=clean_env(), capture_output=True, text=True)
        return ran.stdout.strip() or None
    return None


def has_foreign_packages() -> bool:
    """Return whether .venv holds more than Python's venv module puts there."""
    own = {"pip", "setuptools"}
    return any(path.name.split("-")[0] not in own for path in VENV.glob("lib/python3.*/site-packages/*.dist-info"))


def forget_half_installed() -> None:
    """Remove the metadata of packages whose installation was cut off, so that pip installs them again.

    pip writes RECORD last, and takes a package for installed as soon as its metadata is there.
    """
    for metadata in PIP.site_packages.glob("*.dist-info"):
        if not (metadata / "RECORD").exists():
            shutil.rmtree(metadata)


def install(device: str) -> None:
    """Install PyTorch, everything else in the lock file, and this project as an editable package."""
    lock = ROOT / "requirements" / f"{device}.lock"
    pins = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    install_torch(next(pin for pin in pins if pin.startswith("torch==")))
    if not PIP.install("-r", str(lock), what="packages", total=len(pins)):
        raise SetupError(PIP.explain_failure())
    if not PIP.install("--no-build-isolation", "-e", str(ROOT), what="rlkit", total=len(pins) + 1):
        raise SetupError(PIP.explain_failure())
    PIP.compile_packages()


def install_torch(pin: str) -> None:
    """Install PyTorch: the build that pip is set up to find, else, for a `+cpu` pin, the one on PyTorch's own index.

    PyPI answers at once that it has no `+cpu` build, so nothing large is fetched to find out.
    """
    if PIP.install(pin, what="PyTorch", total=1):
        return
    if not (pin.endswith("+cpu") and PIP.found_nothing()):
        raise SetupError(PIP.explain_failure())
    if not PIP.install(pin, "--index-url", PYTORCH_CPU_INDEX, what="PyTorch without CUDA", total=1):
        raise SetupError(f"{pin} is neither where pip looks nor on {PYTORCH_CPU_INDEX}: {PIP.explain_failure()}")


def check_result(device: str) -> None:
    """Make sure that the environment imports, and that it sees the GPU it is for, where there is one."""
    code = "import rlkit, torch; print(int(torch.cuda.is_available()))"
    ran = subprocess.run([PIP.python, "-c", code], cwd=VENV, env=clean_env(), capture_output=True, text=True)
    if ran.returncode:
        raise SetupError(f"everything is installed but does not import: {last_line(ran.stderr)}")
    # An image is built where no GPU is visible; that is no failure.
    if device == "gpu" and ran.stdout.strip() != "1" and first_gpu():
        raise SetupError("PyTorch sees no GPU, perhaps for an old driver; update it, or write `make setup DEVICE=cpu`.")


if __name__ == "__main__":
    sys.exit(main())
