"""Real SSH servers, each with an address, a host key and a user of its own, and a project that goes to all of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pushkit.fleet.host import in_order, parse
from pushkit.testing import Account, Sshd, known_host
from recorder.sitecustomize import recorded
from servers.starter import Started, Starter

COUNT = 6


def on_loopback(directory: Path, account: Account, number: int) -> Sshd:
    """A server with an address of its own of this machine."""
    return Sshd(directory, account, host=f"127.64.0.{number}")


class Servers:
    """``count`` servers, each by ``make``; ``known_hosts`` knows them all, and one key lets in on each."""

    def __init__(
        self, base: Path, count: int = COUNT, make: Callable[[Path, Account, int], Sshd] = on_loopback
    ) -> None:
        base.chmod(0o755)
        self.stack = ExitStack()
        self.starter = Starter(base)
        self.stack.callback(self.starter.close)
        self.all: list[Sshd] = []
        for number in range(1, count + 1):
            directory = base / f"server-{number}"
            directory.mkdir()
            account = Account()
            self.stack.callback(account.remove)
            server = make(directory, account, number)
            self.stack.enter_context(server)
            self.all.append(server)
        self.key = self.all[0].key
        for server in self.all[1:]:
            (server.files / ".ssh/authorized_keys").write_text(self.all[0].public_key + "\n")
        self.known_hosts = base / "known_hosts"
        self.know()

    def know(self) -> None:
        """Write down the addresses and keys of all servers."""
        self.known_hosts.write_text("".join(known_host(each.host, each.port, each.host_key) for each in self.all))

    def heal(self) -> None:
        """Start what a test has stopped, and remove what made a host sick."""
        for each in self.all:
            (each.files / "sick").unlink(missing_ok=True)
            if not each.runs:
                each.start()
        self.know()


class ManySite:
    """A project whose target is the directory ``path`` in the home of ``hosts``, whose keys ``known`` holds."""

    def __init__(self, base: Path, starter: Starter, hosts: Sequence[str], key: Path, known: Path) -> None:
        self.path = base.name
        self._starter = starter
        self.hosts = hosts
        self.root = base / "blog"
        self.root.mkdir()
        self.home = base / "home"
        self.home.mkdir()
        (self.root / "index.html").write_text("one\n")
        self.table: dict[str, object] = {"key": str(key), "known_hosts": str(known)}

    def write(self, rollout: str = "", **options: object) -> None:
        """Write the Pushfile: ``rollout`` is the body of that table."""
        table: dict[str, object] = {
            "strategy": "sftp",
            **({"hosts": list(self.hosts)} if self.hosts else {}),
            "path": self.path,
            "connect_timeout": 5,
            **self.table,
            **options,
        }
        lines = [f"{key} = {toml(value)}" for key, value in table.items()]
        (self.root / "Pushfile").write_text("\n".join(["[target.web]", *lines, "[target.web.rollout]", rollout, ""]))

    def start(self, *arguments: str) -> Started:
        """Start ``push``."""
        environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        return self._starter.start(arguments, self.root, environment)

    def push(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``push``."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode is not None
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def good(self, *arguments: str) -> str:
        """Run ``push``, which has to end well; the last line of its output."""
        done = self.push(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    def change(self, content: str) -> None:
        (self.root / "index.html").write_text(content + "\n")

    def until(self, true: Callable[[], bool]) -> None:
        """Look again and again until something is ``true``, for half a minute at most."""
        end = time.monotonic() + 30
        while not true():
            assert time.monotonic() < end
            time.sleep(0.005)


class FleetSite(ManySite):
    """The same on servers of their own."""

    def __init__(self, base: Path, servers: Servers) -> None:
        super().__init__(base, servers.starter, list(map(text, servers.all)), servers.key, servers.known_hosts)
        self.servers = servers

    @property
    def live(self) -> list[str]:
        """What is live on each server, in their order: the content of the page, empty when nothing is."""
        return [page(each, self.path) for each in self.servers.all]

    @property
    def releases(self) -> set[str]:
        """The ids that are live."""
        return {os.readlink(each.files / self.path / "current").rpartition("/")[2] for each in self.servers.all}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """No server's page is ever gone once it was there, or anything but whole."""
        over = threading.Event()
        wrong: list[str] = []

        def watch() -> None:
            seen = [page(each, self.path) != "" for each in self.servers.all]
            while not over.is_set():
                for number, each in enumerate(self.servers.all):
                    content = page(each, self.path)
                    if not re.fullmatch(r"(\w+)?", content) or (seen[number] and not content):
                        wrong.append(f"{each.host}: {content!r}")
                    seen[number] = seen[number] or content != ""
                time.sleep(0.005)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not wrong, wrong[:3]


def page(server: Sshd, path: str) -> str:
    """The live page of a server."""
    try:
        return (server.files / path / "current/index.html").read_text().strip()
    except FileNotFoundError:
        return ""


def text(server: Sshd) -> str:
    """A server, as a Pushfile has it."""
    return f"{server.user}@{server.host}:{server.port}"


def order(site: FleetSite) -> list[Sshd]:
    """The servers in the order of a rollout, as ``push hosts`` has it."""
    named = {(each.host, each.port): each for each in site.servers.all}
    return [named[host.name, host.port] for host in in_order(map(parse, map(text, site.servers.all)), "web")]


def toml(value: object) -> str:
    """A value of a Pushfile."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


def changes(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The changes of hosts among the events of ``push --json``."""
    return [each for each in map(json.loads, done.stdout.splitlines()) if each.get("event") == "host-changed"]
