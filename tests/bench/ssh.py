"""Pushes to a real OpenSSH server, beside rsync and the other ways to get files there.

    python tests/bench/ssh.py [--pairs N] [--only WORKLOAD ...] [--transport NAME ...] [--scale PART]

In each round everybody sends the same tree, one after the other, and in the next round in the other order; a ratio is
of two runs of one round. A first push goes to a fresh directory, with nothing cached; in the others everybody has what
the round before left. Each command is measured from the start of its process to its end, and counts only when all
files have arrived. A push compares every file that it sent by sha256, and switches at once; nobody else does. The
shell of the server's account reads no files at its start, which would count once for each command that is run there.

With the transport `kept` a push takes the connection of the round before, as that of a person at a terminal does
within a minute (`keep_connection`).

Where little is sent, a login that runs nothing is measured in the same rounds (`ssh HOST true`): what is below that
ratio nobody can reach who starts the ssh program.

Everybody runs with the algorithms that are usual for it ("defaults"), and once more all with the same ("same crypto").
Nothing fails because of a target: whether it is met is printed. A peer that is not installed is named and left out.
Workloads that do not fit the memory or the disk are scaled down, and the output says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from latency import relay
from ours import Push
from peers import Peers, chooses, program_of, versions
from report import Report
from room import file_system, room
from server import Login
from side import Side
from workload import LINK, WORKLOADS, Change, Workload

from pushkit.testing import Sshd

#: Seconds after which a file that was written is not hashed once more.
SETTLED = 3.0
#: Sides by their name, and whether they have the same crypto as all.
Sides = dict[tuple[str, bool], Side]


class Bench:
    """What is measured, and how often."""

    def __init__(self, directory: Path, server: Sshd, chosen: argparse.Namespace) -> None:
        self._directory = directory
        self._server = server
        self._pairs: int = chosen.pairs
        self._scale: float = chosen.scale
        self._cryptos = (False,) if chosen.defaults_only else (False, True)
        self._transports: Sequence[str] = chosen.transport or ("",)
        self.report = Report()
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
                self._measure(workload, amount, place, Login.at(place, self._server, port), title)
        finally:
            shutil.rmtree(place)

    def _measure(self, workload: Workload, amount: int, place: Path, login: Login, title: str) -> None:
        tree = workload.make(place / "tree", amount)
        cryptos = self._cryptos if workload.matched else (False,)
        ours = {(each, matched): self._ours(workload, place, login, each, matched)
                for each in self._transports for matched in cryptos
                if not (matched and each == "paramiko")}  # fmt: skip
        theirs: Sides = {}
        for peer in workload.peers:
            if not shutil.which(program_of(peer)):
                print(f"  {program_of(peer)}: not installed", flush=True)
                continue
            for matched in cryptos if chooses(peer) else (False,):
                theirs[peer, matched] = self._theirs(workload, place, login, peer, matched)
        floor = {("", matched): self._floor(place, login, matched) for matched in cryptos if workload.has_floor}
        sides = [side for matched in cryptos for both in (ours, floor, theirs)
                 for (_, its), side in both.items() if its == matched]  # fmt: skip
        first = workload.change is Change.FIRST
        for number in range(-1 if first else -2, min(self._pairs, workload.most_pairs)):
            if number == -1 and not first:
                time.sleep(SETTLED)
            if number > -2:
                workload.alter(tree)
            for side in sides if number % 2 else reversed(sides):
                side.push(tree)
                if number < 0:
                    side.costs.clear()
        for side in sides:
            side.remove()
        self._tell(workload, title, ours, floor, theirs)

    def _tell(self, workload: Workload, title: str, ours: Sides, floor: Sides, theirs: Sides) -> None:
        for transport in self._transports:
            usual, matched_one = ours[transport, False], ours.get((transport, True))
            # The library has one choice: that one.
            mine = (usual, usual if transport == "paramiko" else matched_one)
            self.failed |= any(side is not None and side.failed for side in mine)
            for peer, target in workload.peers.items():
                if other := theirs.get((peer, False)):
                    self.report.add(title, transport or "default", mine, (other, theirs.get((peer, True))), target)
        for peer in workload.peers if floor else ():
            if other := theirs.get((peer, False)):
                both = floor["", False], floor.get(("", True))
                self.report.add_floor(title, both, (other, theirs.get((peer, True))))

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
        )


def heading(directory: Path) -> str:
    """What a figure means little without."""
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr.strip()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    ours = [f"{name} {version(name)}" for name in ("pushkit", "paramiko")]
    words = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: python tests/bench/{words}\n"
        f"{', '.join([*ours, f'Python {platform.python_version()}', ssh, *versions()])}\n"
        f"{os.cpu_count()} processors, load {load}; data on {file_system(directory) or 'a disk'}"
    )


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    memory = Path("/dev/shm")
    names = ", ".join(each.name for each in WORKLOADS)
    parser.add_argument("--pairs", type=int, default=5, help="how many rounds count, after one to warm up")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="WORKLOAD", help=f"names, also with *: {names}")
    parser.add_argument(
        "--transport",
        nargs="+",
        metavar="NAME",
        help="what `transport` of the target is, in turns; kept: openssh, as a person pushes again",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="the part of the files or bytes that is pushed")
    parser.add_argument("--defaults-only", action="store_true", help="leave out the runs with the same crypto")
    parser.add_argument(
        "--directory",
        type=Path,
        default=memory if memory.is_dir() else Path(tempfile.gettempdir()),
        help="where all files lie (default: in memory where that can be)",
    )
    return parser.parse_args()


def main() -> int:
    """Measure all that was asked for."""
    chosen = options()
    workloads = [each for each in WORKLOADS if any(fnmatchcase(each.name, only) for only in chosen.only)]
    with tempfile.TemporaryDirectory(prefix="push-bench-", dir=chosen.directory) as name:
        directory = Path(name)
        print(heading(directory), end="\n\n", flush=True)
        (directory / "sshd").mkdir()
        with Sshd(directory / "sshd") as server:
            bench = Bench(directory, server, chosen)
            for workload in workloads:
                bench.run(workload)
    print(f"\n{bench.report.table()}")
    return bench.failed


if __name__ == "__main__":
    sys.exit(main())
