"""The nouns that every layer shares."""

from __future__ import annotations

import pickle

import pytest

from rlkit.types import Grade


def test_a_grade_takes_and_gives_its_label_under_the_older_name_with_a_notice() -> None:
    with pytest.warns(FutureWarning, match=r"write label") as told:
        old = Grade(False, verdict="empty", answer="4")
    assert told[0].filename == __file__
    assert old == Grade(False, "empty", "4") == Grade(correct=False, label="empty", answer="4")
    with pytest.warns(FutureWarning, match=r"write label"):
        assert old.verdict == "empty"
    assert pickle.loads(pickle.dumps(old)) == old
    with pytest.raises(TypeError, match="needs a label"):
        Grade(True)
