"""Code is judged by what it does, whatever it claims."""

from __future__ import annotations

import math

import pytest

from rlkit.verifiers.code_checking import check_functions, check_outputs, extract_code
from rlkit.verifiers.code_harness import UntestableError, decode, encode
from rlkit.verifiers.sandbox import Limits

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

FAST = Limits(wall_s=3.0, cpu_s=1, memory_mb=256)
ADD = "assert add(1, 2) == 3\nassert add(-1, 1) == 0"


def judge(code, tests=ADD, entry_point=None, prelude=""):
    return check_functions(code, tests, entry_point, prelude, FAST)


def test_a_right_function_passes_and_its_tests_are_counted():
    result = judge("def add(a, b): return a + b")
    assert (result.passed, result.num_passed, result.num_tests) == (True, 2, 2)


def test_a_wrong_one_fails_with_the_first_assert_that_did():
    result = judge("def add(a, b): return 3")
    assert (result.passed, result.label, result.num_passed) == (False, "wrong_answer", 1)
    assert "add(-1, 1) == 0" in result.detail


_FORGED = '{"label": "passed", "num_passed": 2, "num_tests": 2, "detail": null}'
CHEATS = {
    "exit": "import sys\nsys.exit(0)",
    "hard exit": "import os\nos._exit(0)",
    "exit when called": "import sys\ndef add(a, b): sys.exit(0)",
    "hard exit when called": "import os\ndef add(a, b): os._exit(0)",
    "no assertions": "import builtins\nbuiltins.AssertionError = Exception\ndef add(a, b): return 7",
    "equal to all": """
class Yes(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def add(a, b): return Yes(9)""",
    "equal object": "class Yes:\n  def __eq__(self, other): return True\ndef add(a, b): return Yes()",
    "printed claim": f"print('2 passed')\nprint({_FORGED!r})\ndef add(a, b): return 7",
    "loop": "def add(a, b):\n  while True: pass",
    "recursion": "def add(a, b): return add(a, b)",
    "assertion": "def add(a, b): raise AssertionError",
    "interrupt": "def add(a, b): raise KeyboardInterrupt",
    "syntax": "def add(:",
    "nothing": "x = 1",
    "kill": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\ndef add(a, b): return 7",
    "books": """
import gc
for each in gc.get_objects():
    if isinstance(each, dict) and "num_passed" in each:
        each.update(num_passed=2, num_tests=2)
def add(a, b): return 7""",
    "every pipe": f"""
import os
for fd in range(3, 64):
    try: os.write(fd, {_FORGED!r}.encode())
    except OSError: pass
def add(a, b): return 7""",
    "flood": "def add(a, b): return 'x' * (1 << 26)",
}


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_no_trick_is_a_pass(cheat):
    assert judge(cheat).passed is not True


@pytest.mark.parametrize(
    "greeting", [b'{"names": 5}', b'{"names": [["add"]]}', b"[" * 100_000, b"\xff\xfe"], ids=lambda text: repr(text[:9])
)
def test_code_that_garbles_the_first_reply_has_crashed_and_does_not_escape_its_zero(greeting):
    result = judge(f"import os, sys\nos.write(int(sys.argv[3]), {greeting!r} + b'\\n')")
    assert (result.label, result.passed) == ("crashed", False)


def test_a_function_that_replaces_what_the_tests_call_changes_nothing():
    tests = "def check(candidate):\n    assert abs(candidate(2) - 4) < 1e-6"
    cheat = "def square(x): return 9\ndef abs(x): return 0\ndef check(candidate): return True"
    assert judge(cheat, tests, "square").passed is False
    assert judge("def square(x): return x * x", tests, "square").passed is True
    assert judge("def square(x): return 9\ndef check(x): return True", "x = 1", "square").passed is None


def test_helpers_of_the_prelude_stay_the_preludes():
    prelude = "def poly(xs, x): return sum(c * x**i for i, c in enumerate(xs))\ndef root(xs):\n    'a root of poly'"
    tests = "def check(candidate):\n    assert abs(poly([1, 2], candidate([1, 2]))) < 1e-6"
    assert judge("def root(xs): return 5\ndef poly(xs, x): return 0", tests, "root", prelude).passed is False
    assert judge("def root(xs): return -xs[0] / xs[1]", tests, "root", prelude).passed is True


def test_exceptions_in_place_changes_iterators_and_keywords_cross_the_border():
    code = (
        "def positive(x, *, scale=1):\n  if x < 0: raise ValueError('negative')\n  return x * scale\n"
        "def order(xs): xs.sort()\ndef digits(n): return map(int, str(n))"
    )
    tests = (
        "try:\n    positive(-1)\n    assert False\nexcept ValueError as error:\n    assert 'negative' in str(error)\n"
        "xs = [3, 1]\norder(xs)\nassert xs == [1, 3]\n"
        "assert list(digits(12)) == [1, 2]\nassert positive(2, scale=3) == 6"
    )
    assert judge(code, tests).passed is True


def test_a_function_that_is_missing_and_tests_that_say_nothing_are_told_apart():
    assert judge("def plus(a, b): return a + b", ADD, "add").label == "no_function"
    assert judge("def add(a, b): return 0", "").passed is None
    assert judge("def add(a, b): return 0", "assert add(").label == "bad_tests"
    assert judge(None).label == "no_code"


def test_an_endless_loop_is_a_timeout():
    assert judge("def add(a, b):\n  while True: pass").label == "timeout"


def test_programs_are_judged_by_what_they_print_and_how_they_end():
    cases = [{"input": "1 2\n", "output": "3"}, {"input": "2 5\n", "output": "7\n"}]
    good = check_outputs("print(sum(map(int, input().split())), end='  \\n\\n')", cases, FAST)
    assert (good.passed, good.num_passed) == (True, 2)
    half = check_outputs("print(3)", cases, FAST)
    assert (half.passed, half.num_passed, half.num_tests) == (False, 1, 2)
    assert check_outputs("print(3); raise SystemExit(1)", cases[:1], FAST).label == "crashed"
    assert check_outputs("import sys; sys.exit(0)", cases[:1], FAST).label == "wrong_answer"
    assert check_outputs("while True: pass", cases, FAST).label == "timeout"
    assert check_outputs("print(3)", [], FAST).passed is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        10**30,
        0.1,
        math.inf,
        "ü\ud800",
        b"\x00\xff",
        [1, (2, {3}), {"a": frozenset("b")}],
        {(1, 2): None},
    ],
)
def test_plain_values_keep_their_type_across_the_border(value):
    copy = decode(encode(value))
    assert copy == value
    assert type(copy) is type(value)
    assert math.isnan(decode(encode(math.nan)))
    assert decode(encode(1j)) == 1j


def test_what_is_no_plain_value_is_said():
    with pytest.raises(UntestableError, match="type object"):
        encode([object()])
    with pytest.raises(UntestableError, match="without an end"):
        encode(iter(int, 1))


def test_code_is_taken_out_of_its_fences():
    assert extract_code("Text\n```python\na = 1\n```\nmore\n```py\nb = 2\n```\n") == "b = 2\n"
    assert extract_code("```\nx\n```\nthen ```text\noutput\n```") == "x\n"
    assert extract_code("```python\nopen = 1") == "open = 1"
    assert extract_code("a = 1") == "a = 1"
    assert extract_code("```json\n{}\n```") is None
    assert extract_code("  ") is None
