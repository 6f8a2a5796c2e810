"""Code is judged by what it does, whatever it claims."""

from __future__ import annotations

import math
import time

import pytest

from rlkit.verifiers.code_checking import check_functions, check_outputs, extract_code
from rlkit.verifiers.code_harness import UntestableError, decode, encode
from rlkit.verifiers.sandbox import Limits

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]


def refuse(value):
    raise UntestableError(f"type {type(value).__name__}")


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
    copy = decode(encode(value, refuse), refuse)
    assert copy == value
    assert type(copy) is type(value)
    assert math.isnan(decode(encode(math.nan, refuse), refuse))
    assert decode(encode(1j, refuse), refuse) == 1j


def test_what_is_no_plain_value_is_said():
    with pytest.raises(UntestableError, match="type object"):
        encode([object()], refuse)
    with pytest.raises(UntestableError, match="without an end"):
        encode(iter(int, 1), refuse)


def test_code_is_taken_out_of_its_fences():
    assert extract_code("Text\n```python\na = 1\n```\nmore\n```py\nb = 2\n```\n") == "b = 2\n"
    assert extract_code("```\nx\n```\nthen ```text\noutput\n```") == "x\n"
    assert extract_code("```python\nopen = 1") == "open = 1"
    assert extract_code("a = 1") == "a = 1"
    assert extract_code("```json\n{}\n```") is None
    assert extract_code("  ") is None


_SQUARE = "def square(a):\n    return a * a\n"
_FENCE = "```"
_DOCUMENTED = '```python\ndef square(a):\n    """\n{FENCE}\n    square(2)\n{FENCE}\n    """\n    return a * a\n```'
FENCED = {
    "example after": f"{_FENCE}python\n{_SQUARE}{_FENCE}\nUsage:\n{_FENCE}python\nprint(square(3))\n{_FENCE}",
    "output after": f"{_FENCE}python\n{_SQUARE}{_FENCE}\nOutput:\n{_FENCE}\n9\n{_FENCE}",
    "bare, output after": f"{_FENCE}\n{_SQUARE}{_FENCE}\nOutput:\n{_FENCE}\n9\n{_FENCE}",
    "corrected": f"{_FENCE}python\ndef square(a): return a\n{_FENCE}\nNo:\n{_FENCE}python\n{_SQUARE}{_FENCE}",
    "prompt opened it": f"{_SQUARE}{_FENCE}",
    "prompt opened it, words after": f"{_SQUARE}{_FENCE}\nThis squares.",
    "prompt opened it, example after": f"{_SQUARE}{_FENCE}\nUse:\n{_FENCE}python\nprint(square(3))\n{_FENCE}",
    "on the fence's line": f"{_FENCE}python def square(a): return a * a\n{_FENCE}",
    "on a bare fence's line": f"{_FENCE}def square(a): return a * a\n{_FENCE}",
    "with attributes": f'{_FENCE}python title="square.py"\n{_SQUARE}{_FENCE}',
    "docstring": _DOCUMENTED.format(FENCE="    ```"),
    "docstring, not indented": _DOCUMENTED.format(FENCE="```"),
    "byte order mark": "\ufeff" + _SQUARE,
    "byte order mark inside": f"{_FENCE}python\n\ufeff{_SQUARE}{_FENCE}",
    "in a list": f"1. Code:\n   {_FENCE}python\n   def square(a):\n       return a * a\n   {_FENCE}",
    "tildes": f"~~~python\n{_SQUARE}~~~",
    "windows": f"{_FENCE}python\r\ndef square(a):\r\n    return a * a\r\n{_FENCE}",
    "never closed": f"Here:\n{_FENCE}python\n{_SQUARE}",
}


@pytest.mark.parametrize("text", FENCED.values(), ids=FENCED)
def test_the_solution_is_found_between_fences(text):
    namespace = {}
    exec(extract_code(text), namespace)
    assert namespace["square"](3) == 9


def test_a_named_function_is_looked_for_first():
    text = f"{_FENCE}python\n{_SQUARE}{_FENCE}\n{_FENCE}python\ndef test():\n    assert square(2) == 4\n{_FENCE}"
    assert extract_code(text, "square") == _SQUARE
    assert "def test" in extract_code(text)


def test_hostile_fences_cost_little():
    for text in ("```\n" * 20_000, "```python\n" * 20_000, '"""```\n' * 20_000, "`" * 200_000, "a ``` b" * 20_000):
        start = time.process_time()
        extract_code(text)
        assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("program", "expected", "passed"),
    [
        ("print('0.333333')", "0.333333333333", True),
        ("print(2.5)", "2.50", True),
        ("print('1e-3 x')", "0.001 x", True),
        ("print(5.0)", "5", True),
        ("print(10**5000)", "1" + "0" * 5000, True),
        ("print(0.00000003)", "0.00000002", False),
        ("print(1234567)", "1234568", False),
        ("print(0.33)", "0.333333", False),
        ("print('nan')", "nan", True),
        ("print('1.0 2.0')", "1.0", False),
    ],
)
def test_printed_numbers_agree_in_six_digits(program, expected, passed):
    assert check_outputs(program, [{"input": "", "output": expected}], FAST).passed is passed


def test_cases_may_be_numbers_and_lists_of_lines_and_other_rows_judge_nobody():
    assert check_outputs("print(int(input()) * 2)", [{"input": 4, "output": 8}], FAST).passed is True
    assert check_outputs("print(input(), input())", [{"input": ["a", "b"], "output": ["a b"]}], FAST).passed is True
    for case in ({"input": None, "output": "1"}, {"output": "1"}, {"input": {}, "output": "1"}, "1"):
        assert check_outputs("print(1)", [case], FAST).label == "bad_tests"
    assert judge(None, " ").label == "bad_tests"


def test_what_the_code_returns_never_escapes_being_judged():
    for value in ("object()", "itertools.count()", "lambda: 3", "[object()]", "nested()"):
        code = "import itertools\ndef nested():\n  a = []\n  for _ in range(300): a = [a]\n  return a\n"
        assert judge(f"{code}def add(a, b): return {value}").passed is False, value
    assert judge("def add(a, b): return 3", "assert add(lambda: 1, 2) == 3").label == "untestable"


def test_values_of_the_standard_library_and_built_in_types_cross_the_border():
    code = (
        "import collections, datetime, decimal, fractions\n"
        "def values(): return [datetime.date(2020, 1, 1), datetime.timedelta(hours=1), decimal.Decimal('0.10'),"
        " fractions.Fraction(1, 3), collections.deque([1, 2], 5), datetime.datetime(2020, 1, 1, 5)]\n"
        "def without(items, kind): return [item for item in items if not isinstance(item, kind)]\n"
        "class Liar(datetime.date):\n    def __eq__(self, other): return True\n"
        "    def isoformat(self): return '2020-01-01'\ndef lie(): return Liar(1999, 1, 1)"
    )
    prelude = code.splitlines()[0]
    held = "[datetime.date(2020, 1, 1), datetime.timedelta(hours=1), decimal.Decimal('0.1'), fractions.Fraction(1, 3), "
    held += "collections.deque([1, 2]), datetime.datetime(2020, 1, 1, 5)]"
    assert judge(code, f"assert values() == {held}", "values", prelude).passed is True
    assert judge(code, "assert without([1, 'a', 2.5], int) == ['a', 2.5]", "without").passed is True
    assert judge(code, "assert lie() == datetime.date(2020, 1, 1)", "lie", prelude).passed is False
    assert judge("def kind(): return str", "assert kind() == int", "kind").passed is False


def test_a_test_may_assert_inside_of_another_statement():
    raising = "try:\n    add(1, 'a')\n    assert False\nexcept TypeError:\n    pass"
    assert judge("def add(a, b): return a + b", raising).passed is True
    assert judge("def add(a, b): return 3", raising).passed is False
    assert judge("def add(a, b): return 3", "for x in range(3):\n    assert add(x, 0) == x").passed is False
    assert judge("def add(a, b): return 3", "def test_add():\n    assert add(1, 1) == 2").label == "bad_tests"


def test_objects_of_the_code_stay_over_there_and_are_used_by_the_tests():
    code = """
class Node:
    def __init__(self, data): self.data, self.left, self.right = data, None, None
    def __eq__(self, other): return True
def depth(root): return 0 if root is None else 1 + max(depth(root.left), depth(root.right))
def same(root): return root"""
    prelude = "root = Node(1)\nroot.left = Node(2)\nroot.left.left = Node(3)"
    assert judge(code, "assert depth(root) == 3", "depth", prelude).passed is True
    assert judge(code, "assert depth(root) == 2", "depth", prelude).passed is False
    assert judge(code, "assert same(root) == root\nassert root.left.data == 2", "same", prelude).passed is True
    assert judge(code, "assert same(root) == 5", "same", prelude).passed is False
    assert judge("def depth(root): return 3", "assert depth(root) == 3", "depth", prelude).passed is False
