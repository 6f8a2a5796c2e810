"""Failures are counted, summed over ranks as plain numbers, and stop a run with what the first one said."""

from __future__ import annotations

import math

import pytest

from rlkit.errors import ConfigError, RewardError
from rlkit.rewards.failure_counts import FailureCounts, decide, name_counts, rates
from rlkit.rewards.outcomes import Outcome

OK, ERROR, LATE = Outcome.ok(1), Outcome.error("ValueError: bad"), Outcome.timeout("No answer within 5 seconds.")
WHERE = """Traceback (most recent call last):
  File "/a/mine.py", line 7, in score
    f()
  File "/a/mine.py", line 3, in f
"""


def test_counts_are_rows_that_ranks_can_add():
    first, second = FailureCounts(), FailureCounts()
    first.add("a", [OK, OK, ERROR])
    second.add("a", [Outcome.abstain(), LATE, OK])
    names = ["a", "never"]
    total = [
        [x + y for x, y in zip(*rows, strict=True)]
        for rows in zip(first.counts(names), second.counts(names), strict=True)
    ]
    assert total == [[3, 1, 1, 1], [0, 0, 0, 0]]
    assert rates(name_counts(total[0])) == {"ok": 0.5, "abstain": 1 / 6, "error": 1 / 6, "timeout": 1 / 6}
    assert all(math.isnan(rate) for rate in rates(name_counts(total[1])).values())


def test_only_the_window_counts():
    failures = FailureCounts(window=2)
    for outcome in (ERROR, OK, OK):
        failures.add("a", [outcome] * 10)
    assert failures.counts(["a"]) == [[20, 0, 0, 0]]


@pytest.mark.parametrize(
    ("ok", "failed", "stops"),
    [(95, 5, False), (94, 6, True), (7, 1, False), (0, 1, True), (0, 0, False), (6, 2, False)],
)
def test_the_limit(ok, failed, stops):
    counts = {"a": {"ok": ok, "abstain": 0, "error": failed, "timeout": 0}}
    assert decide(counts, 0.05) == (["a"] if stops else [])


def test_timeouts_count_and_abstentions_do_not():
    assert decide({"a": {"ok": 0, "abstain": 0, "error": 0, "timeout": 4}}, 0.5) == ["a"]
    assert decide({"a": {"ok": 0, "abstain": 64, "error": 0, "timeout": 0}}, 0.0) == []


def test_the_worst_comes_first_and_the_limit_is_a_share():
    row = {"ok": 5, "abstain": 0, "error": 5, "timeout": 0}
    assert decide({"a": row, "b": row | {"ok": 0}, "c": row | {"error": 0}}, 0.1) == ["b", "a"]
    with pytest.raises(ConfigError, match="max_error_rate=5"):
        decide({}, 5)


def test_the_sentence_holds_the_first_failure_and_its_line():
    failures = FailureCounts()
    failures.add("mine", [OK, Outcome.error("The reward mine: ValueError: bad.", WHERE), LATE, ERROR])
    failures.stop_if_failing(["mine"], failures.counts(["mine"]), 0.75)
    with pytest.raises(RewardError) as raised:
        failures.stop_if_failing(["mine"], failures.counts(["mine"]), 0.05)
    said = str(raised.value)
    assert "mine failed for 3 of 4 completions (2 errors, 1 timeouts)" in said
    assert "ValueError: bad (line 3 of /a/mine.py, in f)" in said
    assert "\n" not in said


def test_a_rank_without_failures_stops_too():
    failures = FailureCounts()
    failures.add("mine", [OK] * 4)
    with pytest.raises(RewardError, match="on another rank"):
        failures.stop_if_failing(["mine"], [[4, 0, 4, 0]], 0.05)
