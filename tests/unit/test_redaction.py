"""Secrets do not leave in any form."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pushkit.events import Event, Note, redacted
from pushkit.model import Action, Project, Step, Target
from pushkit.process import LINE_LIMIT, Lines
from pushkit.secrets.redaction import Redactor
from pushkit.strategy import Run

AWKWARD = "p@ss/w\"ö rd's+\\$"


def given_run(redact: Redactor) -> Run:
    here = Path()
    return Run(
        project=Project("p", here, here, ".", (), "", {}),
        target=Target("there", "sftp"),
        emit=lambda _: None,
        cancelled=threading.Event(),
        scratch=here,
        person="",
        redact=redact,
        environment={},
    )


def knowing(**values: str) -> Redactor:
    redactor = Redactor()
    for name, value in values.items():
        redactor.add(name, value)
    return redactor


def test_one_that_knows_nothing_is_false_and_changes_nothing() -> None:
    redactor = Redactor()
    assert not redactor
    assert redactor("as it is") == "as it is"
    redactor.add("x", "hunter2")
    assert redactor


def test_a_secret_is_replaced_by_its_name() -> None:
    assert knowing(db="hunter2")("user:hunter2@host hunter2") == "user:[secret:db]@host [secret:db]"


@pytest.mark.parametrize(
    "form",
    [
        AWKWARD,
        quote(AWKWARD),
        quote(AWKWARD, safe=""),
        quote_plus(AWKWARD),
        base64.b64encode(AWKWARD.encode()).decode(),
        base64.urlsafe_b64encode(AWKWARD.encode()).decode().rstrip("="),
        json.dumps(AWKWARD)[1:-1],
        json.dumps(AWKWARD, ensure_ascii=False)[1:-1],
        repr(AWKWARD)[1:-1],
        shlex.quote(AWKWARD),
        json.dumps(AWKWARD).replace("/", "\\/")[1:-1],
        quote(quote(AWKWARD, safe=""), safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(AWKWARD, safe="")),
        AWKWARD.encode().hex(),
        html.escape(AWKWARD),
    ],
)
def test_every_form_of_a_secret_is_replaced(form: str) -> None:
    assert knowing(db=AWKWARD)(f"<{form}>") == "<[secret:db]>"


@pytest.mark.parametrize("user", ["me", "you", "them"])
def test_a_secret_is_found_within_what_was_encoded_as_a_whole(user: str) -> None:
    header = base64.b64encode(f"{user}:hunter2-hunter2:more".encode()).decode()
    hidden = knowing(db="hunter2-hunter2")(f"Authorization: Basic {header}")
    assert "[secret:db]" in hidden
    left = hidden.replace("[secret:db]", "").removeprefix("Authorization: Basic ")
    assert len(left) <= len(header) - 18, "only what lies around the secret may be left"


def test_what_bash_prints_of_a_secret_is_hidden() -> None:
    printed = subprocess.run(
        ["bash", "-c", 'printf %q "$1"', "-", "p@ss w$rd;x"], capture_output=True, text=True, check=True
    )
    assert knowing(db="p@ss w$rd;x")(printed.stdout) == "[secret:db]"


def test_a_key_of_many_lines_is_found_in_many_lines_without_delay() -> None:
    key = "\n".join(f"{number:05d}" * 13 for number in range(300))
    redactor = knowing(key=key)
    text = "\n".join(f"line {number} is harmless" for number in range(2000)) + key[132:197]
    assert "[secret:key]" in redactor(text)
    assert "harmless" in redactor(text)


def test_each_line_of_a_long_secret_is_replaced_but_for_the_tiny_ones() -> None:
    redactor = knowing(key="-----BEGIN-----\nAAAABBBB\n  CCCC  \nab\n-----END-----\n")
    assert redactor("line 2: AAAABBBB, line 3: CCCC.") == "line 2: [secret:key], line 3: [secret:key]."
    assert redactor("grab a cab") == "grab a cab"


@pytest.mark.parametrize("value", ["", "a", "abc", "   ", "        "])
def test_a_value_that_would_turn_up_in_any_text_is_not_taken(value: str) -> None:
    assert not knowing(x=value)


def test_the_longest_secret_wins_where_one_holds_another() -> None:
    redactor = knowing(short="pass", long="password-1")
    assert redactor("password-1 pass") == "[secret:long] [secret:short]"


def test_no_end_of_overlapping_secrets_stays() -> None:
    assert knowing(one="abcd", two="cdefgh")("xabcdefghx") == "x[secret:two]x"


def test_the_marks_themselves_are_not_replaced_again() -> None:
    assert knowing(one="secret", two="hunter2")("hunter2") == "[secret:two]"


def test_a_value_that_two_references_share_keeps_its_first_name() -> None:
    redactor = knowing(one="hunter2")
    redactor.add("two", "hunter2")
    assert redactor("hunter2") == "[secret:one]"


def test_events_are_redacted_at_any_depth() -> None:
    assert redacted(Note("production", "sent hunter2"), knowing(db="hunter2")) == Note("production", "sent [secret:db]")


class Place(NamedTuple):
    where: str
    number: int


class Odd(Event, frozen=True):
    """An event of a plugin."""

    what: Any


@pytest.mark.parametrize("place", [0, 41, 199])
@pytest.mark.parametrize("field", ["subject", "reason"])
def test_a_secret_in_one_of_many_steps_is_replaced_and_the_others_are_shared(place: int, field: str) -> None:
    redact = knowing(db="hunter2")
    steps = tuple(Step(Action.ADD, f"{number}.txt", "new", 1) for number in range(200))
    assert redacted(steps, redact) is steps
    leaking = list(steps)
    leaking[place] = replace(steps[place], **{field: "of hunter2"})
    shown = redacted(tuple(leaking), redact)
    assert getattr(shown[place], field) == "of [secret:db]"
    assert all(a is b for number, (a, b) in enumerate(zip(shown, steps, strict=True)) if number != place)


def test_events_of_plugins_are_redacted_whatever_they_are_made_of() -> None:
    redact = knowing(db="hunter2")
    for what, expected in (
        ({"hunter2": ["hunter2"]}, {"[secret:db]": ["[secret:db]"]}),
        (Place("hunter2", 1), Place("[secret:db]", 1)),
        ([("x", Place("y", 2))], None),
        (Path("/a/hunter2"), Path("/a/[secret:db]")),
        ({"x": 1}, None),
    ):
        event = Odd("production", what)
        if expected is None:
            assert redacted(event, redact) is event, "what needs no change is shared"
        else:
            assert redacted(event, redact) == Odd("production", expected)


@pytest.mark.parametrize("length", range(8, 60))
def test_a_secret_with_spaces_is_hidden_before_a_text_is_cut(length: int) -> None:
    said = given_run(knowing(db="three words here")).excerpt("the token is three words here, or was it?", length)
    assert not {"three", "words"} & set(re.findall(r"\w+", said)), said


def test_it_is_used_while_secrets_are_added_from_other_threads() -> None:
    redactor = Redactor()
    added = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not added.is_set():
            text = redactor("value-0 value-199")
            if "value-199" in text and "[secret:199]" in text:
                wrong.append(text)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()

    def write(first: int) -> None:
        for number in range(first, 200, 2):
            redactor.add(str(number), f"value-{number}.")

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    added.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert redactor("".join(f"value-{i}." for i in range(200))) == "".join(f"[secret:{i}]" for i in range(200))


@settings(deadline=None)
@given(st.lists(st.text("abc:'\"% \n", min_size=4, max_size=8), min_size=1, max_size=3), st.text("abc", max_size=5))
def test_no_secret_is_in_what_comes_out(values: list[str], around: str) -> None:
    redactor = knowing(**{f"N{index}": value for index, value in enumerate(values)})
    text = redactor(around + around.join(values) + around)
    rest = text
    for index in range(len(values)):
        rest = rest.replace(f"[secret:N{index}]", "\0")
    assert not any(value in rest for value in values if value.strip() == value and len(value) >= 4)


def shown(redactor: Redactor, output: bytes, chunk: int) -> list[str]:
    """What is seen of a command's output that comes in chunks of that size."""
    pieces: list[str] = []
    lines = Lines(lambda line: pieces.append(redactor(line)), redactor.cut)
    for start in range(0, len(output), chunk):
        lines.feed(output[start : start + chunk])
    lines.end()
    return pieces


@settings(deadline=None, max_examples=8)
@given(
    st.integers(LINE_LIMIT - 30, LINE_LIMIT + 5),
    st.sampled_from(["hunter2", "ünïcødé-secret", "abcabcabc", "y" * 20_000]),
    st.sampled_from([b"", b"\n", b"zz", b"z" * LINE_LIMIT + b"\n"]),
    st.sampled_from([1000, 65_536]),
)
def test_a_secret_is_seen_across_the_place_where_a_long_line_is_cut(
    before: int, secret: str, after: bytes, chunk: int
) -> None:
    output = b"x" * before + secret.encode() * 2 + after
    pieces = shown(knowing(db=secret), output, chunk)
    assert "".join(pieces).replace("[secret:db]", "") == "x" * before + after.decode().strip()
    assert "".join(pieces).count("[secret:db]") >= 1
    assert max(len(piece.replace("[secret:db]", "")) for piece in pieces) <= LINE_LIMIT


def test_secrets_that_overlap_without_end_take_bounded_memory() -> None:
    pieces = shown(knowing(a="aaaa"), b"a" * 1_000_000, 65_536)
    assert not any("aaaa" in piece for piece in pieces)
    assert max(map(len, pieces)) < LINE_LIMIT


def test_a_redactor_that_knows_nothing_cuts_at_the_limit() -> None:
    assert [len(piece) for piece in shown(Redactor(), b"x" * (LINE_LIMIT + 1), 65_536)] == [LINE_LIMIT, 1]


# ---- what other programs make of it

SPELT = (AWKWARD, "it's-fine", "s3nt/inel+of \"the' day", "a<b>&c='d'", "tab\there's", "p@ss!w(o)rd*~", "ünï cødé's")
PROGRAMS = {
    "bash -x": ("bash", "-xc", ': "$S"'),
    "sh -x": ("sh", "-xc", ': "$S"'),
    "busybox sh -x": ("busybox", "sh", "-xc", ': "$S"'),
    "bash declare -p": ("bash", "-c", "declare -p S"),
    "bash set": ("bash", "-c", "set | grep -a ^S="),
    "sh export -p": ("sh", "-c", "export -p | grep S="),
    "bash @Q": ("bash", "-c", "echo ${S@Q}"),
    "bash printf %q": ("bash", "-c", 'printf "%q" "$S"'),
    "git": ("bash", "-c", 'git rev-parse --sq-quote "$S"'),
    "git's trace": ("bash", "-c", 'GIT_TRACE=1 git check-ref-format "$S"'),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_shell_shows_of_a_secret_is_hidden(program: str) -> None:
    for secret in SPELT:
        environment = {**os.environ, "S": secret}
        done = subprocess.run(PROGRAMS[program], env=environment, capture_output=True, check=False)
        shown = (done.stdout + done.stderr).decode()
        assert shown.strip()
        assert "[secret:db]" in knowing(db=secret)(shown), shown


def component(text: str) -> str:
    """As JavaScript's ``encodeURIComponent`` and jq's ``@uri`` write it."""
    return quote(text, safe="-_.!~*'()")


@pytest.mark.parametrize(
    "written",
    [
        component,
        lambda text: quote(text, safe=";,/?:@&=+$-_.!~*'()#"),
        lambda text: quote(text, safe="~").replace("%20", "+"),
        lambda text: text.replace('"', '""'),
        lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        lambda text: html.escape(text, quote=False).replace("'", "&apos;").replace('"', "&quot;"),
        lambda text: json.dumps(text)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
        lambda text: json.dumps(text)[1:-1].replace("'", "\\u0027").replace("+", "\\u002B"),
        lambda text: repr(text.encode())[2:-1],
    ],
    ids=["component", "uri", "form", "csv", "go html", "xml", "go json", "net json", "bytes"],
)
def test_what_a_language_writes_of_a_secret_is_hidden(written: Callable[[str], str]) -> None:
    for secret in SPELT:
        assert knowing(db=secret)(f"<{written(secret)}>") == "<[secret:db]>", written(secret)


@pytest.mark.parametrize("program", ["base64", "openssl base64", "busybox xxd -p", "base64 -w 64"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_long_secret_in_base64_on_several_lines_is_hidden(program: str, end: str) -> None:
    secret = " ".join(f"{number:x}" * 9 for number in range(16))
    done = subprocess.run(program.split(), input=f"{secret}{end}", capture_output=True, text=True, check=True)
    lines = knowing(db=secret)(done.stdout).split()
    assert len(lines) > 2
    assert all(line.replace("[secret:db]", "") in {"", "=", "==", "K", "Cg==", "o=", "0a", "a"} for line in lines), (
        lines
    )


def test_a_text_that_almost_is_a_secret_costs_no_time_without_end() -> None:
    redactor = knowing(db="\\" * 60 + "' " * 60 + "x")
    text = "\\" * 3000 + "' " * 3000
    assert redactor(text) == text


@pytest.mark.parametrize(
    "written",
    [
        "pässwörd",
        "p\\xc3\\xa4sswörd",
        "p\\xC3\\xA4ssw\\303\\266rd",
        "p\\u00e4sswörd",
        "pässw\\u00F6rd",
        "p%C3%A4sswörd",
        "pässw%25c3%25b6rd",
        "p\\ässwörd",
    ],
)
def test_each_letter_beyond_ascii_may_be_written_in_its_own_way(written: str) -> None:
    redactor = Redactor()
    redactor.add("db", "pässwörd")
    assert redactor(f"login {written} failed") == "login [secret:db] failed"


def test_a_secret_that_is_no_text_is_hidden_as_it_is_and_escaped() -> None:
    redactor = Redactor()
    redactor.add("db", "pass\udcff word")
    for written in ("pass\udcff word", "pass%FF word", "pass\\xff word", "pass\\377 word"):
        assert redactor(f"login {written} failed") == "login [secret:db] failed"


def test_a_text_that_has_ended_is_cut_where_it_was_to_be_and_another_is_waited_for() -> None:
    redactor = Redactor()
    redactor.add("db", "hunter22")
    assert redactor.cut("0123456789", 8, True) == 8
    assert redactor.cut("0123456789", 8, False) == 0
    assert redactor.cut("0123hunter22", 8, True) == 4


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("width", [76, 64])
def test_every_line_of_a_secret_in_base64_is_hidden_however_long_it_is(width: int, end: bytes) -> None:
    for length in range(width * 3 // 4 + 1, 130):
        secret = "".join(chr(ord("a") + at * at % 23) for at in range(length))
        redactor = Redactor()
        redactor.add("db", secret)
        encoded = base64.b64encode(secret.encode() + end).decode()
        lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
        for at, line in enumerate(redactor("\n".join(lines)).split("\n")):
            # Of the last bytes fewer characters may tell too little.
            if (length - at * width * 3 // 4) * 8 // 6 >= 6:
                assert "[secret:db]" in line, (length, at)
