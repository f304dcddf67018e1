"""A rollout over many hosts: a change of 100 kB, prepared, switched in batches, asked for its health.

Run it as ``python tests/bench/fleet.py [--parallel N ...] [--write]``. One sshd serves all addresses of 127.0.0.0/8, as
if each were a host of its own: each has a directory, which the login shell chooses by the address. An HTTP server on
all addresses answers the question for health with what is live in that directory. Nothing fails because of a target: it
is printed beside what was measured. The client's processor and memory are its own; the seconds hold the servers' work
too. Since the hosts share two cores, ten are worked on at once, and then the default of 30, which keeps the client busy
where each has its own. Each is one run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from command import parsed, parser
from meter import Cost, measure
from report import Report

from pushkit.testing import Account, Sshd
from pushkit.testing.processes import descendants

PUSH = str(Path(sys.executable).with_name("push"))
HOSTS = 800
#: Seconds for all of them, milliseconds of the client's processor for each host, megabytes of its memory.
TARGETS = (40.0, 20.0, 150.0)
CHANGE = 100_000
#: The internal one cannot be forced into a directory.
SFTP = "/usr/lib/openssh/sftp-server"


class AnyHost(Sshd):
    """One OpenSSH server for every address of the loopback network, each with a home directory of its own."""

    def __init__(self, directory: Path, account: Account) -> None:
        super().__init__(directory, account, host="0.0.0.0")

    def _configuration(self) -> list[str]:
        lines = [
            each for each in super()._configuration() if not each.startswith(("MaxStartups", "LogLevel", "Subsystem"))
        ]
        return [*lines, f"Subsystem sftp {SFTP}", "MaxStartups 2000"]


def login_shell(directory: Path) -> str:
    """A shell as any other, but that it begins in a directory of the address that was connected to."""
    shell = directory / "shell"
    # SSH_CONNECTION: the client's address and port, the server's address and port (ssh(1)).
    shell.write_text(
        '#!/bin/sh\ncommand=$2\nset -- $SSH_CONNECTION\nHOME=$HOME/$3\ncd "$HOME" || exit\neval "$command"\n'
    )
    shell.chmod(0o755)
    return str(shell)


def serve_pages(files: Path) -> ThreadingHTTPServer:
    """What is live on the host that is asked, on every address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = files / str(self.connection.getsockname()[0]) / "site/current/version"
            content = page.read_bytes() if page.exists() else b"nothing\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words: object) -> None:
            """Nobody reads it."""

    class Pages(ThreadingHTTPServer):
        request_queue_size = 256

    server = Pages(("0.0.0.0", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def addresses(count: int) -> Sequence[str]:
    """As many of 127.64.0.0/16, ten to 250 in each /24."""
    return [f"127.64.{number // 250}.{number % 250 + 1}" for number in range(count)]


def spent(server: AnyHost) -> float:
    """The seconds of the processor that a server's processes have taken, those that have ended."""
    assert server._process
    deadline = time.monotonic() + 30
    while descendants(server._process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    words = Path(f"/proc/{server._process.pid}/stat").read_text().rpartition(")")[2].split()
    # proc(5): utime, stime, cutime and cstime are the fields 14 to 17; the third is the first here.
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


def bench(directory: Path, count: int, parallel: int) -> tuple[tuple[Cost, float], tuple[Cost, float]]:
    """What the first push takes, and what the change takes: the client, and the server's seconds of the processor."""
    with ExitStack() as stack:
        directory.chmod(0o755)
        account = Account(shell=login_shell(directory))
        stack.callback(account.remove)
        account.files.chmod(0o755)
        hosts = addresses(count)
        for host in hosts:
            (account.files / host).mkdir()
            account.own(account.files / host)
        at = directory / "server"
        at.mkdir()
        server = stack.enter_context(AnyHost(at, account))
        pages = serve_pages(account.files)
        stack.callback(pages.shutdown)
        project = directory / "project"
        project.mkdir()
        for number in range(30):
            (project / f"page-{number}").write_bytes(os.urandom(30_000))
        known = directory / "known_hosts"
        known.write_text(f"[127.64.*]:{server.port} {server.host_key}\n")
        (directory / "Pushfile").write_text(
            f'[project]\nsource = "project"\n[target.bench]\nstrategy = "sftp"\nhosts = ["file:hosts"]\n'
            f'lock_host = "{hosts[0]}"\nuser = "{account.user}"\nport = {server.port}\nkey = "{server.key}"\n'
            f'known_hosts = "{known}"\nssh_config = "/dev/null"\npath = "site"\n'
            f"[target.bench.rollout]\nparallel = {parallel}\n"
            f'[target.bench.health]\nurl = "http://{{host}}:{pages.server_address[1]}/"\ncontains = "VERSION"\n'
        )
        (directory / "hosts").write_text("\n".join(hosts) + "\n")
        costs = []
        for version in ("one", "two"):
            (project / "version").write_text(version + "\n")
            (project / "page-0").write_bytes(os.urandom(CHANGE))
            pushfile = directory / "Pushfile"
            before = "VERSION" if version == "one" else "one"
            pushfile.write_text(pushfile.read_text().replace(f'contains = "{before}"', f'contains = "{version}"'))
            environment = {"HOME": str(directory), "XDG_CACHE_HOME": str(directory / "cache")}
            start = spent(server)
            cost = measure([PUSH, "-q", "-f", pushfile], environment=environment)
            costs.append((cost, spent(server) - start))
            for host in hosts:
                live = (account.files / host / "site/current/version").read_text().strip()
                assert live == version, (host, live)
        return costs[0], costs[1]


def tell(report: Report, what: str, costs: tuple[Cost, float], count: int, targets: Sequence[float | None]) -> None:
    """A row for each figure."""
    cost, server = costs
    seconds, processor, memory = targets
    report.figure((what, "all of it"), cost.seconds, "s", seconds)
    report.figure((what, "processor of the client, a host"), cost.processor / count * 1000, "ms", processor)
    report.figure((what, "memory of the client"), cost.megabytes, "MB", memory)
    report.figure((what, "processor of the server, a host"), server / count * 1000, "ms")


def main() -> None:
    """See the module."""
    words = parser(__doc__)
    words.add_argument(
        "--parallel", nargs="+", type=int, default=[10, 30], help="how many are worked on at once (default: 10, 30)"
    )
    chosen = parsed(words)
    count = max(1, int(HOSTS * chosen.scale))
    none = (None, None, None)
    with Report("many hosts", ("workload", "what"), chosen, ("OpenSSH", "paramiko"), "figure") as report:
        for parallel in chosen.parallel:
            with tempfile.TemporaryDirectory(prefix="push-bench-") as directory:
                first, change = bench(Path(directory), count, parallel)
            title = f"{count} hosts, {parallel} at once"
            tell(report, f"{title}, first push of 1 MB", first, count, none)
            tell(report, f"{title}, 100 kB changed", change, count, TARGETS if count == HOSTS else none)


if __name__ == "__main__":
    main()
