"""Letters: what chooses one, and what does not."""

from __future__ import annotations

import time

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
        ("Neither A nor B is correct.", None),
        ("A and B is correct", None),
        ("B is not correct", None),
        ("", None),
    ],
)
def test_a_choice_is_a_letter_that_is_announced(text, letter):
    assert extract_choice(text) == letter


def test_more_letters_can_be_allowed():
    assert extract_choice(r"\boxed{F}", "ABCDEF") == "F"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is B, because it is blue.",
        "ANSWER: `B`",
        "\\boxed{(B) text}",
        "\\boxed{B - text}",
        "\\boxed{B: text}",
        "(B)",
        "B)",
        "**Answer: B**",
        "The answer is:\n\n(B) Paris",
        "Therefore, B is correct.",
        "(B) is the right choice, as A is not.",
        "Answer: **B) Paris**",
        "Answer:\nB",
        "<answer>(B)</answer>",
        "<answer>The answer is B</answer>",
        "<Answer>B",
        "The correct answer is option B.",
        "I choose B.",
        "Option B is correct.",
        "\\boxed{\\textbf{(B)}\\ 12}",
        "The answer is [B]",
        "The answer is “B”.",
        "The answer is B — Paris",
        "The answer is B, A is wrong.",
        "The final answer is $B$.",
        "#### B",
    ],
)
def test_usual_marks_around_a_letter_choose_it(text):
    assert extract_choice(text) == "B"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is A or B",
        "Answer: A, B",
        "\\boxed{A}, \\boxed{B}",
        "The answer is a dog",
        "Both A and B",
        "The answer is not B",
        "(A) or (B)",
        "A B",
        "The answer is neither A nor B",
        "The answer is B/C",
    ],
)
def test_several_letters_and_words_choose_nothing(text):
    assert extract_choice(text) is None


@pytest.mark.parametrize(
    "text",
    ["answer is " + "B " * 100_000, "(" * 200_000, "answer " * 50_000, "option is " * 50_000, "B" + " *" * 100_000],
)
def test_hostile_texts_cost_little(text):
    start = time.process_time()
    extract_choice(text)
    assert time.process_time() - start < 2
