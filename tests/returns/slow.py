"""Generalised advantage estimation as plain loops over the tokens that count, one completion at a time."""

from __future__ import annotations


def slow_gae(rewards, values, mask, gamma, lam, bootstrap=0.0):
    """Return the advantages of one completion, lists in and out: the sum itself, not the recursion."""
    places = [place for place, counts in enumerate(mask) if counts]
    advantages = [0.0] * len(mask)
    following = [values[place] for place in places[1:]] + [bootstrap]
    deltas = (
        [rewards[place] + gamma * after - values[place] for place, after in zip(places, following, strict=bool(places))]
        if places
        else []
    )
    for start, place in enumerate(places):
        advantages[place] = sum((gamma * lam) ** far * delta for far, delta in enumerate(deltas[start:]))
    return advantages
