"""Hosts, their sources, batches: what a rollout is computed from."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError

from distributions import importable, install
from pushkit import Interrupted, PluginError, Project, Run, Target, TargetError
from pushkit.files.supply import Supply
from pushkit.fleet import traffic
from pushkit.fleet.batches import batches
from pushkit.fleet.batches import problem as problem_of_batches
from pushkit.fleet.file import read
from pushkit.fleet.health import HealthOptions, by_url
from pushkit.fleet.host import expanded, filled, in_order, parse
from pushkit.fleet.options import FleetOptions
from pushkit.fleet.rollout import Rollout
from pushkit.fleet.source import hosts_of, listed
from pushkit.fleet.store import Stored, StoreOptions
from pushkit.fleet.traffic import TrafficOptions
from pushkit.model import Host
from pushkit.secrets.redaction import Redactor


@pytest.fixture
def run(tmp_path: Path) -> Run:
    target = Target("web", "sftp")
    return Run(
        project=Project("blog", tmp_path / "Pushfile", tmp_path, ".", (), "web", {"web": target}),
        target=target,
        emit=lambda event: None,
        cancelled=threading.Event(),
        scratch=tmp_path,
        person="ann@desk",
        redact=Redactor(),
        environment={"PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("web1.example.com", Host("web1.example.com")),
        ("deploy@web1:2222", Host("web1", "deploy", 2222)),
        ("[::1]:22", Host("::1", "", 22)),
        ("ann@[fe80::1%eth0]", Host("fe80::1%eth0", "ann")),
        ("10.0.0.1", Host("10.0.0.1")),
        ("web1.example.com.", Host("web1.example.com")),
    ],
)
def test_a_host_is_read_and_written(text: str, host: Host) -> None:
    assert parse(text) == host
    assert str(host) == text.rstrip(".")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-oProxyCommand=x",
        "a b",
        "a/b",
        "../x",
        "a\nb",
        "web:99999",
        "@web",
        "-x@web",
        "we;b",
        "$(id)",
        "[x",
        "ann@",
        "x" * 64 + ".example.com",
        "x." * 200,
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        parse(text)


def test_ranges_are_expanded() -> None:
    assert list(expanded("web[08-11].x")) == ["web08.x", "web09.x", "web10.x", "web11.x"]
    assert list(expanded("a[1,3,5-6]b[1-2]")) == ["a1b1", "a1b2", "a3b1", "a3b2", "a5b1", "a5b2", "a6b1", "a6b2"]
    assert list(expanded("[::1]:22")) == ["[::1]:22"]
    for text in ("web[2-1]", "web[1-99999999]", "a[1-200]b[1-200]"):
        with pytest.raises(ValueError, match="10,000"):
            list(expanded(text))


@given(st.lists(st.text("abcxyz", min_size=1, max_size=8), min_size=1, max_size=20), st.randoms())
def test_the_order_is_that_of_the_set_and_not_of_the_list(names: list[str], random: object) -> None:
    hosts = [parse(name) for name in names]
    again = list(hosts)
    random.shuffle(again)  # type: ignore[attr-defined]
    assert in_order(hosts, "web") == in_order(again, "web")
    assert len(in_order(hosts, "web")) == len(set(names))


@given(
    st.integers(min_value=0, max_value=900),
    st.lists(
        st.one_of(st.integers(1, 50).map(str), st.integers(1, 100).map(lambda n: f"{n}%")), min_size=1, max_size=6
    ),
)
def test_batches_hold_each_host_once_and_in_order(count: int, sizes: list[str]) -> None:
    found = batches(range(count), sizes)
    assert [each for batch in found for each in batch] == list(range(count))
    assert all(found)


def test_batches_grow_as_they_are_written() -> None:
    assert [len(each) for each in batches(range(100), ["1", "10%", "25%", "100%"])] == [1, 9, 15, 75]
    assert [len(each) for each in batches(range(3), ["1", "10%", "25%", "100%"])] == [1, 2]
    assert [len(each) for each in batches(range(10), ["4"])] == [4, 6]


@pytest.mark.parametrize(
    ("sizes", "wrong"),
    [
        (["1", "10%", "100%"], ""),
        (["101", "999999"], ""),
        (["1", "101%"], "'101%'"),
        (["0"], "'0'"),
        (["0%"], "'0%'"),
        (["1000000"], "'1000000'"),
        ([""], "''"),
        (["all"], "'all'"),
        ([], "expected at least one batch"),
    ],
)
def test_a_batch_is_a_number_of_hosts_or_a_share_of_them(sizes: list[str], wrong: str) -> None:
    assert problem_of_batches(sizes).partition(" is no batch")[0] == wrong


def test_the_first_batch_has_a_canary_of_each_pool() -> None:
    hosts = [Host(f"web{number}", pool=pool) for number, pool in enumerate(["b", "b", "g", "b", "g", ""])]
    names = [[each.name for each in batch] for batch in batches(hosts, ["1", "67%"], lambda host: host.pool)]
    assert names == [["web0", "web2", "web5"], ["web1", "web3"], ["web4"]]
    assert [len(each) for each in batches(hosts, ["4", "100%"], lambda host: host.pool)] == [4, 2]


def test_words_of_a_host_are_filled_in_but_not_variables_of_a_shell() -> None:
    host = Host("::1", pool="blue")
    text = "curl http://{host}:80/{pool}{zone} ${host} {release} {other}"
    assert filled(text, host) == "curl http://[::1]:80/blue ${host} {release} {other}"


def test_a_file_holds_lines_or_json() -> None:
    lines = "# ours\nweb[1-2]  blue eu-1\n\nann@db:22\n"
    assert read(lines, "hosts") == [
        Host("web1", pool="blue", zone="eu-1"),
        Host("web2", pool="blue", zone="eu-1"),
        Host("db", "ann", 22),
    ]
    assert read('["web[1-2]", {"host": "db", "pool": "green"}]', "hosts") == [
        Host("web1"),
        Host("web2"),
        Host("db", pool="green"),
    ]
    for text in ("we b;ls x y z\n-o\n", '["a"', '[{"no": 1}]', "web1 $(id)\n"):
        with pytest.raises(TargetError, match="hosts: "):
            read(text, "hosts")


def test_sources_are_asked_by_their_names(run: Run) -> None:
    (run.project.root / "more").write_text("web3\nweb1\n")
    names = {host.name for host in listed(["web[1-2]", "file:more", "command:printf 'web4\\nweb5'"], run)}
    assert names == {"web1", "web2", "web3", "web4", "web5"}
    assert [host.port for host in listed(["web:2222"], run)] == [2222]
    with pytest.raises(PluginError, match='no host source "consul"'):
        listed(["consul:web"], run)
    for text, words in {
        "file:none": "cannot be read",
        "command:false": "exit code 1",
        "command:echo 'web1": "the command `echo 'web1` cannot be split into words: No closing quotation",
        "command:true": "no host",
    }.items():
        with pytest.raises(TargetError, match=words):
            listed([text], run)


ZONE = {
    ("web.example.com.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("web.example.com.", "AAAA"): ["2001:db8::1"],
    ("_ssh._tcp.example.com.", "SRV"): ["0 0 2222 web1.example.com.", "0 0 22 web2.example.com."],
    ("txt.example.com.", "TXT"): ['"nothing"'],
}


@pytest.fixture(scope="module")
def nameserver() -> Iterator[str]:
    """A name server with `ZONE`, on an address of its own."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            data, client = sock.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            name = question.name.to_text()
            reply = dns.message.make_response(query)
            found = ZONE.get((name, dns.rdatatype.to_text(question.rdtype)), [])
            if found:
                reply.answer.append(dns.rrset.from_text_list(name, 60, "IN", question.rdtype, found))
            elif not any(each == name for each, _ in ZONE):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            sock.sendto(reply.to_wire(), client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{sock.getsockname()[1]}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.sendto(b"", sock.getsockname())
    thread.join()
    sock.close()


def test_dns_gives_addresses_and_services(run: Run, nameserver: str) -> None:
    assert {host.name for host in listed([f"dns:web.example.com@{nameserver}"], run)} == {
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::1",
    }
    found = listed([f"dns:_ssh._tcp.example.com@{nameserver}"], run)
    assert {(host.name, host.port) for host in found} == {("web1.example.com", 2222), ("web2.example.com", 22)}
    for name in ("gone.example.com", "txt.example.com"):
        with pytest.raises(TargetError, match=name):
            listed([f"dns:{name}@{nameserver}"], run)


@pytest.mark.parametrize(
    "table",
    [
        {"hosts": ["-oProxyCommand=x"]},
        {"hosts": ["web[2-1]"]},
        {"hosts": ["web-*.example.com"]},
        {"rollout": {"batches": ["0"]}},
        {"rollout": {"batches": ["101%"]}},
        {"rollout": {"batches": []}},
        {"rollout": {"on_failure": "pray"}},
        {"health": {}},
        {"health": {"url": "http://x", "tcp": 80}},
        {"health": {"url": "ftp://x"}},
        {"health": {"tcp": 80, "contains": "x"}},
        {"pools": {"blue": ["a"], "green": ["b"]}},
        {"traffic": {"switch": "turn"}},
        {"pools": {"blue": ["a"]}, "traffic": {"switch": "turn"}},
        {"pools": {"blue": ["a"], "green": []}, "traffic": {"switch": "turn"}},
        {"pools": {"blue": ["a"], "gr een": ["b"]}, "traffic": {"switch": "turn"}},
        {"hosts": ["c"], "pools": {"blue": ["a"], "green": ["b"]}, "traffic": {"switch": "turn"}},
        {"pools": {"blue": ["a"], "green": ["b"]}, "traffic": {"live": "turn"}},
        {"pools": {"blue": ["a"], "green": ["b"]}, "traffic": {"switch": "turn", "plugin": "x:y"}},
        {"pools": {"blue": ["a"], "green": ["b"]}, "traffic": {"plugin": "x"}},
        {"pools": {"blue": ["a"], "green": ["b"]}, "traffic": {"switch": "turn '"}},
    ],
)
def test_wrong_options_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FleetOptions.of({"path": "x", **table})


def test_the_hosts_of_pools_bear_its_name_and_are_in_one_of_them(run: Run) -> None:
    table = {"pools": {"blue": "web[1-2]", "green": ["web3"]}, "traffic": {"switch": "turn"}}
    found = hosts_of(FleetOptions.of({"path": "x", **table}), run)
    assert sorted((each.name, each.pool) for each in found) == [("web1", "blue"), ("web2", "blue"), ("web3", "green")]
    table["pools"] = {"blue": "web[1-3]", "green": ["web3"]}
    with pytest.raises(TargetError, match="both"):
        hosts_of(FleetOptions.of({"path": "x", **table}), run)


PLUGIN = """
import pathlib
from pushkit import hookimpl


def turn(argument, pool, run):
    file = run.scratch / argument
    if pool and argument != "stuck":
        file.write_text(pool)
    return file.read_text() if file.exists() else ""


@hookimpl
def pushkit_traffic():
    return turn
"""


def test_traffic_is_asked_and_turned_by_commands_or_a_plugin(run: Run, tmp_path: Path) -> None:
    live = tmp_path / "live"
    by_command = TrafficOptions(switch="sh -c 'echo {pool} > live'", live="sh -c 'cat live || true'", within=0.1)
    lying = TrafficOptions(switch="true", live="cat live", within=0.1)
    with importable(tmp_path / "site") as site:
        install(site, "acme-balancer", {"acme_balancer": PLUGIN}, {"traffic:acme": "acme_balancer"})
        for options in (by_command, TrafficOptions(plugin="acme:live")):
            live.unlink(missing_ok=True)
            assert traffic.ask(options, run) == ""
            traffic.turn(options, "green", run)
            assert (traffic.ask(options, run), live.read_text().strip()) == ("green", "green")
        (tmp_path / "stuck").write_text("blue")
        with pytest.raises(TargetError, match="the traffic does not go to green"):
            traffic.turn(TrafficOptions(plugin="acme:stuck"), "green", run)
        with pytest.raises(PluginError, match='no traffic plugin "none"'):
            traffic.ask(TrafficOptions(plugin="none:x"), run)
    with pytest.raises(TargetError, match="turned to blue, and goes to green"):
        traffic.turn(lying, "blue", run)
    with pytest.raises(TargetError, match="exit code 1"):
        traffic.turn(TrafficOptions(switch="false"), "blue", run)
    with pytest.raises(TargetError, match=r"does not answer: Connection refused$"):
        traffic.ask(TrafficOptions(switch="true", live="http://127.0.0.1:1/pool"), run)


def test_the_store_of_the_plugin_page_keeps_what_hosts_fetch_while_a_rollout_lasts(run: Run, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/plugins.md").read_text()
    (code,) = [each for each in re.findall(r"```py\n(.*?)```", page, re.DOTALL) if "pushkit_store" in each]
    kept = tmp_path / "kept"
    kept.mkdir()
    table = {"url": f"web://{kept}", "address": "https://releases.example.com"}
    with importable(tmp_path / "site") as site:
        install(site, "acme-store", {"acme_store": code}, {"stores:web": "acme_store"})
        stored = Stored(tmp_path, StoreOptions.of_option(table), run)
        assert stored.fetched
        parcel = stored.parcel("key", lambda: [b"one", b"two"], iter)
        assert (parcel.length, parcel.size, b"".join(parcel.pieces())) == (6, 6, b"onetwo")
        url = stored.url(parcel)
        (file,) = kept.iterdir()
        assert (url, file.read_bytes()) == (f"https://releases.example.com/{file.name}", b"onetwo")
        assert file.name.startswith(sha256(b"onetwo").hexdigest())
        # It is put there once, and whoever reads the output does not learn where.
        file.write_bytes(b"")
        assert stored.url(parcel) == url
        assert file.read_bytes() == b""
        assert run.redact(f"at {url}") == "at [secret:the URL in the store]"
        stored.close()
        assert list(kept.iterdir()) == []
        for wrong, words in (
            ({**table, "adress": "x"}, "`adress`: unknown option"),
            ({"url": table["url"]}, "`address`: missing"),
            ("web:", 'expected "s3://BUCKET/PREFIX"'),
            ({"address": "x"}, "a table with that as `url`"),
        ):
            with pytest.raises(ValueError, match=re.escape(words)):
                StoreOptions.of_option(wrong)
        with pytest.raises(PluginError, match='there is no store "ftp"'):
            StoreOptions.of_option("ftp://x")


def test_what_fails_for_one_host_in_what_all_get_fails_for_all(tmp_path: Path) -> None:
    supply = Supply(tmp_path)
    asked: list[int] = []

    def make() -> str:
        asked.append(1)
        raise TargetError("no")

    for _ in range(2):
        with pytest.raises(TargetError, match="no"):
            supply.once("key", make)
    assert len(asked) == 1
    with pytest.raises(TargetError, match="cannot be written"):
        Supply(tmp_path / "missing").parcel("key", lambda: [b"x"], iter)


def test_who_asked_to_stop_and_had_said_yes_beforehand_goes_on_with_no_batch(run: Run) -> None:
    run.cancelled.set()
    run.confirm = lambda question: True
    options = FleetOptions.of({"path": "/srv", "hosts": ["web1"]})
    rollout = Rollout(run, options, list, lambda host: pytest.fail("there is no host"))
    with pytest.raises(Interrupted, match="stopped"):
        rollout._ask("Go on with batch 2 of 2?")


class Answers(threading.Thread):
    """Says ``answer`` to whatever it is asked, and then ``more``, again and again, until it is left."""

    def __init__(self, answer: bytes, more: bytes = b"") -> None:
        super().__init__(daemon=True)
        self._answer, self._more = answer, more
        self.asked: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"

    def run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                with client, suppress(OSError):
                    self.asked.append(client.recv(4096))
                    client.sendall(self._answer)
                    while self._more:
                        client.sendall(self._more)
                        time.sleep(0.02)

    def __enter__(self) -> str:
        self.start()
        return self.url

    def __exit__(self, *_error: object) -> None:
        self._server.close()


WELL = b"HTTP/1.0 200 OK\r\n\r\nall is well"


@pytest.mark.parametrize(
    ("answer", "more", "told"),
    [
        (WELL, b"", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nall is ill", b"", "does not contain 'well'"),
        (b"HTTP/1.0 503 Busy\r\n\r\n", b"", "status 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"", "does not speak HTTP"),
        (b"HTTP/1.0 200 OK\r\n" + b"X-A: b\r\n" * 200, b"", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", b"", "does not speak HTTP"),
        # What never ends is read until it says so, or until its time is up.
        (WELL, b".", ""),
        (b"HTTP/1.0 200 OK\r\n\r\n", b".", "does not answer: timed out"),
        (b"", b"", "does not answer"),
    ],
)
def test_a_url_says_whether_a_host_is_well_whatever_answers(answer: bytes, more: bytes, told: str) -> None:
    with Answers(answer, more) as url:
        why = by_url(HealthOptions(url=url, contains="well", timeout=0.3), Host("web1"))
    assert told in why
    assert bool(told) == bool(why)
    assert "\n" not in why


def test_traffic_that_was_just_turned_may_be_silent_for_a_moment(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "live"
    script.write_text("#!/bin/sh\ntest -e asked && exec echo green\ntouch asked\nexit 1\n")
    script.chmod(0o755)
    traffic.turn(TrafficOptions(switch="true", live="./live", within=5), "green", run)
    assert (tmp_path / "asked").exists()
    with Answers(b"SSH-2.0-OpenSSH_9.2\r\n") as url, pytest.raises(TargetError, match="does not answer"):
        traffic.turn(TrafficOptions(switch="true", live=url, within=0.1), "green", run)


def test_patterns_choose_among_the_hosts_of_sources_and_not_among_those_that_are_named(run: Run) -> None:
    (run.project.root / "all").write_text("web-1\nweb-2\nweb-30\ndb-1\n")
    for texts, expected in (
        (["file:all", "web-?"], ["web-1", "web-2"]),
        (["file:all", "web-3*", "db-*"], ["db-1", "web-30"]),
        (["file:all", "web-*", "cache"], ["cache", "web-1", "web-2", "web-30"]),
    ):
        options = FleetOptions.of({"path": "x", "hosts": texts})
        assert sorted(each.name for each in hosts_of(options, run)) == expected
    with pytest.raises(TargetError, match=r"file:all, mail-\* names no host"):
        listed(["file:all", "mail-*"], run)


@pytest.mark.parametrize(
    "text",
    [
        "no hosts were found",
        "web1 blue eu-1 extra",
        "<html>",
        "Error: no connection",
        "x" * 100_000,
        "x/" * 100_000,
        "[1, 2]",
        "\0",
    ],
)
def test_what_is_no_list_of_hosts_is_told_in_a_line(text: str) -> None:
    with pytest.raises(TargetError) as caught:
        read(text, "`./hosts`")
    assert caught.value.message.startswith("`./hosts`: ")
    assert len(caught.value.message) < 400
    assert "\n" not in caught.value.message
