"""Servers that mean no good, or are broken: what they do not answer, and what they never stop saying, is given up."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from plugins.sftp_target import remote_on
from pushkit import Interrupted
from pushkit.files import RemoteError, RemoteLost
from pushkit.testing import Sshd
from pushkit_sftp import channel, client, packets, requests, sessions
from pushkit_sftp.channel import run
from pushkit_sftp.destination import destination
from pushkit_sftp.job import Asked, Job, at_once, post
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.packets import HANDLE, NAME, VERSION, Listed, text
from pushkit_sftp.paramiko_transport import ParamikoTransport
from pushkit_sftp.remote import SftpRemote
from pushkit_sftp.sessions import Sessions
from pushkit_sftp.transport import Transport

Answer = Callable[[int, int], bytes]


class Hostile(paramiko.ServerInterface):
    """Lets everybody in. Answers no request of a channel, or those for SFTP with ``answer(kind, number)``."""

    def __init__(self, answer: Answer | None) -> None:
        self._answer = answer
        self.over = threading.Event()

    def check_auth_none(self, username: str) -> int:
        return paramiko.AUTH_SUCCESSFUL  # type: ignore[attr-defined, no-any-return]

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED  # type: ignore[attr-defined, no-any-return]

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.over.wait()
        return False

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if self._answer is None:
            self.over.wait()
            return False
        threading.Thread(target=self._talk, args=(channel, self._answer), daemon=True).start()
        return True

    def _talk(self, channel: paramiko.Channel, answer: Answer) -> None:
        try:
            while head := channel.recv(4):
                body = b""
                (size,) = struct.unpack(">I", head)
                while len(body) < size:
                    body += channel.recv(size - len(body))
                reply = answer(body[0], int.from_bytes(body[1:5], "big"))
                channel.sendall(struct.pack(">I", len(reply)) + reply)
        except (OSError, EOFError):
            return


HERE = destination(SftpOptions(host="here", path="/srv", ssh_config=Path("/dev/null")), Path(), "anybody")


@contextmanager
def hostile(answer: Answer | None = None) -> Iterator[Transport]:
    """A connection to a hostile server, with somebody logged in."""
    ours, theirs = socket.socketpair()
    server = paramiko.Transport(theirs)
    server.add_server_key(paramiko.ECDSAKey.generate())
    behaviour = Hostile(answer)
    server.start_server(event=threading.Event(), server=behaviour)
    client = paramiko.Transport(ours)
    try:
        client.start_client(timeout=20)
        client.auth_none("anybody")
        yield ParamikoTransport(client, HERE)
    finally:
        behaviour.over.set()
        client.close()
        server.close()
        client.join(5)
        server.join(5)


def session(transport: Transport) -> Sessions:
    return Sessions(transport, threading.Event())


def names_on(transport: Transport) -> list[Listed]:
    with session(transport).one() as client:
        return client.run(requests.names(b"/srv"))


def test_a_command_that_the_server_does_not_answer_is_given_up() -> None:
    with hostile() as transport, pytest.raises(RemoteError, match="no answer in time"):
        run(transport, "true", patience=0.5)


def test_a_session_that_the_server_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PATIENCE", 0.5)
    with hostile() as transport, pytest.raises(RemoteError, match="no answer in time"), session(transport).one():
        pass


def listing(names: Callable[[], list[bytes]]) -> Answer:
    """A server on which every directory goes on for ever; each answer lists what ``names`` gives."""

    def answer(kind: int, number: int) -> bytes:
        if kind == packets.INIT:
            return struct.pack(">BI", VERSION, 3)
        head = struct.pack(">I", number)
        if kind == packets.OPENDIR:
            return bytes([HANDLE]) + head + text(b"handle")
        if kind == packets.READDIR:
            found = names()
            listed = b"".join(text(name) + text(b"") + struct.pack(">I", 0) for name in found)
            return bytes([NAME]) + head + struct.pack(">I", len(found)) + listed
        return bytes([packets.STATUS]) + head + struct.pack(">I", 0) + text(b"") + text(b"")

    return answer


@pytest.mark.parametrize("names", [[b"n"] * 10_000, [b"n" * 200_000]], ids=["many names", "long names"])
def test_a_listing_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, names: list[bytes]) -> None:
    monkeypatch.setattr(requests, "MOST", 50_000)
    monkeypatch.setattr(requests, "MOST_BYTES", 2_000_000)
    with hostile(listing(lambda: names)) as transport, pytest.raises(RemoteError, match="which cannot be right"):
        names_on(transport)


def test_answers_without_a_name_end_a_listing() -> None:
    answers = iter([[b"a", b"."], []])
    with hostile(listing(lambda: next(answers))) as transport:
        assert [found.name for found in names_on(transport)] == [b"a"]


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_packet_that_promises_more_than_it_holds_is_an_error(size: int) -> None:
    def answer(kind: int, number: int) -> bytes:
        whole = listing(lambda: [b"name"])(kind, number)
        return whole[: -size or None] if kind != packets.READDIR else whole[:5] + b"\xff\xff\xff\xff" + whole[9:]

    with hostile(answer) as transport, pytest.raises(RemoteError, match="cut off"):
        names_on(transport)


def status(number: int, code: int) -> bytes:
    return bytes([packets.STATUS]) + struct.pack(">II", number, code) + text(b"") + text(b"")


@pytest.mark.parametrize(
    ("kind", "reply", "words"),
    [
        pytest.param(packets.INIT, lambda _: bytes(client.LONGEST + 1), "a packet of an impossible size", id="hello"),
        pytest.param(packets.INIT, lambda _: status(0, 0), "did not introduce itself", id="no hello"),
        pytest.param(packets.OPENDIR, lambda _: b"\x65", "a packet of an impossible size", id="too short"),
        pytest.param(packets.OPENDIR, lambda n: status(n, 0), "an answer of the wrong kind", id="done, and no handle"),
        pytest.param(
            packets.OPENDIR, lambda n: b"\x67" + struct.pack(">II", n, 0), "wrong kind", id="data, and no handle"
        ),
        pytest.param(packets.OPENDIR, lambda n: status(n + 999, 0), "answered what was not asked", id="another"),
        pytest.param(packets.OPENDIR, lambda n: status(n, 11), "^/srv: there is something already$", id="in the way"),
        pytest.param(packets.OPENDIR, lambda n: status(n, 14), "^/srv: no space left on the target$", id="full"),
        pytest.param(
            packets.OPENDIR, lambda n: status(n, 77), "/srv: the server said: status 77", id="a status of its own"
        ),
    ],
)
def test_an_answer_that_is_none_is_an_error(kind: int, reply: Callable[[int], bytes], words: str) -> None:
    good = listing(list)

    def answer(asked: int, number: int) -> bytes:
        return reply(number) if asked == kind else good(asked, number)

    with hostile(answer) as transport, pytest.raises(RemoteError, match=words):
        names_on(transport)


def test_a_server_that_cannot_rename_over_what_is_there_is_told_of() -> None:
    def answer(kind: int, number: int) -> bytes:
        if kind == packets.INIT:
            return struct.pack(">BI", VERSION, 3)
        if kind == packets.LSTAT:
            return bytes([packets.ATTRS]) + struct.pack(">IIQ", number, packets.SIZE, 1)
        return status(number, 0)

    with hostile(answer) as transport, session(transport).one() as client, pytest.raises(RemoteError) as caught:
        client.run(requests.rename(b"/srv/new", b"/srv/old", replaces=False))
    assert caught.value.message == ("/srv/old: this server cannot rename over what is there (it lacks posix-rename)")


def test_who_asks_to_stop_does_not_wait_for_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "GRACE", 0.1)
    cancelled, over = threading.Event(), threading.Event()

    def answer(kind: int, number: int) -> bytes:
        if kind == packets.INIT:
            return struct.pack(">BI", VERSION, 3)
        cancelled.set()
        over.wait()
        return status(number, 0)

    with hostile(answer) as transport, Sessions(transport, cancelled).one() as silent:
        with pytest.raises(Interrupted, match="stopped while the server did not answer"):
            silent.run(requests.names(b"/srv"))
        over.set()


@pytest.mark.parametrize("status", [0, 1], ids=["empty", "end of file"])
def test_a_file_that_ends_before_it_is_over_ends(status: int) -> None:
    def answer(kind: int, number: int) -> bytes:
        head = struct.pack(">I", number)
        if kind == packets.FSTAT:
            return bytes([packets.ATTRS]) + head + struct.pack(">IQ", packets.SIZE, 1000)
        if kind == packets.OPEN:
            return bytes([HANDLE]) + head + text(b"handle")
        if kind == packets.READ and status == 0:
            return bytes([packets.DATA]) + head + text(b"")
        if kind == packets.INIT:
            return struct.pack(">BI", VERSION, 3)
        return bytes([packets.STATUS]) + head + struct.pack(">I", status) + text(b"") + text(b"")

    with hostile(answer) as transport, session(transport).one() as client:
        assert client.run(requests.read(b"/file", 2000, 100)) == b""
        if status:
            # Only what reads has an end.
            with pytest.raises(RemoteError, match="status 1"):
                client.run(requests.remove(b"/file"))


@pytest.mark.parametrize("script", ["exec yes", "exec yes >&2"], ids=["output", "errors"])
def test_a_command_that_never_stops_writing_is_given_up(
    ssh_server: Sshd, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(channel, "LONGEST", 1_000_000)
    with remote_on(ssh_server) as remote:
        assert isinstance(remote, SftpRemote)
        with pytest.raises(RemoteError, match=r"wrote over 1,0\d\d,\d{3} bytes, which cannot be right"):
            run(remote.transport, script, patience=20, failed=lambda _: False)


def test_what_asks_together_hears_together_that_the_connection_is_lost_and_cleans_up() -> None:
    request = packets.Request(packets.READ, b"", packets.DATA, b"file")
    ended: list[str] = []

    def reading(name: str) -> Job[None]:
        try:
            yield Asked((request,))
        finally:
            ended.append(name)
            yield from post(request)

    both = at_once([reading("one"), reading("other")])
    assert next(both) == Asked([request, request])
    with pytest.raises(RemoteLost, match="gone"):
        both.throw(RemoteLost("gone"))
    assert ended == ["one", "other"]
