"""docs/PAPERS.md, kept true: every preset has its section, every default is the code's, every recipe resolves."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from rlkit.advantages import ADVANTAGES, resolve
from rlkit.advantages.presets import PRESETS
from rlkit.diversity import resolve_embedding, resolve_partition
from rlkit.objective.anchors import ANCHORS
from rlkit.objective.coefficients import COEFFICIENTS
from rlkit.objective.objective import OBJECTIVES, resolve_objective
from rlkit.objective.references import REFERENCES
from rlkit.objective.rehearsal import Rehearsal
from rlkit.objective.token_weights import TOKEN_WEIGHTS
from rlkit.plugins import PluginKind, find
from rlkit.recipe import Recipe, build_recipe
from rlkit.recipe.yaml_text import parse_yaml
from tests.advantages.test_edge_groups import BEHAVIOUR, NEEDS_BINARY, SOME

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "PAPERS.md").read_text(encoding="utf-8")
TABLES = [table.splitlines() for table in re.findall(r"(?:^\|.*\n)+", TEXT, flags=re.MULTILINE)]
ROWS = [
    tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
    for table in TABLES
    if table[0].startswith("| kind |")
    for line in table[2:]
]
"""(kind, name, parameter, default, source) of every default."""
SNIPPETS = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
WRITTEN_OUT = r"(?:^`(\w+)` w|^W)ritten out: `(\[.*\])`"
ORIGINS = ("[paper]", "[released code]", "[second hand]", "[our choice]")
KINDS: dict[str, PluginKind] = {
    "preset": ADVANTAGES,
    "transform": ADVANTAGES,
    "objective": OBJECTIVES,
    "token weight": TOKEN_WEIGHTS,
    "anchor": ANCHORS,
    "reference": REFERENCES,
    "coefficient": COEFFICIENTS,
}


ASKED = {
    "partition": {"labels_PG", "equivalent_PGG"},
    "answers": {"answers_PG"},
    "embedding": {"embeddings_PGE"},
    "log-probs": {"mean_logps_PG", "logps_PGT", "prompt_logps_PS"},
    "reference": {"ref_mean_logps_PG"},
    "memory": {"answer_counts_PG", "pass_counts_P2"},
}
"""What the table of all presets says a chain asks for -> the fields of the context that it means."""


def signature_of(kind: str, name: str) -> dict[str, Any]:
    """Return the default of each parameter that has one."""
    thing = Rehearsal if kind == "rehearsal" else find(name, KINDS[kind])
    parameters = inspect.signature(thing).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def read_snippet(text: str) -> Recipe:
    return build_recipe({"model": "countdown-tiny", "task": "countdown", "output": "runs/x", **parse_yaml(text, "it")})


def test_every_preset_has_a_section() -> None:
    sections = re.findall(r"^## .*$", TEXT, flags=re.MULTILINE)
    named = {name for heading in sections for name in re.findall(r"`(\w+)`", heading)}
    wanted = {*PRESETS, *OBJECTIVES.builtins, *TOKEN_WEIGHTS.builtins, *ANCHORS.builtins, "pkpo"}
    assert wanted - named == set()
    known = {name for kind in KINDS.values() for name in kind.builtins}
    assert named <= known


def test_the_table_of_all_presets_says_what_each_asks_for_and_does_at_the_edges() -> None:
    (table,) = (table for table in TABLES if table[0].startswith("| preset | asks for |"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]

    def describe(name: str) -> list[str]:
        needs = resolve(name).needs
        asked = [word for word, fields in ASKED.items() if needs & fields]
        asked = ["verifier", *asked] if name in NEEDS_BINARY else asked
        return [f"`{name}`", ", ".join(asked) or "nothing", *map(say_edge, BEHAVIOUR[name][:2])]

    assert rows == [describe(name) for name in (*PRESETS, "pkpo")]


def say_edge(behaviour: Any) -> str:
    if behaviour == 0:
        return "nothing"
    if behaviour == SOME:
        return "tells apart"
    return "pushes down" if callable(behaviour) or behaviour < 0 else "pushes up"


def test_every_row_is_whole() -> None:
    assert len(ROWS) > 100
    for row in ROWS:
        assert len(row) == 5, row
        assert any(origin in row[4] for origin in ORIGINS), row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: ".".join(row[:3]))
def test_a_default_is_the_one_of_the_code(row: tuple[str, ...]) -> None:
    kind, name, parameter, default, _ = row
    defaults = signature_of(kind, name)
    assert parameter in defaults
    written = parse_yaml(default, "a default")
    assert written == defaults[parameter]
    assert isinstance(written, bool) == isinstance(defaults[parameter], bool)
    assert kind not in ("preset", "transform") or (name in PRESETS) == (kind == "preset")


def test_whoever_is_in_the_tables_is_there_with_every_parameter() -> None:
    listed: dict[tuple[str, str], list[str]] = {}
    for kind, name, parameter, *_ in ROWS:
        listed.setdefault((kind, name), []).append(parameter)
    for (kind, name), parameters in listed.items():
        assert sorted(parameters) == sorted(signature_of(kind, name)), (kind, name)
    for kind, names in (
        ("preset", PRESETS),
        ("objective", OBJECTIVES.builtins),
        ("token weight", TOKEN_WEIGHTS.builtins),
    ):
        absent = {name for name in names if (kind, name) not in listed}
        assert all(not signature_of(kind, name) for name in absent), absent


def test_a_preset_is_what_is_written_out() -> None:
    section_names = re.findall(r"^## .*?`(\w+)`", TEXT, flags=re.MULTILINE)
    found = set()
    for section, name in zip(re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:], section_names, strict=True):
        for own, chain in re.findall(WRITTEN_OUT, section, flags=re.MULTILINE):
            assert resolve(own or name) == resolve(parse_yaml(chain, own or name)), own or name
            found.add(own or name)
    assert found == {*PRESETS, "pkpo"}


@pytest.mark.parametrize("name", [*OBJECTIVES.builtins])
def test_an_objective_of_one_token_weight_is_what_is_written_out(name: str) -> None:
    if name in TOKEN_WEIGHTS.builtins:
        written = f"objective: {{token_weights: [{name}]}}"
        assert f"`{written}`" in TEXT
        assert resolve_objective(parse_yaml(written, name)["objective"]) == resolve_objective(name)
    else:
        assert resolve_objective(name).rehearsal is not None


@pytest.mark.parametrize("text", SNIPPETS, ids=lambda text: text.splitlines()[0])
def test_every_recipe_resolves_and_brings_what_its_chain_needs(text: str) -> None:
    recipe = read_snippet(text)
    assert recipe.advantage is not None
    needs = resolve(recipe.advantage).needs
    resolve_objective(recipe.objective)
    if recipe.partition is not None:
        resolve_partition(recipe.partition)
    assert (recipe.embedding is not None) == ("embeddings_PGE" in needs)
    assert (recipe.answers is not None) == ("answers_PG" in needs)
    if recipe.embedding is not None:
        resolve_embedding(recipe.embedding)
    if recipe.answers is not None:
        resolve_partition(recipe.answers)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_the_training_settings_are_trls() -> None:
    from rlkit.recipe.fields import check_fields
    from rlkit.trainers.config import DiverseGRPOConfig

    named = re.findall(r"`train\.(\w+)", TEXT)
    assert "epsilon_high" in named
    for text in SNIPPETS:
        check_fields(read_snippet(text).train, DiverseGRPOConfig, "train")
    check_fields(dict.fromkeys(named), DiverseGRPOConfig, "train", dict.fromkeys(named, Any))
