"""Plug-ins for the engine's tests, loaded by path: each does what the completion says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import rlkit


def _act(word):
    if word == "raise":
        raise ValueError("the answer is missing")
    if word == "exit":
        os._exit(0)
    if word.startswith("sleep"):
        time.sleep(float(word[5:]))
    return {"nan": float("nan"), "inf": float("inf"), "none": None, "text": "1.0"}.get(word, 1.0)


@rlkit.reward
def here(completion):
    return _act(completion)


@rlkit.reward(isolation="process", deadline_s=0.5)
def away(completion):
    return _act(completion)


def batch(prompts, completions, **columns):
    return [_act(text) for text in completions]


def short(completions, **columns):
    return [1.0] * (len(completions) - 1)


def unlike(completions, **columns):
    return {"score": 1.0}


@rlkit.group_reward
def distinct(completions, *, prompt, target):
    return [len(set(completions)) + target] * len(completions)


@rlkit.reward
def logs(completion, log, *, mark="x"):
    """Leave a trace of every call."""
    with Path(log).open("a") as file:
        file.write(mark)
    return float(len(completion))


@rlkit.reward
def alarmed(completion):
    signal.signal(signal.SIGALRM, lambda *_: None)
    return 1.0


@rlkit.reward
def unwilling(completion, log_metric):
    return 1.0


@rlkit.reward(deadline_s=0.5, retries=0)
async def waits(completion):
    if completion == "stubborn":
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue
    if completion == "spin":
        while True:
            pass
    if completion == "block":
        time.sleep(4)
    if completion == "raise":
        raise ValueError("no answer")
    if completion == "exit":
        raise SystemExit
    await asyncio.sleep(60 if completion == "sleep" else 0.02)
    return 1.0


RUNNING = {"now": 0, "most": 0, "starts": []}


@rlkit.reward(retries=0)
async def counts(completion):
    RUNNING["now"] += 1
    RUNNING["starts"].append(time.monotonic())
    RUNNING["most"] = max(RUNNING["most"], RUNNING["now"])
    await asyncio.sleep(0.02)
    RUNNING["now"] -= 1
    return 1.0


async def whole(completions, prompts, **columns):
    await asyncio.sleep(0.01)
    return [1.0] * len(completions)


@rlkit.reward(deadline_s=1.0)
async def endpoint(completion, port):
    """Ask a server, as a plug-in for a reward model would."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /{completion} HTTP/1.0\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if b" 200 " not in head.splitlines()[0]:
            raise ConnectionError(f"the server said {head.splitlines()[0].decode()}")
        return json.loads(body)["score"]
    finally:
        writer.close()


@rlkit.reward
async def loop_of(completion):
    return id(asyncio.get_running_loop()) % 2**24


async def loop_of_batch(completions, **columns):
    return [id(asyncio.get_running_loop()) % 2**24] * len(completions)


LEFT = {}


@rlkit.reward
async def reads_what_was_left(completion):
    return float(LEFT.get("completion") == completion)


@rlkit.reward
def leaves(completion):
    LEFT["completion"] = completion
    return 0.0
