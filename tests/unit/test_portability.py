"""Paths that cannot lie on Windows or macOS."""

from __future__ import annotations

import pytest

from pushkit.portability import refusal, twins, unportable


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "a/b c/ü.txt",
        ".htaccess",
        "console",
        "com",
        "com10",
        "a.con",
        "it's [x]!",
        "\u65e5\u672c",
        "a..b",
        "-rf",
    ],
)
def test_what_lies_anywhere(path: str) -> None:
    assert refusal(path) == ""


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a:b", "':' is no letter of a name there"),
        ("css/what?.css", "'?' is no letter of a name there"),
        ("back\\slash", "'\\\\' is no letter of a name there"),
        ("new\nline", "'\\n' is no letter of a name there"),
        ("docs/con", "'con' is a device there"),
        ("NUL.txt", "'NUL.txt' is a device there"),
        ("com1.tar.gz/file", "'com1.tar.gz' is a device there"),
        ("LPT²", "'LPT²' is a device there"),
        ("aux .c", "'aux .c' is a device there"),
        ("end.", "'end.' loses its last character there"),
        ("dir /file", "'dir ' loses its last character there"),
    ],
)
def test_what_cannot_lie_on_windows(path: str, why: str) -> None:
    assert refusal(path) == why


def test_names_that_are_one_where_case_and_accents_make_no_difference() -> None:
    assert list(twins(["README", "Readme.md", "a", "a/x", "readme", "b/ü", "b/u\u0308", "b/x"])) == [
        ("README", "readme"), ("b/ü", "b/u\u0308")
    ]  # fmt: skip
    assert list(twins(["Css", "Css/a", "css", "css/a", "css/b", "STRASSE", "straße"])) == [
        ("Css", "css"), ("STRASSE", "straße")
    ]  # fmt: skip
    assert list(twins(["a", "b", "ab"])) == []


def test_it_is_told_how_many_there_are_and_which_is_the_first() -> None:
    assert list(unportable(["a", "A", "b:", "c:", "d"])) == [
        "1 path would take another's place on Windows and macOS: 'a' and 'A'",
        "2 paths cannot lie on Windows, 'b:' first: ':' is no letter of a name there",
    ]
    assert list(unportable(["a", "b"])) == []
