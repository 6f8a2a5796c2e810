"""Cached scores: exact, bounded, and never worth a run."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import sys

from rlkit.rewards.cache import ScoreCache
from rlkit.rewards.outcomes import Outcome

SCORES = [Outcome.ok(0.1), Outcome.abstain(), Outcome.ok(-math.pi)]


def test_scores_come_back_exactly_and_failures_are_not_kept(tmp_path):
    cache = ScoreCache(tmp_path / "new" / "cache.sqlite")
    cache.keep({"a": SCORES, "b": [Outcome.ok(1), Outcome.error("bad")], "c": [Outcome.timeout("late")]})
    assert cache.find(["a", "b", "c", "d", "a"]) == {"a": SCORES}


def test_the_first_word_stays(tmp_path):
    cache = ScoreCache(tmp_path / "cache.sqlite")
    cache.keep({"a": [Outcome.ok(1)]})
    cache.keep({"a": [Outcome.ok(2)]})
    assert ScoreCache(tmp_path / "cache.sqlite").find(["a"]) == {"a": [Outcome.ok(1)]}


def test_the_oldest_go_first(tmp_path):
    cache = ScoreCache(tmp_path / "cache.sqlite", most_scores=3)
    for key in "abcde":
        cache.keep({key: [Outcome.ok(1)]})
    assert [*cache.find([*"abcde"])] == ["c", "d", "e"]


WRITER = """
import itertools, pathlib
from rlkit.rewards.cache import ScoreCache
from rlkit.rewards.outcomes import Outcome
cache = ScoreCache(pathlib.Path({path!r}))
for number in itertools.count():
    cache.keep({{f"{{number}} {{i}}": [Outcome.ok(number)] for i in range(50)}})
    print(number, flush=True)
"""


def test_kill_9_keeps_whole_batches(tmp_path):
    path = tmp_path / "cache.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER.format(path=str(path))], stdout=subprocess.PIPE) as writer:
        for _ in range(20):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
    cache = ScoreCache(path)
    for number in range(last + 1):
        found = cache.find([f"{number} {i}" for i in range(50)])
        assert [*found.values()] == [[Outcome.ok(number)]] * 50
    cache.keep({"after": SCORES})
    assert cache.find(["after"]) == {"after": SCORES}


def test_a_file_that_is_no_cache_costs_the_savings_only(tmp_path, capfd):
    (tmp_path / "torn.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    cache = ScoreCache(tmp_path / "torn.sqlite")
    assert cache.find(["a"]) == {}
    cache.keep({"a": SCORES})
    assert cache.find(["a"]) == {}
    assert capfd.readouterr().err.count("not cached") == 1


def test_a_value_that_is_torn_is_not_believed(tmp_path, capfd):
    cache = ScoreCache(tmp_path / "cache.sqlite")
    cache.keep({"a": SCORES})
    with sqlite3.connect(cache.table.file) as connection:
        connection.execute("UPDATE scores SET scores = '0x1.z'")
    assert ScoreCache(tmp_path / "cache.sqlite").find(["a"]) == {}
    assert "not cached" in capfd.readouterr().err
