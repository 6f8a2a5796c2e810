"""The Markdown table, the terminal table and the sentences they share with the page."""

from __future__ import annotations

import io
import itertools
import json

import pytest
from rich.console import Console

from rlkit.report import build_report
from rlkit.report.cells import Cell
from rlkit.report.columns import _METRICS, Column, diversity_column, pass_at_column
from rlkit.report.distribution import QUANTITIES
from rlkit.report.markdown import to_markdown
from rlkit.report.page import to_html
from rlkit.report.terminal import print_report
from rlkit.report.training import series_title
from rlkit.report.wording import caveats, describe_comparison, describe_difference, difference_tone, measure_title
from tests.report.evaluations import BASE, GRPO, write_evaluation


def test_the_sentence_says_runs_task_problems_samples_and_temperature(report):
    assert describe_comparison(report) == (
        "base, grpo and darling on 60 problems of countdown (test split), 16 samples a problem at temperature 1.0; "
        "the reference is base."
    )


def test_a_single_run_has_no_differences_to_speak_of(tmp_path):
    report = build_report([write_evaluation(tmp_path / "base", BASE)])
    assert describe_comparison(report).endswith("at temperature 1.0.")
    assert "reference" not in to_markdown(report).split("Brackets")[0]


@pytest.mark.parametrize(
    ("cell", "text", "tone"),
    [
        (Cell(0.1, 0.05, 0.15), "▲ +0.100 higher", "better"),
        (Cell(-0.1, -0.15, -0.05), "▼ −0.100 lower", "worse"),
        (Cell(0.01, -0.05, 0.07), "≈ +0.010 unclear", "unclear"),
        (Cell(None), "difference undefined", "unclear"),
    ],
)
def test_differences_carry_arrow_number_and_word(cell, text, tone):
    assert describe_difference(pass_at_column(1), cell) == text
    assert difference_tone(pass_at_column(1), cell) == tone


def test_a_quantity_without_a_good_direction_is_never_better_or_worse():
    entropy = Column("token_entropy", "", "", "")
    assert difference_tone(entropy, Cell(-0.1, -0.15, -0.05)) == "changed"


def test_what_makes_runs_hard_to_compare_is_said(report, tmp_path):
    assert caveats(report) == []
    folders = [write_evaluation(tmp_path / "base", BASE, n=8)]
    folders.append(write_evaluation(tmp_path / "grpo", GRPO, sampling={"temperature": 0.6}))
    different_n, different_settings = caveats(build_report(folders))
    assert "at 8 samples" in different_n
    assert "different settings" in different_settings


def _is_row(line):
    return line.startswith("|")


def test_the_markdown_table_has_one_row_a_run_and_no_stray_markup(tmp_path, report):
    lines = iter(to_markdown(report).splitlines())
    rows = list(itertools.takewhile(_is_row, itertools.dropwhile(lambda line: not _is_row(line), lines)))
    assert len(rows) == 2 + 3
    assert {row.count("|") for row in rows} == {len(report.columns) + 2}
    assert rows[2].startswith("| **base** (reference) | 0.")
    nasty = build_report([write_evaluation(tmp_path / "x", BASE, name="a|b*<c>")])
    assert "**a\\|b\\*\\<c\\>**" in to_markdown(nasty)


def test_undefined_is_written_out_everywhere(tmp_path):
    folders = [write_evaluation(tmp_path / policy.name, policy) for policy in (BASE, GRPO)]
    record = json.loads((folders[0] / "report.json").read_text())
    record["metrics"]["solution_coverage"] |= {"value": None, "low": None, "high": None, "num_defined": 0}
    (folders[0] / "report.json").write_text(json.dumps(record))
    report = build_report(folders)
    assert "undefined (0 of 12)" in to_markdown(report)
    assert "undefined (0 of 12)" in to_html(report)
    printed = io.StringIO()
    print_report(report, Console(width=100, file=printed))
    assert "undefined" in printed.getvalue()
    assert "(0 of 12)" in printed.getvalue()


def test_a_metric_that_no_run_has_is_not_a_column_and_diversity_falls_back(tmp_path):
    folders = [write_evaluation(tmp_path / policy.name, policy) for policy in (BASE, GRPO)]
    for folder in folders:
        record = json.loads((folder / "report.json").read_text())
        record["metrics"]["solution_coverage"] |= {"value": None, "low": None, "high": None, "num_defined": 0}
        (folder / "report.json").write_text(json.dumps(record))
    report = build_report(folders)
    assert "solution_coverage" not in [column.key for column in report.columns]
    assert diversity_column(report.columns).key == "distinct_correct"


def test_the_terminal_table_fits_eighty_columns(report, capsys):
    print_report(report, Console(width=80, highlight=False, force_terminal=False))
    lines = capsys.readouterr().out.splitlines()
    # A command is one line, to be copied.
    assert max(len(line) for line in lines if not line.startswith("  rlkit eval ")) <= 80
    header = next(line for line in lines if "pass@1" in line)
    assert header.split() == " ".join(["run", *(column.short for column in report.columns)]).split()
    assert "…" not in "".join(lines)


def test_no_two_quantities_share_a_title():
    titles = [
        series_title("entropy"),
        *(column.title for column in _METRICS),
        *(each.column.title for each in QUANTITIES),
    ]
    titles += [measure_title(name) for name in ("answer_entropy", "token_entropy", "semantic_entropy_at_4")]
    assert len({title.casefold() for title in titles}) == len(titles)
    assert sum("entropy" in title.casefold() for title in titles) == 6
