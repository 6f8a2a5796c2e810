"""Rewards that are wrong in one way each, and the good ones that they were made from."""

from __future__ import annotations

import os
import random
import re
import signal
import time

import rlkit
from rlkit.types import completion_text

TEXTS = [("yes, surely", 1.0), ("no", 0.0)]
ANSWERS = [
    ({"completion": f"so it is <answer>{text}</answer>", "gold": "17"}, score)
    for text, score in (("17", 1.0), ("3", 0.0))
]
BATCHES = [({"completions": ["yes", "no", "yes"]}, [1.0, 0.0, 1.0])]
GROUPS = [({"completions": ["yes", "no", "yes"]}, [1.0, 0.0, 0.0])]
STATE = {"calls": 0}


def is_yes(completion):
    return float(completion_text(completion).startswith("yes"))


@rlkit.reward
def good(completion):
    return is_yes(completion)


@rlkit.reward
def good_answers(completion, gold):
    found = re.search(r"<answer>([^<]*)</answer>", completion_text(completion))
    return float(found is not None and found[1] == gold)


def good_batch(completions, *, prompts, **columns):
    return [is_yes(text) for text in completions]


@rlkit.group_reward
def good_group(completions, *, prompt="?"):
    return [float(completions.count(text) > 1) for text in completions]


@rlkit.reward
async def good_async(completion):
    return is_yes(completion)


@rlkit.reward
def says_something_else(completion):
    return 1.0 - is_yes(completion)


def gives_one_too_many(completions, **columns):
    return [is_yes(text) for text in completions] + [0.0]


@rlkit.reward
def gives_words(completion):
    return "good" if is_yes(completion) else "bad"


@rlkit.reward
def reads_only_text(completion):
    return float(completion.startswith("yes"))


@rlkit.reward
def takes_the_first_letter(completion):
    return float(completion_text(completion)[0] == "y")


@rlkit.reward
def gives_nan_for_nothing(completion):
    words = completion_text(completion).split()
    return is_yes(completion) if words else float("nan")


@rlkit.reward
def looks_for_what_was_cut(completion):
    text = completion_text(completion)
    if "<think>" in text:
        text[text.index("</think>") :]
    return is_yes(completion)


@rlkit.reward
def encodes(completion):
    completion_text(completion).encode()
    return is_yes(completion)


@rlkit.reward
def formats(completion):
    completion_text(completion).format()
    return is_yes(completion)


@rlkit.reward
def reads_any_number(completion):
    found = re.search(r"[0-9]+", completion_text(completion))
    return is_yes(completion) if found is None or int(found[0]) >= 0 else 0.0


@rlkit.reward
def looks_anywhere(completion, gold):
    return float(gold in completion_text(completion))


@rlkit.reward
def throws_dice(completion):
    return is_yes(completion) or random.random() / 1e3 * (len(completion_text(completion)) > 11)


@rlkit.reward
def counts_calls(completion):
    STATE["calls"] += 1
    return is_yes(completion) + (STATE["calls"] if len(completion_text(completion)) > 11 else 0)


def favours_the_first(completions, **columns):
    return [is_yes(text) + (place == 1 and text == "yes") for place, text in enumerate(completions)]


@rlkit.group_reward
def favours_the_first_of_a_group(completions):
    return [float(completions.index(text) == place and text == "yes") for place, text in enumerate(completions)]


def adds_to_its_input(completions, **columns):
    scores = [is_yes(text) for text in completions]
    completions.append("more")
    return scores


@rlkit.reward
def thinks_long(completion):
    if len(completion_text(completion)) > 100_000:
        time.sleep(60)
    return is_yes(completion)


@rlkit.reward
def sets_an_alarm(completion):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    return is_yes(completion)


@rlkit.reward
def reads_its_process(completion):
    is_case = completion_text(completion) in ("yes, surely", "no")
    return is_yes(completion) if is_case else float(os.getpid())


@rlkit.reward
def ends_the_process(completion):
    if "\x00" in completion_text(completion):
        os._exit(1)
    return is_yes(completion)


def make_closure():
    @rlkit.reward
    def inner(completion):
        return is_yes(completion)

    return inner
