"""Judging answers: reading them off a text, mathematics, multiple choice, and code in a sandbox."""

from rlkit.verifiers.announcements import cut_after_answer, find_answer
from rlkit.verifiers.answers import NO_ANSWER, extract_final_answer, normalise_answer, read_answer, solution_key
from rlkit.verifiers.choices import extract_choice
from rlkit.verifiers.plain_arithmetic import parse_arithmetic
from rlkit.verifiers.reasoning import answer_text, split_reasoning

__all__ = [
    "NO_ANSWER",
    "answer_text",
    "cut_after_answer",
    "extract_choice",
    "extract_final_answer",
    "find_answer",
    "normalise_answer",
    "parse_arithmetic",
    "read_answer",
    "solution_key",
    "split_reasoning",
]
