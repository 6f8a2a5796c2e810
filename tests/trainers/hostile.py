"""Rewards that go wrong in every way, loaded by path in a run of two ranks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import rlkit

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.rewards.misbehaving import FAULTS


@rlkit.group_reward(isolation="process", deadline_s=3, num_workers=1)
def fault(completions, *, kind):
    """Do what `kind` names, once a group."""
    return [FAULTS[kind]()] * len(completions)


def fails_on_rank_1(completions, *, after=0, trainer_state=None, **columns):
    """Raise on one rank only, from some step on."""
    is_due = trainer_state.global_step >= after and "RLKIT_TEST_MENDED" not in os.environ
    if os.environ["RANK"] == "1" and is_due:
        raise OSError("this rank's disk is gone")
    return [float(len(text)) for text in completions]


def too_few(completions, **columns):
    return [1.0] * (len(completions) - 1)


def no_list(completions, **columns):
    return 1.0


@rlkit.group_reward(deadline_s=1, retries=0)
async def sleeps(completions):
    await asyncio.sleep(60)


@rlkit.group_reward(deadline_s=3, retries=1)
async def asks(completions, *, port, path):
    """Ask a server for the scores of a group."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])
