"""Pushes to an account that has SFTP and no shell, beside ``lftp mirror -R -P8`` and the sftp program of OpenSSH.

Run it as ``python tests/bench/sftp_only.py [PAIRS]``: 1,000 small files without latency and with 20 ms, then one file
of 1 GiB. Both sides of a pair go to a fresh directory, one after the other, in turns first; the server's data lies on
tmpfs where there is one. ``put`` is connecting and sending, ``push`` the whole command. Nothing fails: the target is
printed beside what was measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from latency import PIECE, relay
from sftp_push import Bench, compare, make_tree

from pushkit.testing import Sshd, known_host

ROUND_TRIP = 0.02
LARGE = 1 << 30


class Only(Sshd):
    """A server whose accounts have no shell."""

    def _configuration(self) -> list[str]:
        # The first value counts.
        return ["ForceCommand internal-sftp", *super()._configuration()]


@dataclass
class Relayed:
    """A server at another port."""

    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    files: Path


class Peers(Bench):
    """The ways to an account without a shell, on ``port`` of this machine."""

    def __init__(self, directory: Path, server: Sshd, tree: Path, port: int) -> None:
        known = directory / f"known-{port}"
        known.write_text(known_host(server.host, port, server.host_key))
        super().__init__(directory, Relayed(server.host, port, server.user, server.key, known, server.files), tree)
        self._options = f"-F none -o IdentityAgent=none -o UserKnownHostsFile={quote(str(known))} -i {server.key}"

    def lftp(self) -> float:
        """Seconds of ``lftp mirror -R -P8``."""
        target, server = self.fresh(), self.server
        target.mkdir()
        script = (
            f"set sftp:connect-program 'ssh -a -x {self._options}'; "
            f"open -u {server.user},none sftp://{server.host}:{server.port}; "
            f"mirror -R -P8 {quote(str(self.tree))} {quote(str(target))}"
        )
        return self.timed(lambda: subprocess.run(["lftp", "-c", script], check=True), target)

    def sftp(self) -> float:
        """Seconds of ``sftp`` with ``put -r``."""
        target, server = self.fresh(), self.server
        target.mkdir()
        command = f"sftp -q -r {self._options} -P {server.port} -b - {server.user}@{server.host}"
        work = f"put -r {self.tree}/. {target}\n".encode()
        return self.timed(
            lambda: subprocess.run(["sh", "-c", command], input=work, check=True, stdout=subprocess.DEVNULL), target
        )


def main() -> None:
    """Measure all of it."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="push-bench-", dir=memory if memory.is_dir() else None) as name:
        directory = Path(name)
        small, large = directory / "small", directory / "large"
        for place in (directory / "sshd", small, large):
            place.mkdir()
        make_tree(small, 1000)
        with (large / "file").open("wb") as file:
            for _ in range(LARGE // PIECE):
                file.write(os.urandom(PIECE))
        with Only(directory / "sshd") as server:
            for round_trip in (0.0, ROUND_TRIP):
                with relay(server.host, server.port, round_trip) as port:
                    bench = Peers(directory, server, small, port)
                    print(f"1,000 files, {sum(entry.size for entry in bench.entries) / 1e6:.0f} MB, {round_trip:g} s:")
                    compare("put", bench.put, bench.lftp, "lftp mirror -R -P8", pairs=pairs, target=0.12)
                    compare("push", bench.push, bench.lftp, "lftp mirror -R -P8", pairs=pairs, target=0.12)
            bench = Peers(directory, server, large, server.port)
            print("one file of 1 GiB:")
            compare("put", bench.put, bench.sftp, "sftp put", pairs=pairs, target=1.2)


if __name__ == "__main__":
    main()
