"""The key of a Python program: its syntax tree without what a programmer is free to choose.

    program_key("def add(a, b):\\n    return a + b") == program_key("def plus(x, y):  # sums\\n\\treturn (x + y)")

Left out are formatting, comments, docstrings and other constants that stand alone, `pass`, annotations, and imports:
what is imported shows where it is used. Names that the program binds itself are numbered in the order in which they
are met, each in the scope that binds it
(https://docs.python.org/3/reference/executionmodel.html#naming-and-binding). Built-ins, attributes, methods and other
names of a class body, and parameters that are passed by keyword keep theirs.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LEFT_OUT = ("ctx", "annotation", "returns", "type_comment", "kind")
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


def program_key(code: str, *, keep_names: bool = False, only_definitions: bool = False) -> str | None:
    """Return a digest that programs share when they agree in all but what is left out; None where Python reads none.

    The digest depends on the grammar of the Python that runs this only where a program uses what that Python added.

    Args:
        code: a module.
        keep_names: whether other names make another program.
        only_definitions: whether what the module does beside binding names (examples, asserts, a main block) is left
            out: for functions that tests call.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(code)
        if only_definitions:
            module.body = [each for each in module.body if not isinstance(each, ast.Expr | ast.Assert | ast.If)]
        scope = _Scope(_find_global(module) | _find_bound(module.body))
        written = _Writer(module, keep_names).write(module.body, scope)
    except _UNREADABLE:
        # Too deep or too large a program is one that cannot be compared.
        return None
    return f"program:{hashlib.sha256(written.encode('utf-8', errors='surrogatepass')).hexdigest()[:32]}"


@dataclass
class _Scope:
    """What binds names: the module, a function, a class body or a comprehension."""

    bound: dict[str, str | None]
    """Names, and what stands for them where that is fixed."""
    parent: _Scope | None = None
    is_class: bool = False
    numbers: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> _Scope | None:
        """Return the scope that binds a name, None for a free one; class bodies bind for themselves alone."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.bound and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None


class _Writer:
    """Writes a tree as text, numbering names on the way."""

    def __init__(self, module: ast.Module, keep_names: bool) -> None:
        self.keep_names = keep_names
        self.num_names = 0
        self.by_keyword = {node.arg for node in ast.walk(module) if isinstance(node, ast.keyword)}

    def write(self, value: Any, scope: _Scope) -> str:
        """Return a node, a list of nodes or a plain value as text."""
        if isinstance(value, list):
            kept = (each for each in value if not _says_nothing(each, scope))
            return f"[{','.join(self.write(each, scope) for each in kept)}]"
        if not isinstance(value, ast.AST):
            return repr(value)
        if isinstance(value, ast.Name):
            return self._name(value.id, scope)
        if isinstance(value, (*_FUNCTIONS, ast.Lambda)):
            return self._function(value, scope)
        if isinstance(value, ast.ClassDef):
            return self._class(value, scope)
        if isinstance(value, _COMPREHENSIONS):
            return self._comprehension(value, scope)
        if isinstance(value, ast.AnnAssign) and not scope.is_class:
            return f"Assign(targets=[{self.write(value.target, scope)}],value={self.write(value.value, scope)})"
        return self._node(value, scope)

    def _node(self, node: ast.AST, scope: _Scope, without: tuple[str, ...] = ()) -> str:
        """Return a node by its fields; those that say nothing are left out, so that newer grammars change no key."""
        parts = []
        for key, value in ast.iter_fields(node):
            if value is None or value == [] or key in without or (key in _LEFT_OUT and not _keeps(node, key)):
                continue
            text = self._name(value, scope) if _binds(node, key) else self.write(value, scope)
            parts.append(f"{key}={text}")
        return f"{type(node).__name__}({','.join(parts)})"

    def _function(self, node: Any, scope: _Scope) -> str:
        args = node.args
        own = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        body = node.body if isinstance(node.body, list) else [node.body]
        bound = {each.arg: each.arg if each.arg in self.by_keyword else None for each in own}
        inside = _Scope({**_find_bound(body), **bound}, scope)
        for each in _walk_scope(body):
            if isinstance(each, ast.Global | ast.Nonlocal):
                inside.bound = {key: value for key, value in inside.bound.items() if key not in each.names}
        name = "" if isinstance(node, ast.Lambda) else self._name(node.name, scope)
        outside = [self.write(getattr(node, "decorator_list", []), scope)]
        outside += [self.write(list(filter(None, each)), scope) for each in (args.defaults, args.kw_defaults)]
        given = ",".join("=" if each is None else "x" for each in args.kw_defaults)
        takes = self._node(args, inside, ("defaults", "kw_defaults"))
        return f"{type(node).__name__}({name},{','.join(outside)},{given},{takes},{self.write(body, inside)})"

    def _class(self, node: ast.ClassDef, scope: _Scope) -> str:
        inside = _Scope({name: name for name in _find_bound(node.body)}, scope, is_class=True)
        outside = (self.write(each, scope) for each in (node.decorator_list, node.bases, node.keywords))
        return f"ClassDef({self._name(node.name, scope)},{','.join(outside)},{self.write(node.body, inside)})"

    def _comprehension(self, node: Any, scope: _Scope) -> str:
        targets = [generator.target for generator in node.generators]
        inside = _Scope(_find_bound(targets), scope)
        # The first thing that is gone through is evaluated outside.
        loops = [self.write(node.generators[0].iter, scope)]
        for at, each in enumerate(node.generators):
            loops.append(self._node(each, inside, ("iter",) if at == 0 else ()))
        return f"{type(node).__name__}([{','.join(loops)}],{self._node(node, inside, ('generators',))})"

    def _name(self, name: str, scope: _Scope) -> str:
        owner = scope.find(name)
        if owner is None or self.keep_names:
            return name
        fixed = owner.bound[name]
        if fixed is not None:
            return fixed
        if name not in owner.numbers:
            owner.numbers[name] = f"${self.num_names}"
            self.num_names += 1
        return owner.numbers[name]


def _find_global(module: ast.Module) -> dict[str, str | None]:
    """Return the names that functions bind in the module."""
    found = (node.names for node in ast.walk(module) if isinstance(node, ast.Global))
    return {name: None for names in found for name in names}


def _find_bound(nodes: Iterable[ast.AST]) -> dict[str, str | None]:
    """Return the names that nodes bind in their own scope, and what stands for them: of imports where they are from."""
    bound: dict[str, str | None] = {}
    for node in _walk_scope(nodes):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {each.asname or each.name.partition(".")[0]: _origin(node, each) for each in node.names}
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.setdefault(node.id, None)
        else:
            for key, value in ast.iter_fields(node):
                if _binds(node, key) and value is not None:
                    bound.setdefault(value, None)
    return bound


def _walk_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield nodes that belong to the same scope; of an inner one its head, and what a walrus in it binds outside."""
    left = list(nodes)
    while left:
        node = left.pop()
        if isinstance(node, _COMPREHENSIONS):
            left += [each.target for each in ast.walk(node) if isinstance(each, ast.NamedExpr)]
            continue
        yield node
        if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            left += [*getattr(node, "decorator_list", []), *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.ClassDef):
            left += [*node.decorator_list, *node.bases, *node.keywords]
        else:
            left += ast.iter_child_nodes(node)


def _binds(node: ast.AST, key: str) -> bool:
    """Return whether a field of a node is a name that it binds."""
    if key == "name":
        return isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar))
    return (key == "arg" and isinstance(node, ast.arg)) or (key == "rest" and isinstance(node, ast.MatchMapping))


def _keeps(node: ast.AST, key: str) -> bool:
    """Return whether an annotation counts: in a class body it can be what makes a field of a data class."""
    return key == "annotation" and isinstance(node, ast.AnnAssign)


def _says_nothing(node: Any, scope: _Scope) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None and not scope.is_class
    alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return alone or isinstance(node, ast.Pass | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal)


def _origin(node: ast.Import | ast.ImportFrom, name: ast.alias) -> str:
    if isinstance(node, ast.ImportFrom):
        return f"{'.' * node.level}{node.module or ''}.{name.name}"
    return name.name if name.asname else name.name.partition(".")[0]
