"""The section with training curves: one small chart per logged series, one line per run."""

from __future__ import annotations

from rlkit.report.combined import Report
from rlkit.report.curves import training_chart
from rlkit.report.layout import Charts, legend, section
from rlkit.report.markup import Markup, tag
from rlkit.report.training import series_title


def training_section(report: Report, charts: Charts) -> Markup | None:
    """Return the charts; None when no run has a log."""
    keys = list(dict.fromkeys(key for run in report.runs if run.training for key in run.training.series))
    if not keys:
        return None
    panels = [
        tag("figure", tag("figcaption", tag("h3", series_title(key))), charts.lines(chart), class_="panel")
        for i, key in enumerate(keys)
        if (chart := training_chart(report, key, f"training-{i}"))
    ]
    trained = [i for i, run in enumerate(report.runs) if run.training]
    names = ", ".join(report.names[i] for i in trained)
    caption = f"Logged while training {names}; bold lines are moving averages, faint ones what was logged."
    head = [tag("p", caption, class_="caption"), legend(report, trained)]
    return section("training", "Training", *head, tag("div", panels, class_="panels"))
