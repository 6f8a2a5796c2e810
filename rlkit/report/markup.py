"""HTML and SVG as nested function calls in which plain text is always escaped.

`tag("p", "1 < 2")` gives `<p>1 &lt; 2</p>`: only what `tag` or `raw` returned passes through unescaped, so a completion
that contains markup cannot become markup.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

_JOINTS = frozenset("_-./")
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


Children: TypeAlias = "str | Iterable[Children] | None"


class Markup(str):
    """Text that is already safe HTML or SVG."""

    __slots__ = ()


_DRAWING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tabs and line breaks, and marks that begin or end a change of direction."""


def raw(text: str) -> Markup:
    """Mark `text` as safe; only for constants and for this package's own data files."""
    return Markup(text)


def tag(name: str, *children: Children, **attributes: Any) -> Markup:
    """Return one element.

    Args:
        name: the element's name.
        children: Markup as is, plain text escaped, iterables flattened, None skipped.
        attributes: `class_` becomes `class`, other underscores become hyphens; None and False are left out, True stands
            for an attribute without value, floats are rounded to hundredths (pixels).
    """
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{join(children)}</{name}>")


def join(children: Iterable[Children]) -> Markup:
    """Concatenate children under the rules of `tag`."""
    return Markup("".join(_child(child) for child in children))


def breakable(name: str) -> Markup:
    """Return a name that may be broken after its underscores, hyphens, dots and slashes."""
    return Markup(
        "".join(html.escape(character) + ("<wbr>" if character in _JOINTS else "") for character in readable(name))
    )


def readable(text: str) -> str:
    """Return a text in which what is invisible and turns other text around is written out, as are control characters.

    Unlike `rlkit.terminal.show_controls` it leaves alone what scripts are joined with, which a page can show.
    """
    return _DRAWING.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def script_json(value: Any) -> Markup:
    """Return JSON that can stand inside a `<script type="application/json">` whatever strings it holds.

    The characters that could end the element or start a comment are written as `\\uXXXX`, which JSON.parse undoes.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _child(child: Children) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return html.escape(readable(child), quote=False)
    return join(child)


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {name}="{html.escape(readable(str(value)))}"'
