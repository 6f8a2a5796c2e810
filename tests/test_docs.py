"""What README, CONTRIBUTING and docs/ promise exists: files, make targets, commands and the code they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import rlkit
from rlkit.cli import build_parser
from rlkit.diversity import summarise_groups
from rlkit.estimators.support import SURELY_SOLVABLE
from rlkit.evaluation import compare_runs
from rlkit.evaluation.comparing.margins import MARGINS
from rlkit.evaluation.comparing.verdict_rules import REFUSED, RULES
from tests.evaluation.simulated import simulate_report

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def indented_lines(page: Path) -> list[str]:
    """Return the lines of a page's indented blocks, continuation lines joined."""
    text = page.read_text().replace("\\\n", "")
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link.split("#")[0]).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    commands = [line for line in indented_lines(page) if line.startswith("make ")]
    named = {line.split()[1] for line in commands} | set(re.findall(r"`make ([a-z-]+)[^`]*`", page.read_text()))
    assert named <= targets


def test_commands_of_the_readme_are_understood() -> None:
    parser = build_parser()
    text = "\n".join(indented_lines(ROOT / "README.md"))
    ours = [shlex.split(words, comments=True) for words in re.findall(r"(?:bin/rlkit|-m rlkit) (.+)", text)]
    # The parser raises a typed error on a command or option that does not exist.
    assert {parser.parse_args(words).command for words in ours} == {
        "recipes",
        "train",
        "eval",
        "compare",
        "probe",
        "report",
    }


def test_every_entry_of_the_readme_tree_exists_and_none_is_left_out() -> None:
    lines = [line for line in indented_lines(ROOT / "README.md") if not line.startswith(".venv/")]
    tree = [line for line in lines if re.match(r"[\w./ ]+?(  |/$)", line)]
    names = {name for line in tree for name in line.split("  ")[0].split()}
    missing = [name for name in names if not ((ROOT / name).exists() or (ROOT / "rlkit" / name).exists())]
    assert not missing
    folders = {f"{path.parent.name}/" for path in (ROOT / "rlkit").glob("*/__init__.py")}
    assert folders - names <= {"objective/"}


def test_the_readme_rewards_run(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    scope: dict[str, object] = {}
    exec(code, scope)
    short, unlike = scope["short"], scope["unlike_the_others"]
    assert callable(short)
    assert callable(unlike)
    assert short("x" * 100) == 0.5
    assert unlike(["a", "b", "a"], prompt="?") == [0.5, 1.0, 0.5]
    assert rlkit.rewards.is_group_reward(unlike)
    assert not rlkit.rewards.is_group_reward(short)


def test_every_metric_that_the_trainers_add_is_explained() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    files = sorted((ROOT / "rlkit" / "trainers").glob("*.py"))
    logs = r"(?:\.record\(|statistics\.add(?:_low|_high)?\(|logged\[|logged = \{)\s*f?\"([^\"]+)\""
    names = {name for file in files for name in re.findall(logs, file.read_text())}
    assert {"anchor/coef", "update/skipped_steps", "rehearsal/divergence", "monitor/held_out"} <= names
    names |= {f"diversity/{name}" for name in summary_names()}
    # What TRL logs and the page need not explain again.
    theirs = ("clip_ratio/", "cispo_clip_ratio", "sampling/", "step_time", "aux_loss", "policy_loss", "entropy_coef")
    assert not [name for name in sorted(names) if f"`{name}`" not in page and not name.startswith(theirs)]


def summary_names() -> list[str]:
    """Return the names of the numbers about the groups of a generation batch."""
    nothing = np.zeros((1, 2))
    return list(summarise_groups(nothing.astype(int), nothing, nothing == 0))


def test_the_table_of_verdicts_is_what_the_rules_say() -> None:
    page = (ROOT / "docs" / "comparing.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    start = rows.index(["verdict", "holds when"]) + 2
    assert rows[start : start + len(RULES)] == [[rule.word, rule.condition] for rule in RULES]
    (failing,) = re.findall(r"the verdict of a run is ([^.]+?), and 0 otherwise", " ".join(page.split()))
    assert failing.replace(" or ", ", ").split(", ") == [*REFUSED]
    start = rows.index(["margin", "default", "why"]) + 2
    stated = {name.strip("` "): float(row[1]) for row in rows[start : start + 3] for name in row[0].split(",")}
    assert stated == MARGINS
    assert f"in at least {SURELY_SOLVABLE} samples of n" in page


def test_every_part_of_a_comparison_is_explained() -> None:
    page = (ROOT / "docs" / "comparing.md").read_text()
    comparison = compare_runs(*(simulate_report(name, np.full(9, 0.5), 8, seed) for seed, name in enumerate("ab")))
    support = {name for name in comparison["support"] if not name.startswith("num_")}
    parts = {"crossing", "metrics", "diversity", "retained", "decomposition", "sharpening_index"} & {*comparison}
    cell = {"low_simultaneous", "high_simultaneous", "p_adjusted"} & {*comparison["pass_at_k"]["1"]}
    assert len(parts) + len(cell) == 9
    crossing = {*comparison["crossing"]} - {"num_resamples"}
    missing = [name for name in (support | parts | cell | crossing) - {"crossing"} if f"`{name}`" not in page]
    assert not missing


def test_the_page_on_rewards_shows_code_that_runs() -> None:
    shown: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "rewards.md").read_text(), flags=re.DOTALL):
        exec(block, shown)
    given = {"prompts": ["p", "p"], "completions": ["so \\boxed{3}", "4"], "target": ["3", "3"]}
    assert shown["has_answer"](**given) == [1.0, 0.0]  # type: ignore[operator]
    assert shown["matches"](**given) == [1.0, 0.0]  # type: ignore[operator]
    shaped = shown["shortest_first"](["a", "b"], base_rewards=[1.0, None], lengths=[4, 2])  # type: ignore[operator]
    assert shaped == [0.5, None]
