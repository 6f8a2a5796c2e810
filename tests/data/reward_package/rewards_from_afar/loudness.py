"""The share of a completion's letters that shout."""

import rlkit
from rlkit.types import completion_text

CASES = [("HELLO", 1.0), ("hello", 0.0), ("Hi", 0.5), ("42", None)]


@rlkit.reward
def shouting(completion, *, above=0.0):
    """Return the share of capital letters, less `above`; None without letters."""
    letters = [sign for sign in completion_text(completion) if sign.isascii() and sign.isalpha()]
    return sum(map(str.isupper, letters)) / len(letters) - above if letters else None
