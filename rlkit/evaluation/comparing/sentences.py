"""A verdict in a sentence for people who decide: counts of a hundred problems, shares kept, no name of a statistic."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rlkit.evaluation.comparing.front import FrontPoint
from rlkit.evaluation.comparing.margins import Answer
from rlkit.evaluation.comparing.questions import Question

_MEASURES = {
    "solution_coverage": "the solutions that the base finds",
    "distinct_correct": "the base's different correct solutions",
}


def describe_run(word: str, questions: Mapping[str, Question]) -> str:
    """Return what the run does against the base, as one sentence with the numbers of every question."""
    parts = [_describe(question) for question in questions.values() if question.change.num_defined]
    if not parts or questions["pass@1"].base is None:
        return "No problem has graded samples on both sides."
    first, *others = parts
    if not others:
        return f"It {first}."
    joint = ", but" if _pulls_apart(questions) else ", and"
    said = f"It {first}{joint} {' and '.join(others)}."
    if word == "no difference":
        return f"{said} Larger differences are ruled out."
    return said


def describe_front(point: FrontPoint) -> str:
    """Return what the base at another temperature would have, as a sentence."""
    if point.base_temperature is None or not point.is_reached:
        surely = "No" if point.share_unreached >= 0.95 else "Perhaps no"
        rest = "." if point.is_front_complete else "; lower ones were not sampled."
        return f"{surely} temperature at which the base was sampled solves as many problems at the first try{rest}"
    others = [_against(question) for name, question in point.questions.items() if name != "pass@1"]
    has = _listed("has the same pass@1", *others)
    shortfall = point.questions["pass@1"].change.value
    if shortfall <= -0.0005:
        has = _listed(f"solves {_count(-shortfall)} more of 100 problems at the first try", *others)
    said = f"The base sampled at T = {point.base_temperature:.2f} {has}"
    if point.is_beyond:
        return f"{said}: no temperature of the base does as well as this training."
    if point.is_matched:
        return f"{said}: this training bought nothing that a lower temperature does not."
    return f"{said}: whether this training bought more than a lower temperature does is not settled."


def describe_at(point: FrontPoint) -> str:
    """Return the front at one of the run's further temperatures, as a sentence."""
    said = describe_front(point)
    return f"At the run's T = {point.temperature:g}: {said[0].lower()}{said[1:]}"


def _describe(question: Question) -> str:
    change = question.change.value
    if question.name == "diversity":
        what = _MEASURES.get(question.quantity)
        kept = f"{100 * (1.0 + change):.0f} %"
        if what is None:
            return f"keeps {kept} of the base's diversity ({_plain(question.quantity)})"
        seen = ""
        if question.quantity == "solution_coverage" and question.run is not None and question.base is not None:
            seen = f" ({100 * question.run:.0f} % of all against {100 * question.base:.0f} %)"
        elif question.run is not None and question.base is not None:
            seen = f" ({question.run:.2f} a problem against {question.base:.2f})"
        return f"keeps {kept} of {what}{seen}"
    where = "at the first try" if question.name == "pass@1" else f"in {question.quantity.removeprefix('pass@')} samples"
    run, base = (f"{100 * (value or 0.0):.1f}" for value in (question.run, question.base))
    what = "of 100 problems " if question.name == "pass@1" else ""
    if abs(change) < 0.0005:
        return f"solves as many {what}{where} ({run})"
    more = "more" if change > 0 else "fewer"
    return f"solves {_count(abs(change))} {more} {what}{where} ({run} against {base})"


def _against(question: Question) -> str:
    """Say what the base has against the run: the change the other way round."""
    change = -question.change.value
    if question.name == "pass@k":
        k = question.quantity.removeprefix("pass@")
        if abs(change) < 0.0005:
            return f"solves as many problems in {k} samples"
        return f"solves {_count(abs(change))} {'more' if change > 0 else 'fewer'} of 100 problems in {k} samples"
    ratio = 1.0 / (1.0 + question.change.value) - 1.0 if question.change.value > -1.0 else math.inf
    what = (
        "different correct solutions" if question.quantity in _MEASURES else f"diversity ({_plain(question.quantity)})"
    )
    verb = "finds" if question.quantity in _MEASURES else "has"
    if abs(ratio) < 0.005:
        return f"{verb} as many {what}" if verb == "finds" else f"{verb} as much {what}"
    amount = f"{100 * abs(ratio):.0f} %"
    way = ("more" if ratio > 0 else "fewer") if verb == "finds" else ("more" if ratio > 0 else "less")
    return f"{verb} {amount} {way} {what}"


def _pulls_apart(questions: Mapping[str, Question]) -> bool:
    """Whether what happens at the first try and beyond it point different ways."""
    first = questions["pass@1"].change.value
    others = [question for name, question in questions.items() if name != "pass@1"]
    return any(question.change.value * first < 0 and question.answer is not Answer.SAME for question in others)


def _listed(*parts: str) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _count(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def _plain(quantity: str) -> str:
    part, slash, name = quantity.rpartition("/")
    outputs = {"all": "all outputs", "correct": "correct answers"}.get(part, part)
    return name.replace("_", " ") + (f", {outputs}" if slash else "")
