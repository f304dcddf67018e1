"""The first push of 10,000 small files to a real OpenSSH server, beside ``rsync -a`` over ssh.

Run it as ``python tests/bench/sftp_push.py [PAIRS [FILES]]``. Both sides of a pair go to a fresh directory, one after
the other, in turns first; the server's data lies on tmpfs where there is one. rsync runs twice: with
the ssh client's own choice of algorithms, and with the ones that paramiko takes. ``push`` is the whole
command, from the start of the interpreter to a live release; ``put`` is connecting and sending alone. Nothing fails:
the target is printed beside what was measured.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Protocol

import paramiko

from pushkit import Entry, Kind, Project, Run, Snapshot, Target
from pushkit.files import Transfer
from pushkit.secrets.redaction import Redactor
from pushkit.testing import Sshd
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.session import open_remote

TARGET = 0.85
MEAN = 4096
MATCHED = "-oKexAlgorithms=curve25519-sha256 -oCiphers=aes128-gcm@openssh.com"


def make_tree(root: Path, files: int) -> None:
    """``files`` files of 4 KiB mean, log-normal, in directories of about 20, the same for every run."""
    numbers = random.Random(20261122)
    for number in range(files):
        file = root / f"package{number // 400}" / f"module{number // 20 % 20}" / f"source_{number:05}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(numbers.randbytes(min(200_000, int(numbers.lognormvariate(0, 1) * MEAN / 1.65))))


class Server(Protocol):
    """What is asked of a server."""

    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    files: Path


class Bench:
    """One server, one tree, and the ways to get it there."""

    def __init__(self, directory: Path, server: Server, tree: Path) -> None:
        self.directory = directory
        self.server = server
        self.tree = tree
        self.count = 0
        self.entries = [self.entry(path) for path in sorted(tree.rglob("*"))]

    def entry(self, path: Path) -> Entry:
        """The entry of one path of the tree."""
        name, mode = str(path.relative_to(self.tree)), path.stat().st_mode & 0o777
        if path.is_dir():
            return Entry(name, Kind.DIRECTORY, mode)
        content = path.read_bytes()
        return Entry(name, Kind.FILE, mode, len(content), sha256(content).digest())

    def fresh(self) -> Path:
        """A new place on the server."""
        self.count += 1
        return self.server.files / f"run-{self.count}"

    def rsync(self, options: str) -> float:
        """Seconds of ``rsync -a``."""
        ssh = (
            f"ssh -p {self.server.port} -l {self.server.user} -i {self.server.key} -F none -oIdentityAgent=none "
            f"-oUserKnownHostsFile={self.server.known_hosts} {options}"
        )
        target = self.fresh()
        command = ["rsync", "-a", "-e", ssh, f"{self.tree}/", f"{self.server.host}:{target}/"]
        return self.timed(lambda: subprocess.run(command, check=True), target)

    def put(self) -> float:
        """Seconds of connecting and sending."""
        target = self.fresh()
        target.mkdir()
        return self.timed(lambda: self._put(target), target)

    def _put(self, target: Path) -> None:
        options = SftpOptions(
            host=self.server.host,
            port=self.server.port,
            user=self.server.user,
            key=self.server.key,
            known_hosts=self.server.known_hosts,
            agent=False,
            path=str(target),
        )
        project = Project("bench", self.tree / "Pushfile", self.tree, ".", (), "", {})
        run = Run(
            project=project,
            target=Target("bench", "sftp"),
            emit=lambda _event: None,
            cancelled=threading.Event(),
            scratch=self.directory,
            person="",
            redact=Redactor(),
            environment={},
        )
        snapshot = Snapshot(
            self.entries, lambda entry: BytesIO((self.tree / entry.path).read_bytes()), lambda: ("", False)
        )
        remote = open_remote(options, self.directory, self.server.user, threading.Event())
        try:
            remote.put("", Transfer(snapshot, self.entries, {}, run))
        finally:
            remote.close()

    def push(self) -> float:
        """Seconds of the whole command."""
        target = self.fresh()
        pushfile = self.directory / "Pushfile"
        pushfile.write_text(
            f'[project]\nsource = "{self.tree.name}"\n[target.bench]\nstrategy = "sftp"\nhost = "{self.server.host}"\n'
            f'port = {self.server.port}\nuser = "{self.server.user}"\nkey = "{self.server.key}"\nagent = false\n'
            f'known_hosts = "{self.server.known_hosts}"\npath = "{target}"\n'
        )
        command = [str(Path(sys.executable).with_name("push")), "-q", "-f", str(pushfile)]
        return self.timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), target)

    def timed(self, work: Callable[[], object], target: Path) -> float:
        """Seconds of ``work``, after which the files must be there; what it left is removed."""
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        found = sum(len(files) for at, _, files in os.walk(target) if "/.push" not in at)
        assert found == sum(entry.kind is Kind.FILE for entry in self.entries), f"{found} files arrived"
        shutil.rmtree(target)
        return seconds


def compare(
    name: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    against: str,
    *,
    pairs: int,
    target: float = TARGET,
) -> None:
    """Measure pairs after one to warm up, and print one line."""
    times = []
    for number in range(pairs + 1):
        if number % 2:
            mine, other = ours(), theirs()
        else:
            other, mine = theirs(), ours()
        if number:
            times.append((mine, other))
    ratios = [mine / other for mine, other in times]
    ratio = statistics.median(ratios)
    print(
        f"{name:<5} {statistics.median(mine for mine, _ in times):6.2f} s   "
        f"{against:<24} {statistics.median(other for _, other in times):6.2f} s   "
        f"ratio {ratio:.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}; {pairs} pairs)   "
        f"target {target}: {'met' if ratio <= target else 'not met'}",
        flush=True,
    )


def main() -> None:
    """Measure all of it."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="push-bench-", dir=memory if memory.is_dir() else None) as name:
        directory = Path(name)
        (directory / "sshd").mkdir()
        tree = directory / "tree"
        make_tree(tree, files)
        with Sshd(directory / "sshd") as server:
            bench = Bench(directory, server, tree)
            ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr.strip()
            size = sum(entry.size for entry in bench.entries) / 1e6
            versions = f"Python {platform.python_version()}, paramiko {paramiko.__version__}, {ssh}"
            print(f"{files:,} files, {size:.0f} MB; {versions}")
            for ours, label in ((bench.put, "put"), (bench.push, "push")):
                compare(label, ours, lambda: bench.rsync(""), "rsync -a", pairs=pairs)
                compare(label, ours, lambda: bench.rsync(MATCHED), "rsync -a, same crypto", pairs=pairs)


if __name__ == "__main__":
    main()
