"""The table of layers in CONTRIBUTING.md, kept true: who may import whom, and what stays out of a light import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

GROUND = {
    "arithmetic",
    "assets",
    "errors",
    "files",
    "models",
    "moved",
    "parameters",
    "plugins",
    "shipped",
    "terminal",
    "types",
    "vllm_support",
}
"""Single files that every layer may import and that import nothing but each other."""

MAY_IMPORT: dict[str, set[str]] = {
    "servers": set(),
    "workers": set(),
    "estimators": set(),
    "archive": {"estimators"},
    "verifiers": {"workers"},
    "diversity": {"estimators", "servers", "verifiers"},
    "advantages": {"estimators"},
    "objective": {"estimators"},
    "returns": set(),
    "rewards": {"diversity", "servers", "verifiers", "workers"},
    "tasks": {"rewards", "verifiers"},
    "recipe": {"advantages", "archive", "diversity", "objective", "rewards", "tasks"},
    "runs": {"recipe"},
    "evaluation": {
        *("archive", "estimators", "servers", "verifiers", "diversity", "advantages", "objective"),
        *("rewards", "tasks", "recipe", "runs"),
    },
    "weights": {"evaluation", "runs"},
    "explaining": {"advantages", "diversity", "recipe", "returns"},
    "report": {"estimators", "evaluation", "runs"},
    "testing": {"rewards", "workers"},
}
"""Layers from the bottom up, and the layers that each may import beside the ground floor."""
MAY_IMPORT["trainers"] = {*MAY_IMPORT}
MAY_IMPORT["rounds"] = {*MAY_IMPORT}
MAY_IMPORT["cli"] = {*MAY_IMPORT}

ANYWHERE = {"numpy", "torch"}
AT_THE_TOP: dict[str, set[str]] = {
    "recipe": {"yaml"},
    "trainers": {"accelerate", "datasets", "peft", "rich", "transformers", "trl"},
}
"""Third-party packages that a layer may import when it is imported, beside `ANYWHERE`."""
WHERE_USED: dict[str, set[str]] = {
    "archive": {"filelock"},
    "files": {"filelock"},
    "terminal": {"rich"},
    "estimators": {"scipy"},
    "workers": {"rich"},
    "explaining": {"rich"},
    "report": {"rich"},
    "servers": {"httpx", "tenacity"},
    "verifiers": {"math_verify", "sympy"},
    "diversity": {"sacrebleu", "safetensors", "scipy", "transformers"},
    "tasks": {"datasets", "pyarrow", "reasoning_gym", "yaml"},
    "evaluation": {"peft", "rich", "safetensors", "transformers", "vllm"},
    "weights": {"transformers"},
    "trainers": {"deepspeed", "safetensors", "vllm"},
    "cli": {"rich", "transformers"},
}
"""Third-party packages that a layer may import inside the functions that need them."""

LOADED_WHEN_USED = {"rlkit.evaluation.engines.kv_cache"}
"""Modules that subclass a heavy package's classes and so import it at the top; only functions may import them."""

HEAVY = ["accelerate", "datasets", "deepspeed", "matplotlib", "pandas", "peft", "scipy", "transformers", "trl", "vllm"]


class Import(NamedTuple):
    """One imported module and where."""

    module: str
    place: str
    """`file:line`, for the message."""
    at_the_top: bool
    """Whether it runs when the file is imported, not inside a function or for type checkers only."""


@cache
def imports_of(file: Path) -> tuple[Import, ...]:
    """Return every import of a file, once parsed for all tests."""
    return tuple(find_imports(file))


def find_imports(file: Path) -> Iterator[Import]:
    """Yield every import of a file; `from rlkit import x` counts as `rlkit.x` when x is one of rlkit's modules."""
    tree = ast.parse(file.read_text())
    deferred = {id(inner) for node in ast.walk(tree) if is_deferred(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} is a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if is_module(name) else str(node.module) for name in names]
        else:
            continue
        place = f"{file.relative_to(ROOT)}:{node.lineno}"
        yield from (Import(module, place, id(node) not in deferred) for module in modules)


def is_deferred(node: ast.AST) -> bool:
    """Return whether what is inside a node does not run when the file is imported."""
    guard = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return guard or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def is_module(name: str) -> bool:
    """Return whether a dotted name is a file or folder of rlkit."""
    path = ROOT / name.replace(".", "/")
    return name.startswith("rlkit.") and (path.is_dir() or path.with_suffix(".py").exists())


def layer_of(file: Path) -> str:
    """Return the folder of rlkit/ that a file is in, or its own name when it lies directly there."""
    return file.relative_to(ROOT / "rlkit").parts[0].removesuffix(".py")


def module_of(file: Path) -> str:
    """Return the dotted name that a file is imported by."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def package_files() -> list[Path]:
    """Return every Python file of the package."""
    return sorted((ROOT / "rlkit").rglob("*.py"))


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {layer_of(file) for file in package_files()} - {"__init__", "__main__"}
    unknown = parts - GROUND - {*MAY_IMPORT}
    assert not unknown, f"{sorted(unknown)}: give each its layer here and in the table of CONTRIBUTING.md"


def test_the_table_only_looks_down() -> None:
    order = list(MAY_IMPORT)
    for layer, below in MAY_IMPORT.items():
        assert below <= {*order[: order.index(layer)]}, f"{layer} may import a layer that is not below it"


def test_layers_import_downwards_only() -> None:
    wrong = []
    for file in package_files():
        layer = layer_of(file)
        allowed = GROUND | MAY_IMPORT.get(layer, set()) | {layer}
        for found in imports_of(file):
            if found.module.startswith("rlkit.") and layer not in ("__init__", "__main__"):
                target = found.module.split(".")[1]
                if target not in allowed:
                    wrong.append(f"{found.place}: {layer} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_third_party_packages_stay_in_the_layers_that_own_them() -> None:
    wrong = []
    for file in package_files():
        layer = layer_of(file)
        at_the_top = ANYWHERE | AT_THE_TOP.get(layer, set())
        for found in imports_of(file):
            package = found.module.split(".")[0]
            early = found.at_the_top and module_of(file) not in LOADED_WHEN_USED
            allowed = at_the_top if early else at_the_top | WHERE_USED.get(layer, set())
            if package not in {*sys.stdlib_module_names, "rlkit", *allowed}:
                wrong.append(f"{found.place}: {layer} imports {package}{' at the top' if found.at_the_top else ''}")
    assert not wrong, "\n".join(wrong)


def test_modules_that_load_a_heavy_package_are_imported_where_they_are_used() -> None:
    assert {*map(module_of, package_files())} >= LOADED_WHEN_USED
    early = [found for file in package_files() for found in imports_of(file) if found.at_the_top]
    wrong = [f"{found.place} imports {found.module} at the top" for found in early if found.module in LOADED_WHEN_USED]
    assert not wrong, "\n".join(wrong)


def test_only_the_trainers_import_trl() -> None:
    owners = {layer for table in (AT_THE_TOP, WHERE_USED) for layer, packages in table.items() if "trl" in packages}
    assert owners == {"trainers"}


def test_reward_plugins_need_only_what_the_chains_and_verifiers_are_made_of() -> None:
    allowed = {"advantages", "diversity", "errors", "rewards", "servers", "tasks", "types", "verifiers"}
    for file in sorted((ROOT / "rewards").rglob("*.py")):
        for found in imports_of(file):
            parts = found.module.split(".")
            wrong = parts[0] == "rlkit" and len(parts) > 1 and parts[1] not in allowed
            assert not wrong, f"{found.place} imports {found.module}; allowed are rlkit and of it {sorted(allowed)}"


LIGHT_IMPORT = """
import sys, time
import numpy, torch

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused}:
            raise ImportError(f"{{name}} is imported by a light import")

for name in {refused}:
    assert name not in sys.modules, f"torch itself imports {{name}}"
sys.meta_path.insert(0, Refuse())
start = time.process_time()
import rlkit
seconds = time.process_time() - start
import rlkit.advantages, rlkit.diversity, rlkit.estimators, rlkit.types
print(seconds)
"""


def test_rlkit_and_its_maths_import_with_numpy_and_torch_alone_and_fast() -> None:
    script = LIGHT_IMPORT.format(refused=[*HEAVY, "rich", "yaml"])
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 1.0, f"`import rlkit` took {ran.stdout.strip()} s beside the import of torch"


@pytest.mark.parametrize("command", [["--help"], ["train", "--help"]])
def test_help_is_printed_without_heavy_libraries(command: list[str]) -> None:
    script = f"""
import sys
from rlkit.cli import main
try:
    main({command})
except SystemExit as stop:
    assert not stop.code, stop.code
print("loaded:", *sorted({{"torch", *{HEAVY}}} & {{*sys.modules}}))
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].split() == ["loaded:"]
