"""Two ranks with rewards that hang, crash, flood and lie: they go on with the right counts, or stop in words."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from tests.rewards.processes import wait_until
from tests.trainers.test_launch import moved_weights, read_log

REPOSITORY = Path(__file__).parents[2]
FILE = Path(__file__).with_name("hostile.py")
MARK = "RLKIT_TEST_RUN"

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]


def write_recipe(output, rewards, weights, **changes):
    train = {
        "max_steps": 2,
        "num_generations": 8,
        # Two ranks of 12: the middle group lies on both.
        "per_device_train_batch_size": 12,
        "max_completion_length": 16,
        "gradient_checkpointing": False,
        "learning_rate": 4.0e-4,
        "loss_type": "dapo",
        "seed": 0,
    }
    recipe = {
        "model": "countdown-tiny",
        "task": {"name": "countdown", "format": "tokens", "train_size": 64},
        "output": str(output),
        "rewards": ["countdown", *rewards],
        "reward_weights": [1.0, *weights],
        "train": train | changes.pop("train", {}),
        **changes,
    }
    path = output.parent / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def start_ranks(recipe, mark):
    """Start both ranks by hand, so that each has an exit code of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    shared |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", MARK: mark}
    command = [sys.executable, "-m", "rlkit", "train", str(recipe)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return [
        subprocess.Popen(
            command, cwd=REPOSITORY, env=os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank}, **streams
        )
        for rank in ("0", "1")
    ]


def run_ranks(recipe, mark, timeout_s):
    """Return the exit codes and what was said, once both have ended; a hang fails."""
    ranks = start_ranks(recipe, mark)
    seen, done = set(), threading.Event()

    def watch():
        while not done.wait(0.2):
            seen.update(marked(mark) - {rank.pid for rank in ranks})

    threading.Thread(target=watch, daemon=True).start()
    try:
        end = time.monotonic() + timeout_s
        said = [rank.communicate(timeout=max(end - time.monotonic(), 1))[0] for rank in ranks]
    finally:
        done.set()
        for rank in ranks:
            rank.kill()
    return [rank.returncode for rank in ranks], said, seen


def marked(mark):
    """Return the processes that carry a run's mark in their environment: all that descend from it."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
    return found


@pytest.fixture
def server():
    """A judge that answers nonsense, or after a minute."""

    class Judge(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow":
                time.sleep(60)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<<< no scores here")

        def log_message(self, *_):
            pass

    judge = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    judge.daemon_threads = True
    threading.Thread(target=judge.serve_forever, daemon=True).start()
    yield judge.server_port
    judge.shutdown()


FAULTS = {
    "loop": "timeout",
    "regex": "timeout",
    "sleep": "timeout",
    "forks": "timeout",
    "exit 0": "error",
    "segfault": "error",
    "memory": "error",
    "raise": "error",
    "nan": "abstain",
    "inf": "error",
    "text": "error",
    "print": "ok",
}


def test_a_run_goes_on_beside_rewards_that_hang_crash_flood_and_lie(tmp_path, server):
    rewards = [{"name": f"{FILE}:fault", "kind": kind} for kind in FAULTS]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        down = closed.getsockname()[1]
    judges = [("down", down, "error"), ("slow", server, "timeout"), ("garbage", server, "error")]
    rewards += [{"name": f"{FILE}:asks", "port": port, "path": f"/{path}"} for path, port, _ in judges]
    others = {"too_few": "error", "no_list": "error", "sleeps": "timeout"}
    rewards += [f"{FILE}:{name}" for name in (*others, "fails_on_rank_1")]
    recipe = write_recipe(tmp_path / "run", rewards, [0.0] * len(rewards), max_error_rate=1.0)
    codes, said, seen = run_ranks(recipe, mark=str(tmp_path), timeout_s=240)
    assert codes == [0, 0], said[0][-3000:] + said[1][-3000:]
    assert seen, "workers carry the mark"
    assert wait_until(lambda: not marked(str(tmp_path)), seconds=5), "no process is left"
    assert moved_weights(tmp_path / "run" / "model") > 0
    names = ["fault", *(f"fault_{number}" for number in range(2, len(FAULTS) + 1)), "asks", "asks_2", "asks_3", *others]
    expected = [*FAULTS.values(), *(status for *_, status in judges), *others.values()]
    log = read_log(tmp_path / "run")
    assert [entry["step"] for entry in log] == [1, 2]
    for entry in log:
        assert entry["rewards/countdown_reward/ok"] == 1.0
        assert entry["rewards/fails_on_rank_1/error"] == 0.5
        found = {name: entry[f"rewards/{name}/{status}"] for name, status in zip(names, expected, strict=True)}
        assert found == dict.fromkeys(names, 1.0)


def test_a_reward_that_fails_on_one_rank_stops_both_with_one_sentence_and_the_same_command_continues(
    tmp_path, monkeypatch
):
    rewards = [{"name": f"{FILE}:fails_on_rank_1", "after": 2}, {"name": f"{FILE}:fault", "kind": "print"}]
    recipe = write_recipe(tmp_path / "run", rewards, [0.1, 0.0], train={"max_steps": 3})
    codes, said, _ = run_ranks(recipe, mark=str(tmp_path), timeout_s=120)
    assert codes == [2, 2], said[0][-3000:] + said[1][-3000:]
    last = said[0].strip().splitlines()[-1]
    assert last.startswith("rlkit: The reward fails_on_rank_1 failed for 12 of 72 completions (12 errors, 0 timeouts)")
    assert "OSError: this rank's disk is gone (line " in last
    assert f"of {FILE}, in fails_on_rank_1)" in last
    assert "Traceback" not in "".join(said)
    assert "rlkit:" not in said[1]
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (state["status"], [entry["step"] for entry in read_log(tmp_path / "run")]) == ("failed", [1, 2])
    assert (tmp_path / "run" / "checkpoint-2" / "trainer_state.json").is_file()
    assert wait_until(lambda: not marked(str(tmp_path)), seconds=5)
    monkeypatch.setenv("RLKIT_TEST_MENDED", "1")
    codes, said, _ = run_ranks(recipe, mark=str(tmp_path), timeout_s=120)
    assert codes == [0, 0], said[0][-3000:]
    assert f"Continuing {tmp_path / 'run'} from step 2." in said[0]
    assert [entry["step"] for entry in read_log(tmp_path / "run")] == [1, 2, 3]
