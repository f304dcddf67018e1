"""A project, a target, and everything that has to be true of the target whatever happened to a push."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaos import pages
from cli.project import PUSH
from pushkit.testing import SshServer
from pushkit.testing.keypair import known_host

#: Whether campaigns are as long as they are meant to be; in a normal test run they are short.
FULL = os.environ.get("PUSHKIT_CHAOS") == "full"
#: What random moments are made of; a test that fails says which it was.
SEED = int(os.environ.get("PUSHKIT_CHAOS_SEED", "0")) or random.randrange(1, 1 << 30)

KILLER = '''
"""Kills push before its Nth change of the target, which the environment names: see sys.addaudithook."""

import os
import signal
import sys

target, number = os.environ["KILL_BELOW"], int(os.environ["KILL_AT"])
CHANGES = {"os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.link", "open", "os.chmod", "os.utime"}


def hook(event, arguments):
    global number
    if event not in CHANGES:
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE):
        return
    path = arguments[0]
    if isinstance(path, int):
        path = os.readlink(f"/proc/self/fd/{path}")
    if os.fsdecode(path).startswith(target):
        number -= 1
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()


sys.addaudithook(hook)
'''


class Site:
    """A project and its target: ``local`` is the target's directory on this machine.

    Without ``copies`` the target is sent what did not change as well.
    """

    def __init__(self, root: Path, local: Path, *, copies: bool = True, **table: object) -> None:
        self.root = root / "project"
        self.root.mkdir(parents=True)
        self.local = local
        self.version = 0
        self._copies = copies
        self._home = root / "home"
        self._home.mkdir()
        self._killer = root / "killer"
        self._killer.mkdir()
        (self._killer / "sitecustomize.py").write_text(KILLER)
        self.table: dict[str, object] = {"keep": 3, **table}
        self.configure()

    def configure(self, **table: object) -> None:
        """Write the Pushfile, with ``table`` over what it says already."""
        self.table |= table
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.table.items()]
        text = "\n".join(["[target.web]", *lines, ""])
        (self.root / "Pushfile").write_text(text)

    def advance(self) -> int:
        """Edit the project: it becomes the next version."""
        self.version += 1
        pages.write(self.root, self.version)
        return self.version

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start ``push --json``."""
        keep = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        return subprocess.Popen(
            [PUSH, "--json", *arguments],
            cwd=self.root,
            env={**keep, "HOME": str(self._home), "LC_ALL": "C.UTF-8", "PYTHONFAULTHANDLER": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start_to_die(self, number: int) -> subprocess.Popen[bytes]:
        """Start a push that is killed right before its change ``number`` of the target, a directory."""
        below = os.path.realpath(self.local)
        return self.start(PYTHONPATH=str(self._killer), KILL_BELOW=below, KILL_AT=str(number))

    def push(self, *arguments: str, timeout: float = 120) -> Done:
        """Run ``push --json``."""
        return finished(self.start(*arguments), timeout)

    @property
    def live(self) -> int:
        """The version that is live, whole; 0 when nothing is."""
        current = self.local / "current"
        return pages.whole(current.resolve(strict=True)) if os.path.lexists(current) else 0

    def arrived(self) -> int:
        """How many bytes of files that the next push needs lie whole in an upload that died.

        Of several such uploads, those of the last: it is the one that is taken up.
        """
        incoming = self.local / ".push/incoming"
        uploads = sorted(incoming.iterdir()) if incoming.is_dir() else []
        size = 0
        for name, content in self._to_send().items():
            with suppress(OSError):
                size += len(content) if uploads and (uploads[-1] / "tree" / name).read_bytes() == content else 0
        return size

    def needed(self) -> int:
        """How many bytes a push sends that finds nothing but the release before it."""
        return sum(map(len, self._to_send().values()))

    def _to_send(self) -> dict[str, bytes]:
        there = pages.names(self.version).items()
        return {name: pages.page(name, each) for name, each in there if each == self.version or not self._copies}

    def check_no_debris(self) -> None:
        """After a push that did something, nothing of another is left, and what is remembered is what is there."""
        state = self.local / ".push"
        assert os.listdir(state / "incoming") == []
        everything = [str(path.relative_to(self.local)) for path in self.local.rglob("*")]
        # A ticket is a record of what was, with all that is in it, until it is forgotten as a whole.
        left = [path for path in everything if re.search(r"\.(new|old|copy)$|(^|/)papers-", path)]
        assert [path for path in left if not path.startswith(".push/pushes/0")] == []
        assert sorted(os.listdir(self.local)) == [".push", "current", "releases"]
        releases = sorted(os.listdir(self.local / "releases"))
        manifests = sorted(os.listdir(state / "manifests"))
        assert releases == manifests, everything
        keep = self.table["keep"]
        assert isinstance(keep, int)
        assert 1 <= len(releases) <= keep
        assert str((self.local / "current").readlink()) == f"releases/{releases[-1]}"
        for release in releases:
            pages.whole(self.local / "releases" / release)
        tickets = sorted(os.listdir(state / "pushes"))
        for ticket in tickets:
            assert (state / "pushes" / ticket / "end").is_dir(), f"ticket {ticket} is open"
        logged = [json.loads(line) for line in (state / "log").read_text().splitlines()]
        numbers = [each["number"] for each in logged]
        assert len(numbers) == len(set(numbers)), f"ended twice: {numbers}"
        assert int((state / "fence").read_text()) == int(releases[-1][:6])


class Done:
    """How a push ended: its exit code, its events, what it said."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.said = err.decode(errors="replace")
        # The last line of a push that was killed may be half a line.
        lines = [line for line in out.split(b"\n")[:-1] if line]
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]

    @property
    def sent(self) -> int:
        """How many bytes of files travelled."""
        receipts = [event["receipt"] for event in self.events if event["event"] == "push-finished"]
        return int(receipts[-1]["size"])

    @property
    def steps(self) -> int:
        """How many steps it took."""
        return sum(event["event"] == "step-finished" for event in self.events)


def finished(process: subprocess.Popen[bytes], timeout: float = 120) -> Done:
    """Wait for a push."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # It says what each of its threads waits for.
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        raise AssertionError(f"it did not end within {timeout} s: {err.decode()}") from None
    return Done(process.returncode, out, err)


def server_table(server: SshServer, path: str, known_hosts: Path, port: int = 0) -> dict[str, object]:
    """The target's table for a directory of a server, reached through a relay on ``port``."""
    known_hosts.write_text(known_host(server.host, port or server.port, server.host_key))
    return {
        "strategy": "sftp",
        "host": server.host,
        "port": port or server.port,
        "user": server.user,
        "key": str(server.key),
        "agent": False,
        "known_hosts": str(known_hosts),
        "path": path,
    }
