"""Where the recipes and reward plug-ins that come with rlkit are, in a checkout as in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from rlkit.errors import PluginError, suggest

KINDS = ("recipes", "rewards")


def shipped_dir(kind: str) -> Path:
    """Return the folder of `recipes` or `rewards` that this copy of rlkit brings along.

    A wheel carries them inside the package; a checkout, or an editable installation of one, has them beside it.

    Raises:
        PluginError: there is no such kind, or this copy was packaged without it.
    """
    if kind not in KINDS:
        raise PluginError(f"rlkit ships no folder called {kind!r}.{suggest(kind, KINDS)}")
    package = Path(__file__).resolve().parent
    for folder in (package / "_shipped" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise PluginError(
        f"This copy of rlkit at {package} has no {kind}/; install it again from the repository or a wheel."
    )
