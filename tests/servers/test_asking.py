"""Servers that are not there or say nothing: the run ends in time, with one sentence, and Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from rlkit.diversity import CrossEncoder, LlmJudge
from rlkit.errors import RewardError
from rlkit.servers import asking
from rlkit.servers.asking import ask_each

TEXTS = [f"{letter} 1" for letter in "abcdefgh"]


@pytest.fixture(autouse=True)
def strangers(monkeypatch):
    """No server was reached before, and no proxy answers in the place of one."""
    monkeypatch.setattr(asking, "_reached", set())
    monkeypatch.setattr(asking, "_noted", {})
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def closed():
    """An address that nobody listens at: the port is taken, but refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent():
    """An address that takes every connection and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def judge_at(url, **params):
    return LlmJudge(model="m", base_url=f"{url}/v1", cache=None, **params)


def classifier_at(url, **params):
    return CrossEncoder(model="m", url=url, batch_size=1, **params)


@pytest.mark.parametrize("make", [judge_at, classifier_at])
@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_a_server_without_a_sign_of_life_costs_the_probe_and_not_the_deadline(make, kind, request, monkeypatch):
    monkeypatch.setattr(asking, "PROBE_S", 0.6)
    partition = make(request.getfixturevalue(kind), concurrency=1)
    start = time.monotonic()
    with pytest.raises(RewardError, match=r"127\.0\.0\.1.*within 0\.6 seconds.*mend its address"):
        partition.labels(partition.features(TEXTS))
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("make", [judge_at, classifier_at])
def test_a_server_that_falls_silent_costs_one_deadline_however_many_questions_wait(make, server):
    server.delay_s = 30.0
    partition = make(server.url, deadline_s=1.0, concurrency=2)
    start = time.monotonic()
    with pytest.raises(RewardError, match="1 seconds"):
        partition.labels(partition.features(TEXTS))
    assert time.monotonic() - start < 3
    time.sleep(0.2)
    assert len(server.requests) == 2, "the other questions were dropped"


def test_a_server_is_probed_once(server, monkeypatch):
    probes = []
    for _ in range(2):
        asking.reach("The judge at x", 5.0, probes.append)
    assert len(probes) == 1
    assert 4 < probes[0] <= 5


def test_replies_come_in_the_order_of_the_questions_and_so_many_at_a_time():
    running, most, lock = set(), [0], threading.Lock()

    def ask(question):
        with lock:
            running.add(question)
            most[0] = max(most[0], len(running))
        time.sleep(0.02 * (question % 3))
        with lock:
            running.remove(question)
        return question**2

    assert ask_each(ask, range(20), 4, 5.0, "It") == [number**2 for number in range(20)]
    assert most[0] == 4
    assert ask_each(ask, [], 4, 5.0, "It") == []


def test_the_first_error_passes_and_drops_what_was_not_asked():
    asked = []

    def ask(question):
        asked.append(question)
        raise RuntimeError(f"no {question}")

    with pytest.raises(RuntimeError, match="no 0"):
        ask_each(ask, range(100), 1, 5.0, "It")
    assert asked == [0]


def test_silence_beyond_the_deadline_ends_although_the_question_does_not(monkeypatch):
    monkeypatch.setattr(asking, "_GRACE_S", 0.1)
    start = time.monotonic()
    with pytest.raises(RewardError, match=r"^It has been silent for 0\.3 seconds"):
        ask_each(lambda question: time.sleep(10), [1, 2], 2, 0.3, "It")
    assert time.monotonic() - start < 2


def test_replies_that_keep_coming_are_no_silence_however_long_all_takes(monkeypatch):
    monkeypatch.setattr(asking, "_GRACE_S", 0.1)
    assert ask_each(lambda question: time.sleep(0.15), range(8), 1, 0.3, "It") == [None] * 8


def test_who_is_waited_for_is_said_once_a_minute(monkeypatch):
    said = []
    monkeypatch.setattr(asking, "note", said.append)
    monkeypatch.setattr(asking, "_QUIET_S", 0.05)
    for _ in range(2):
        ask_each(lambda question: time.sleep(0.2), [1], 1, 5.0, "The judge at x")
    assert said == ["The judge at x has not replied for 0.05 seconds; the run waits up to 5."]
    ask_each(lambda question: None, [1], 1, 5.0, "The judge at y")
    assert len(said) == 1


SCRIPT = """
import sys
from rlkit.diversity import CrossEncoder, LlmJudge
kind, url = sys.argv[1:]
partition = (
    LlmJudge(model="m", base_url=url, cache=None) if kind == "judge" else CrossEncoder(model="m", url=url, batch_size=1)
)
features = partition.features(list("abcdefgh"))
print("asking", flush=True)
partition.labels(features)
"""


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("kind", ["judge", "classifier"])
def test_an_interrupt_ends_a_process_that_waits(kind, server):
    server.delay_s = 60.0
    command = [sys.executable, "-c", SCRIPT, kind, server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "asking\n"
        deadline = time.monotonic() + 60
        while len(server.requests) < 8 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(server.requests) == 8, "eight questions are under way"
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - start < 5
    assert "KeyboardInterrupt" in said
    assert process.returncode != 0
