"""The report as one self-contained HTML page: no network, no fonts to load, readable with scripts off."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from string import Template

from rlkit.report.accuracy_diversity import diversity_section
from rlkit.report.browser_section import browser_json, browser_section
from rlkit.report.combined import Report, as_json
from rlkit.report.distribution import distribution_section
from rlkit.report.example_tables import examples_section
from rlkit.report.frame import colour, run_class, swatch
from rlkit.report.headline import headline_section
from rlkit.report.layout import Charts
from rlkit.report.markup import Markup, join, script_json, tag
from rlkit.report.pass_at_k import pass_at_k_section
from rlkit.report.provenance import provenance_section
from rlkit.report.support import support_section
from rlkit.report.training_section import training_section
from rlkit.report.wording import caveats, describe_comparison, task_name

STYLES = ("page.css", "figures.css", "browser.css")


def to_html(report: Report) -> str:
    """Return the page; data sit in it as JSON in `#report-data`, in the shape of the JSON file."""
    charts = Charts()
    title = page_title(report)
    body = tag(
        "main",
        _header(report, title),
        headline_section(report),
        pass_at_k_section(report, charts),
        diversity_section(report, charts),
        support_section(report),
        distribution_section(report, charts),
        training_section(report, charts),
        examples_section(report),
        browser_section(report),
        provenance_section(report),
    )
    scripts = {name: _data_file(f"{name}.js") for name in ("page", "browser")}
    return Template(_data_file("page.html")).substitute(
        policy=_content_policy(scripts.values()),
        title=join([title]),
        style="".join(map(_data_file, STYLES)),
        body=join([_bar(report), body, tag("div", id="tip", role="status", hidden=True)]),
        data=script_json(as_json(report)),
        readouts=script_json(charts.readouts),
        samples=script_json(browser_json(report)),
        script=scripts["page"],
        browser=scripts["browser"],
    )


def _content_policy(scripts: Iterable[str]) -> str:
    """Return what a browser may run and load: our own two scripts by their digests, our styles, and nothing else."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    rest = "img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; {rest}"


def page_title(report: Report) -> str:
    """Return what the page is about in a few words."""
    others, task = len(report.runs) - 1, task_name(report.runs[0].report.get("task"))
    who = report.names[0] if not others else f"{others} run{'s' if others > 1 else ''} against {report.names[0]}"
    return f"Accuracy and diversity: {who} on {task}"


def _header(report: Report, title: str) -> Markup:
    notes = [tag("p", caveat, class_="caveat", role="note") for caveat in caveats(report)]
    return tag("header", tag("h1", title), tag("p", describe_comparison(report), class_="lead"), notes)


def _bar(report: Report) -> Markup:
    """The strip that stays on top: one chip per run, which keeps that run bright everywhere, and the theme switch."""
    chips = [
        tag(
            "button",
            swatch(i),
            name,
            type="button",
            class_=run_class(i, "chip"),
            data_colour=str(colour(i)),
            aria_pressed="false",
        )
        for i, name in enumerate(report.names)
    ]
    toggle = tag("button", "Dark", type="button", id="theme", class_="theme", aria_label="Switch to dark colours")
    return tag(
        "nav", tag("div", chips, class_="chips", role="group", aria_label="Highlight a run"), toggle, class_="top"
    )


def _data_file(name: str) -> str:
    return files("rlkit.report").joinpath(name).read_text(encoding="utf-8")
