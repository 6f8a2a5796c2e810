"""The wheel: what it is called, what it carries, and that it works away from the repository."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from rlkit.errors import PluginError
from rlkit.shipped import KINDS, shipped_dir

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as pip does, without a network."""
    folder = tmp_path_factory.mktemp("wheel of rlkit")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, ROOT], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    """Unpack it, which is all that installing a pure wheel does to the import path."""
    folder = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_python(code: str, path: Path) -> str:
    """Run code in a fresh interpreter that imports rlkit from `path` and not from this repository."""
    shield = f"import sys; sys.path[:] = [{str(path)!r}, *(p for p in sys.path if p not in ('', {str(ROOT)!r}))]\n"
    ran = subprocess.run([sys.executable, "-c", shield + code], cwd=path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def tracked(folder: str) -> set[str]:
    """Return the files of a folder that git knows or would add."""
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder]
    names = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).exists()}


def test_the_distribution_is_not_called_like_the_other_project(wheel: Path) -> None:
    assert wheel.name.startswith("rlkit_diversity-")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] != "rlkit"


def test_the_wheel_carries_every_tracked_file_of_package_recipes_and_rewards(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if ".dist-info/" not in name}
    shipped = {f"rlkit/_shipped/{name}" for kind in KINDS for name in tracked(kind)}
    assert carried == tracked("rlkit") | shipped


def test_an_unpacked_wheel_finds_what_it_ships(unpacked: Path) -> None:
    code = "from rlkit.shipped import shipped_dir; where = shipped_dir('recipes'); print(where)"
    where, names = run_python(f"{code}; print(*(path.name for path in where.iterdir()))", unpacked).splitlines()
    assert Path(where) == unpacked / "rlkit" / "_shipped" / "recipes"
    assert set(names.split()) == {Path(name).parts[1] for name in tracked("recipes")}


def test_an_unpacked_wheel_has_the_console_script_and_the_version(unpacked: Path, wheel: Path) -> None:
    points = next(unpacked.glob("*.dist-info")) / "entry_points.txt"
    assert "rlkit = rlkit.cli:main" in points.read_text()
    version = run_python("import rlkit; print(rlkit.__version__)", unpacked)
    assert wheel.name.split("-")[1] == version


def test_a_checkout_finds_what_lies_beside_the_package() -> None:
    assert shipped_dir("recipes") == ROOT / "recipes"


def test_an_unknown_kind_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(PluginError, match="Did you mean 'recipes'"):
        shipped_dir("recipe")


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_lock_files_pin_every_package_once_and_name_no_address(device: str) -> None:
    lines = (ROOT / "requirements" / f"{device}.lock").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    names = [pin.partition("==")[0] for pin in pins]
    assert all("==" in pin and "://" not in pin and ";" not in pin for pin in pins)
    assert len(names) == len({*names})
    # The CUDA builds of these break transformers beside a CPU torch; the GPU's vLLM needs them.
    assert ({"torchvision", "torchaudio", "torchcodec"} & {*names} == set()) == (device == "cpu")
