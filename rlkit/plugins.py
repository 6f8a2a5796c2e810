"""One resolver for every kind of plug-in: built-in name, entry point, `file.py:thing` or `package.module:thing`.

A *kind* is described by a `PluginKind`: its word for messages, its entry-point group and its built-in names.
Built-ins are `name -> "package.module:attribute"`, so that naming one imports only that one. Files are loaded by
path, and may import what lies beside them; nothing needs to have been imported before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rlkit.errors import PluginError, RlkitError, suggest
from rlkit.parameters import show
from rlkit.types import PluginSpec


@dataclasses.dataclass(frozen=True)
class PluginKind:
    """What can be named in one place of a recipe."""

    word: str
    """How messages call it, e.g. `task`."""
    group: str
    """Entry-point group through which installed packages add theirs, e.g. `rlkit.tasks`."""
    builtins: Mapping[str, Any]
    """Built-in name -> `package.module:attribute`, or the thing itself."""

    def names(self) -> list[str]:
        """Return every name that `resolve` accepts for this kind, built-in and installed, sorted."""
        return sorted({*self.builtins, *(point.name for point in entry_points(group=self.group))})


_LISTED_BY = {"rlkit.advantages": "rlkit explain --list"}
"""Groups of so many names that a command lists them."""


def factory(function: Any) -> Any:
    """Mark a function as one that *builds* the plug-in, so that naming it calls it with the recipe's parameters."""
    function.is_plugin_factory = True
    return function


def preset(
    says: str,
    parts: Sequence[Any],
    assemble: Callable[[Iterable[Any]], Any],
    without: Sequence[str] = (),
    **defaults: Any,
) -> Any:
    """Return a factory of plug-ins made of several parts, whose parameters and defaults are those of the parts.

    Args:
        says: its docstring.
        parts: classes, or `functools.partial` of one with the values that a recipe may not change. A parameter that two
            parts have is that of the last one.
        assemble: makes the plug-in of the built parts.
        without: parameters that a recipe may not give.
        defaults: defaults other than the parts' own.
    """
    owners: dict[str, int] = {}
    parameters: dict[str, inspect.Parameter] = {}
    for at, part in enumerate(parts):
        fixed = getattr(part, "keywords", {})
        for name, parameter in inspect.signature(part).parameters.items():
            if name not in fixed and name not in without:
                owners[name] = at
                default = defaults.get(name, parameter.default)
                parameters[name] = parameter.replace(default=default, kind=inspect.Parameter.KEYWORD_ONLY)

    def build(**given: Any) -> Any:
        values: list[dict[str, Any]] = [{} for _ in parts]
        for name, value in {**defaults, **given}.items():
            values[owners[name]][name] = value
        return assemble(part(**own) for part, own in zip(parts, values, strict=True))

    built: Any = factory(build)
    built.__doc__, built.__signature__ = says, inspect.Signature([*parameters.values()])
    return built


def resolve(spec: PluginSpec, kind: PluginKind) -> Any:
    """Turn what a recipe says into the object it names.

    Args:
        spec: `"name"`, `{"name": ..., **params}`, `"path/to/file.py:thing"`, `"package.module:thing"`, or an object
        that is
            already built, which is returned as it is.
        kind: where names of this kind come from.

    Returns:
        The object. A class, or a function marked by `factory`, is called with the given parameters; any other
        function is the plug-in itself and takes none.

    Raises:
        PluginError: nothing of that name, the file or module cannot be imported, or the parameters do not fit.
    """
    if isinstance(spec, str):
        name, params = spec, {}
    elif isinstance(spec, Mapping):
        params = dict(spec)
        name = params.pop("name", None)
        if not isinstance(name, str):
            raise PluginError(
                f"The {kind.word} was given as {show(dict(spec))} without a name; write {{name: ..., param: ...}}."
            )
        if strange := [key for key in params if not isinstance(key, str)]:
            raise PluginError(f"The {kind.word} {name!r} was given the parameter {show(strange[0])}; names are words.")
    else:
        return _build(spec, {}, repr(spec), kind) if inspect.isclass(spec) else spec
    return _build(find(name, kind), params, name, kind)


def describe(thing: Any) -> Any:
    """Return a built plug-in as plain data: its class and every parameter, so that a run can be read years later.

    Dataclasses become `{"type": class name, **fields}`, sequences lists, plain values themselves, anything else its
    `repr`.
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = [field.name for field in dataclasses.fields(thing) if field.init]
        return {"type": type(thing).__name__, **{name: describe(getattr(thing, name)) for name in fields}}
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(item) for item in thing]
    return thing if thing is None or isinstance(thing, str | int | float | bool) else repr(thing)


def blame_plugin(error: Exception, what: str) -> PluginError:
    """Return the error to raise when somebody's plug-in raised one: what it was, what it said, and in which line.

    Args:
        error: what came out of the plug-in, caught in the function that called it.
        what: the plug-in, as the first words of a sentence.
    """
    calls = traceback.extract_tb(error.__traceback__)[1:]
    # Innermost where the plug-in itself is, not in the library that it handed the wrong thing to.
    lines = [call for call in calls if call.filename == calls[0].filename]
    place = f" in line {lines[-1].lineno} of {lines[-1].filename}" if lines else ""
    said = " ".join(str(error).split())
    return PluginError(f"{what} failed{place}: {type(error).__name__}{f': {said[:300]}' if said else ''}.")


def find(name: str, kind: PluginKind) -> Any:
    """Return what a name stands for, not yet built; raises PluginError as `resolve` does."""
    if name in kind.builtins:
        thing = kind.builtins[name]
        return load_target(thing, kind.word) if isinstance(thing, str) else thing
    for point in entry_points(group=kind.group):
        if point.name == name:
            try:
                return point.load()
            except Exception as error:
                raise PluginError(
                    f"The {kind.word} {name!r} of package {point.value!r} does not load: {error}"
                ) from error
    if ":" in name:
        return load_target(name, kind.word)
    raise PluginError(
        f"No {kind.word} is called {name!r}.{suggest(name, kind.names(), _LISTED_BY.get(kind.group))} "
        "Your own is named as file.py:thing or module:thing."
    )


def find_code(spec: Any) -> str | None:
    """Return what in a spec would have a file or module imported that is not installed for it, or None.

    For specs that come with somebody's directory: `file.py:thing`, `module:thing` or a file of YAML that may name them.
    """
    if isinstance(spec, Mapping):
        return next((found for value in spec.values() if (found := find_code(value))), None)
    if isinstance(spec, list | tuple):
        return next((found for value in spec if (found := find_code(value))), None)
    return spec if isinstance(spec, str) and _CODE.search(spec) else None


_CODE = re.compile(r"^\S.*:[^\W\d]\w*$|\.(py|ya?ml)$", re.IGNORECASE | re.DOTALL)


def load_target(target: str, word: str) -> Any:
    """Import `path/to/file.py:thing` or `package.module:thing` and return the thing.

    Raises:
        PluginError: the file or module is missing, fails while being imported, or has no such attribute.
    """
    location, _, attribute = target.rpartition(":")
    module = load_file(Path(location), word) if location.endswith(".py") else _load_module(location, word)
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise PluginError(f"{location} has nothing called {attribute!r} to use as {word}.{suggest(attribute, public)}")
    return getattr(module, attribute)


def _load_module(name: str, word: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise PluginError(f"The module {name!r}, named as {word}, cannot be imported: {error}") from error


def load_file(path: Path, word: str) -> Any:
    """Return the module in a file, which is imported once, under a name of its own.

    Raises:
        PluginError: there is no such file, or it fails while being imported.
    """
    path = path.expanduser().resolve()
    if not path.is_file():
        raise PluginError(f"The file {path}, named as {word}, does not exist.")
    # One module a path, under a name of its own: the same file named twice is one module, and pickles find it again.
    name = f"rlkit_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    loader = importlib.util.spec_from_file_location(name, path)
    assert loader is not None
    assert loader.loader is not None, "a .py path always has a source loader"
    module = importlib.util.module_from_spec(loader)
    sys.modules[name] = module
    # Last, so that it shadows nothing: what lies beside the file can be imported by it, as where Python runs the file.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        loader.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"The file {path}, named as {word}, fails while being imported: {error!r}") from error
    return module


def _build(thing: Any, params: dict[str, Any], name: str, kind: PluginKind) -> Any:
    if not inspect.isclass(thing) and not getattr(thing, "is_plugin_factory", False):
        if params:
            raise PluginError(
                f"The {kind.word} {name!r} is not a class and takes no parameters, but {sorted(params)} were given."
            )
        return thing
    allowed = [p for p in inspect.signature(thing).parameters.values() if p.kind is not p.VAR_KEYWORD]
    unknown = sorted(set(params) - {p.name for p in allowed})
    if unknown:
        hint = suggest(unknown[0], [p.name for p in allowed]) or " It takes none."
        raise PluginError(f"The {kind.word} {name!r} has no parameter {unknown[0]!r}.{hint}")
    missing = [
        p.name for p in allowed if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and p.name not in params
    ]
    if missing:
        raise PluginError(f"The {kind.word} {name!r} needs {missing[0]!r}; write {{name: {name}, {missing[0]}: ...}}.")
    try:
        return thing(**params)
    except RlkitError:
        raise
    except (TypeError, ValueError) as error:
        given = ", ".join(f"{key}={show(value)}" for key, value in params.items())
        raise PluginError(f"The {kind.word} {name!r} cannot be built with {given}: {error}.") from error
    except Exception as error:
        if str(getattr(thing, "__module__", "")).startswith("rlkit."):
            raise
        raise blame_plugin(error, f"The {kind.word} {name!r}") from error
