"""Every check of `check_reward` catches the reward that is wrong in its way, and lets good ones pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkit.errors import ConfigError, RewardCheckError
from rlkit.plugins import load_target
from rlkit.testing import check_reward, examine_reward
from rlkit.testing.examination import CHECKS

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

FILE = Path(__file__).with_name("broken.py")


def named(name):
    return load_target(f"{FILE}:{name}", "test")


def failures(name, cases, **options):
    report = examine_reward(f"{FILE}:{name}", named(cases), **options)
    return {check.name: check.failures for check in report.checks.values() if check.failures}


GOOD = {
    "good": "TEXTS",
    "good_answers": "ANSWERS",
    "good_batch": "BATCHES",
    "good_group": "BATCHES",
    "good_async": "TEXTS",
}


@pytest.mark.parametrize(("name", "cases"), GOOD.items())
def test_good_rewards_pass(name, cases):
    report = check_reward(f"{FILE}:{name}", named(cases))
    assert report.passed
    assert report.num_trials > 20
    skipped = {check.name for check in report.checks.values() if check.status == "skipped"}
    async_only = {"pickle", "process"} if name == "good_async" else set()
    assert skipped == async_only | ({"gaming"} if name != "good_answers" else set())


BROKEN = [
    ("says_something_else", "TEXTS", {"cases"}, "Case 1 says 1.0, but it gives 0.0."),
    ("gives_one_too_many", "BATCHES", None, "returned 4 scores for 3 completions"),
    ("gives_words", "TEXTS", None, "which is no score"),
    ("reads_only_text", "TEXTS", {"chat"}, "completion_text"),
    ("takes_the_first_letter", "TEXTS", {"empty"}, "IndexError"),
    ("gives_nan_for_nothing", "TEXTS", {"empty", "unicode"}, "counts as not scored"),
    ("looks_for_what_was_cut", "TEXTS", {"truncated"}, "ValueError: substring not found"),
    ("encodes", "TEXTS", {"unicode"}, "surrogates not allowed"),
    ("formats", "TEXTS", None, "IndexError: Replacement index 0"),
    ("reads_any_number", "TEXTS", {"huge"}, "integer string conversion"),
    ("looks_anywhere", "ANSWERS", {"gaming"}, "read the one final answer"),
    ("throws_dice", "TEXTS", {"determinism"}, "seed what is random"),
    ("counts_calls", "TEXTS", {"determinism"}, "keep no state between calls"),
    ("favours_the_first", "BATCHES", {"order"}, "not on their places"),
    ("favours_the_first_of_a_group", "GROUPS", {"chat", "order"}, "not on their places"),
    ("adds_to_its_input", "BATCHES", {"inputs"}, "work on a copy"),
    ("sets_an_alarm", "TEXTS", {"thread"}, "do without signals"),
    ("ends_the_process", "TEXTS", {"unicode"}, "its process ended"),
]
"""Name, cases, the checks that fail and no others (None where one fault fails many), and what one failure says."""


@pytest.mark.parametrize(("name", "cases", "caught", "said"), BROKEN, ids=[row[0] for row in BROKEN])
def test_each_culprit_is_caught_by_its_check(name, cases, caught, said):
    found = failures(name, cases)
    assert found
    if caught is not None:
        assert {*found} <= caught | {"process"}
        assert {*found} & caught
    assert any(said in sentence for sentences in found.values() for sentence in sentences), found


def test_what_takes_too_long_is_ended_and_the_rest_goes_on():
    found = failures("thinks_long", "TEXTS", budget_s=1.0)
    assert {*found} == {"time"}
    assert "of 999999 characters" in found["time"][0]
    assert "more than 1 seconds" in found["time"][0]


def test_what_differs_by_process_is_found_out():
    found = failures("reads_its_process", "TEXTS")
    assert {*found} == {"process"}
    assert "in another process" in found["process"][0]


def test_what_cannot_be_pickled_is_told_how_to_mend():
    report = examine_reward(named("make_closure")(), named("TEXTS"))
    assert [check.name for check in report.checks.values() if check.failures] == ["pickle"]
    assert "top level of a file" in report.checks["pickle"].failures[0]
    assert report.checks["process"].status == "skipped"


def test_the_error_lists_every_failure_and_is_an_assertion():
    with pytest.raises(AssertionError, match="says_something_else failed 1 of 18 checks") as caught:
        check_reward(f"{FILE}:says_something_else", named("TEXTS"))
    assert isinstance(caught.value, RewardCheckError)
    assert "\n  cases: Case 1 says" in str(caught.value)
    assert [*caught.value.report.checks] == [*CHECKS]


def test_a_column_that_no_case_gives_is_told():
    found = failures("good_answers", "TEXTS")
    assert [*found] == ["cases"]
    assert "missing a required argument: 'gold'" in found["cases"][0]


@pytest.mark.parametrize(
    ("name", "cases", "said"),
    [
        ("good", [], "has no cases"),
        ("good", ["yes"], r"write \(text, score\)"),
        ("good", [({"text": "yes"}, 1.0)], "no 'completion'"),
        ("good_group", [("yes", 1.0)], "it judges groups"),
        ("good_group", [({"completions": ["yes", "no"]}, 1.0)], "write a list of scores, one for each"),
    ],
)
def test_cases_that_cannot_be_read_are_refused(name, cases, said):
    with pytest.raises(ConfigError, match=said):
        check_reward(f"{FILE}:{name}", cases)


def test_cases_that_are_no_list_are_refused(tmp_path):
    file = tmp_path / "counted.py"
    file.write_text("import rlkit\nCASES = 5\n@rlkit.reward\ndef counted(completion): return 1.0\n")
    with pytest.raises(ConfigError, match=r"CASES beside counted is 5; write a list"):
        check_reward(f"{file}:counted")
