"""An FTP server that hangs up, breaks off or lies: it is told, and nothing half is taken for the whole."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

import pytest

from pushkit import Interrupted, TargetError
from pushkit.files import RemoteError, RemoteLost
from pushkit_ftp.options import FtpOptions
from pushkit_ftp.remote import FtpRemote
from pushkit_ftp.server import Server

#: What a well-behaved server answers, and how it ends a transfer; None hangs up.
ANSWERS: Mapping[str, str | None] = {
    "": "220 ready",
    "USER": "331 who",
    "PASS": "230 welcome",
    "FEAT": "211-it can\r\n SIZE\r\n211 end",
    "PWD": '257 "/home"',
    "SIZE": "213 3",
    "QUIT": "221 bye",
}
TRANSFERS = {"LIST", "RETR", "APPE", "STOR"}


class Scripted:
    """Answers commands as it is told, each by its verb, and sends ``data`` for whatever is asked for."""

    def __init__(self, answers: Mapping[str, str | None], data: bytes) -> None:
        self._answers = {**ANSWERS, **answers}
        self._data = data
        self._control = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._control.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._control.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._control.accept()
                threading.Thread(target=self._talk, args=[sock], daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with sock, socket.create_server(("127.0.0.1", 0)) as passive, suppress(OSError):
            heard = sock.makefile("rb")
            verb, port = "", passive.getsockname()[1]
            while True:
                default = f"229 (|||{port}|)" if verb == "EPSV" else "200 done"
                answer = self._answers.get(verb, default)
                if answer is None:
                    return
                if verb in TRANSFERS and answer == default:
                    sock.sendall(b"150 here it comes\r\n")
                    with passive.accept()[0] as there:
                        if "reset" in self._answers:
                            # With nothing to linger for, a close is a reset (socket(7), SO_LINGER).
                            there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        elif verb in {"LIST", "RETR"}:
                            there.sendall(self._data)
                        else:
                            while there.recv(1 << 16):
                                pass
                    answer = self._answers.get("end") or "226 that was all"
                sock.sendall(answer.encode() + b"\r\n")
                verb = heard.readline().split(b" ")[0].strip().decode()
                if not verb:
                    return


@contextmanager
def speaking(
    answers: Mapping[str, str | None], data: bytes = b"", *, cancelled: threading.Event | None = None
) -> Iterator[FtpRemote]:
    """A remote on a server that answers so; somebody may set ``cancelled``."""
    with closing(Scripted(answers, data)) as there:
        table = {"host": "127.0.0.1", "port": there.port, "user": "ada", "path": "site", "tls": "none", "timeout": 5}
        options = FtpOptions.of({**table, "password": "hunter2"})
        server = Server(options, ssl.create_default_context(), "hunter2", lambda _: None)
        remote = FtpRemote(server, cancelled or threading.Event())
        with closing(remote):
            yield remote


def look(remote: FtpRemote) -> object:
    """What lies there; for that it has to log in."""
    return remote.list("")


Act = Callable[[FtpRemote], object]


@pytest.mark.parametrize(
    ("answers", "data", "act", "kind", "words"),
    [
        pytest.param({"": None}, b"", look, TargetError, "hangs up without a greeting", id="greeting"),
        pytest.param({"": "SSH-2.0-x"}, b"", look, TargetError, "this is no FTP server", id="SSH"),
        pytest.param({"": "hello"}, b"", look, TargetError, "this is no FTP server: 'hello'", id="words"),
        pytest.param({"": "500 no"}, b"", look, TargetError, "lets nobody in (500 no)", id="nobody"),
        pytest.param({"PASS": None}, b"", look, TargetError, "hung up, or fell silent, during", id="login"),
        pytest.param({"PASS": "530 no"}, b"", look, TargetError, "ada is not let in (530 no)", id="password"),
        pytest.param({"TYPE": "500 no"}, b"", look, RemoteError, "TYPE I: ", id="binary"),
        pytest.param(
            {},
            b"-rw-r--r-- 1 a a 3 Nov 22 19:30 a\r\n-rw-r",
            look,
            RemoteLost,
            "was cut off",
            id="list",
        ),
        pytest.param({"end": "226 truncated"}, b"", look, RemoteError, "only a part of the files", id="a part"),
        pytest.param(
            {},
            b"what is this\r\n",
            look,
            RemoteError,
            "in a way that is not understood",
            id="words of LIST",
        ),
        pytest.param({}, b"x", lambda it: it.read("a", 9), RemoteLost, "1 of 3 bytes came", id="short"),
        pytest.param(
            {"SIZE": "213 " + "3" * 200_000},
            b"",
            lambda it: it.read("a", 9),
            RemoteLost,
            "the server says a line without an end",
            id="a long line",
        ),
        pytest.param(
            {"EPSV": "500 no", "PASV": "227 there (127,0,0,1,0,1)"},
            b"",
            lambda it: it.read("a", 9),
            RemoteLost,
            "no data connection came about (port 1: [Errno 111] Connection refused)",
            id="closed port",
        ),
        pytest.param({}, b"x" * 99, lambda it: it.read("a", 9), RemoteError, "more than 9 bytes", id="long"),
        pytest.param(
            {"reset": ""},
            b"",
            lambda it: it.write("a", [bytes(1 << 16)] * 256, 0o644),
            RemoteLost,
            "the data connection was lost",
            id="reset, and said to be all",
        ),
        pytest.param({}, b"", lambda it: it.append("a", b"new"), RemoteError, "3 of 6 bytes are there", id="append"),
        pytest.param({}, b"", lambda it: it.read_link("a"), RemoteError, "no push by FTP made this symlink", id="link"),
        pytest.param(
            {"EPSV": "500 no", "PASV": "500 no"}, b"", lambda it: it.read("a", 9), RemoteError, "PASV", id="passive"
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_told(
    answers: Mapping[str, str | None], data: bytes, act: Act, kind: type[TargetError], words: str
) -> None:
    with pytest.raises(kind, match=re.escape(words)), speaking(answers, data) as remote:
        act(remote)


def test_who_asks_to_stop_does_not_wait_until_a_crowded_server_has_room() -> None:
    cancelled = threading.Event()
    cancelled.set()
    crowded = {"": "421 too many connections"}
    with pytest.raises(Interrupted, match="stopped"), speaking(crowded, cancelled=cancelled) as remote:
        look(remote)
