"""Mutants of a module: what is changed, which tests meet them, and which the list explains."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutation.campaign import Campaign
from mutation.mutant import mutants
from mutation.survivors import LIST, explained

TOP = Path(__file__).parents[2]
MODULE = '''\
LIMIT = 5


def most(number: int) -> int:
    """The number, or the limit."""
    return min(number, LIMIT)


def waits(number: int) -> int:
    while number > 0:
        number -= 1
    return number


def unused() -> bool:
    return True
'''
TESTS = """\
from module import most, waits

def test_most():
    assert most(3) == 3
    assert most(7) == 5

def test_waits():
    waits(2)
"""


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", {"x = (a <= b)"}),
        ("x = a is not b", {"x = (a is b)"}),
        ("x = a and b", {"x = (a or b)", "x = (a)", "x = (b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = a + b", {"x = (a - b)"}),
        ("x = a / 'b'", {"x = a / 'bXX'"}),
        ("x = a if b else c", {"x = (c if b else a)", "x = a if (not b) else c"}),
        ("if a: b = 1", {"if (not a): b = 1", "if a: b = 2"}),
        ("if a == 1: pass", {"if (a != 1): pass", "if a == 2: pass"}),
        ("x = [a for a in b if a]", {"x = [a for a in b if (not a)]"}),
        ("x = max(a)", {"x = (min(a))"}),
        ("x = sorted(a, key=b)", {"x = list(a)"}),
        ("x = a.startswith(b)", {"x = (a.endswith(b))"}),
        ("x = f'{a}/b'", {"x = f'{a}/bXX'"}),
        ("x = True", {"x = False"}),
        ("x = b'a'", {"x = b'aXX'"}),
        ("x = f(key='ü')", {"x = f(key='üXX')"}),
        ("x += a", {"pass", "x = a"}),
        ("x.a = b", {"pass"}),
        ("def f(x): return x", {"def f(x): return None"}),
        ("def f(): yield x", {"def f(): yield"}),
        ("for a in b: continue", {"for a in b: break"}),
        ("def f(): raise", {"def f(): pass"}),
        pytest.param("raise Lost('no such file', hint='look at it')", {"pass"}, id="texts for people stay"),
        pytest.param("import a; assert a; 'a'; x: 'a'", set(), id="what does nothing stays"),
        pytest.param("@f('a')\ndef f(x: 'a') -> 'b': ...", set(), id="what is for the reader of types stays"),
    ],
)
def test_a_mutant_differs_in_one_thing(source: str, changed: set[str]) -> None:
    assert {each.after for each in mutants(source)} == changed


def test_the_errors_that_are_caught_are_one_fewer() -> None:
    found = mutants("try: pass\nexcept (A, B): pass\nexcept C: pass")
    assert [each.after for each in found] == ["except ((B,)): pass", "except ((A,)): pass", "except (): pass"]


def test_a_mutant_knows_where_it_is_and_whether_a_test_has_to_reach_it() -> None:
    found = mutants(
        "class A:\n    b = 1\n\n    def c(self, d=2):\n        if (\n            d\n        ):\n            e(3)\n"
    )
    assert [(each.where, each.line, each.first, each.last, each.imported) for each in found] == [
        ("A", 2, 2, 2, True),
        ("A.c", 4, 4, 4, True),
        ("A.c", 6, 5, 7, False),
        ("A.c", 8, 8, 8, False),
        ("A.c", 8, 8, 8, False),
    ]


def test_a_mutant_lives_on_when_no_test_reaches_or_notices_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is needed here that takes its time to be loaded.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "module.py").write_text(MODULE)
    (tree / "test_module.py").write_text(TESTS)
    (tree / "tests").symlink_to(TOP / "tests")
    chosen = [
        each
        for each in mutants(MODULE)
        if each.after
        in {
            *("LIMIT = 6", "return (max(number, LIMIT))", "while (number >= 0):", "pass", "return False"),
        }
    ]
    found = {mutant.after: life for mutant, life in Campaign(tree, "module.py", ["test_module.py"], 1, 1).run(chosen)}
    assert found == {
        "LIMIT = 6": "",
        "return (max(number, LIMIT))": "",
        "while (number >= 0):": "no test notices it",
        # It does not end.
        "pass": "",
        "return False": "no test reaches it",
    }
    assert (tree / "module.py").read_text() == MODULE


def test_what_the_list_explains_is_there() -> None:
    for module, reasons in explained(LIST.read_text()).items():
        there = {each.place for each in mutants((TOP / module).read_text())}
        assert not reasons.keys() - there, f"the list explains what is no mutant of {module} any more"
        assert all(reasons.values())
