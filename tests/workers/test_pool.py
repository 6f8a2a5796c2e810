"""Workers meet real faults: each costs its own call, leaves no process behind, and the next batch has full strength."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rlkit.errors import ConfigError, PluginError
from rlkit.workers.pool import WorkerPool
from tests.rewards.processes import children_named, is_running, wait_until, workers_of

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

FILE = Path(__file__).parents[1] / "rewards" / "misbehaving.py"
RUN = f"{FILE}:run"

GIVES = {
    "loop": ("timeout", "No answer within 0.5 seconds."),
    "regex": ("timeout", "No answer within 0.5 seconds."),
    "sleep": ("timeout", "No answer"),
    "forks": ("timeout", "No answer"),
    "sessions": ("timeout", "No answer"),
    "exit 0": ("error", "ended with exit code 0"),
    "exit 1": ("error", "ended with exit code 1"),
    "sys.exit": ("error", "SystemExit: 3"),
    "segfault": ("error", "SIGSEGV"),
    "memory": ("error", "MemoryError"),
    "raise": ("error", "ValueError: the answer is missing"),
    "unspeakable": ("error", "_Unspeakable"),
    "alarm": ("error", "TimeoutError: by alarm"),
    "object": ("error", "object is neither number"),
    "close all": ("error", "during the call"),
    "kill group": ("error", "SIGKILL"),
    "kill guard": ("error", "SIGKILL"),
    "stop guard": ("timeout", "No answer"),
    "print": ("ok", None),
    "fork and return": ("ok", None),
    "text": ("ok", None),
}


@pytest.fixture(scope="module")
def others():
    """Return the workers that earlier tests of this process keep warm."""
    return workers_of(os.getpid())


@pytest.fixture(scope="module")
def pool(others):
    with WorkerPool(RUN, num_workers=2, deadline_s=0.5) as pool:
        pool.start()
        yield pool
    assert workers_of(os.getpid()) <= others


@pytest.mark.parametrize("kind", GIVES)
def test_a_fault_costs_its_own_call_only(pool, others, kind):
    sleepers = children_named("sleep 60")
    calls = [{"kind": "ok", "x": 1}, {"kind": kind}, {"kind": "ok", "x": 2}, {"kind": "ok", "x": 3}]
    first, fault, *rest = pool.map(calls)
    assert [first.value, *(result.value for result in rest)] == [1.0, 2.0, 3.0]
    status, reason = GIVES[kind]
    assert fault.status == status
    assert reason is None or reason in fault.reason
    assert [result.value for result in pool.map([{"kind": "ok", "x": x} for x in range(6)])] == [0, 1, 2, 3, 4, 5]
    # Two workers with a guard each; what forked and came back twice has not stayed.
    assert wait_until(lambda: len(workers_of(os.getpid()) - others) <= 4)
    assert wait_until(lambda: children_named("sleep 60") == sleepers)


def test_late_and_crashed_calls_say_where_they_were(pool):
    for kind, line in [("regex", "re/__init__.py"), ("loop", "in _loop"), ("segfault", "string_at")]:
        (result,) = pool.map([{"kind": kind}])
        assert line in result.traceback
        assert str(FILE) in result.traceback
        assert "worker_main" not in result.traceback


@pytest.mark.slow
@pytest.mark.side_by_side
def test_thirty_timeouts_in_a_row_lose_no_worker(others):
    with WorkerPool(RUN, num_workers=2, deadline_s=0.05) as pool:
        results = pool.map([{"kind": "sleep"}] * 30)
        assert [result.status for result in results] == ["timeout"] * 30
        assert len(workers_of(os.getpid()) - others) <= 8
    with WorkerPool(RUN, num_workers=2, deadline_s=2) as pool:
        pool.map([{"kind": "exit 1"}] * 10)
        pids = [result.value for result in pool.map([{"kind": "nap"}] * 20)]
        assert {pids.count(pid) >= 5 for pid in {*pids}} == {True}
        assert len({*pids}) == 2


def test_surroundings_hold_no_gpu_and_a_group_of_their_own(pool):
    (result,) = pool.map([{"kind": "surroundings"}])
    devices, pid, group = result.value
    assert devices == ""
    assert pid == group != os.getpgid(0)


def test_workers_are_warm_between_batches_and_recycled_in_time():
    with WorkerPool(RUN, num_workers=1, recycle_after=3) as pool:
        pids = [pool.map([{"kind": "surroundings"}])[0].value[1] for _ in range(7)]
        assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]


def test_other_threads_may_ask(pool):
    given: dict[int, list[float]] = {}

    def ask(place):
        given[place] = [result.value for result in pool.map([{"kind": "ok", "x": place}] * 20)]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert given == {place: [float(place)] * 20 for place in range(4)}


def test_signal_based_verifiers_work_whatever_thread_asks(pool):
    results = []
    thread = threading.Thread(target=lambda: results.extend(pool.map([{"kind": "alarm"}])))
    thread.start()
    thread.join(10)
    assert results[0].reason == "TimeoutError: by alarm"


def test_a_batch_has_an_end(pool):
    started = time.monotonic()
    results = pool.map([{"kind": "ok"}, *[{"kind": "sleep"}] * 100], end_at=started + 0.3)
    assert time.monotonic() - started < 2
    assert [results[0].status, *{result.status for result in results[1:]}] == ["ok", "timeout"]
    assert pool.map([{"kind": "ok", "x": 4}])[0].value == 4.0


def test_functions_of_files_and_what_is_bound_to_them_travel():
    from functools import partial

    from rlkit.plugins import load_target

    with WorkerPool(partial(load_target(RUN, "reward"), kind="ok"), num_workers=1) as pool:
        assert pool.map([{"x": 2}])[0].value == 2.0


def test_what_cannot_travel_is_refused_at_the_door_or_costs_its_call(pool):
    with pytest.raises(PluginError, match="picklable"):
        WorkerPool(lambda: 1.0)
    with pytest.raises(PluginError, match=r"file\.py:name"):
        WorkerPool("countdown")
    results = pool.map([{"kind": "ok", "x": 1}, {"kind": "ok", "x": threading.Lock()}])
    assert [result.status for result in results] == ["ok", "error"]
    with pytest.raises(ConfigError, match="deadline_s=0"):
        WorkerPool(RUN, deadline_s=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere\n", "nowhere"),
        ("import os\nos._exit(0)\n", "while it loaded"),
        ("x = 1\n", "has nothing called"),
    ],
)
def test_a_plugin_that_does_not_load_is_found_at_the_door_and_never_passes(tmp_path, text, said):
    (tmp_path / "mine.py").write_text(text)
    with WorkerPool(f"{tmp_path}/mine.py:score") as pool:
        with pytest.raises(PluginError, match=said):
            pool.start()
        results = pool.map([{"x": 1}] * 3)
        assert [result.status for result in results] == ["error"] * 3
        assert said in results[0].reason


PARENT = """
import sys, threading
from rlkit.workers.pool import WorkerPool
pool = WorkerPool({run!r}, num_workers=2, deadline_s=60)
pool.map([{{"kind": "ok"}}] * 4)
print("warm", flush=True)
pool.map([{{"kind": kind}} for kind in {kinds!r}])
"""


@pytest.mark.parametrize("kinds", [["regex", "sleep"], ["sessions", "forks"]])
def test_kill_9_of_the_trainer_leaves_nothing(kinds):
    sleepers = children_named("sleep 60")
    program = [sys.executable, "-c", PARENT.format(run=RUN, kinds=kinds)]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"warm\n"
        time.sleep(0.3)
        workers = workers_of(parent.pid)
        assert len(workers) >= 4
        parent.kill()
    assert wait_until(lambda: not any(is_running(pid) for pid in workers), 2.0)
    assert wait_until(lambda: children_named("sleep 60") == sleepers)


def test_ctrl_c_gets_through_and_leaves_nothing():
    program = [sys.executable, "-c", PARENT.format(run=RUN, kinds=["regex", "sleep"])]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"warm\n"
        time.sleep(0.2)
        started = time.monotonic()
        parent.send_signal(signal.SIGINT)
        _, said = parent.communicate(timeout=10)
    assert b"KeyboardInterrupt" in said
    assert time.monotonic() - started < 3
    assert wait_until(lambda: not workers_of(parent.pid))


def test_workers_need_neither_torch_nor_a_second_to_start():
    program = "import rlkit.workers.pool, sys; print({'torch', 'trl', 'multiprocessing'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", program]) == b"set()\n"
    started = time.monotonic()
    with WorkerPool(RUN, num_workers=1) as pool:
        pool.start()
    assert time.monotonic() - started < 2


def test_what_is_told_during_a_call_arrives_and_puts_its_end_off():
    parts = []

    def take(part):
        parts.append(part["part"])
        return 0.9 if part["part"] < 2 else 0.05

    with WorkerPool(RUN, num_workers=1, deadline_s=0.9) as pool:
        (reply,) = pool.map([{"kind": "tells"}], on_part=lambda part: parts.append(part["part"]) or 0.9)
        assert (reply.status, reply.value, parts) == ("ok", 1.0, [0, 1, 2, 3])
        parts.clear()
        (reply,) = pool.map([{"kind": "tells"}], on_part=take)
        assert (reply.status, parts) == ("timeout", [0, 1, 2])
        # Nobody listens: whoever speaks out of turn is ended.
        (reply,) = pool.map([{"kind": "tells"}])
        assert (reply.status, reply.has_ended) == ("error", True)


def test_a_reply_says_how_much_was_printed_and_whether_the_process_ended():
    with WorkerPool(RUN, num_workers=1) as pool:
        printed, fine, ended = pool.map([{"kind": "print"}, {"kind": "ok", "x": 1}, {"kind": "exit 0"}])
    assert printed.num_printed == 200 * 2**20
    assert (fine.num_printed, fine.has_ended, ended.has_ended) == (0, False, True)
