from __future__ import annotations

import html.parser
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.report.markup import Markup, breakable, join, raw, readable, script_json, tag

HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "]]>", "&lt;", "\u2028\u2029", "<img onerror=x src=y>"]


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", "1 < 2 & 3", tag("b", "x"), None, ["a", ["b"]]) == "<p>1 &lt; 2 &amp; 3<b>x</b>ab</p>"
    assert join(["<", raw("<")]) == "&lt;<"


def test_attributes_are_escaped_renamed_and_left_out():
    made = tag("i", class_='a "b"', data_tip="<&>", hidden=False, disabled=True, title=None, x=1.0, y=2.345)
    assert made == '<i class="a &quot;b&quot;" data-tip="&lt;&amp;&gt;" disabled x="1" y="2.35"></i>'


def test_void_elements_have_no_end():
    assert tag("br") == "<br>"


@given(st.text())
def test_any_text_comes_back_from_an_html_parser(text):
    class Reader(html.parser.HTMLParser):
        found = ""

        def handle_data(self, data: str) -> None:
            self.found += data

    reader = Reader(convert_charrefs=True)
    reader.feed(tag("p", text))
    reader.close()
    assert reader.found == readable(text)


@given(st.recursive(st.none() | st.integers() | st.text() | st.sampled_from(HOSTILE), st.lists, max_leaves=8))
def test_json_in_a_script_element_round_trips_and_cannot_end_it(value):
    made = script_json(value)
    assert json.loads(made) == value
    assert not set(made) & set("<>&")


def test_json_without_a_value_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json(float("nan"))


def test_names_break_after_their_joints():
    assert breakable("w_reinforce<b>") == "w_<wbr>reinforce&lt;b&gt;"
    assert isinstance(breakable("x"), Markup)


def test_what_turns_text_around_is_written_out_and_what_joins_letters_is_not():
    assert readable("a\u202eb\x1b[2J\x9b\r\n\tc\u2067d") == "a\\u202eb\\x1b[2J\\x9b\n\tc\\u2067d"
    joined = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f52c \u05d0\u200f!"
    assert readable(joined) == joined
    assert 'title="\\u202e"' in tag("p", title="\u202e")
