"""scripts/setup on a small stand-in repository: hand-made packages take the place of the real ones.

Everything else is real: the scripts, Python's venv, pip, uv (put into a wheel again), and a path with spaces in it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

UV = f"uv=={importlib.metadata.version('uv')}"
TORCH = "class cuda:\n    device_count = staticmethod(lambda: 0)\n"

# An in-tree build backend, so that the stand-in needs no build tool from an index: an editable wheel is one .pth file.
BACKEND = """
import os, zipfile

NAME = "rlkit_diversity-0.1.0"

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    info = f"{NAME}.dist-info"
    with zipfile.ZipFile(os.path.join(wheel_directory, f"{NAME}-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("_rlkit.pth", os.getcwd())
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: rlkit-diversity\\nVersion: 0.1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{NAME}-py3-none-any.whl"
"""


def make_wheel(folder: Path, name: str, version: str, code: str = "", program: Path | None = None) -> None:
    """Write a wheel with one module, and perhaps one program called like it."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", code)
        if program:
            wheel.write(program, f"{name}-{version}.data/scripts/{name}")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_repository(parent: Path) -> Path:
    """Make a repository with our set-up scripts, and beside it small packages for them to install."""
    folder = parent / "a clone with spaces"
    for part in ("scripts", "requirements", "rlkit"):
        (folder / part).mkdir(parents=True)
    for name in ("setup", "install.py"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
    (folder / "requirements" / "cpu.lock").write_text(f"# made by hand\nsmall==1.0\ntorch==2.13.0+cpu\n{UV}\n")
    (folder / "rlkit" / "__init__.py").touch()
    (folder / "backend.py").write_text(BACKEND)
    build_system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pyproject.toml").write_text(f'{build_system}[project]\nname = "rlkit-diversity"\nversion = "0.1.0"\n')
    wheels = parent / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "small", "1.0")
    make_wheel(wheels, "torch", "2.13.0+cpu", TORCH)
    make_wheel(wheels, "uv", UV.partition("==")[2], program=Path(sysconfig.get_path("scripts")) / "uv")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that was never set up."""
    return make_repository(tmp_path)


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> Path:
    """A command that lists a GPU, as the driver's does."""
    command = tmp_path / "driver" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\n")
    command.chmod(0o755)
    return command


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that is set up."""
    folder = make_repository(tmp_path_factory.mktemp("ready"))
    ran = run_setup(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert can_import(folder, "rlkit", "small", "torch")
    return folder


def run_setup(repository: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/setup with only the packages beside the repository to install from."""
    wheels = repository.parent / "wheels"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment |= {
        "PYTHON": sys.executable,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(repository.parent / "cache"),
    }
    environment |= variables
    command = [repository / "scripts" / "setup", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=repository.parent, umask=0o077)


def one_sentence(ran: subprocess.CompletedProcess[str]) -> str:
    """Return what a refused set-up says, having checked that it is one line and exit code 2."""
    assert ran.returncode == 2, ran.stdout + ran.stderr
    (line,) = ran.stderr.splitlines()
    return line


def python_of(repository: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code with the Python of .venv, from a folder that lends it no modules."""
    python = repository / ".venv" / "bin" / "python"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, cwd=repository.parent)


def can_import(repository: Path, *modules: str) -> bool:
    """Return whether .venv can import these modules."""
    return python_of(repository, f"import {', '.join(modules)}").returncode == 0


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_second_set_up_is_instant(ready: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = run_setup(ready)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.stdout.startswith("Nothing to do")
    # Time on the processor, which other work on the machine does not stretch.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_changed_lock_file_is_followed(ready: Path) -> None:
    make_wheel(ready.parent / "wheels", "extra", "1.0")
    with (ready / "requirements" / "cpu.lock").open("a") as lock:
        lock.write("extra==1.0\n")
    assert run_setup(ready).returncode == 0
    assert can_import(ready, "extra")


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_set_up_that_was_cut_off_is_completed(ready: Path) -> None:
    # What a kill in the middle of a package leaves: its metadata, some of its files, and a record that says so.
    (packages,) = (ready / ".venv" / "lib").glob("python3.*/site-packages")
    (packages / "small-1.0.dist-info" / "RECORD").unlink()
    (packages / "small.py").unlink()
    (ready / ".venv" / "rlkit-setup.json").write_text(json.dumps({"unfinished": "yes"}))
    assert run_setup(ready).returncode == 0
    assert can_import(ready, "small")


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_broken_venv_and_one_of_a_moved_repository_are_made_anew(repository: Path) -> None:
    (repository / ".venv" / "bin").mkdir(parents=True)
    assert run_setup(repository).returncode == 0
    moved = repository.rename(repository.with_name("moved"))
    assert run_setup(moved).returncode == 0
    where = python_of(moved, "import rlkit; print(rlkit.__file__)").stdout.strip()
    assert Path(where) == moved / "rlkit" / "__init__.py"


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_venv_of_somebody_else_that_does_not_fit_is_left_alone(repository: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", repository / ".venv"], check=True)
    (packages,) = (repository / ".venv" / "lib").glob("python3.*/site-packages")
    (packages / "theirs-1.0.dist-info").mkdir()
    (packages / "theirs-1.0.dist-info" / "RECORD").touch()
    shutil.rmtree(packages / "pip")
    assert "move it away or delete it" in one_sentence(run_setup(repository))
    assert (packages / "theirs-1.0.dist-info").exists()


@pytest.mark.slow
@pytest.mark.side_by_side
def test_what_cannot_be_installed_is_said_in_one_sentence(repository: Path) -> None:
    (repository / "requirements" / "cpu.lock").write_text(f"torch==2.13.0+cpu\nabsent==1.0\n{UV}\n")
    assert "absent was not found" in one_sentence(run_setup(repository))
    # Port 9 of this machine: nobody listens, which is what a machine without a network sees of any index.
    offline = run_setup(repository, PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert "no package index can be reached" in one_sentence(offline)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_pytorchs_own_index_is_asked_where_no_other_has_its_cpu_build(repository: Path) -> None:
    next((repository.parent / "wheels").glob("torch-*")).unlink()
    assert "PyTorch's CPU build is not where pip looks" in one_sentence(run_setup(repository))


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_venv_that_is_a_link_is_left_alone(repository: Path, ready: Path) -> None:
    (repository / ".venv").symlink_to(ready / ".venv")
    assert "move it away or delete it" in one_sentence(run_setup(repository))
    assert can_import(ready, "small")


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_gpu_that_pytorch_cannot_use_is_not_passed_over(repository: Path, nvidia_smi: Path) -> None:
    (repository / "requirements" / "gpu.lock").write_text(f"torch==2.13.0+cpu\n{UV}\n")
    sentence = one_sentence(run_setup(repository, PATH=f"{nvidia_smi.parent}{os.pathsep}{os.environ['PATH']}"))
    assert "PyTorch sees no GPU" in sentence


def test_a_python_that_does_not_fit_is_named(repository: Path) -> None:
    python = repository / "python3.13"
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.13.0 && exit\nexit 1\n')
    python.chmod(0o755)
    sentence = one_sentence(run_setup(repository, PYTHON=str(python)))
    assert "needs Python 3.11 or 3.12" in sentence
    assert f"{python} is Python 3.13.0" in sentence


@pytest.mark.parametrize(("listing", "device"), [("GPU 0: NVIDIA H200 (UUID: GPU-1)", "gpu"), ("No devices", "cpu")])
def test_the_lock_file_follows_what_nvidia_smi_lists(nvidia_smi: Path, listing: str, device: str) -> None:
    nvidia_smi.write_text(f"#!/bin/sh\necho '{listing}'\n")
    code = "import install; print(install.choose_device('auto', None)[0])"
    environment = os.environ | {"PATH": f"{nvidia_smi.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT / "scripts", env=environment, capture_output=True, text=True)
    assert ran.stdout.strip() == device, ran.stderr
