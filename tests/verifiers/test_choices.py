"""Final answers and letters: what announces one, and what does not."""

from __future__ import annotations

import pytest

from rlkit.verifiers.choices import extract_choice, extract_final_answer, normalise_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"First \boxed{1}, then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\text{a}{b}} and an open \boxed{3", r"\text{a}{b}"),
        ("<answer> 12 </answer>", "12"),
        ("so\n#### 1,234", "1,234"),
        ("The answer is 12 apples. It was easy.", "12"),
        ("The answer is 5 pi", "5 pi"),
        ("The answer is $x^2+1$.", "$x^2+1$"),
        (r"\boxed{}", None),
        ("12 is what I get, or 13", None),
        ("", None),
    ],
)
def test_the_final_answer_is_what_a_text_announces_last(text, answer):
    assert extract_final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12 is what I get, or 13", "13"),
        ("it costs -1,234.50 in all.", "-1,234.50"),
        ("about 3/4 of x2", "3/4"),
        ("no digits", None),
        (r"\boxed{7} and 8", "7"),
    ],
)
def test_the_last_number_answers_only_when_asked_to(text, answer):
    assert extract_final_answer(text, last_number=True) == answer


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


def test_the_normal_form_is_that_of_the_partition():
    assert normalise_answer(r" \frac{1}{2} ") == normalise_answer("0.5") == "1/2"
