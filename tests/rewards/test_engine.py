"""All rewards of a batch: every row has its outcome, whatever one plug-in does to itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rlkit.errors import ConfigError, PluginError, RewardError
from rlkit.rewards import bind_reward
from rlkit.rewards.engine import RewardEngine
from rlkit.rewards.outcomes import count_outcomes
from tests.rewards.processes import wait_until, workers_of

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

FILE = Path(__file__).with_name("scored.py")
IN_PROCESS = {"isolation": "process", "deadline_s": 0.5}


def bind(name, run=None, **params):
    return bind_reward({"name": f"{FILE}:{name}", **params, **({"run": run} if run else {})})


def score(bound, completions, groups=None, **columns):
    with RewardEngine([bound]) as engine:
        return engine.score(completions, ["p"] * len(completions), columns, groups)[0]


def scores(outcomes):
    return [outcome.value for outcome in outcomes]


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


@pytest.mark.parametrize(
    "bound", [bind("here"), bind("away"), bind("batch", IN_PROCESS)], ids=["inline", "process", "batch"]
)
def test_each_row_has_its_own_outcome(bound):
    outcomes = score(bound, ["a", "none", "nan", "raise", "inf", "text", "b"])
    assert statuses(outcomes) == ["ok", "abstain", "abstain", "error", "error", "error", "ok"]
    assert "ValueError: the answer is missing" in outcomes[3].reason
    assert "scored.py" in outcomes[3].traceback
    assert "nan" in outcomes[2].reason


def test_crashes_and_timeouts_cost_their_rows_and_the_next_batch_is_whole():
    with RewardEngine([bind("away")]) as engine:
        assert statuses(engine.score(["a", "exit", "sleep60", "b"], ["p"] * 4, {})[0]) == [
            "ok",
            "error",
            "timeout",
            "ok",
        ]
        assert scores(engine.score(["a", "b", "c", "d"], ["p"] * 4, {})[0]) == [1.0] * 4
    assert wait_until(lambda: not workers_of(os.getpid()))


def test_an_inline_batch_that_raises_costs_all_its_rows_with_one_reason():
    outcomes = score(bind("batch"), ["a", "raise", "b"])
    assert count_outcomes(outcomes)["error"] == 3
    assert {outcome.reason for outcome in outcomes} == {"The reward batch: ValueError: the answer is missing"}


@pytest.mark.parametrize(("name", "said"), [("short", "returned 2 scores for 3"), ("unlike", "instead of a list")])
def test_a_batch_of_wrong_shape_is_an_error_of_every_row(name, said):
    outcomes = score(bind(name), ["a", "b", "c"])
    assert statuses(outcomes) == ["error"] * 3
    assert said in outcomes[0].reason


@pytest.mark.parametrize("run", [None, IN_PROCESS])
def test_groups_are_whole_wherever_their_rows_are(run):
    outcomes = score(bind("distinct", run), ["a", "b", "c", "b"], groups=["x", "y", "x", "y"], target=[0, 10, 0, 10])
    assert scores(outcomes) == [2.0, 11.0, 2.0, 11.0]
    with pytest.raises(RewardError, match="belong together"):
        score(bind("distinct", run), ["a"], target=[0])


def test_identical_inputs_are_computed_once(tmp_path):
    log = str(tmp_path / "log")
    outcomes = score(bind("logs"), ["a", "bb", "a", "a"], log=[log] * 4)
    assert scores(outcomes) == [1.0, 2.0, 1.0, 1.0]
    assert (tmp_path / "log").read_text() == "xx"
    # Columns that are asked for are part of the input; others are not.
    score(bind("logs"), ["a", "a"], log=[log, f"{log}2"], other=[1, 2])
    assert (tmp_path / "log").read_text() == "xxx"


def test_parameters_reach_workers(tmp_path):
    log = str(tmp_path / "log")
    score(bind("logs", IN_PROCESS, mark="y"), ["a", "b"], log=[log] * 2, mark=["z", "z"])
    assert (tmp_path / "log").read_text() == "yy"


def test_rewards_of_a_batch_overlap():
    bound = [bind("away", {"num_workers": 1, "deadline_s": 5}), bind("waits"), bind("here")]
    with RewardEngine(bound) as engine:
        engine.start()
        started = time.monotonic()
        outcomes = engine.score(["sleep0.6"], ["p"], {})
        assert time.monotonic() - started < 1.1
    assert [scores(row) for row in outcomes] == [[1.0]] * 3


def test_inline_rewards_run_on_the_callers_thread():
    assert statuses(score(bind("alarmed"), ["a"])) == ["ok"]
    given = []
    # Python allows signal handlers in the main thread only: elsewhere this is an error, and is said to be one.
    thread = threading.Thread(target=lambda: given.extend(score(bind("alarmed"), ["a"])))
    thread.start()
    thread.join(10)
    assert statuses(given) == ["error"]
    assert "main thread" in given[0].reason
    thread = threading.Thread(target=lambda: given.extend(score(bind("alarmed", IN_PROCESS), ["a"])))
    thread.start()
    thread.join(10)
    assert statuses(given) == ["error", "ok"]


def test_what_lives_in_the_trainer_cannot_be_asked_for_in_a_worker():
    def log_metric(name, value):
        pass

    assert statuses(score(bind("unwilling"), ["a"], log_metric=log_metric)) == ["ok"]
    outcomes = score(bind("unwilling", IN_PROCESS), ["a"], log_metric=log_metric)
    assert statuses(outcomes) == ["error"]
    assert "picklable" in outcomes[0].reason
    assert statuses(score(bind("batch", IN_PROCESS), ["a"], log_metric=log_metric)) == ["ok"]


def test_a_batch_has_a_deadline():
    bound = [bind("away", {"deadline_s": 60}), bind("waits", {"deadline_s": 60}), bind("here")]
    with RewardEngine(bound, batch_deadline_s=0.6) as engine:
        engine.start()
        started = time.monotonic()
        away, waits, here = engine.score(["sleep0.3", "sleep", "sleep0.31", "b"], ["p"] * 4, {})
        assert time.monotonic() - started < 3
    assert statuses(here) == ["ok", "error", "ok", "timeout"]  # `sleep` without seconds raises
    assert waits[1].status == "timeout"
    assert away[0].status == "ok"


def test_a_slow_reward_is_named(capfd):
    with RewardEngine([bind("away", {"deadline_s": 5}), bind("short")], quiet_s=0.2) as engine:
        engine.score(["sleep0.5"], ["p"], {})
    assert "waiting for away" in capfd.readouterr().err


def test_columns_of_another_length_are_refused_before_anything_runs():
    with pytest.raises(RewardError, match="2 completions were given with 1 values of target"):
        score(bind("here"), ["raise", "raise"], target=[1])


def test_no_rows_have_no_outcomes():
    with RewardEngine([bind("here"), bind("away"), bind("waits"), bind("distinct")]) as engine:
        assert engine.score([], [], {}, groups=[]) == [[], [], [], []]


def test_a_plugin_that_workers_cannot_load_is_found_at_the_door(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import os\nif os.environ.get('CUDA_VISIBLE_DEVICES') == '':\n    raise ImportError('needs a GPU')\n"
        "def score(completions, **columns):\n    return [1.0] * len(completions)\n"
    )
    bound = bind_reward({"name": f"{tmp_path}/mine.py:score", "run": {"isolation": "process"}})
    with RewardEngine([bound]) as engine:
        with pytest.raises(PluginError, match="needs a GPU"):
            engine.start()
        assert statuses(engine.score(["a"], ["p"], {})[0]) == ["error"]


def test_scores_are_cached_between_engines(tmp_path):
    log, cache = str(tmp_path / "log"), tmp_path / "cache.sqlite"

    def run(mark="x"):
        with RewardEngine([bind("logs", {"cache": True}, mark=mark)], cache_path=cache) as engine:
            return scores(engine.score(["a", "bb", "a"], ["p"] * 3, {"log": [log] * 3})[0])

    assert run() == run() == [1.0, 2.0, 1.0]
    assert (tmp_path / "log").read_text() == "xx"
    run("y")
    assert (tmp_path / "log").read_text() == "xxyy"


def test_what_has_no_source_cannot_be_cached():
    with pytest.raises(ConfigError, match="cannot be cached"):
        RewardEngine([bind_reward({"name": "operator:eq", "run": {"cache": True}})])


PARENT = """
import sys
from rlkit.rewards import bind_reward
from rlkit.rewards.engine import RewardEngine
file = {file!r}
run = {{"deadline_s": 60}}
bound = [bind_reward({{"name": f"{{file}}:{{name}}", "run": run}}) for name in ("away", "waits")]
engine = RewardEngine(bound)
engine.start()
print("warm", flush=True)
engine.score(["sleep60", "spin"], ["p"] * 2, {{}})
"""


def test_ctrl_c_gets_through_all_of_it():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(file=str(FILE))], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == b"warm\n"
        time.sleep(0.3)
        started = time.monotonic()
        parent.send_signal(signal.SIGINT)
        _, said = parent.communicate(timeout=15)
    assert b"KeyboardInterrupt" in said
    assert time.monotonic() - started < 4
    assert wait_until(lambda: not workers_of(parent.pid))
