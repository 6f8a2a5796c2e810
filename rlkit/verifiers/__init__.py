"""Judging answers: reading them off a text, mathematics, multiple choice, and code in a sandbox."""

from rlkit.verifiers.announcements import cut_after_answer, find_answer
from rlkit.verifiers.answers import NO_ANSWER, extract_final_answer, normalise_answer, read_answer
from rlkit.verifiers.choices import extract_choice
from rlkit.verifiers.numbers import parse_arithmetic
from rlkit.verifiers.reasoning import split_reasoning

__all__ = [
    "NO_ANSWER",
    "cut_after_answer",
    "extract_choice",
    "extract_final_answer",
    "find_answer",
    "normalise_answer",
    "parse_arithmetic",
    "read_answer",
    "split_reasoning",
]
