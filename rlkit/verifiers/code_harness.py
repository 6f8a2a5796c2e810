"""The two programs that test a function across a process border; run in the sandbox, so the standard library alone.

`serve` executes the code under test and answers calls; `judge` runs the tests and calls through a pipe. Only plain
values cross: a test compares numbers and texts of its own process, and nothing that the code under test defines,
replaces, prints or exits can touch the comparison. Objects of its classes stay where they are; a test holds a `Handle`,
which equals nothing but itself.
"""

from __future__ import annotations

import ast
import builtins
import collections
import datetime
import decimal
import fractions
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

_DEEPEST, _MOST_ITEMS, _LONGEST_REPLY, _MOST_OBJECTS = 200, 1_000_000, 1 << 24, 100_000


# How values of the standard library are written, and read again: by the class itself, not by what a subclass claims.
_VALUES: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "timedelta": (
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: datetime.timedelta(*parts),
    ),
    "Decimal": (decimal.Decimal, decimal.Decimal.__str__, decimal.Decimal),
    "Fraction": (fractions.Fraction, fractions.Fraction.__str__, fractions.Fraction),
    "deque": (
        collections.deque,
        lambda value: [list(collections.deque.__iter__(value)), value.maxlen],
        lambda parts: collections.deque(*parts),
    ),
}


class UntestableError(BaseException):
    """A test hands over what is no plain data; out of reach of `except Exception` in a test."""


class NoAnswerError(BaseException):
    """The code under test returned what no answer can be; out of reach of `except Exception` in a test."""


class GoneError(BaseException):
    """The process with the code under test has ended; out of reach of `except Exception` in a test."""


def encode(value: Any, refer: Callable[[Any], int], depth: int = 0) -> Any:
    """Return plain data as JSON that keeps its Python type; iterators are read out.

    Args:
        value: what is to cross.
        refer: returns the number of an object that stays here; raises UntestableError where none may.

    Raises:
        UntestableError: it is nested too deeply, or without an end, or `refer` raises it.
    """
    if depth > _DEEPEST:
        raise UntestableError("a value nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    # The base classes' own conversions: a subclass that lies about equality arrives as what it holds.
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        number = float.__float__(value)
        return number if math.isfinite(number) else ["n", float.__repr__(number)]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, complex):
        return ["c", encode(value.real, refer), encode(value.imag, refer)]
    if isinstance(value, bytes | bytearray):
        return ["b", bytes(value).hex()]
    if isinstance(value, dict):
        return [
            "d",
            [[encode(key, refer, depth + 1), encode(item, refer, depth + 1)] for key, item in dict.items(value)],
        ]
    for kind, letter in ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f")):
        if isinstance(value, kind):
            items: Any = kind.__iter__(value)  # type: ignore[arg-type]
            return [letter, [encode(item, refer, depth + 1) for item in items]]
    for name, (of, written, _) in _VALUES.items():
        if isinstance(value, of):
            return ["v", name, encode(written(value), refer, depth + 1)]
    if isinstance(value, type) and vars(builtins).get(type.__dict__["__name__"].__get__(value)) is value:
        return ["y", type.__dict__["__name__"].__get__(value)]
    if isinstance(value, range) or hasattr(type(value), "__next__"):
        return ["i", [encode(item, refer, depth + 1) for item in _bounded(value)]]
    return ["o", refer(value)]


def decode(data: Any, find: Callable[[int], Any]) -> Any:
    """Return the value that `encode` was given; `find` returns the object of a number."""
    if not isinstance(data, list):
        return data
    letter, content = data[0], data[1]
    if letter == "n":
        return float(content)
    if letter == "b":
        return bytes.fromhex(content)
    if letter == "c":
        return complex(decode(content, find), decode(data[2], find))
    if letter == "o":
        return find(content)
    if letter == "y":
        return _built_in_type(content)
    if letter == "v":
        return _VALUES[content][2](decode(data[2], find))
    if letter == "d":
        return {decode(key, find): decode(item, find) for key, item in content}
    items = [decode(item, find) for item in content]
    makers: dict[str, Callable[[list], Any]] = {"l": list, "t": tuple, "s": set, "f": frozenset, "i": iter}
    return makers[letter](items)


def _built_in_type(name: Any) -> type:
    kind = getattr(builtins, name)
    if not isinstance(kind, type):
        raise TypeError(f"{name} is no type")
    return kind


def _bounded(values: Any) -> Iterator[Any]:
    for index, value in enumerate(values):
        if index >= _MOST_ITEMS:
            raise UntestableError("an iterator without an end")
        yield value


def serve(code: str, requests: TextIO, replies: TextIO) -> None:
    """Execute the code, say which names it defines, then answer calls until there are no more."""

    def reply(**content: Any) -> None:
        replies.write(json.dumps(content) + "\n")
        replies.flush()

    # A name other than __main__: what stands under the usual guard is for use as a script.
    namespace: dict[str, Any] = {"__name__": "solution"}
    try:
        exec(compile(code, "solution.py", "exec"), namespace)
    except Exception as error:
        reply(failed=f"{type(error).__name__}: {error}"[:500])
        return
    reply(names=[name for name, thing in namespace.items() if callable(thing) and isinstance(name, str)])
    objects = _Objects()
    for line in requests:
        call = json.loads(line)
        args, kwargs = decode(call["args"], objects.find), decode(call["kwargs"], objects.find)
        try:
            called = namespace[call["name"]] if "name" in call else objects.attribute(**call["of"])
            value = encode(called(*args, **kwargs), objects.refer)
            # Arguments go back too: a function may be asked to change a list in place.
            reply(value=value, args=encode(args, objects.refer))
        except UntestableError as error:
            reply(no_answer=str(error))
        except Exception as error:
            reply(raised=[base.__name__ for base in type(error).__mro__], message=str(error)[:500])


class _Objects:
    """What stays in the process of the code under test, by number."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._places: dict[int, int] = {}

    def refer(self, thing: Any) -> int:
        """Return the number of an object, the same at every call."""
        if id(thing) not in self._places:
            if len(self._kept) >= _MOST_OBJECTS:
                raise UntestableError("too many objects")
            self._places[id(thing)] = len(self._kept)
            self._kept.append(thing)
        return self._places[id(thing)]

    def find(self, number: int) -> Any:
        """Return the object of a number."""
        return self._kept[number]

    def attribute(self, number: int, how: str) -> Callable[..., Any]:
        """Return what reads (`get`), writes (`set`) or calls (`call`) an object."""
        thing = self._kept[number]
        readers: dict[str, Callable[..., Any]] = {
            "get": lambda name: getattr(thing, name),
            "set": lambda name, value: setattr(thing, name, value),
            "call": thing,
        }
        return readers[how]


class Handle:
    """An object of the other process: its attributes are read, written and called over there."""

    __slots__ = ("_caller", "_number")

    def __init__(self, caller: Caller, number: int) -> None:
        object.__setattr__(self, "_caller", caller)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._caller.ask({"of": {"number": self._number, "how": "get"}}, (name,))

    def __setattr__(self, name: str, value: Any) -> None:
        self._caller.ask({"of": {"number": self._number, "how": "set"}}, (name, value))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it over there."""
        return self._caller.ask({"of": {"number": self._number, "how": "call"}}, args, kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and other._number == self._number

    def __hash__(self) -> int:
        return hash(self._number)


class Caller:
    """Calls functions of the other process by name."""

    def __init__(self, requests: TextIO, replies: TextIO) -> None:
        self._requests, self._replies = requests, replies
        first = self._read()
        names = first.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise GoneError("the code under test garbled its reply")
        self.failure: str | None = str(first["failed"]) if "failed" in first else None
        self.names: list[str] = names

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function that is called over there."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.ask({"name": name}, args, kwargs)

        call.__name__ = name
        return call

    def ask(self, what: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        """Have something called over there and return what comes back."""
        sent = {"args": encode(list(args), _refer), "kwargs": encode(kwargs or {}, _refer)}
        self._write(what | sent)
        reply = self._read()
        if "no_answer" in reply:
            raise NoAnswerError(f"the code under test returned {reply['no_answer']}")
        if "raised" in reply:
            raise _exception(reply["raised"], reply["message"])
        try:
            changed, value = decode(reply["args"], self._handle), decode(reply["value"], self._handle)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            raise GoneError("the code under test garbled its reply") from error
        _change_in_place(args, changed)
        return value

    def _handle(self, number: int) -> Handle:
        return Handle(self, number)

    def _write(self, message: dict[str, Any]) -> None:
        try:
            self._requests.write(json.dumps(message) + "\n")
            self._requests.flush()
        except OSError as error:
            raise GoneError("the code under test ended its process") from error

    def _read(self) -> dict[str, Any]:
        try:
            line = self._replies.readline(_LONGEST_REPLY)
        except UnicodeDecodeError as error:
            raise GoneError("the code under test garbled its reply") from error
        if not line.endswith("\n"):
            ending = "sent too long a reply" if line else "ended its process"
            raise GoneError(f"the code under test {ending}")
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise GoneError("the code under test garbled its reply") from error
        if not isinstance(reply, dict):
            raise GoneError("the code under test garbled its reply")
        return reply


def _refer(value: Any) -> int:
    if isinstance(value, Handle):
        return value._number
    raise UntestableError(f"a test hands over a value of type {type(value).__name__}")


def _change_in_place(arguments: tuple[Any, ...], changed: list[Any]) -> None:
    for argument, new in zip(arguments, changed, strict=True):
        if type(argument) is list and type(new) is list:
            argument[:] = new
        elif type(argument) in (dict, set) and type(new) is type(argument):
            argument.clear()
            argument.update(new)


def _exception(names: list[str], message: str) -> Exception:
    for name in names:
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                return kind(message)
            except TypeError:
                # UnicodeDecodeError and its like want more than a message.
                continue
    return Exception(message)


def judge(tests: str, entry_point: str | None, prelude: str, requests: TextIO, replies: TextIO) -> dict[str, Any]:
    """Run tests against the code of the other process; return how the code did as JSON values."""
    books = {"num_passed": 0, "num_tests": 0}
    try:
        caller = Caller(requests, replies)
        if caller.failure is not None:
            return {**books, "label": "crashed", "detail": caller.failure}
        if entry_point is not None and entry_point not in caller.names:
            return {**books, "label": "no_function", "detail": f"there is no function {entry_point}"}
        return _run_tests(tests, entry_point, prelude, caller, books)
    except GoneError as error:
        return {**books, "label": "crashed", "detail": str(error)}
    except NoAnswerError as error:
        return {**books, "label": "wrong_answer", "detail": str(error)}
    except UntestableError as error:
        return {**books, "label": "untestable", "detail": str(error)}


def _run_tests(
    tests: str, entry_point: str | None, prelude: str, caller: Caller, books: dict[str, int]
) -> dict[str, Any]:
    # What the tests call beside the code under test is not its own to redefine: built-ins, the prelude, `check`.
    reserved = {*dir(builtins), "check"} if entry_point else {*dir(builtins)}
    namespace: dict[str, Any] = {"__name__": "tests"}
    namespace |= {name: caller.function(name) for name in caller.names if name not in reserved}
    failure: str | None = None
    try:
        statements = ast.parse(tests).body
        prepared = compile(prelude, "prelude.py", "exec")
    except Exception as error:
        return {**books, "label": "bad_tests", "detail": f"{type(error).__name__}: {error}"[:500]}
    try:
        # It may use classes of the code under test, and its own names go before that code's.
        exec(prepared, namespace)
    except Exception as error:
        label = "bad_tests" if isinstance(error, ImportError) else "wrong_answer"
        return {**books, "label": label, "detail": f"{type(error).__name__}: {error}"[:500]}
    if entry_point is not None:
        namespace[entry_point] = caller.function(entry_point)
    for statement in statements:
        is_test = _asserts(statement)
        books["num_tests"] += is_test
        try:
            exec(compile(ast.Module([statement], []), "tests.py", "exec"), namespace)
            books["num_passed"] += is_test
        except Exception as error:
            failure = failure or f"{type(error).__name__}: {error} in `{ast.unparse(statement)[:200]}`"
    if entry_point is not None and entry_point != "check" and callable(namespace.get("check")):
        books["num_tests"] += 1
        try:
            namespace["check"](namespace[entry_point])
            books["num_passed"] += 1
        except Exception as error:
            failure = failure or f"{type(error).__name__}: {error}"[:300]
    if failure is None and not books["num_tests"]:
        return {**books, "label": "bad_tests", "detail": "the tests assert nothing"}
    label = "passed" if failure is None else "wrong_answer"
    return {**books, "label": label, "detail": failure}


def _asserts(statement: ast.stmt) -> bool:
    """Return whether a statement asserts something when it is run, which the definition of a function does not."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    return any(isinstance(part, ast.Assert) for part in ast.walk(statement))


if __name__ == "__main__":
    sys.set_int_max_str_digits(0)
    role, requests_fd, replies_fd, report_fd = sys.argv[1], *map(int, sys.argv[2:5])
    with open("job.json", encoding="utf-8") as file:
        job = json.load(file)
    if role == "serve":
        with open(requests_fd) as requests, open(replies_fd, "w") as replies:
            serve(job["code"], requests, replies)
    else:
        with open(requests_fd, "w") as requests, open(replies_fd) as replies, open(report_fd, "w") as out:
            out.write(json.dumps(judge(job["tests"], job["entry_point"], job["prelude"], requests, replies)) + "\n")
