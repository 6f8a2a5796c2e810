"""Servers that are not there or say nothing: the run ends in time, with one sentence, and Ctrl-C ends it at once."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time

import pytest

from rlkit.diversity import CrossEncoder, LlmJudge
from rlkit.errors import RewardError
from rlkit.servers import asking
from rlkit.servers.asking import Respondent, ask_each
from rlkit.servers.faults import BusyError, UnreachableError

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


def test_a_server_is_probed_once(monkeypatch):
    probed = []
    monkeypatch.setattr(asking, "find_silence", lambda urls, key, life, limit_s: probed.append(limit_s) or [None])
    for _ in range(2):
        assert put([1, 2]) == [None, None]
    assert probed == [5.0]


async def nothing(endpoint, question):
    await asyncio.sleep(0)


def put(questions, ask=nothing, name="It", deadline_s=5.0, concurrency=4):
    return ask_each(ask, questions, Respondent(name, "http://localhost:1", None, "health", deadline_s, concurrency))


@pytest.fixture
def reached():
    """The server that these tests put questions to was reached before."""
    asking._reached.update(["It", "The judge at x", "The judge at y"])


@pytest.mark.usefixtures("reached")
def test_replies_come_in_the_order_of_the_questions_and_so_many_at_a_time():
    running, most = set(), [0]

    async def ask(endpoint, question):
        running.add(question)
        most[0] = max(most[0], len(running))
        await asyncio.sleep(0.02 * (question % 3))
        running.remove(question)
        return question**2

    assert put(range(20), ask) == [number**2 for number in range(20)]
    assert most[0] == 4
    assert put([], ask) == []


@pytest.mark.usefixtures("reached")
def test_the_first_error_passes_and_drops_what_was_not_asked():
    asked = []

    async def ask(endpoint, question):
        asked.append(question)
        raise RuntimeError(f"no {question}")

    with pytest.raises(RuntimeError, match="no 0"):
        put(range(100), ask, concurrency=1)
    assert asked == [0]


@pytest.mark.usefixtures("reached")
def test_silence_ends_at_the_deadline_whatever_the_question_still_waits_for():
    start = time.monotonic()
    with pytest.raises(RewardError, match=r"^It gave no usable reply within 0\.3 seconds"):
        put([1, 2], lambda endpoint, question: asyncio.sleep(10), deadline_s=0.3)
    assert time.monotonic() - start < 2


@pytest.mark.usefixtures("reached")
def test_replies_that_keep_coming_are_no_silence_however_long_all_takes():
    assert put(range(8), lambda endpoint, question: asyncio.sleep(0.15), deadline_s=0.5, concurrency=1) == [None] * 8


@pytest.mark.usefixtures("reached")
def test_what_passes_is_asked_again_and_the_server_says_when():
    seen = []

    async def ask(endpoint, question):
        seen.append(time.monotonic())
        if len(seen) < 3:
            raise BusyError("status 429", wait_s=0.5) if len(seen) == 1 else UnreachableError("it hung up")
        return question

    assert put(["a"], ask) == ["a"]
    assert len(seen) == 3
    assert seen[1] - seen[0] >= 0.5


@pytest.mark.usefixtures("reached")
def test_who_is_waited_for_is_said_once_a_minute(monkeypatch):
    said = []
    monkeypatch.setattr(asking, "note", said.append)
    monkeypatch.setattr(asking, "_QUIET_S", 0.05)
    for _ in range(2):
        put([1], lambda endpoint, question: asyncio.sleep(0.2), "The judge at x")
    assert said == ["The judge at x has not replied for 0.05 seconds; the run waits up to 5."]
    put([1], nothing, "The judge at y")
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
