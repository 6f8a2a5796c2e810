from __future__ import annotations

import json
import os

import pytest

from rlkit.errors import ConfigError, StoreError
from rlkit.report import write_report
from rlkit.report.write import check_output


def test_three_files_are_written_into_a_new_folder(report, tmp_path):
    page, markdown, data = write_report(report, tmp_path / "new folder" / "r.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "| **grpo** |" in markdown.read_text(encoding="utf-8")
    assert json.loads(data.read_text())["reference"] == "base"


def test_an_output_that_is_not_a_page_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"does not end in \.html: write for example --output report\.html"):
        check_output("report.pdf")
    (tmp_path / "x.html").mkdir()
    with pytest.raises(ConfigError, match="is a directory"):
        check_output(tmp_path / "x.html")


def test_an_output_that_cannot_be_written_is_one_sentence(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_report(report, tmp_path / "file" / "r.html")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_sentence(report, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        write_report(report, tmp_path / "r.html")
