"""Answers kept on disk: shared between processes, and read from files that older versions wrote."""

from __future__ import annotations

import sqlite3

from rlkit.rewards.cache import ScoreCache
from rlkit.rewards.outcomes import Outcome
from rlkit.servers.cache import KeptTable


def test_where_another_process_was_first_its_answer_holds(tmp_path):
    one, two = (KeptTable("judgements", "same INTEGER", tmp_path / "shared.sqlite") for _ in range(2))
    assert one.keep({"k": True}) == {"k": 1}
    assert two.keep({"k": False, "l": False}) == {"k": 1, "l": 0}
    assert one.find(["k", "l", "m"]) == {"k": 1, "l": 0}


def test_older_files_are_read_and_written_on(tmp_path):
    file = tmp_path / "old.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE judgements (key TEXT PRIMARY KEY, same INTEGER NOT NULL)")
        connection.execute("INSERT INTO judgements VALUES ('k', 1)")
    table = KeptTable("judgements", "same INTEGER", file)
    assert table.keep({"l": False}) == {"l": 0}
    assert table.find(["k", "l"]) == {"k": 1, "l": 0}


def test_judgements_and_scores_share_one_file_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scores, judgements = ScoreCache(), KeptTable("judgements", "same INTEGER")
    scores.keep({"k": [Outcome.ok(0.5)]})
    judgements.keep({"k": True})
    assert scores.find(["k"]) == {"k": [Outcome.ok(0.5)]}
    assert judgements.find(["k"]) == {"k": 1}
    assert [path.name for path in (tmp_path / "rlkit").iterdir()] == ["judgements.sqlite"]
