"""What the page, Markdown and JSON say of a comparison: verdicts, crossings, support, what is retained and lost."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from rlkit.evaluation.comparing.verdict_rules import WORDS
from rlkit.report import as_json
from rlkit.report.losses import losses_figure, read_losses
from rlkit.report.markdown import to_markdown
from rlkit.report.pass_at_k import find_crossings
from rlkit.report.retained import retained_cells, retained_figure
from rlkit.report.scatter import Place, draw_scatter, find_places, places_table
from rlkit.report.support import describe_p
from rlkit.report.verdicts import _TONES, read_verdict, verdict_lines
from rlkit.report.wording import leading_measures, measure_title
from tests.report.measured import with_comparisons


@pytest.fixture(scope="module")
def full(report):
    return with_comparisons(report)


def test_a_verdict_has_word_sentence_and_what_decided(full):
    verdict = read_verdict(full.comparison(1))
    assert (verdict.word, verdict.tone, verdict.needed) == ("collapsed", "worse", "")
    assert verdict.sentence.startswith("It solves 17 more of 100 problems")
    assert verdict.questions[1] == (
        "solution coverage",
        "0.350",
        "0.520",
        "−38.0 % [−44.0, −32.0]",
        "2 %",
        "better",
    )
    assert verdict.sentence in verdict_lines(verdict)


def test_an_open_verdict_says_what_would_settle_it_and_how_to_know_more(full):
    verdict = read_verdict(full.comparison(2))
    assert (verdict.tone, verdict.needed) == ("none", "About 412 more problems would settle it.")
    lines = verdict_lines(verdict)
    assert "It is open:" in lines
    assert "rlkit eval --n 16" in lines


def test_verdicts_without_words_are_none_and_every_word_has_a_tone():
    assert read_verdict({}) is None
    assert read_verdict({"verdict": {}}) is None
    assert {*_TONES} == {*WORDS}


def test_only_runs_that_cross_have_a_crossing_and_its_open_end_is_none(full):
    (crossing,) = find_crossings(full)
    assert (crossing.name, crossing.at, crossing.low, crossing.high) == ("grpo", 5.3, 2.4, None)


def test_places_pair_problems_by_id_and_gather_those_that_coincide():
    def problem(name, num_correct, num_samples=4):
        return {"id": name, "num_samples": num_samples, "num_correct": num_correct}

    base = [problem("a", 2), problem("b", 2), problem("c", 0), problem("d", 1, 0), problem("e", 4)]
    run = [problem("e", 4), problem("c", 1), problem("b", 0), problem("a", 0), problem("d", 1)]
    places = find_places(base, run)
    assert places == [Place(0.0, 0.25, ("c",)), Place(0.5, 0.0, ("a", "b")), Place(1.0, 1.0, ("e",))]
    assert [place.kind for place in places] == ["gained", "lost", "kept"]
    assert sum(int(text) for row in places_table(places) for text in row[1:] if text != "–") == 4


def test_worse_problems_lie_below_the_diagonal_and_more_of_them_are_larger():
    places = [Place(0.5, 0.25, ("a",)), Place(0.5, 0.75, tuple("bcde"))]
    svg = ElementTree.fromstring(draw_scatter("s", places, 1, ("base", "run")))
    marks = {a.get("data-tip"): a[0].get("transform") for a in svg.iter("a")}
    (one, many) = (marks["a: 0.50 → 0.25"], marks["4 problems (b, …): 0.50 → 0.75"])
    y_of = [float(transform.split(" ")[1].rstrip(")")) for transform in (one, many)]
    scales = [float(transform.split("scale(")[1].rstrip(")")) for transform in (one, many)]
    assert y_of[0] > y_of[1]
    assert scales[1] == pytest.approx(2 * scales[0])


def test_without_a_browser_marks_are_no_links():
    svg = ElementTree.fromstring(draw_scatter("s", [Place(0.5, 0.25, ("a",))], 1, ("base", "run"), is_linked=False))
    assert not list(svg.iter("a"))


def test_undefined_shares_stay_undefined_in_the_figure(full):
    cells = retained_cells(full)
    assert cells["correct/simpson"][2].value is None
    assert "undefined (0 of 60)" in retained_figure(full)


def test_bars_of_one_sign_are_stacked_and_signs_go_apart(full):
    figure = losses_figure(full)
    start = figure.index('<svg id="loss-0"')
    bars = ElementTree.fromstring(figure[start : figure.index("</svg>", start) + len("</svg>")])
    groups = [g for g in bars.iter("g") if (g.get("class") or "").startswith("run")]
    (grpo, darling) = [[(float(r.get("x")), float(r.get("width"))) for r in g.iter("rect")] for g in groups]
    assert grpo[0][0] + grpo[0][1] == pytest.approx(grpo[1][0], abs=0.05)
    assert darling[1][0] + darling[1][1] == pytest.approx(darling[0][0], abs=0.05)


def test_a_loss_without_a_total_is_left_out(full):
    record = {"x": {"total": None, "quality_control": None, "residual": None, "rho": None, "num_problems": 0}}
    empty = replace(full, comparisons={(1, 0): {"decomposition": record}})
    assert read_losses(empty) == {}
    assert losses_figure(empty) is None


def test_many_measures_are_led_by_the_well_known_ones_in_all_parts():
    names = ["all/zlib", "all/simpson", "correct/zlib", "correct/simpson", "token_entropy"]
    assert leading_measures(names, 2) == ["all/simpson", "correct/simpson", "token_entropy"]
    assert measure_title("correct/hill_2_at_8") == "Hill number 2 at 8, correct ones"
    assert measure_title("all/vendi_1_hashed_ngrams_at_4") == "Vendi score by n-grams at 4, all outputs"
    assert measure_title("mine") == "Mine"


def test_p_values():
    assert [describe_p(p) for p in (None, 0.0002, 0.03119)] == ["undefined", "< 0.001", "0.031"]


def test_markdown_has_the_same_tables_in_short(full, report):
    text = to_markdown(full)
    for title in ("Problems solved at all", "Diversity retained, % of base", "Where the loss comes from"):
        assert f"## {title}" in text
        assert f"## {title}" not in to_markdown(replace(report, comparisons={}))
    assert "Verdict: **collapsed**" in text
    assert "| grpo | 5.3 [2.4, open], in 97% of resamples |" in text.replace("\\", "")
    assert "undefined (0 of 60)" in text


def test_json_carries_the_comparisons(full):
    record = as_json(full)
    json.dumps(record, allow_nan=False)
    assert record["runs"][0]["comparison"] is None
    assert record["runs"][1]["comparison"]["support"] == full.comparison(1)["support"]
