"""Several evaluations side by side: one self-contained HTML page, a Markdown table and JSON."""

from __future__ import annotations

from rlkit.report.combined import Report, as_json, build_report
from rlkit.report.write import write_report

__all__ = ["Report", "as_json", "build_report", "write_report"]
