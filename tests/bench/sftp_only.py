"""Pushes to an account that has SFTP and no shell, beside ``lftp mirror -R -P8`` and the sftp program of OpenSSH.

Run it as ``python tests/bench/sftp_only.py [PAIRS]``: 1,000 small files without latency and with 20 ms, then one file
of 1 GiB. Both sides of a pair go to a fresh directory, one after the other, in turns first; the server's data lies on
tmpfs where there is one. ``put`` is connecting and sending, ``push`` the whole command. Nothing fails: the target is
printed beside what was measured.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from latency import relay
from ours import Push
from pairs import compare
from peers import Peers
from server import Login
from tree import Tree, make_one, make_small

from pushkit import Entry, Kind, Project, Run, Snapshot, Target
from pushkit.files import Transfer
from pushkit.secrets.redaction import Redactor
from pushkit.testing import Sshd
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.session import open_remote

ROUND_TRIP = 0.02
LFTP = "lftp mirror -R -P8"
LARGE = 1 << 30


class Only(Sshd):
    """A server whose accounts have no shell."""

    def _configuration(self) -> list[str]:
        # The first value counts.
        return ["ForceCommand internal-sftp", *super()._configuration()]


class Bench:
    """One tree, and the ways to get it to a server: seconds of each."""

    def __init__(self, directory: Path, login: Login, top: Path) -> None:
        self._directory = directory
        self._login = login
        self._tree = Tree(top)
        self._peers = Peers(directory, login, top)
        self._push = Push(directory, login, top)
        self._entries = [self._entry(path) for path in sorted(top.rglob("*"))]

    def _entry(self, path: Path) -> Entry:
        name, mode = str(path.relative_to(self._tree.top)), path.stat().st_mode & 0o777
        if path.is_dir():
            return Entry(name, Kind.DIRECTORY, mode)
        content = path.read_bytes()
        return Entry(name, Kind.FILE, mode, len(content), sha256(content).digest())

    def peer(self, name: str) -> float:
        """By another program."""
        return self._fresh(lambda target: self._peers.run(name, target).seconds)

    def push(self) -> float:
        """By the whole command."""
        return self._fresh(lambda target: self._push.run(target, cold=True).seconds, self._push.arrived)

    def put(self) -> float:
        """By connecting and sending."""
        return self._fresh(self._put)

    def _put(self, target: Path) -> float:
        target.mkdir()
        options = SftpOptions(
            host=self._login.host,
            port=self._login.port,
            user=self._login.user,
            key=self._login.key,
            known_hosts=self._login.known_hosts,
            agent=False,
            path=str(target),
        )
        top = self._tree.top
        run = Run(
            project=Project("bench", top / "Pushfile", top, ".", (), "", {}),
            target=Target("bench", "sftp"),
            emit=lambda _event: None,
            cancelled=threading.Event(),
            scratch=self._directory,
            person="",
            redact=Redactor(),
            environment={},
        )
        snapshot = Snapshot(self._entries, lambda entry: BytesIO((top / entry.path).read_bytes()), lambda: ("", False))
        start = time.perf_counter()
        remote = open_remote(options, self._directory, self._login.user, threading.Event())
        try:
            remote.put("", Transfer(snapshot, self._entries, {}, run))
        finally:
            remote.close()
        return time.perf_counter() - start

    def _fresh(self, work: Callable[[Path], float], found_at: Callable[[Path], Path] = lambda target: target) -> float:
        target = self._directory / "target"
        seconds = work(target)
        missing = self._tree.missing(found_at(target))
        assert not missing, missing
        shutil.rmtree(target)
        return seconds


def main() -> None:
    """Measure all of it."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="push-bench-", dir=memory if memory.is_dir() else None) as name:
        directory = Path(name)
        (directory / "sshd").mkdir()
        make_small(directory / "small", 1000)
        make_one(directory / "large", LARGE)
        with Only(directory / "sshd") as server:
            for round_trip in (0.0, ROUND_TRIP):
                with relay(server.host, server.port, round_trip) as port:
                    small = Bench(directory, Login.at(directory, server, port), directory / "small")
                    lftp = partial(small.peer, LFTP)
                    print(f"1,000 files, {round_trip:g} s:")
                    target = 0.12 if round_trip else None
                    compare("put", small.put, lftp, LFTP, pairs=pairs, target=target)
                    compare("push", small.push, lftp, LFTP, pairs=pairs, target=target)
            large = Bench(directory, Login.at(directory, server, server.port), directory / "large")
            print("one file of 1 GiB:")
            compare("put", large.put, partial(large.peer, "sftp put -r"), "sftp put", pairs=pairs, target=1.2)


if __name__ == "__main__":
    main()
