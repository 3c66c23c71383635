"""The judge: what becomes of honest programs and tests of all kinds, and that only answers can pass."""

import contextlib
import signal

import pytest

from evaluation.sandbox.comparing import same
from evaluation.sandbox.judge import brief, final_verdict
from evaluation.sandbox.pool import Job, Limits, Sandbox, Worker
from tests.evaluation.sandbox.conftest import LINUX_ALONE

pytestmark = LINUX_ALONE

REPORT = {"status": 0, "killed": False, "memory_killed": False, "cpu": 0.0, "memory": 0, "strays": 0}
VECTOR = """
class Vector:
    made = 0
    def __init__(self, x, y):
        self.x, self.y = x, y
        Vector.made += 1
    def __add__(self, other): return Vector(self.x + other.x, self.y + other.y)
    def __rmul__(self, factor): return self.scaled(factor)
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
    def __lt__(self, other): return self.length() < other.length()
    def __hash__(self): return hash((self.x, self.y))
    def __str__(self): return f"({self.x}, {self.y})"
    def __len__(self): return 2
    def __iter__(self): return iter((self.x, self.y))
    def __getitem__(self, index): return (self.x, self.y)[index]
    def __contains__(self, value): return value in (self.x, self.y)
    def scaled(self, factor): return Vector(self.x * factor, self.y * factor)
    def length(self): return LENGTH
    @classmethod
    def zero(cls): return cls(0, 0)
    @property
    def half(self): return Vector(self.x / 2, self.y / 2)
LENGTH = 5
"""
PRETENDER = """
class Pretender:
    def __sub__(self, other): return 0.0
    __add__ = __rsub__ = __mul__ = __abs__ = __float__ = __sub__
    def __eq__(self, other): return True
    __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __eq__
"""


# -- comparing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(5, 5), (0.1 + 0.2, 0.3), ([1, (2.0,)], [1, (2.0,)]), ({1: 0.3}, {1: 0.1 + 0.2}), (float("nan"), float("nan")),
     (float("inf"), float("inf")), ({1, 2}, {2, 1}), (1e-13, 0.0), (1j, 1j), (None, None), (-0.0, 0.0),
     ({(1, "a"), frozenset({2})}, {frozenset({2}), (1, "a")}), ({(1, 2): 0.3}, {(1, 2): 0.1 + 0.2})],
)  # fmt: skip
def test_what_is_the_same(answer, expected):
    assert same(answer, expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(5.0, 5), (True, 1), ([1], (1,)), ([1, 2], [1]), ({1: 1}, {1: 1, 2: 2}), (0.3, 0.30001), ([1, True], [1, 1]),
     (float("nan"), 0.0), (float("inf"), 1e308), ("5", 5), ({"a": 1}, {"a": 1.0}), (b"x", "x"), (1j, 1.0),
     ({True, 2}, {1, 2}), ({1.0: "a"}, {1: "a"}), ({(1, True)}, {(1, 1)}), ({frozenset({1.0})}, {frozenset({1})})],
)  # fmt: skip
def test_what_is_not_the_same(answer, expected):
    assert not same(answer, expected)


def test_what_is_shown_can_not_steer_a_terminal_and_always_can_be_printed():
    assert brief("\x1b[2J\n\udc80") == r"'\x1b[2J\n\udc80'"
    assert brief(ValueError("\x1b[2J\r\u202e")) == r"\x1b[2J\r\u202e"
    assert len(brief("x" * 10**6)) <= 300
    assert "can not be shown" in brief(1 << 10**6), "Python refuses to write out so many digits"


@pytest.mark.parametrize(
    ("ended", "report", "verdict"),
    [
        ("", {}, "pass"),
        ("timeout", {}, "timeout"),
        ("protocol", {}, "protocol"),
        ("closed", {"status": 0}, "exit:0"),
        ("closed", {"status": 3}, "exit:3"),
        ("closed", {"status": -11}, "crash:SIGSEGV"),
        ("closed", {"status": -40}, "crash:SIG40"),
        ("closed", {"status": -9, "cpu": 0.1}, "crash:SIGKILL"),
        ("closed", {"status": -9, "cpu": 0.8}, "timeout"),
        ("closed", {"status": -9, "killed": True}, "protocol"),
        ("", {"memory_killed": True}, "memory"),
        ("closed", {"memory_killed": True, "status": -9}, "memory"),
    ],
)
def test_how_a_program_ended_decides_over_what_a_test_made_of_it(ended, report, verdict):
    assert final_verdict("pass", ended, REPORT | report, cpu_seconds=1) == verdict


# -- cases -------------------------------------------------------------------------------------------------------------


def test_cases_are_counted_one_by_one(judge):
    """The ladder of small models needs more than right or wrong: the right type, some cases."""
    source = "def half(x):\n    if x == 6: raise ValueError('odd')\n    return x / 2 if x > 2 else x // 2"
    verdict = judge(Job(source, "half", cases=(((2,), 1), ((4,), 2), ((6,), 3), ((8,), 4.0))))
    assert (verdict.verdict, verdict.passed, verdict.total, verdict.right_type, verdict.calls) == ("wrong", 2, 4, 2, 4)
    assert verdict.detail == "half(4,) gave 2.0, not 2"


def test_the_first_case_that_fails_decides(judge):
    source = "def f(x): return [][x]"
    assert judge(Job(source, "f", cases=(((0,), 0), ((1,), 1)))).verdict == "error:IndexError"


def test_arguments_of_all_plain_kinds_arrive_as_they_are(judge):
    values = (None, True, 2**80, -0.5, float("inf"), "naïve\0\udc80", b"\xff", 1j, [1, (2, {3})], {"a": {(1, 2): None}})
    source = "def same(*values): return values"
    assert judge(Job(source, "same", cases=((values, values),))).is_pass


def test_a_case_that_can_not_cross_is_the_tests_fault(judge):
    assert judge(Job("def f(x): return x", "f", cases=(((object(),), 1),))).verdict == "invalid-test"
    assert judge(Job("def f(x): return x", "f", cases=((("x" * (1 << 21),), 1),))).verdict == "invalid-test"


def test_a_program_that_does_not_fit_is_not_run(judge):
    assert judge(Job("x = '" + "x" * (1 << 17) + "'", "f", cases=(((1,), 1),))).verdict == "protocol"
    longest = "# " + "\U0001f600" * ((1 << 16) - 100) + "\ndef f(x): return x"
    assert judge(Job(longest, "f", cases=(((1,), 1),))).is_pass


def test_a_job_needs_cases_or_a_test_and_not_both():
    with pytest.raises(ValueError, match="either cases or a test"):
        Job("x = 1", "x")
    with pytest.raises(ValueError, match="either cases or a test"):
        Job("x = 1", "x", cases=(((1,), 1),), test="def check(x): pass")


# -- tests with code of their own --------------------------------------------------------------------------------------


def check(body: str) -> str:
    return "def check(candidate):\n" + "".join(f"    {line}\n" for line in body.strip().splitlines())


def test_the_check_of_a_test_runs_where_the_program_is_not(judge):
    test = "import os\ndef check(candidate):\n    assert candidate(os.getpid()) != os.getpid()\n"
    assert judge(Job("import os\ndef f(x): return os.getpid()", "f", test=test)).is_pass


def test_helpers_are_trusted_code_of_the_test(judge):
    job = Job(
        "def f(x): return x", "f", test=check("assert candidate(helper()) == 7"), helpers="def helper(): return 7"
    )
    assert judge(job).is_pass


def test_keywords_cross(judge):
    assert judge(Job("def f(a, *, b=1): return a - b", "f", test=check("assert candidate(5, b=3) == 2"))).is_pass


def test_an_expected_exception_can_be_expected(judge):
    test = check("try: candidate(0)\nexcept ZeroDivisionError: return\nassert False")
    assert judge(Job("def f(x): return 1 / x", "f", test=test)).is_pass
    assert judge(Job("def f(x): return 0", "f", test=test)).verdict == "wrong"


@pytest.mark.parametrize(
    "test",
    [
        "def check(candidate:",
        "x = 1",
        "raise ValueError('broken')",
        check("pass"),
        check("undefined"),
        check("candidate(object())"),
        check("candidate([candidate])"),
        check("candidate('x' * (1 << 21))"),
    ],
    ids=range(8),
)
def test_a_test_that_can_not_test_is_told_apart_from_a_program_that_fails(judge, test):
    verdict = judge(Job("def f(x): return x", "f", test=test))
    assert verdict.verdict == "invalid-test"


def test_no_answer_makes_a_test_invalid(judge):
    """A program that is wrong counts; one whose test is invalid does not: that must not be for a program to choose."""
    for source in ("def f(x): return 'x' * 900_000", f"def f(x): return {'[' * 50 + ']' * 50}"):
        verdict = judge(Job(source, "f", test=check("answer = candidate(1)\nassert candidate([answer, answer]) == 5")))
        assert verdict.verdict == "wrong" and "WireError" in verdict.detail


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "type('Own', (Exception,), {})"])
def test_what_is_no_builtin_exception_is_not_the_runtime_error_that_a_test_expects(judge, error):
    test = check("try: candidate(0)\nexcept RuntimeError: return\nassert False")
    assert judge(Job("def f(x): raise RuntimeError", "f", test=test)).is_pass
    assert judge(Job(f"def f(x): raise {error}", "f", test=test)).verdict.startswith("error:")


def test_a_test_that_catches_everything_does_not_pass_a_program_that_has_left(judge):
    """`except:` in a test catches the judge's own exception too; that there was no answer is remembered."""
    test = check("for x in range(3):\n    try: candidate(x)\n    except: pass")
    assert judge(Job("def f(x): return x", "f", test=test)).is_pass
    assert judge(Job("import os\ndef f(x): os._exit(0)", "f", test=test)).verdict == "exit:0"
    assert judge(Job("def f(x): return f", "f", test=test)).verdict == "protocol"


@pytest.mark.parametrize("error", ["StopIteration", "StopIteration(5)", "GeneratorExit", "StopAsyncIteration"])
def test_no_exception_of_the_program_ends_a_loop_of_the_test(judge, error):
    """`all(map(...))` takes StopIteration for the end of its input: nothing is compared, and the test goes on."""
    test = check("for x, y in zip([1, 2], map(candidate, [1, 2])): assert x == y\nassert all(map(candidate, [1]))")
    name = error.partition("(")[0]
    assert judge(Job(f"def f(x): raise {error}", "f", test=test)).verdict == f"error:{name}"


def test_an_answer_can_not_hold_up_the_judge_for_long(judge):
    verdict = judge(Job("def f(x): return 10**15", "f", test=check("for _ in range(candidate(1)): pass")))
    assert verdict.verdict == "timeout" and "held up" in verdict.detail
    assert judge(Job("def f(x): return x", "f", cases=(((1,), 1),))).is_pass


def test_a_judge_that_is_held_up_ends_by_its_own_time_long_before_that_of_the_clock():
    """An answer of one MiB whose numbers share one hash would take minutes; the machine may have other work to do."""
    source = """
import os
numbers = ",".join('{"int":"%x"}' % (n * (2**61 - 1)) for n in range(30_000))
data = ('{"value":{"set":[' + numbers + "]}}").encode()
for _ in range(2): os.write(200, len(data).to_bytes(4, "big") + data)
"""
    settings = Sandbox(Limits(cpu_seconds=2, wall_seconds=60.0)).settings
    with contextlib.closing(Worker(settings)) as worker:
        verdict = worker.judge(Job(source, "f", cases=(((1,), 1),)))
        assert verdict.verdict == "timeout" and "held up" in verdict.detail
        assert worker.processes[1].returncode == -signal.SIGPROF


def test_an_answer_can_not_take_the_judges_memory(judge):
    verdict = judge(Job("def f(x): return 10**12", "f", test=check("assert len([0] * candidate(1)) == 5")))
    assert verdict.verdict == "wrong" and "MemoryError" in verdict.detail
    assert judge(Job("def f(x): return x", "f", cases=(((1,), 1),))).is_pass


def test_what_is_printed_by_a_test_goes_nowhere(judge):
    """Nobody reads a judge's stderr: a pipe would be full after 64 KiB, and the judge would wait for ever."""
    body = "import sys\nfor _ in range(3000): print('x' * 100, file=sys.stderr), print('x' * 100)\nassert candidate(1)"
    assert judge(Job("def f(x): return x", "f", test=check(body))).is_pass


def test_long_arguments_and_a_program_that_does_not_read_them(judge):
    job = Job("def f(x): return len(x)", "f", test=check("assert candidate('x' * 900_000) == 900_000"))
    assert judge(job).is_pass
    slow = Job("import time\ndef f(x): time.sleep(100)", "f", test=check("candidate([0] * 300_000)\n"))
    assert judge(slow).verdict == "timeout"


# -- changes in place, printing, objects -------------------------------------------------------------------------------


def test_changes_in_place_are_seen_where_they_are_asked_for(judge):
    source = "def f(items, table, kinds):\n    items.append(1); table['a'] = [2]; kinds.discard(3)"
    body = "items, table, kinds = [0], {}, {3, 4}\ncandidate(items, table, kinds)\n"
    changed = check(body + "assert (items, table, kinds) == ([0, 1], {'a': [2]}, {4})")
    assert judge(Job(source, "f", test=changed, changed=True)).is_pass
    assert judge(Job(source, "f", test=check(body + "assert (items, table, kinds) == ([0], {}, {3, 4})"))).is_pass


def test_an_argument_can_not_become_something_else(judge):
    source = "class L(list): pass\ndef f(items): items[:] = [L()]"
    job = Job(source, "f", test=check("items = [0]\ncandidate(items)\nassert items == [[]]"), changed=True)
    assert judge(job).verdict == "protocol"


def test_what_is_printed_can_be_asked_for(judge):
    source = "print('hello')\ndef f(x): print(x, 'naïve', end='')"
    body = "candidate(1)\ncandidate(2)\nassert candidate.printed() == 'hello\\n1 naïve2 naïve'"
    assert judge(Job(source, "f", test=check(body), printed=True)).is_pass
    assert judge(
        Job("print('hello')", "f", test=check("assert candidate.printed() == 'hello\\n'"), printed=True)
    ).is_pass
    body = "candidate(1)\nassert len(candidate.printed()) == 1 << 16"
    assert judge(Job("def f(x): print('x' * 10**6)", "f", test=check(body), printed=True)).is_pass


ANSWERING = ("Vector", "__add__", "__rmul__", "scaled", "zero", "half")


def vector(body: str, objects: tuple[str, ...] = ANSWERING, source: str = VECTOR) -> Job:
    return Job(source, "Vector", test=check(body), objects=objects)


@pytest.mark.parametrize(
    "body",
    [
        "total = candidate(1, 2) + candidate(3, 4).scaled(2)\nassert total.x == 7 and total == candidate(7, 10)",
        "assert str(candidate(1, 2)) == '(1, 2)' and f'{candidate(1, 2)}' == '(1, 2)'",
        "assert len(candidate(1, 2)) == 2 and list(candidate(1, 2)) == [1, 2] and candidate(1, 2)[-1] == 2",
        "assert 2 in candidate(1, 2) and 3 not in candidate(1, 2)",
        "one = candidate(1, 2)\none.x = 8\nassert one.x == 8 and one != candidate(1, 2)",
        "assert candidate.zero().x == 0 and candidate.made == 1 and candidate.zero().half == candidate(0, 0)",
        "assert {candidate(1, 2): 3}[candidate(1, 2)] == 3",
        "assert sorted([candidate(1, 2), candidate(0, 1)])[0].x in (0, 1)",
        "assert not hasattr(candidate(1, 2), 'nothing') and abs(candidate(1, 2).length() - 5) < 1e-9",
        "assert (2 * candidate(1, 2)).y == 4",
        "assert [x for x in candidate(1, 2)] == [1, 2] and sum(candidate(1, 2)) == 3",
        "try: candidate(1, 2)[5]\nexcept IndexError: return\nassert False",
    ],
)
def test_objects_are_used_as_if_they_were_here(judge, body):
    verdict = judge(vector(body))
    assert verdict.is_pass, verdict


@pytest.mark.parametrize(
    "body",
    [
        "assert candidate(1, 2).length() == 5",
        "assert abs(candidate(1, 2).length() - 5) < 1e-9",
        "assert 0 < candidate(1, 2).length() < 10",
        "assert float(candidate(1, 2).length()) == 5",
        "assert 5 in [candidate(1, 2).length()]",
    ],
)
def test_an_object_never_stands_for_plain_data(judge, body):
    """What the job does not name has to answer in plain data: a pretender never comes to be compared."""
    source = PRETENDER + VECTOR.replace("LENGTH = 5", "LENGTH = Pretender()")
    assert judge(vector(body, source=source)).verdict == "protocol"


def test_an_attribute_that_pretends_is_no_answer_either(judge):
    source = PRETENDER + "class C:\n    def __init__(self): self.size = Pretender()"
    for body in ("assert candidate().size == 3", "assert abs(candidate().size - 3) < 1", "assert candidate().size > 2"):
        assert judge(Job(source, "C", test=check(body), objects=("C",))).verdict == "wrong"


def test_only_what_is_named_answers_with_objects(judge):
    assert judge(vector("candidate(1, 2).scaled(2)", objects=("Vector",))).verdict == "protocol"
    assert judge(vector("candidate(1, 2)", objects=())).verdict == "protocol"


def test_generators_functions_and_what_they_make(judge):
    counting = "def count(n):\n    for i in range(n): yield i"
    assert judge(
        Job(counting, "count", test=check("assert list(candidate(3)) == [0, 1, 2]"), objects=("count",))
    ).is_pass
    endless = "import itertools\ndef count(n): return itertools.count(n)"
    body = "numbers = candidate(3)\nassert [next(numbers), next(numbers)] == [3, 4]"
    assert judge(Job(endless, "count", test=check(body), objects=("count",))).is_pass
    adder = "def adder(n): return lambda x: x + n"
    assert judge(Job(adder, "adder", test=check("assert candidate(3)(4) == 7"), objects=("adder",))).is_pass
    pretending = PRETENDER + "def adder(n): return lambda x: Pretender()"
    assert (
        judge(Job(pretending, "adder", test=check("assert candidate(3)(4) == 7"), objects=("adder",))).verdict
        == "protocol"
    )


def test_objects_can_be_handed_back(judge):
    source = """
class Node:
    def __init__(self, value, next=None): self.value, self.next = value, next
    def total(self): return self.value + (self.next.total() if self.next else 0)
"""
    body = "first = candidate(1, next=candidate(2))\nassert first.total() == 3 and first.next.value == 2"
    assert judge(Job(source, "Node", test=check(body), objects=("Node", "next"))).is_pass


# -- the same each time ------------------------------------------------------------------------------------------------


def test_the_same_program_gets_the_same_verdict_hashes_and_random_numbers(judge, sandbox):
    source = """
import random, time, locale, os
def state():
    random.shuffle(items := list(range(9)))
    words = list({"one", "two", "three", "four", "five"}), [str(thing) for thing in {None, int, 5, "x"}], hash(None)
    return [items, words, hash("x"), hash(b"y"), random.random(), time.tzname[0], os.getcwd(), sorted(os.environ)]
"""
    test = check("import random\nraise ValueError(repr((candidate(), random.random())))")
    found = {judge(Job(source, "state", test=test)).detail for _ in range(5)}
    with contextlib.closing(Worker(sandbox.settings)) as other:
        found.add(other.judge(Job(source, "state", test=test)).detail)
    assert len(found) == 1 and "'UTC'" in found.pop()
