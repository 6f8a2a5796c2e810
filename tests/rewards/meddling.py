"""Rewards that change the program that calls them; loaded by path, as a user's would be."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys

import numpy as np
import torch

import rlkit


@rlkit.reward
def moves(completion):
    os.chdir("/")
    return 1.0


@rlkit.reward
def sets_environment(completion):
    os.environ["HF_HOME"] = "/nowhere"
    os.environ.pop("PATH", None)
    return 1.0


@rlkit.reward
def redirects(completion):
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    return 1.0


@rlkit.reward
def adds_to_path(completion):
    sys.path.insert(0, "/nowhere")
    return 1.0


@rlkit.reward
def limits_recursion(completion):
    sys.setrecursionlimit(5000)
    return 1.0


@rlkit.reward
def handles_interrupts(completion):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 1.0


@rlkit.reward
def leaves_an_alarm(completion):
    signal.setitimer(signal.ITIMER_REAL, 9999)
    return 1.0


@rlkit.reward
def stops_gradients(completion):
    torch.set_grad_enabled(False)
    return 1.0


@rlkit.reward
def changes_type(completion):
    torch.set_default_dtype(torch.float64)
    return 1.0


@rlkit.reward
def takes_threads(completion):
    torch.set_num_threads(torch.get_num_threads() + 1)
    return 1.0


@rlkit.reward
def raises_on_overflow(completion):
    np.seterr(all="raise")
    return 1.0


def _seed():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)


@rlkit.reward
def seeds(completion):
    _seed()
    return 1.0


@rlkit.reward
def seeds_and_raises(completion):
    _seed()
    raise ValueError("after all")


@rlkit.reward
async def seeds_while_awaited(completion):
    _seed()
    return 1.0


@rlkit.reward
def draws(completion):
    return random.random() + float(torch.rand(()))


@rlkit.reward
def harmless(completion):
    return float(len(completion))


@rlkit.reward
def forks(completion):
    os.fork()
    return 1.0


@rlkit.reward
def forks_and_raises(completion):
    os.fork()
    raise ValueError("twice")


@rlkit.reward
async def forks_while_awaited(completion):
    os.fork()
    return 1.0


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@rlkit.reward
def raises_the_unspeakable(completion):
    if completion == "raise":
        raise Unspeakable
    return 1.0


def never_ends(completions, **columns):
    return itertools.repeat(1.0)
