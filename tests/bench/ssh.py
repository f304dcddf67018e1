"""Pushes to a real OpenSSH server, beside rsync and the other ways to get files there.

    python tests/bench/ssh.py [--pairs N] [--only WORKLOAD ...] [--transport NAME ...] [--scale PART] [--write]

In each round everybody sends the same tree, one after the other, and in the next round in the other order; a ratio is
of two runs of one round. A first push goes to a fresh directory, with nothing cached; in the others everybody has what
the round before left, and the first three rounds do not count: after them there are as many releases as are kept, and
one that went, as there are in the long run. Each command is measured from the start of its process to its end, and
counts only when all files have arrived. A push compares every file that it sent by sha256, and switches at once; nobody
else does. The shell of the server's account reads no files at its start, which would count once for each command that
is run there.

With the transport `kept` a push takes the connection of the round before, as that of a person at a terminal does
within a minute (`keep_connection`).

Where little is sent, a login that runs nothing is measured in the same rounds (`ssh HOST true`): what is below that
ratio nobody can reach who starts the ssh program.

Everybody runs with the algorithms that are usual for it, and openssh and its peers once more with the same as paramiko
("same crypto"). Nothing fails because of a target: whether it is met is printed. A peer that is not installed is named
and left out. One that takes minutes runs once. Workloads that do not fit the memory or the disk are scaled down, say
so, and have no target.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from command import parsed, parser
from latency import relay
from ours import KEPT, Push
from page import AGAINST, PARAMIKO, TRANSPORT
from pairs import Ratios
from peers import PROGRAMS, Peers, chooses, program_of
from report import Report
from room import room
from server import Login
from side import Side
from workload import LINK, WORKLOADS, Change, Target, Workload

from pushkit.testing import Sshd

#: Rounds after which a target is as it is in the long run: there are as many releases as are kept, and one that went.
SETTLING = 3
TRANSPORTS = ("openssh", KEPT, PARAMIKO)
#: What is measured in the place of a push where the login is much of it.
FLOOR = "`ssh HOST true`"
MEGABYTES = 120
#: Seconds after which a file that was written is not hashed once more.
SETTLED = 3.0
#: Sides by their name, and whether they have the same crypto as all.
Sides = dict[tuple[str, bool], Side]


class Bench:
    """What is measured, and how often."""

    def __init__(self, directory: Path, server: Sshd, chosen: argparse.Namespace, report: Report) -> None:
        self._directory = directory
        self._server = server
        self._pairs: int = chosen.pairs
        self._scale: float = chosen.scale
        self._cryptos = (False,) if chosen.defaults_only else (False, True)
        self._transports: Sequence[str] = chosen.transport
        self._report = report
        self.failed = False

    def run(self, workload: Workload) -> None:
        """Measure one workload."""
        wanted = workload.scaled(self._scale)
        amount = min(wanted, workload.scaled(room(self._directory) / workload.needs))
        title = workload.title(amount)
        print(f"{workload.name}: {title}", flush=True)
        if amount < workload.amount:
            why = "there is no room for more" if amount < wanted else "as asked"
            print(f"  scaled down to {amount / workload.amount:.2g}: {why}", flush=True)
            title += ", scaled down"
        place = Path(tempfile.mkdtemp(prefix="workload-", dir=self._directory))
        try:
            with relay(self._server.host, self._server.port, workload.round_trip) as port:
                sides = self._measure(workload, amount, place, Login.at(place, self._server, port))
            for peer, target in workload.peers.items():
                self._tell(title, peer, target if amount == workload.amount else None, *sides)
        finally:
            shutil.rmtree(place)

    def _measure(self, workload: Workload, amount: int, place: Path, login: Login) -> tuple[Sides, Sides, Sides]:
        tree = workload.make(place / "tree", amount)
        cryptos = self._cryptos if workload.matched else (False,)
        # A connection that is kept needs no key exchange, and the library has one choice of algorithms.
        ours = {(each, matched): self._ours(workload, place, login, each, matched)
                for each in self._transports for matched in cryptos
                if not (matched and each in {PARAMIKO, KEPT})}  # fmt: skip
        theirs: Sides = {}
        for peer in workload.peers:
            if not shutil.which(program_of(peer)):
                self._report.absent(peer)
                continue
            for matched in cryptos if chooses(peer) else (False,):
                theirs[peer, matched] = self._theirs(workload, place, login, peer, matched)
        floor = {(FLOOR, matched): self._floor(place, login, matched) for matched in cryptos if workload.has_floor}
        sides = [side for matched in cryptos for both in (ours, floor, theirs)
                 for (_, its), side in both.items() if its == matched]  # fmt: skip
        first = workload.change is Change.FIRST
        begin = -1 if first else -SETTLING
        for number in range(begin, self._pairs):
            if number == -1 and not first:
                time.sleep(SETTLED)
            if number > begin:
                workload.alter(tree)
            for side in sides if number % 2 else reversed(sides):
                if side.once and number:
                    continue
                side.push(tree)
                if number < 0:
                    side.costs.clear()
        for side in sides:
            side.remove()
        self.failed |= any(side.failed for side in ours.values())
        return ours, floor, theirs

    def _tell(  # noqa: PLR0917
        self, title: str, peer: str, target: Target | None, ours: Sides, floor: Sides, theirs: Sides
    ) -> None:
        for name in (*self._transports, *(each for each, matched in floor if not matched)):
            for matched in self._cryptos:
                # The library's choice is the one that all have then.
                mine = ours.get((name, matched and name != PARAMIKO)) or floor.get((name, matched))
                other = theirs.get((peer, matched))
                if not mine or not other:
                    continue
                key = (title, f"{name}{', same crypto' * matched}", peer)
                wanted = target[name == PARAMIKO] if target and not matched and name != FLOOR else None
                if mine.failed or other.failed:
                    self._report.failure(key, "push" if mine.failed else peer, wanted)
                elif name == FLOOR:
                    self._report.ratio(key, Ratios.of(mine.costs, other.costs))
                else:
                    self._report.compare(key, mine.costs, other.costs, wanted, MEGABYTES)

    def _ours(self, workload: Workload, place: Path, login: Login, transport: str, matched: bool) -> Side:
        push = Push(place, login, place / "tree", transport=transport, layout=workload.layout, matched=matched)
        first = workload.change is Change.FIRST
        return Side(
            f"push {transport}{' matched' * matched}",
            place,
            lambda target, _: push.run(target, cold=first),
            fresh=first,
            found_at=push.arrived,
        )

    def _floor(self, place: Path, login: Login, matched: bool) -> Side:
        peers = Peers(place, login, place / "tree")
        name = f"ssh HOST true{', same crypto' * matched}"
        return Side(name, place, lambda *_: peers.log_in(matched=matched), fresh=False, found_at=None)

    def _theirs(self, workload: Workload, place: Path, login: Login, peer: str, matched: bool) -> Side:
        peers = Peers(place, login, place / "tree")
        return Side(
            f"{peer}{', same crypto' * matched}",
            place,
            lambda target, before: peers.run(peer, target, matched=matched, before=before),
            fresh=workload.change is Change.FIRST or peer == LINK,
            lasting=peer == LINK,
            once=peer in workload.slow,
        )


def options() -> argparse.Namespace:
    """What was asked for."""
    words = parser(__doc__)
    names = ", ".join(each.name for each in WORKLOADS)
    words.add_argument("--only", nargs="+", default=["*"], metavar="WORKLOAD", help=f"names, also with *: {names}")
    words.add_argument(
        "--transport",
        nargs="+",
        default=TRANSPORTS,
        metavar="NAME",
        help="what `transport` of the target is, in turns; kept: openssh, as a person pushes again",
    )
    words.add_argument("--defaults-only", action="store_true", help="leave out the runs with the same crypto")
    return parsed(words)


def main() -> int:
    """Measure all that was asked for."""
    chosen = options()
    workloads = [each for each in WORKLOADS if any(fnmatchcase(each.name, only) for only in chosen.only)]
    with (
        tempfile.TemporaryDirectory(prefix="push-bench-") as name,
        Report("SSH", ("workload", TRANSPORT, AGAINST), chosen, ("OpenSSH", PARAMIKO, *PROGRAMS)) as report,
    ):
        directory = Path(name)
        (directory / "sshd").mkdir()
        with Sshd(directory / "sshd") as server:
            bench = Bench(directory, server, chosen, report)
            for workload in workloads:
                bench.run(workload)
    return bench.failed


if __name__ == "__main__":
    sys.exit(main())
