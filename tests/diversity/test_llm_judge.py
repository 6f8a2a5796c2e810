"""A language model as judge: what it is asked, what counts as its answer, and what is remembered."""

from __future__ import annotations

import logging
import pickle
import re
import time

import numpy as np
import pytest

from rlkit.diversity import LlmJudge, resolve_partition
from rlkit.errors import ConfigError, RewardError
from rlkit.servers.judge import read_word


def say(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return 200, {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def solutions(request):
    question = request["messages"][0]["content"]
    return re.findall(r"<solution_\d>\n(.*?)\n</solution_\d>", question, re.DOTALL)


def same_first_word(path, request):
    assert path == "/v1/chat/completions"
    first, second = solutions(request)
    return say("Let me see.\n" + ("SAME" if first.split()[0] == second.split()[0] else "DIFFERENT"))


@pytest.fixture
def judge(server, tmp_path):
    """Return a judge of the server, with a cache of its own."""

    def make(**params):
        defaults = {"model": "judge", "cache": str(tmp_path / "judgements.sqlite"), "deadline_s": 5.0}
        return LlmJudge(base_url=f"{server.url}/v1", **(defaults | params))

    server.answer = same_first_word
    return make


def labels(partition, texts):
    return partition.labels(partition.features(texts)).tolist()


def test_a_group_is_judged_in_both_orders(judge, server):
    assert labels(judge(), ["a 1", "b 1", "a 2", "c"]) == [0, 1, 0, 2]
    asked = [tuple(solutions(request)) for _, request in server.requests]
    assert len(asked) == 7, "six pairs, and once more the one that was called the same"
    assert set(asked) >= {("a 1", "a 2"), ("a 2", "a 1")}
    assert server.requests[0][1]["temperature"] == 0


def test_a_judge_that_favours_a_place_calls_nothing_the_same(judge, server):
    server.answer = lambda path, request: say("SAME" if solutions(request)[0] < solutions(request)[1] else "DIFFERENT")
    texts = ["a", "b", "c"]
    assert labels(judge(), texts) == [0, 1, 2]
    assert labels(judge(both_orders=False), texts) == [0, 0, 0]


def test_a_question_is_paid_for_once(judge, server):
    texts = ["a 1", "b 1", "a 2"]
    first = labels(judge(), texts)
    count = len(server.requests)
    server.answer = lambda path, request: (500, {})
    assert labels(judge(), texts) == first
    assert labels(pickle.loads(pickle.dumps(judge())), texts[::-1]) == [0, 1, 0], "in any order of the group"
    assert len(server.requests) == count


def test_without_a_cache_every_question_is_asked(judge, server):
    for _ in range(2):
        labels(judge(cache=None), ["a", "b"])
    assert len(server.requests) == 2


def test_another_model_is_another_judge(judge, server):
    labels(judge(), ["a", "b"])
    labels(judge(model="other"), ["a", "b"])
    assert len(server.requests) == 2


def test_stated_classes_and_equal_texts_are_not_asked_about(judge, server):
    partition = judge()
    features = partition.features(["a", "", "a", " ", "b"], truncated=[False, False, False, False, True])
    assert partition.labels(features).tolist() == [0, 1, 0, 1, 2]
    assert server.requests == []


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("SAME", True),
        ("different.", False),
        ("**Verdict: SAME**", True),
        ("They differ in style.\n\nDIFFERENT\n", False),
        ("<think>maybe DIFFERENT</think>\nSAME", True),
        ("They are not the same", None),
        ("SAME or DIFFERENT", None),
        ("SAME\nI hope this helps!", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_last_line_of_one_word_is_a_verdict(reply, verdict):
    assert read_word(reply, ("SAME", "DIFFERENT")) is verdict


def test_unreadable_replies_are_asked_again_counted_and_never_the_same(judge, server, caplog):
    server.answer = lambda path, request: say("I cannot say.")
    partition = judge(model="mumbler")
    with caplog.at_level(logging.WARNING):
        assert labels(partition, ["a 1", "a 2"]) == [0, 1]
    assert len(server.requests) == 2
    assert (partition.asked, partition.unreadable) == (1, 1)
    assert "1 of 1 replies of the judge mumbler were unreadable" in caplog.text
    server.answer = same_first_word
    assert labels(partition, ["a 1", "a 2"]) == [0, 0], "an unreadable reply is not remembered"


def test_too_many_unreadable_replies_stop_the_run(judge, server):
    server.answer = lambda path, request: say(None)
    with pytest.raises(RewardError, match="'silent' gave 21 unreadable replies to 21 questions"):
        labels(judge(model="silent"), list("abcdefg"))


def test_a_server_is_asked_again_while_it_may_recover(judge, server):
    failures = iter([(503, {}), (429, {}), (200, b"<html>hello</html>")])
    server.answer = lambda path, request: next(failures, None) or same_first_word(path, request)
    assert labels(judge(concurrency=1, both_orders=False), ["a 1", "a 2"]) == [0, 0]
    assert len(server.requests) == 4


@pytest.mark.parametrize("reply", [b"<html>login</html>", b"{", {"choices": []}, {}, {"choices": None}, []])
def test_replies_that_are_none_end_in_a_sentence(judge, server, reply):
    server.answer = lambda path, request: (200, reply)
    with pytest.raises(RewardError, match=r"^The judge at http://127.*no judgement"):
        labels(judge(), ["a", "b"])


def test_slow_failing_and_absent_servers_end_in_a_sentence(judge, server):
    server.delay_s = 1.5
    start = time.monotonic()
    with pytest.raises(RewardError, match=r"within 0\.5 seconds"):
        labels(judge(deadline_s=0.5), ["a", "b"])
    assert time.monotonic() - start < 3
    server.delay_s, server.answer = 0.0, lambda path, request: (500, {})
    with pytest.raises(RewardError, match="within 1 seconds"):
        labels(judge(deadline_s=1), ["a", "b"])
    with pytest.raises(RewardError, match=r"within 0\.5 seconds"):
        labels(LlmJudge(model="m", base_url="http://127.0.0.1:9/v1", cache=None, deadline_s=0.5), ["a", "b"])


def test_a_question_that_the_server_refuses_is_not_repeated(judge, server):
    server.answer = lambda path, request: (400, {"error": {"message": "context too long"}})
    with pytest.raises(ConfigError, match=r"refuses the question.*context too long"):
        labels(judge(), ["a", "b"])
    assert len(server.requests) == 1


def test_options_and_the_key_travel_when_they_are_given(judge, server, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "secret")
    labels(judge(api_key_variable="JUDGE_KEY", temperature=None, max_reply_tokens=7), ["a", "b"])
    _, request = server.requests[0]
    assert server.headers[0]["authorization"] == "Bearer secret"
    assert "temperature" not in request
    assert request["max_completion_tokens"] == 7
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(ConfigError, match=r"'JUDGE_KEY'.*is not set"):
        labels(judge(api_key_variable="JUDGE_KEY"), ["a", "c"])


def test_the_judgement_is_symmetric_with_a_true_diagonal_and_texts_are_cut(judge):
    partition = judge(max_characters=3)
    features = partition.features(["a 1234", "b", "a 5678", "a 1"])
    assert features == ["a 1", "b", "a 5", "a 1"]
    judged = partition.equivalent(features)
    assert np.array_equal(judged, judged.T)
    assert judged.astype(int).tolist() == [[1, 0, 1, 1], [0, 1, 0, 0], [1, 0, 1, 1], [1, 0, 1, 1]]


def test_a_cache_that_cannot_be_opened_is_one_sentence(judge, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept in"):
        labels(judge(cache=str(tmp_path / "file" / "cache.sqlite")), ["a", "b"])
    (tmp_path / "text.sqlite").write_text("this is no database, but long enough to be mistaken for one" * 20)
    with pytest.raises(ConfigError, match="cannot be kept in"):
        labels(judge(cache=str(tmp_path / "text.sqlite")), ["a", "b"])


@pytest.mark.parametrize(
    "params",
    [
        {"model": " "},
        {"base_url": "localhost:8000/v1"},
        {"base_url": None},
        {"api_key_variable": ""},
        {"both_orders": "yes"},
        {"cache": 3},
        {"max_characters": 0},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"max_reply_tokens": 0},
        {"max_unreadable": 1.5},
        {"deadline_s": True},
        {"concurrency": 0},
        {"closure": "best"},
    ],
)
def test_parameters_that_mean_nothing_are_refused(params):
    with pytest.raises(ConfigError):
        resolve_partition({"name": "llm_judge", "model": "m", "base_url": "http://localhost/v1"} | params)
