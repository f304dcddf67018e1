"""The line of every key of a TOML document."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkit.toml_lines import Path, dotted, locate, nearest

# Every value that is a number or begins with "L" and a number says its own line.
DOCUMENTS = {
    "comments, dotted and quoted keys": """\
# [not.a.table]
a = 2 # = [
b . c."d.e" = 3
'q#' = 4
"" = 5
"\\u00e9\\"" = 6

x.y = 8
x.'y z' = 9
""",
    "multi-line strings": '''\
a = """
x = [
\\""" [no]
""\\"
b = {"""
c = 6
d = \'\'\'
[e]
f = "\'\'\'
g = 10
h = """a"""""
i = \'\'\'a\'\'\'\'\'
j = 13
k = "\\\\"
l = '\\'
m = 16
''',
    "arrays": """\
a = [ 1,
  2, # ]
  3, [
    4,
  5], "]", '[',
  { x = 6, y.z = [6,
    7] },
]
b = 9
c = []
d = [[], [{}], 11]
e = 1979-05-27 07:32:00Z
f = 13
g = [1979-05-27 07:32:00, 14]
""",
    "headers": """\
[a]
x = 2
[ b . "c d" ] # ]
x = 4
[b]
x = 6
[b."c d".e]
x = 8
""",
    "arrays of tables": """\
[[a]]
x = 2
[a.b]
x = 4
[[a.c]]
x = 6
[[a.c]]
x = 8
[[a]]
x = 10
[[a.c]]
x = 12
[a.c.d]
x = 14
""",
}


def walked(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every path of a parsed document, with what is there."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walked(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walked(item, (*path, index))


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS.keys())
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_path_has_the_line_that_its_value_says(text: str, end: str) -> None:
    text = text.replace("\n", end)
    lines = locate(text)
    found = dict(walked(tomllib.loads(text)))
    assert set(lines) == set(found)
    numbers = {path: value for path, value in found.items() if type(value) is int}
    assert numbers
    assert {path: lines[path] for path in numbers} == numbers


def test_tables_are_where_their_header_is() -> None:
    lines = locate(DOCUMENTS["headers"])
    assert [lines["a",], lines["b",], lines["b", "c d"], lines["b", "c d", "e"]] == [1, 5, 3, 7]
    lines = locate(DOCUMENTS["arrays of tables"])
    assert [lines["a",], lines["a", 0], lines["a", 1], lines["a", 0, "c", 1]] == [1, 1, 9, 7]


def test_a_document_without_a_last_line_end() -> None:
    assert locate("a = 1\nb = 2") == {("a",): 1, ("b",): 2}
    assert locate("") == {}
    assert locate("# only a comment") == {}
    assert locate("[a]") == {("a",): 1}


def test_what_is_missing_is_looked_for_in_the_table_around_it() -> None:
    lines = locate("\n[target.x]\na = 1\n")
    assert nearest(lines, ("target", "x", "a", 0, "b")) == 3
    assert nearest(lines, ("target", "x", "missing")) == 2
    assert nearest(lines, ("nothing",)) == 0


def test_paths_are_written_as_in_toml() -> None:
    assert dotted(("target", "a-b", "hosts", 0, "x")) == "target.a-b.hosts[0].x"
    assert dotted(("target", "a.b", "")) == 'target."a.b".""'


def quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for the one control character that JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"""', "'''", "a]", "{b", "#", "[x]", "= 1", "\n", "\r\n", "\\", 'x"', "a.b"]
)
KEY = TEXT.map(quoted) | st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True)
BLANK = st.sampled_from(["", " ", "\t", "  "])
BREAK = st.sampled_from(["", " ", "\n", " # ] } [\n\t", "\r\n"])


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    """A TOML value in one of many ways of writing."""
    kind = draw(st.sampled_from(["text", "long", "literal", "plain", "array", "table"]))
    if kind == "array" and depth:
        items = draw(st.lists(values(depth - 1), max_size=3))
        inside = "".join(draw(BREAK) + item + draw(BREAK) + "," for item in items)
        return "[" + (inside if draw(st.booleans()) else inside.removesuffix(",")) + draw(BREAK) + "]"
    if kind == "table" and depth:
        keys = draw(st.lists(KEY, max_size=3))
        pairs = [f"{draw(BLANK)}{key}{draw(BLANK)}={draw(BLANK)}{draw(values(depth - 1))}" for key in keys]
        return "{" + ",".join(pairs) + " }"
    if kind == "long":
        return '"""' + quoted(draw(TEXT))[1:-1].replace("\\n", "\n") + draw(st.sampled_from(["", '"', '""'])) + '"""'
    if kind == "literal":
        return draw(st.sampled_from(["''", "'a]#'", "'''\n['''", "'''a''''", "'\\'"]))
    if kind == "plain":
        return draw(st.sampled_from(["1", "-1.5e3", "true", "1979-05-27 07:32:00", "07:32:00", "inf", "0xff"]))
    return quoted(draw(TEXT))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Headers and pairs, some of which contradict each other."""
    text = ""
    for _ in range(draw(st.integers(0, 6))):
        key = ".".join(draw(BLANK) + part + draw(BLANK) for part in draw(st.lists(KEY, min_size=1, max_size=2)))
        form = draw(st.sampled_from(["pair", "pair", "table", "element"]))
        if form == "pair":
            text += f"{key}={draw(BLANK)}{draw(values())}"
        else:
            text += f"[{key}]" if form == "table" else f"[[{key}]]"
        text += draw(st.sampled_from(["\n", "\r\n", " # [c]\n", "\n\n"]))
    return text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_the_paths_are_those_that_the_parser_sees(text: str) -> None:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = locate(text)
    assert set(lines) == {path for path, _ in walked(tables)}
    last = text.replace("\r\n", "\n").count("\n") + 1
    assert all(1 <= line <= last for line in lines.values())
