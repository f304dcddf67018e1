"""How names, sizes and times are written for people."""

from __future__ import annotations

import pytest

from pushkit.amount import amount, counted
from pushkit.ui.text import duration, output_line, quoted, visible


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("grün/日本.txt", "grün/日本.txt"),
        ("red\x1b[31m", "red\\x1b[31m"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("bell\x07\x9b2J\x7f", "bell\\x07\\x9b2J\\x7f"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("line\u2028separator", "line\\u2028separator"),
        ("latin-\udce9", "latin-\\xe9"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_left_in_a_text(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("back\\slash", "back\\slash"),
        ("new\nline", '"new\\nline"'),
        ('both\n"\\', '"both\\n\\"\\\\"'),
        ('"in quotes"', '"\\"in quotes\\""'),
        ("latin-\udce9", '"latin-\\xe9"'),
    ],
)
def test_a_quoted_path_is_one_line_that_no_other_path_gives(raw: str, shown: str) -> None:
    assert quoted(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;32mok\x1b[0m done", "ok done"),
        ("a\tb", "a       b"),
        ("10%\r60%\r100%", "100%"),
        ("windows line\r", "windows line"),
        ("\x1b]0;title\x07x\x1b[2J", "\\x1b]0;title\\x07x\\x1b[2J"),
    ],
)
def test_output_loses_its_colours_and_keeps_its_last_state(raw: str, shown: str) -> None:
    assert output_line(raw) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (12_345, "12 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (2_000_000_000, "2.0 GB"),
        (3 * 10**18, "3000 PB"),
    ],
)
def test_amounts_are_decimal_and_short(size: int, shown: str) -> None:
    assert amount(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7_500, "2 h 05 min")],
)
def test_durations_name_at_most_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_counts_have_a_plural() -> None:
    assert [counted(n, "file") for n in (0, 1, 6869)] == ["0 files", "1 file", "6,869 files"]
