"""What others made is read, and no more: no command runs code that a directory names, or lets its texts draw."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import rlkit
from rlkit.cli import main
from rlkit.errors import ConfigError, StoreError
from rlkit.evaluation.engines.encoding import load_tokenizer
from rlkit.evaluation.probing.policy import load_policy
from rlkit.recipe import load_recipe, shipped_recipes
from rlkit.recipe.yaml_text import parse_yaml
from rlkit.runs import RunDirectory
from tests.report.evaluations import BASE, GRPO, write_run

DRAWS = "\x1b]0;owned\x07\x1b[2J\x9b1A\u202e\u200b"
HOME = Path(rlkit.__file__).parent


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that is there once any of the directory's code ran."""
    return tmp_path / "ran"


@pytest.fixture
def plugin(tmp_path: Path, ran: Path) -> str:
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\nThing = object\n")
    return f"{tmp_path / 'evil.py'}:Thing"


@pytest.fixture
def strangers(tmp_path: Path, plugin: str) -> list[Path]:
    """Two runs with evaluations, in which every text draws and every plug-in is code."""
    return [spoil(write_run(tmp_path / policy.name, policy), plugin) for policy in (BASE, GRPO)]


def spoil(directory: Path, plugin: str) -> Path:
    folder = directory / "eval"
    header = json.loads((folder / "config.json").read_text())
    header["config"] |= {"task": plugin, "engine": plugin, "model": str(directory / "model"), "chat": {}}
    header["grader"] = {"task": plugin, "verifier": DRAWS, "thinking_tag": DRAWS, "partition": plugin}
    (folder / "config.json").write_text(json.dumps(header))
    report = json.loads((folder / "report.json").read_text())
    report |= {
        "name": directory.name + DRAWS,
        "model": DRAWS,
        "task": DRAWS,
        "engine": DRAWS,
        "grader": header["grader"],
    }
    for problem in report["problems"]:
        problem["prompt"] += DRAWS
    report["problems"][0]["id"] += DRAWS
    (folder / "report.json").write_text(json.dumps(report))
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"completion": DRAWS, "label": DRAWS, "answer": DRAWS}
        row["prompt_id"] += DRAWS if row["prompt_id"] == rows[0]["prompt_id"] else ""
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "recipe.yaml").write_text(
        f"model: x\noutput: {directory}\nadvantage: {plugin}\nrewards: [{plugin}]\ntask: {plugin}\n"
    )
    (directory / "run.json").write_text(json.dumps({"status": DRAWS, "command": ["rlkit", DRAWS], "step": 3}))
    return directory


def assert_only_read(ran: Path, capsys: Any) -> None:
    assert not ran.exists()
    said = "".join(capsys.readouterr())
    assert said
    for character in DRAWS.replace("]0;owned", "").replace("[2J", "").replace("1A", ""):
        assert character not in said


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "{}", "{}"],
        ["compare", "{}", "{}", "--all", "--ids"],
        ["compare", "{}", "{}", "--json"],
        ["report", "{}", "{}", "--output", "page.html"],
        ["grade", "{}"],
        ["probe", "{}"],
        ["eval", "--model", "countdown-tiny", "--task", "countdown", "--n", "2", "--limit", "2", "--output", "{}/eval"],
        ["recipes", "show", "{}/recipe.yaml"],
        ["explain", "{}/run.json"],
    ],
    ids=lambda words: " ".join(words[:1] + [word for word in words if word.startswith("--")][:2]),
)
def test_a_reader_runs_nothing_and_draws_nothing(
    words: list[str], strangers: list[Path], ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = iter(map(str, strangers))
    filled = [word.replace("{}", next(folders)) if "{}" in word else word for word in words]
    assert main(filled) in (0, 2)
    if words[0] == "report":
        for path in tmp_path.glob("page.*"):
            assert not {"\x1b", "\x9b", "\x07", "\u202e"} & {*path.read_text()}
    assert_only_read(ran, capsys)


def test_training_does_not_go_on_by_anothers_recipe(strangers: list[Path], ran: Path) -> None:
    with pytest.raises(StoreError):
        RunDirectory(strangers[0]).inspect(load_recipe("countdown/grpo", [f"output={strangers[0]}"]))
    (strangers[0] / "recipe.yaml").write_text(f"advantage: {DRAWS!a}")
    with pytest.raises((StoreError, ConfigError)):
        RunDirectory(strangers[0]).inspect(load_recipe("countdown/grpo", [f"output={strangers[0]}"]))
    assert not ran.exists()


def test_a_models_own_code_is_not_run_and_not_asked_about(
    tmp_path: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "modeling_evil.py").write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\n")
    code = {
        "AutoConfig": "modeling_evil.C",
        "AutoModelForCausalLM": "modeling_evil.M",
        "AutoTokenizer": ["modeling_evil.T", None],
    }
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": code}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T", "auto_map": code}))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    for load in (load_tokenizer, load_policy):
        with pytest.raises(ConfigError, match="code of its own, which is not run here"):
            load(str(tmp_path))
    assert not ran.exists()


def test_every_result_is_said_so_that_it_cannot_draw() -> None:
    """`print` writes JSON, in which all beyond ASCII is escaped, or what was escaped; else it is `say`."""
    allowed = ("json.dumps(", "show_controls(", "TOKEN_VARIABLE", "Listening on", "This needs {package}")
    for file in (*HOME.glob("cli/*.py"), *HOME.glob("explaining/*.py"), *HOME.glob("report/*.py")):
        source = file.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                written = ast.get_source_segment(source, node) or ""
                assert any(word in written for word in allowed), f"{file.name}: {written}"
                assert "ensure_ascii=False" not in written


def test_shipped_recipes_are_shown_as_they_are(capsys: Any) -> None:
    name = next(iter(shipped_recipes()))
    assert main(["recipes", "show", name]) == 0
    assert parse_yaml(capsys.readouterr().out, name)["output"]


def test_chain_and_facts_draw_nothing(tmp_path: Path, capsys: Any) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text(json.dumps({"rewards": [1, 0], "answers": ["a" + DRAWS, "b"]}))
    assert main(["explain", "evol_rl", "--facts", str(facts)]) in (0, 2)
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert "\x9b" not in said
    shutil.rmtree(tmp_path)
