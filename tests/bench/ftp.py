"""Pushes by FTP and FTPS to vsftpd on the same machine, beside ``lftp mirror -R -P8``, rclone, git-ftp and vagrant.

Run it as ``python tests/bench/ftp.py [--pairs N] [--only WORDS ...] [--against NAME ...] [--write]``, as root: vsftpd
wants a user of its own. 1,000 small files first, one file of 256 MiB, ten of 5,000 files changed and none of them,
without latency and with 20 ms, plain and over TLS (sessions reused, as vsftpd wants it). Latency is that of a relay on
control and data connections. Every side has directories of its own, in memory where that can be, and goes in turn;
over 20 ms git-ftp and vagrant take minutes and go once, and with 5,000 files lftp alone is measured. Nothing fails
because of a target: it is printed beside what was measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote

import vagrant
from command import parsed, parser
from latency import relay
from meter import Cost, measure
from page import AGAINST
from report import Report
from side import Side
from tree import Tree, make_one, make_small
from workload import LEAST_BYTES, LEAST_FILES, sized

from pushkit.testing import Account, CertificateAuthority, VsFtpd

PUSH = str(Path(sys.executable).with_name("push"))
ROUND_TRIP = 0.02
#: Where clients find the server, and where it is when there is a relay in between.
FRONT, BEHIND = "127.0.0.1", "127.0.0.2"
#: The ports of data connections, which the relay has to know: none that a system takes for connections of its own.
PORTS = range(22_100, 22_200)
AUTHORS = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
LFTP, RCLONE, GIT, VAGRANT = "lftp mirror -R -P8", "rclone", "git-ftp", "vagrant push"
#: Over a latency they take minutes.
SLOW = {GIT, VAGRANT}
LARGE = 256 << 20


@dataclass(frozen=True)
class Workload:
    """``changed`` is how many files change before a push, none for a first one; ``peers`` have the ratio to reach."""

    name: str
    make: Callable[[Path], None]
    changed: int | None
    tls: bool
    round_trip: float
    peers: Mapping[str, float | None]

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{self.name}, {'TLS' if self.tls else 'plain'}, {self.round_trip * 1000:g} ms"


def workloads(scale: float) -> Iterator[Workload]:
    """All of them. vagrant speaks no TLS, and rclone does not come about with vsftpd over it ("illegal parameter")."""
    firsts = {(False, 0.0): 0.6, (False, ROUND_TRIP): 0.25, (True, 0.0): 0.3, (True, ROUND_TRIP): 0.35}
    few, many = (max(LEAST_FILES, int(count * scale)) for count in (1000, 5000))
    large = max(LEAST_BYTES, int(LARGE * scale))
    for (tls, round_trip), target in firsts.items():
        peers = {LFTP: target if scale == 1 else None, **others(tls), **({} if tls else {VAGRANT: None})}
        yield Workload(f"{few:,} files, first push", partial(make_small, count=few), None, tls, round_trip, peers)
    for tls, round_trip in firsts:
        peers = {LFTP: None, **others(tls), **({} if tls else {VAGRANT: None})}
        name = f"{sized(large)} in one file, first push"
        yield Workload(name, partial(make_one, size=large), None, tls, round_trip, peers)
    for tls, round_trip in firsts:
        # To send so many to begin with would take them a quarter of an hour; and vagrant sends everything each time.
        peers = {LFTP: None, **({} if round_trip else others(tls))}
        for changed, words in ((10, "ten"), (0, "none")):
            name = f"{words} of {many:,} files changed"
            yield Workload(name, partial(make_small, count=many), changed, tls, round_trip, peers)


def others(tls: bool) -> dict[str, float | None]:
    """Who else there is that sends only what has changed."""
    return dict.fromkeys((GIT,) if tls else (RCLONE, GIT))


@dataclass(frozen=True)
class Site:
    """A server as clients see it; ``files`` is the directory that its user may write to."""

    port: int
    user: str
    password: str
    files: Path
    authority: Path | None


@contextmanager
def site(directory: Path, *, tls: bool, round_trip: float) -> Iterator[Site]:
    """A server, far away or not."""
    account = Account()
    # A log of every command would cost each side.
    settings = {
        "log_ftp_protocol": "NO",
        "pasv_min_port": str(PORTS[0]),
        "pasv_max_port": str(PORTS[-1]),
        "pasv_address": FRONT,
    }
    authority = CertificateAuthority(directory) if tls else None
    certificate = authority.issue("server.pem", FRONT) if authority else None
    host = BEHIND if round_trip else FRONT
    file = authority.file if authority else None
    try:
        with VsFtpd(
            directory, account, host=host, certificate=certificate, authority=file, settings=settings
        ) as server:
            ports = [server.port, *PORTS]
            with relay(host, server.port, round_trip, at=FRONT, ports=ports):
                yield Site(server.port, server.user, server.password, account.files, file)
    finally:
        account.remove()


class Bench:
    """One tree, and the ways to get it to a site. What they need lies in ``directory``, beside the tree."""

    def __init__(
        self, directory: Path, there: Site, workload: Workload, report: Report, against: Sequence[str] = ("",)
    ) -> None:  # fmt: skip
        self._directory = directory
        self._report = report
        self._peers = [peer for peer in workload.peers if any(words in peer for words in against)]
        self._there = there
        self._workload = workload
        self._top = directory / "tree"
        workload.make(self._top)
        self._tree = Tree(self._top)
        self._git = {
            "GIT_DIR": str(directory / "git"),
            "GIT_WORK_TREE": str(self._top),
            "HOME": str(directory),
            **{
                f"GIT_{who}_{what}": "bench@example.com"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }

    def run(self, pairs: int) -> bool:
        """Measure, and tell; whether push did its work."""
        first = self._workload.changed is None
        ways = {"push": self._push, LFTP: self._lftp, RCLONE: self._rclone, GIT: self._git_ftp, VAGRANT: self._vagrant}
        names = ["push", *(peer for peer in self._peers if self._installed(peer))]
        slow = SLOW if self._workload.round_trip else ()
        sides = [Side(name, self._there.files, self._way(ways[name]), fresh=first, once=name in slow) for name in names]
        if GIT in names:
            subprocess.run(["git", "init", "--quiet"], env={**os.environ, **self._git}, check=True)
        warm_ups = 1 if first else 2
        for turn in range(pairs + warm_ups):
            if not first and turn:
                self._tree.append(self._workload.changed or 0)
            if GIT in names:
                self._commit()
            for side in sides if turn % 2 else reversed(sides):
                if side.once and turn != warm_ups:
                    continue
                side.push(self._tree)
                if turn < warm_ups:
                    side.costs.clear()
        for side in sides:
            side.remove()
        ours, *theirs = sides
        for side in theirs:
            key, target = (self._workload.title, side.name), self._workload.peers[side.name]
            if ours.failed or side.failed:
                self._report.failure(key, "push" if ours.failed else side.name, target)
            else:
                self._report.compare(key, ours.costs, side.costs, target)
        return not ours.failed

    def _installed(self, peer: str) -> bool:
        found = shutil.which(peer.split(maxsplit=1)[0])
        if not found:
            self._report.absent(peer)
        return bool(found)

    def _way(self, work: Callable[[Path], Cost]) -> Callable[[Path, Path | None], Cost]:
        def run(target: Path, _before: Path | None) -> Cost:
            if not target.exists():
                target.mkdir()
                shutil.chown(target, self._there.user)
            return work(target)

        return run

    def _push(self, target: Path) -> Cost:
        there = self._there
        pushfile = self._directory / "Pushfile"
        security = f'ca_file = "{there.authority}"' if there.authority else 'tls = "none"'
        pushfile.write_text(
            f'[project]\nsource = "{self._top.name}"\n[target.bench]\nstrategy = "ftp"\nhost = "{FRONT}"\n'
            f'port = {there.port}\nuser = "{there.user}"\npassword = "{there.password}"\npath = "{target}"\n'
            f"{security}\n"
        )
        cache = self._directory / "cache"
        if self._workload.changed is None:
            shutil.rmtree(cache, ignore_errors=True)
        return measure([PUSH, "-q", "-f", pushfile], environment={"XDG_CACHE_HOME": str(cache)})

    def _lftp(self, target: Path) -> Cost:
        there = self._there
        said = ["set ftp:ssl-allow no"]
        if there.authority:
            said = ["set ftp:ssl-force yes", "set ftp:ssl-protect-data yes", f"set ssl:ca-file {there.authority}"]
        options = "" if self._workload.changed is None else "--delete"
        said.append(f"open -u {there.user},{there.password} ftp://{FRONT}:{there.port}")
        said.append(f"mirror -R -P8 {options} {quote(str(self._top))} {quote(str(target))}")
        return measure(["lftp", "-c", "; ".join(said)], environment={"HOME": str(self._directory)})

    def _rclone(self, target: Path) -> Cost:
        there = self._there
        hidden = subprocess.run(
            ["rclone", "obscure", "-"], input=there.password, capture_output=True, text=True, check=True
        )
        options = {"host": FRONT, "port": there.port, "user": there.user, "pass": hidden.stdout.strip()}
        said = [f"--ftp-{name}={value}" for name, value in options.items()]
        verb = "copy" if self._workload.changed is None else "sync"
        more = ["--config=/dev/null", "--transfers=8", "--checkers=8"]
        command = ["rclone", verb, *more, *said, str(self._top), f":ftp:{target}"]
        return measure(command)

    def _git_ftp(self, target: Path) -> Cost:
        there = self._there
        verb = "push" if (target / ".git-ftp.log").exists() else "init"
        url = f"{'ftpes' if there.authority else 'ftp'}://{FRONT}:{there.port}/{target}"
        more = ["--cacert", str(there.authority)] if there.authority else []
        command = ["git", "ftp", verb, *more, "--user", there.user, "--passwd", there.password, url]
        return measure(command, environment=self._git, directory=self._top)

    def _vagrant(self, target: Path) -> Cost:
        there = self._there
        known = {"host": FRONT, "port": there.port, "user": there.user, "password": there.password}
        at = self._directory / "vagrant"
        return vagrant.push(at, **known, target=target, top=self._top, secure="false")

    def _commit(self) -> None:
        for command in (["add", "--all"], ["commit", "--quiet", "--allow-empty", "--message", "bench"]):
            subprocess.run(["git", *command], env={**os.environ, **self._git}, cwd=self._top, check=True)


def main() -> int:
    """Measure what was asked for."""
    words = parser(__doc__)
    words.add_argument("--only", nargs="+", default=[""], metavar="WORDS", help="workloads whose title has the words")
    words.add_argument(
        "--against", nargs="+", default=[""], metavar="NAME", help="only these others, by words of theirs"
    )
    chosen = parsed(words)
    done = []
    with Report(
        "FTP", ("workload", AGAINST), chosen, ("vsftpd", "lftp", "rclone", "git", "git-ftp", "vagrant")
    ) as report:
        for workload in workloads(chosen.scale):
            if any(words in workload.title for words in chosen.only):
                with tempfile.TemporaryDirectory(prefix="push-bench-") as name:
                    directory = Path(name)
                    (directory / "server").mkdir()
                    with site(directory / "server", tls=workload.tls, round_trip=workload.round_trip) as there:
                        done.append(Bench(directory, there, workload, report, chosen.against).run(chosen.pairs))
    return not all(done)


if __name__ == "__main__":
    sys.exit(main())
