"""The three files of a report."""

from __future__ import annotations

import json
from pathlib import Path

from rlkit.errors import ConfigError
from rlkit.files import as_store_error, write_text
from rlkit.report.combined import Report, as_json
from rlkit.report.markdown import to_markdown
from rlkit.report.page import to_html


def write_report(report: Report, output: Path | str) -> list[Path]:
    """Write `output` (the HTML page) and its neighbours with the endings .md and .json; return the three paths.

    Raises:
        ConfigError: `output` does not end in .html.
        StoreError: the files cannot be written.
    """
    page = check_output(output)
    texts = {
        page: to_html(report),
        page.with_suffix(".md"): to_markdown(report),
        page.with_suffix(".json"): json.dumps(as_json(report), indent=1, allow_nan=False) + "\n",
    }
    for path, text in texts.items():
        with as_store_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return list(texts)


def check_output(output: Path | str) -> Path:
    """Return `output` as a path; raises ConfigError unless it names an .html file that may be written."""
    page = Path(output)
    if page.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(
            f"--output {page} does not end in .html: write for example --output {page.with_suffix('.html')}."
        )
    if page.is_dir():
        raise ConfigError(f"--output {page} is a directory: name a file in it, for example {page / 'report.html'}.")
    return page
