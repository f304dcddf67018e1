"""Whether a host does its work: it is asked until it does, or its time is up."""

from __future__ import annotations

import errno
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import ValidationError

from pushkit import Interrupted, TargetError
from pushkit.fleet import health
from pushkit.fleet.health import HealthOptions, ask, by_url, has, wait_until_well
from pushkit.model import Host
from unit.test_fleet import WELL, Answers
from unit.test_releases import Site

HERE = Host("127.0.0.1", pool="blue")


class Strategy:
    """Answers health commands, one after the other."""

    def __init__(self, *answers: str) -> None:
        self.answers = [*answers]
        self.asked: list[tuple[str, float]] = []

    def ask_health(self, command: str, seconds: float) -> str:
        self.asked.append((command, seconds))
        return self.answers.pop(0)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_host_is_asked_again_until_it_is_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(site.run, "sleep", slept.append)
    strategy = Strategy("not yet", "not yet", "")
    wait_until_well(HealthOptions(command="test {host} {pool}", every=0.5, timeout=2), HERE, strategy, site.run)
    assert strategy.asked == [("test 127.0.0.1 blue", 2)] * 3
    assert slept == [0.5, 0.5]


def test_a_host_has_so_many_seconds_to_become_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(site.run, "sleep", sleep)
    monkeypatch.setattr(health.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]
    strategy = Strategy("not yet", "not yet", "not yet", "it is ill", "never asked")
    with pytest.raises(TargetError, match=r"^not well after 3 seconds: it is ill$"):
        wait_until_well(HealthOptions(command="true", within=3, every=1), HERE, strategy, site.run)
    assert now == [103.0]


def test_who_stops_is_heard_before_a_host_is_asked(site: Site) -> None:
    site.cancelled.set()
    strategy = Strategy("")
    with pytest.raises(Interrupted):
        ask(HealthOptions(command="true"), HERE, strategy, site.run)
    assert not strategy.asked


def test_a_port_that_takes_a_connection_is_well(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ask(HealthOptions(tcp=port), HERE, None, site.run) == ""
    told = ask(HealthOptions(tcp=port), HERE, None, site.run)
    assert told == f"port {port} takes no connection: Connection refused"
    nowhere = Host("x" * 70 + ".example")
    assert ask(HealthOptions(tcp=port), nowhere, None, site.run) == f"{nowhere.name!r} is no name that can be looked up"


def test_a_port_that_lets_its_guests_wait_is_not_well(site: Site) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        # Who is not accepted by a full queue is not refused either.
        for _ in range(8):
            guest = stack.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex(server.getsockname())
        port = server.getsockname()[1]
        told = ask(HealthOptions(tcp=port, timeout=0.2), HERE, None, site.run)
    assert told == f"port {port} takes no connection: timed out"


def test_a_url_is_that_of_the_host_and_says_who_asks(site: Site) -> None:
    answers = Answers(WELL)
    with answers as url:
        asked = HealthOptions(url=url.replace("127.0.0.1", "{host}"), contains="well")
        assert ask(asked, HERE, None, site.run) == ""
        assert by_url(HealthOptions(url=url), HERE) == ""
        lacking = by_url(HealthOptions(url=url, contains="ill"), HERE)
    assert all(b"\r\nUser-Agent: pushkit\r\n" in each for each in answers.asked)
    assert lacking == "the answer does not contain 'ill'"


def test_a_url_that_nobody_answers_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    refused = f"[Errno {errno.ECONNREFUSED}] Connection refused"
    assert by_url(HealthOptions(url=f"http://127.0.0.1:{port}/"), HERE) == f"it does not answer: {refused}"
    told = by_url(HealthOptions(url="http://{host}/"), Host("x" * 70 + ".example"))
    assert told.startswith("it does not answer: ")
    assert "label" in told


class Pieces:
    """An answer that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [*pieces]

    def read1(self, _size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def test_what_an_answer_contains_may_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*pieces: bytes) -> bool:
        return has(Pieces(*pieces), b"well", time.monotonic() + 60)  # type: ignore[arg-type]

    assert found(b"all is we", b"ll")
    assert not found(b"all is ", b"ill")
    monkeypatch.setattr(health, "LIMIT", 8)
    assert found(b".......", b"well")
    assert not found(b"........", b"well")


def test_only_the_first_of_a_long_answer_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LIMIT", 8)
    with Answers(b"HTTP/1.0 200 OK\r\n\r\n" + b"." * 64 + b"well") as url:
        assert by_url(HealthOptions(url=url, contains="well"), HERE) == "the answer does not contain 'well'"
        assert by_url(HealthOptions(url=url, contains="........"), HERE) == ""


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"url": "http://x", "tcp": 80},
        {"tcp": 80, "command": "true"},
        {"url": "ftp://x"},
        {"tcp": 80, "contains": "x"},
        {"tcp": 0},
        {"tcp": 65536},
        {"tcp": 80, "within": 0},
        {"tcp": 80, "every": 0.04},
        {"tcp": 80, "every": 601},
        {"tcp": 80, "timeout": 0},
    ],
)
def test_what_nobody_can_ask_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises((ValueError, ValidationError)):
        HealthOptions.of(table)


@pytest.mark.parametrize(
    "table", [{"url": "https://x", "contains": "x"}, {"tcp": 1}, {"tcp": 65535}, {"command": "true"}]
)
def test_what_can_be_asked_is_asked_every_second_for_half_a_minute(table: dict[str, Any]) -> None:
    found = HealthOptions.of(table)
    assert (found.within, found.every, found.timeout) == (30, 1, 5)
