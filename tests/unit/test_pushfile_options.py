"""Options against what their classes say: whatever is wrong is said in plain words, at the right place."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, field

from pushkit.errors import PluginError
from pushkit.options import Options, checks
from pushkit.secret import Secret
from pushkit.validation import Fault, validate


class Http(Options, tag_field="kind", tag="http"):
    """One kind of check."""

    url: str


class Tcp(Options, tag_field="kind", tag="tcp"):
    """Another kind of check."""

    port: Annotated[int, Meta(ge=1)]


class All(Options):
    """Every shape of an option."""

    check: Http | Tcp | None = None
    workers: int | Literal["auto"] = 1
    checked: tuple[Tcp, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)
    origin: str = field(default="", name="from")
    pair: tuple[int, str] = (1, "")
    token: Secret | None = None
    mixed: dict[str, Tcp | int] = field(default_factory=dict)
    color: str = ""
    low: int = 0
    high: int = 10

    @checks("token")
    @classmethod
    def _token(cls, value: Secret | None) -> Secret | None:
        if value and value.reveal() == "hunter2":
            raise ValueError(f"{value.reveal()} is too well known")
        return value

    @checks("color")
    @classmethod
    def _color(cls, value: str) -> str:
        if value == "infrared":
            raise ValueError(f"{value} cannot be seen")
        return value

    @checks()
    def _order(self) -> None:
        if self.low > self.high:
            raise ValueError("`low` is above `high`")


def faults(table: dict[str, Any]) -> list[Fault]:
    return list(validate(All, table, table)[1])


@pytest.mark.parametrize(
    ("table", "path", "message"),
    [
        ({"check": {"kind": "ftp"}}, ("check", "kind"), "expected one of 'http', 'tcp'"),
        ({"check": {}}, ("check", "kind"), "missing"),
        ({"check": 3}, ("check",), "expected a table, found 3"),
        ({"check": {"kind": "tcp", "port": 0}}, ("check", "port"), "expected a whole number of at least 1, found 0"),
        ({"workers": "x"}, ("workers",), 'expected a whole number or "auto", found text'),
        (
            {"checked": [{"kind": "tcp", "port": 1}, {"kind": "tcp"}]},
            ("checked", 1, "port"),
            "missing, expected a whole",
        ),
        ({"checked": {}}, ("checked",), "expected a list, each item a table, found a table"),
        ({"limits": {"a": "x"}}, ("limits", "a"), "expected a whole number, found text"),
        ({"limits": []}, ("limits",), "expected a table, each value a whole number, found an empty list"),
        ({"from": 3}, ("from",), "expected text, found 3"),
        ({"form": "x"}, ("form",), "unknown option"),
        ({"pair": [1]}, ("pair",), "expected a list of 2 items: a whole number, text, found a list"),
        ({"pair": [1, 2]}, ("pair", 1), "expected text, found 2"),
        ({"pair": [1, "", 3]}, ("pair",), "expected a list of 2 items: a whole number, text, found a list"),
        ({"mixed": {"k": {"kind": "tcp", "port": "y"}}}, ("mixed", "k", "port"), "expected a whole number"),
        ({"mixed": {"k": "z"}}, ("mixed", "k"), "expected a whole number or a table, found text"),
        ({"token": 12345}, ("token",), "expected secret text, found a number"),
        ({"token": "hunter2"}, ("token",), "[secret] is too well known"),
        ({"color": "infrared"}, ("color",), "infrared cannot be seen"),
        ({"low": 11}, (), "`low` is above `high`"),
    ],
)
def test_one_mistake_is_one_fault_at_its_path(table: dict[str, Any], path: tuple[str | int, ...], message: str) -> None:
    (fault,) = faults(table)
    assert fault.path == path
    assert fault.message.startswith(message)


def test_suggestions_are_for_keys_and_choices() -> None:
    assert faults({"form": 1})[0].hint == 'did you mean "from"?'
    assert faults({"zzz": 1})[0].hint.startswith("known: check, workers,")


@pytest.mark.parametrize(
    "table",
    [
        {"workers": "${env:X}"},
        {"low": 11, "color": "${env:X}"},
        {"check": {"kind": "${env:X}"}},
        {"limits": {"a": "${env:X}"}},
        {"checked": "${env:X}"},
    ],
)
def test_a_fault_that_may_be_down_to_a_reference_is_open(table: dict[str, Any]) -> None:
    assert all(fault.open for fault in faults(table))
    assert faults(table)


def test_a_fault_beside_a_reference_is_not_open() -> None:
    table = {"workers": "${env:X}", "limits": {"a": "x", "b": "${env:X}"}, "form": "${env:X}", "checked": [{}]}
    settled = {fault.path for fault in faults(table) if not fault.open}
    assert settled == {("limits", "a"), ("form",), ("checked", 0, "port")}


class Unknown:
    """What nobody can make of what a Pushfile says."""


class Strange(Options):
    """An option of a type that its authors forgot to say more of."""

    up: Unknown | None = None


def test_an_option_that_nothing_can_make_is_told_to_its_authors() -> None:
    with pytest.raises(PluginError, match=r"an option is a .*\.Unknown, which nothing can make") as caught:
        validate(Strange, {"up": "yes"}, {"up": "yes"})
    assert "of_option" in caught.value.hint
