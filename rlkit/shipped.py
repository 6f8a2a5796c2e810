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


def shipped_plugins(kind: str) -> dict[str, str]:
    """Return the plug-ins that come as files, name -> `file.py:name`; none where this copy was packaged without them.

    A file is called like the plug-in in it.
    """
    try:
        files = sorted(shipped_dir(kind).glob("[!_]*.py"))
    except PluginError:
        return {}
    return {file.stem: f"{file}:{file.stem}" for file in files}
