"""Async rewards: servers that are down, slow or talk nonsense, and coroutines that do not behave."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rlkit.plugins import load_target
from rlkit.rewards import bind_reward
from rlkit.rewards.engine import RewardEngine

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

FILE = Path(__file__).with_name("scored.py")
SEEN: list[str] = []


class Server(BaseHTTPRequestHandler):
    """Answers as the path says."""

    def do_GET(self):
        """Answer one question."""
        word = self.path.strip("/")
        SEEN.append(word)
        if word == "slow":
            time.sleep(3)
        is_busy = word == "busy" or (word == "flaky" and SEEN.count("flaky") < 3)
        self.send_response(503 if is_busy else 200)
        self.end_headers()
        self.wfile.write({"garbage": b"<html>", "nan": b'{"score": NaN}'}.get(word, b'{"score": 0.5}'))

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def port():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def score(name, completions, run=None, **columns):
    spec = {"name": f"{FILE}:{name}", "run": run or {}}
    with RewardEngine([bind_reward(spec)]) as engine:
        return engine.score(completions, ["p"] * len(completions), columns)[0]


def scores(outcomes):
    return [outcome.value for outcome in outcomes]


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def test_a_server_has_good_and_bad_answers(port):
    SEEN.clear()
    started = time.monotonic()
    texts = ["good", "slow", "garbage", "busy", "flaky", "nan"]
    good, slow, garbage, busy, flaky, nan = score("endpoint", texts, {"retries": 2, "deadline_s": 2.5}, port=[port] * 6)
    assert time.monotonic() - started < 4
    assert [good.value, flaky.value] == [0.5, 0.5]
    assert (slow.status, garbage.status, busy.status, nan.status) == ("timeout", "error", "error", "abstain")
    assert "JSONDecodeError" in garbage.reason
    assert "503" in busy.reason
    assert "(3 attempts)" in busy.reason
    # A value that is no score is the plug-in's word, not a hiccup of the line.
    assert (SEEN.count("busy"), SEEN.count("flaky"), SEEN.count("nan")) == (3, 3, 1)


def test_a_server_that_is_down_is_an_error():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        outcomes = score("endpoint", ["a", "b"], {"retries": 1}, port=[closed.getsockname()[1]] * 2)
    assert statuses(outcomes) == ["error", "error"]
    assert "ConnectionRefusedError" in outcomes[0].reason
    assert "scored.py" in outcomes[0].traceback


def test_late_and_stubborn_coroutines_cost_their_row():
    started = time.monotonic()
    outcomes = score("waits", ["a", "sleep", "stubborn", "raise", "exit", "b"])
    assert time.monotonic() - started < 3
    assert statuses(outcomes) == ["ok", "timeout", "timeout", "error", "error", "ok"]


def test_a_coroutine_that_never_awaits_is_interrupted_and_costs_its_row():
    score("waits", ["a"])
    before = threading.active_count()
    outcomes = score("waits", ["a", "spin", "b"])
    assert statuses(outcomes) == ["ok", "timeout", "ok"]
    assert "held up the event loop" in outcomes[1].reason
    assert "in waits" in outcomes[1].traceback
    assert threading.active_count() <= before


def test_a_loop_that_cannot_be_interrupted_is_replaced():
    with RewardEngine([bind_reward(f"{FILE}:waits")]) as engine:
        started = time.monotonic()
        outcomes = engine.score(["block"] * 2, ["p"] * 2, {})[0]
        assert time.monotonic() - started < 6
        assert statuses(outcomes) == ["timeout", "timeout"]
        assert scores(engine.score(["a", "b"], ["p"] * 2, {})[0]) == [1.0, 1.0]


def test_ten_batches_of_late_calls_leave_full_strength():
    with RewardEngine(
        [bind_reward({"name": f"{FILE}:waits", "run": {"deadline_s": 0.05, "max_concurrency": 2}})]
    ) as engine:
        for _ in range(10):
            assert statuses(engine.score(["sleep", "stubborn", "a"], ["p"] * 3, {})[0]) == ["timeout", "timeout", "ok"]


def test_a_busy_interpreter_is_not_taken_for_a_blocked_loop():
    bound = [bind_reward(f"{FILE}:waits"), bind_reward(f"{FILE}:here")]
    with RewardEngine(bound) as engine:
        waits, _ = engine.score(["sleep", "a"], ["p"] * 2, {})
        assert statuses(waits) == ["timeout", "ok"]


def test_concurrency_and_rate_are_kept():
    running = load_target(f"{FILE}:RUNNING", "test")
    running.update(now=0, most=0, starts=[])
    texts = [f"text {i}" for i in range(12)]
    assert scores(score("counts", texts, {"max_concurrency": 3})) == [1.0] * 12
    assert running["most"] == 3
    running.update(starts=[])
    score("counts", texts, {"rate_per_s": 40})
    starts = running["starts"]
    assert starts[-1] - starts[0] >= 11 / 40 - 0.02


def test_async_batch_rewards_get_the_batch():
    assert scores(score("whole", ["a", "b"], target=[1, 2])) == [1.0, 1.0]


def test_all_async_rewards_meet_one_loop_in_every_engine():
    def loops(*names):
        with RewardEngine([bind_reward(f"{FILE}:{name}") for name in names]) as engine:
            return {value for row in engine.score(["a", "b"], ["p"] * 2, {}) for value in scores(row)}

    assert len(loops("loop_of", "loop_of_batch") | loops("loop_of")) == 1


def test_async_rewards_begin_after_the_plain_ones_and_are_given_the_time_they_take():
    rewards = [bind_reward(f"{FILE}:reads_what_was_left"), bind_reward(f"{FILE}:leaves")]
    assert bind_reward(f"{FILE}:loop_of_batch").limit_s == float("inf")
    with RewardEngine(rewards) as engine:
        assert scores(engine.score(["first"], ["p"], {})[0]) == [1.0]
        assert scores(engine.score(["second"], ["p"], {})[0]) == [1.0]


def test_a_reward_that_blocks_the_loop_costs_no_other_reward_its_calls():
    with RewardEngine([bind_reward(f"{FILE}:waits"), bind_reward(f"{FILE}:counts")]) as engine:
        waits, others = engine.score(["block", "block"], ["p"] * 2, {})
        assert statuses(waits) == ["timeout", "timeout"]
        assert scores(others) == [1.0, 1.0]
