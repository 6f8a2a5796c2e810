from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rlkit.report import as_json, build_report
from rlkit.report.fronts import find_sweeps
from rlkit.report.markdown import to_markdown
from rlkit.report.page import to_html
from rlkit.report.provenance import commands
from tests.report.evaluations import BASE, GRPO, write_evaluation, write_run
from tests.report.measured import with_comparisons

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&<!--\u2028"


class Outline(html.parser.HTMLParser):
    """Every start tag with its attributes, the ids, and the text of scripts by id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str | None, str] = {}
        self._script: str | None = None
        self._inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._inside, self._script = True, dict(attrs).get("id")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] for _, attrs in self.tags if attrs.get(attribute)]


@pytest.fixture(scope="module")
def page(report):
    return to_html(report)


def test_the_page_needs_nothing_from_elsewhere(page):
    outline = Outline(page)
    links = outline.values("src") + outline.values("href") + outline.values("srcset")
    assert {link for link in links if not link.startswith("#")} == {"data:,"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(outline.values("id"))
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page)


def test_the_embedded_data_are_the_json_file(page, report):
    data = json.loads(Outline(page).scripts["report-data"])
    assert data == as_json(report)


def test_every_chart_with_a_readout_has_its_numbers(page):
    outline = Outline(page)
    charts = [
        attrs["id"] for tag, attrs in outline.tags if tag == "svg" and "has-readout" in (attrs.get("class") or "")
    ]
    readouts = json.loads(outline.scripts["report-readouts"])
    assert set(charts) == set(readouts)
    assert len(charts) >= 4
    assert all(len(run["y"]) == len(chart["x"]) for chart in readouts.values() for run in chart["runs"])


def test_ids_are_unique_and_references_resolve(page):
    outline = Outline(page)
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    named = {name for value in outline.values("aria-labelledby") + outline.values("for") for name in value.split()}
    assert named <= set(ids)


def test_every_picture_is_well_formed(page):
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(pictures) > 20
    for picture in pictures:
        ElementTree.fromstring(picture)


def write_hostile(directory: Path) -> Path:
    """Put markup that would run into everything an evaluation takes from outside."""
    folder = directory / "eval"
    report = json.loads((folder / "report.json").read_text())
    report |= {"model": HOSTILE, "task": HOSTILE, "name": HOSTILE + directory.name}
    for problem in report["problems"]:
        problem["prompt"] = HOSTILE
    (folder / "report.json").write_text(json.dumps(report))
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"completion": HOSTILE, "label": "correct" if row["correct"] else HOSTILE}
        row["answer"] = row["answer"] and HOSTILE
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "recipe.yaml").write_text(HOSTILE)
    return directory


def test_hostile_texts_stay_texts(tmp_path):
    folders = [write_hostile(write_run(tmp_path / policy.name, policy)) for policy in (BASE, GRPO)]
    outline = Outline(to_html(build_report(folders)))
    assert [tag for tag, _ in outline.tags].count("script") == 5
    assert not [tag for tag, attrs in outline.tags if tag == "img" or "onerror" in attrs]
    assert json.loads(outline.scripts["report-data"])["runs"][1]["name"] == HOSTILE + "grpo"


def test_differences_against_every_run_are_there_and_the_reference_ones_show(page, report):
    against = [attrs for _, attrs in Outline(page).tags if "data-against" in attrs]
    shown = {attrs["data-against"] for attrs in against if "hidden" not in attrs}
    assert shown == {"0"}
    assert {attrs["data-against"] for attrs in against} == {str(i) for i in range(len(report.runs))}


def test_sections_without_data_are_left_out(tmp_path):
    directory = write_evaluation(tmp_path / "base", BASE, metrics={}, distinct_at_k={})
    (directory / "samples.jsonl").unlink()
    ids = Outline(to_html(build_report([directory]))).values("id")
    assert "pass-at-k" in ids
    assert not {"training", "examples", "against", "browse"} & set(ids)


def test_the_commands_name_what_was_evaluated(report):
    first, second, *evaluations, last = commands(report)
    assert [first, second] == ["rlkit train countdown/grpo", "rlkit train countdown/darling"]
    assert "--model models/grpo --task countdown --split test --n 16" in evaluations[1]
    assert last.startswith("rlkit report ")


def test_nine_runs_still_make_a_page(tmp_path):
    folders = [
        write_evaluation(tmp_path / f"run{i}", BASE, num_problems=4, n=4, seed=i, name=f"run{i}") for i in range(9)
    ]
    assert "run8" in to_html(build_report(folders))


@pytest.fixture(scope="module")
def full_page(report):
    return to_html(with_comparisons(report))


def test_old_reports_have_a_page_without_the_newer_figures(tmp_path):
    folders = [write_evaluation(tmp_path / policy.name, policy) for policy in (BASE, GRPO)]
    for folder in folders:
        record = json.loads((folder / "report.json").read_text())
        for key in ("maj_at_k", "cover_at_tau"):
            record.pop(key, None)
        (folder / "report.json").write_text(json.dumps(record))
    built = build_report(folders)
    ids = set(Outline(to_html(replace(built, comparisons={}))).values("id"))
    assert {"pass-at-k", "problems", "browse"} <= ids
    assert not {"maj-at-k-wide", "cover-at-tau-wide", "retained-wide", "distribution", "loss-0"} & ids


def test_newer_keys_bring_their_figures(full_page):
    ids = set(Outline(full_page).values("id"))
    assert {"maj-at-k-wide", "cover-at-tau-wide", "retained-wide", "retained-narrow", "loss-0", "scatter-1"} <= ids
    assert "Collapsed" in full_page
    assert "About 412 more problems would settle it." in full_page
    assert "What decided the verdicts" in full_page


def test_everything_new_is_well_formed_and_ids_stay_unique(full_page):
    outline = Outline(full_page)
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    for picture in re.findall(r"<svg.*?</svg>", full_page, flags=re.DOTALL):
        ElementTree.fromstring(picture)


def test_lost_problems_link_into_the_browser(full_page, report):
    linked = [json.loads(value) for value in Outline(full_page).values("data-problems")]
    browsed = {problem["id"] for problem in json.loads(Outline(full_page).scripts["report-samples"])["problems"]}
    lost = with_comparisons(report).comparison(1)["support"]["lost_ids"]
    assert lost
    assert all([problem_id] in linked for problem_id in lost)
    assert {i for ids in linked for i in ids} <= browsed


def test_a_sweep_over_temperatures_is_joined(tmp_path):
    folders = [
        write_evaluation(tmp_path / f"t{t}", BASE, seed=i, name=f"t{t}", sampling={"temperature": t})
        for i, t in enumerate((1.0, 0.4, 0.7))
    ]
    built = build_report(folders)
    assert find_sweeps(built.runs) == [[1, 2, 0]]
    more = write_evaluation(tmp_path / "more", BASE, n=32, name="more", sampling={"temperature": 0.1})
    assert find_sweeps(build_report([*folders, more]).runs) == [[1, 2, 0]]
    page = to_html(built)
    assert page.count('class="sweep run run-1"') == 2
    assert "T 0.4" in page


def test_the_page_runs_our_scripts_and_nothing_else(report):
    page = to_html(report)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert len(digests) == 2
    assert "script-src " + " ".join(f"'sha256-{digest}'" for digest in digests) + ";" in policy
    assert policy.startswith("default-src 'none'")
    # A policy only holds for what comes after it.
    assert page.index("Content-Security-Policy") < min(page.index("<style"), page.index("<script"), page.index("<link"))


def test_a_name_is_no_markup_in_markdown(tmp_path):
    name = "[click](https://evil.example) | www.evil.example \x1b[2J `x` ~y~ <b> $z$"
    folders = [write_evaluation(tmp_path / "base", BASE), write_evaluation(tmp_path / "run", GRPO, name=name)]
    text = to_markdown(build_report(folders))
    assert "evil" in text
    assert "\x1b" not in text
    for mark in ("](", "https://evil", "www.evil", " | www", "<b>"):
        assert mark not in text.replace("\\" + mark[0], "")
