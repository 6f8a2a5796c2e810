"""Letters: what chooses one, and what does not."""

from __future__ import annotations

import pytest

from rlkit.verifiers.choices import extract_choice


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (r"\boxed{B}", "B"),
        (r"\boxed{\text{(c)}}", "C"),
        ("The answer is (b).", "B"),
        ("Answer: B. Paris", "B"),
        ("The answer is **D**", "D"),
        ("A", "A"),
        ("I think it is A because A is first", None),
        (r"\boxed{F}", None),
        (r"\boxed{42}", None),
        ("The answer is Berlin", None),
        ("", None),
    ],
)
def test_a_choice_is_a_letter_that_is_announced(text, letter):
    assert extract_choice(text) == letter


def test_more_letters_can_be_allowed():
    assert extract_choice(r"\boxed{F}", "ABCDEF") == "F"
