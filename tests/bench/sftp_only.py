"""Pushes to an account that has SFTP and no shell, beside lftp, rclone and the sftp program of OpenSSH.

Run it as ``python tests/bench/sftp_only.py [--pairs N] [--write]``: 1,000 small files without latency and with 20 ms,
then one file of 1 GiB. All go to a fresh directory, one after the other, in turns first; the server's data lies in
memory where that can be. ``put`` is connecting and sending, ``push`` the whole command. Nothing fails because of a
target: it is printed beside what was measured.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from command import parsed, parser
from latency import relay
from meter import Cost
from ours import Push
from page import AGAINST
from pairs import Ratios, in_turns
from peers import Peers, program_of
from report import Report
from server import Login
from tree import Tree, make_one, make_small
from workload import LEAST_BYTES, LEAST_FILES, sized

from pushkit import Entry, Kind, Project, Run, Snapshot, Target
from pushkit.files import Transfer
from pushkit.secrets.redaction import Redactor
from pushkit.testing import Sshd
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.session import open_remote

ROUND_TRIP = 0.02
PEERS = ("lftp mirror -R -P8", "rclone", "sftp put -r")
#: Who is fastest in a round.
BEST = "the best of them"
FILES, LARGE = 1000, 1 << 30
#: Of 1,000 files with latency beside the best, and of one large file.
SMALL_TARGET, LARGE_TARGET = 0.12, 1.2


class Only(Sshd):
    """A server whose accounts have no shell."""

    def _configuration(self) -> list[str]:
        # The first value counts.
        return ["ForceCommand internal-sftp", *super()._configuration()]


class Bench:
    """One tree, and the ways to get it to a server."""

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

    def peer(self, name: str) -> Cost:
        """By another program."""
        return self._fresh(lambda target: self._peers.run(name, target))

    def push(self) -> Cost:
        """By the whole command."""
        return self._fresh(lambda target: self._push.run(target, cold=True), self._push.arrived)

    def put(self) -> Cost:
        """By connecting and sending."""
        return self._fresh(self._put)

    def _put(self, target: Path) -> Cost:
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
        start, processor = time.perf_counter(), time.process_time()
        remote = open_remote(options, self._directory, self._login.user, threading.Event())
        try:
            remote.put("", Transfer(snapshot, self._entries, {}, run))
        finally:
            remote.close()
        # Its memory is that of this process, which is no push.
        return Cost(time.perf_counter() - start, time.process_time() - processor, 0)

    def _fresh(self, work: Callable[[Path], Cost], found_at: Callable[[Path], Path] = lambda target: target) -> Cost:
        target = self._directory / "target"
        cost = work(target)
        missing = self._tree.missing(found_at(target))
        assert not missing, missing
        shutil.rmtree(target)
        return cost

    def run(self, title: str, peers: Sequence[str], pairs: int, report: Report, targets: Mapping[str, float]) -> None:
        """Measure both ways beside peers, and tell; ``targets`` are ratios to one of them, or to the best."""
        beside = [peer for peer in peers if shutil.which(program_of(peer))]
        for peer in peers:
            if peer not in beside:
                report.absent(peer)
        ways: dict[str, Callable[[], Cost]] = {
            "push": self.push,
            "put": self.put,
            **{peer: partial(self.peer, peer) for peer in beside},
        }
        found = in_turns(ways, pairs)
        sides = {peer: [cost.seconds for cost in found[peer]] for peer in beside}
        if len(peers) > 1 and sides:
            sides[BEST] = [min(each) for each in zip(*sides.values(), strict=True)]
        for what in ("push", "put"):
            for peer, seconds in sides.items():
                ratios = Ratios([cost.seconds for cost in found[what]], seconds)
                memory = max(cost.megabytes for cost in found[what]) or None
                report.ratio((title, what, peer), ratios, targets.get(peer), memory)


def main() -> None:
    """Measure all of it."""
    chosen = parsed(parser(__doc__))
    files, large = max(LEAST_FILES, int(FILES * chosen.scale)), max(LEAST_BYTES, int(LARGE * chosen.scale))
    tools = ("OpenSSH", "paramiko", "lftp", "rclone")
    with (
        tempfile.TemporaryDirectory(prefix="push-bench-") as name,
        Report("SFTP only", ("workload", "what", AGAINST), chosen, tools) as report,
    ):
        directory = Path(name)
        (directory / "sshd").mkdir()
        make_small(directory / "small", files)
        make_one(directory / "large", large)
        with Only(directory / "sshd") as server:
            for round_trip in (ROUND_TRIP, 0.0):
                with relay(server.host, server.port, round_trip) as port:
                    bench = Bench(directory, Login.at(directory, server, port), directory / "small")
                    title = f"{files:,} files, first push, {round_trip * 1000:g} ms"
                    targets = {BEST: SMALL_TARGET} if round_trip and files == FILES else {}
                    bench.run(title, PEERS, chosen.pairs, report, targets)
            bench = Bench(directory, Login.at(directory, server, server.port), directory / "large")
            targets = {"sftp put": LARGE_TARGET} if large == LARGE else {}
            bench.run(f"{sized(large)} in one file, 0 ms", ("sftp put",), chosen.pairs, report, targets)


if __name__ == "__main__":
    main()
