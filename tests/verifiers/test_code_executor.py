"""Code checked by a real executor in another process gets the label it gets here; faults are errors, not labels."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from rlkit.errors import RewardError
from rlkit.rewards import resolve_reward
from rlkit.verifiers.code_executor import TOKEN_VARIABLE, check_here, check_remotely
from rlkit.verifiers.sandbox import Limits

FAST = Limits(wall_s=3.0, cpu_s=1, memory_mb=256)
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer of the test"}
TESTS = "assert add(1, 2) == 3"
JOBS = {
    "right": {"code": "def add(a, b): return a + b", "tests": TESTS},
    "wrong": {"code": "def add(a, b): return 7", "tests": TESTS, "entry_point": "add", "prelude": ""},
    "loop": {"code": "def add(a, b):\n  while True: pass", "tests": TESTS},
    "no code": {"code": None, "tests": TESTS},
    "program": {"code": "print(input())", "cases": [{"input": "7", "output": "7"}]},
    "surrogate": {"code": "def add(a, b): return '\ud800'", "tests": TESTS},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "rlkit.verifiers.code_executor", "--port", "0"]
    os.environ[TOKEN_VARIABLE] = "of the test"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()
    del os.environ[TOKEN_VARIABLE]


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_the_label_is_the_one_of_this_machine(url, job):
    assert check_remotely(url, job, FAST) == check_here(job, FAST)


def test_the_plugin_takes_an_executor(url):
    reward = resolve_reward({"name": "code_tests", "executor_url": url, "wall_s": 3})
    assert reward(completion="def add(a, b): return a + b", tests=TESTS) == 1.0
    assert reward(completion="def add(a, b): return 0", tests=TESTS) == 0.0


def test_what_is_no_request_is_refused_with_a_reason(url):
    for body in (b"", b"{", b"[]", b'{"limits": {}}', b'{"code": "x", "limits": {"wall_s": 0}}'):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, data=body, headers=HEADERS))
        assert refused.value.code in (400, 422)


def test_an_executor_that_is_not_there_or_no_executor_is_an_error_and_no_label(url):
    with pytest.raises(RewardError, match="gave no reply"):
        check_remotely("http://127.0.0.1:9", JOBS["right"], FAST)
    with pytest.raises(RewardError, match="refuses with status 400"):
        check_remotely(url, {"code": 7, "tests": 7}, FAST)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Authorization": "Bearer guessed"}, 401),
        ({"Authorization": ""}, 401),
        ({"Origin": "https://a.page"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_who_has_no_token_or_comes_from_a_page_is_refused(url, changed, status):
    body = b'{"code": "def add(a, b): return 3", "tests": "assert add(1, 2) == 3", "limits": {}}'
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, data=body, headers=HEADERS | changed))
    assert refused.value.code == status


def test_a_trainer_without_the_token_is_told_so(url, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE)
    with pytest.raises(RewardError, match=f"401.*{TOKEN_VARIABLE}"):
        check_remotely(url, JOBS["right"], FAST)
