"""The demo: a project, an SSH server and a web server, two pushes and a rollback, each looked at from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pushkit.demo.pages import Pages
from pushkit.errors import PushFailed
from pushkit.testing import EmbeddedSsh

SITE = Path(__file__).parent / "site"
BEFORE = "<h1>Paper boats</h1>"
AFTER = "<h1>Paper boats and paper planes</h1>"
# Seconds that an interrupted push of three small files may take to end.
PATIENCE = 20

PUSHFILE = """\
[target.boats]
strategy = "sftp"
host = {host}
path = {path}
key = {key}
known_hosts = {known_hosts}
"""


class Demo:
    """One run of the demo below ``directory``, which is empty. ``say`` takes each line that a person reads.

    The project lies in ``project``, the target in ``server/boats``. Commands are run as a person would type
    them, each in a process of its own.
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self.project = directory / "project"
        self.home = directory / "server"
        self.target = self.home / "boats"
        self._say = say
        self._cache = ""

    def run(self) -> None:
        """Run it. Raises `PushFailed` when a command fails or a page is not what it should be."""
        start = time.monotonic()
        self.home.mkdir()
        shutil.copytree(SITE, self.project)
        with (
            TemporaryDirectory(prefix="push-demo-cache-") as self._cache,
            EmbeddedSsh(self.home) as server,
            Pages(self.target / "current") as pages,
        ):
            self._set_up(server)
            self._first_push(pages)
            self._second_push(pages)
            self._roll_back(pages)
        self._say("")
        self._say(f"Every page was as it should be, after {time.monotonic() - start:.1f} seconds. On your own project:")
        self._say("")
        self._say("    push init        write a Pushfile")
        self._say("    push check       look at the target, change nothing")
        self._say("    push             send what changed and make it live")

    def _set_up(self, server: EmbeddedSsh) -> None:
        pushfile = PUSHFILE.format(
            host=quoted(f"{server.user}@{server.host}:{server.port}"),
            path=quoted(str(self.target)),
            key=quoted(str(server.key)),
            known_hosts=quoted(str(server.known_hosts)),
        )
        (self.project / "Pushfile").write_text(pushfile)
        self._heading("A small site in a directory, an SSH server on this machine, and a Pushfile between them:")
        for line in pushfile.splitlines():
            self._say(f"    {line}")
        self._own("push init", "asks where to push to and writes this file")

    def _first_push(self, pages: Pages) -> None:
        self._heading("The first push sends everything that .pushignore does not keep back.")
        self._push()
        self._expect(pages, "index.html", BEFORE)
        self._expect_missing(pages, "visits.log")
        self._own("push --dry-run", "shows what would happen; push makes it happen")

    def _second_push(self, pages: Pages) -> None:
        page = self.project / "index.html"
        page.write_text(page.read_text().replace(BEFORE, AFTER))
        self._heading("One file is edited, and one file is sent. The release before stays on the server.")
        self._push()
        self._expect(pages, "index.html", AFTER)
        self._own("push", "after each change")

    def _roll_back(self, pages: Pages) -> None:
        self._heading("A rollback makes the release before live again. It sends nothing.")
        self._push("rollback")
        self._expect(pages, "index.html", BEFORE)
        self._own("push rollback", "when a release was a mistake")

    def _heading(self, text: str) -> None:
        self._say("")
        self._say(f"# {text}")
        self._say("")

    def _own(self, command: str, text: str) -> None:
        self._say("")
        self._say(f"    On your own project: {command}  ({text})")

    def _push(self, *arguments: str) -> None:
        """Run ``push`` in the project, and pass on what it says."""
        self._say(f"    $ {' '.join(('push', *arguments))}")
        # What push remembers of a project's files would stay behind in the cache of the person who watches.
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": self._cache}
        # Where push is one file, the interpreter alone does not find what is in it.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        # The keys of a person's agent are none of the demo's business; many of them would use up the server's patience.
        environment.pop("SSH_AUTH_SOCK", None)
        with subprocess.Popen(
            [sys.executable, "-m", "pushkit", *arguments],
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    self._say(f"    {line.rstrip()}")
                code = process.wait()
            except KeyboardInterrupt:
                # The terminal sent it to the push as well, which gives back what it took before it ends.
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE)
                process.kill()
                raise
        if code:
            raise failed(f"{' '.join(('push', *arguments))} ended with exit code {code}")
        self._say("")

    def _expect(self, pages: Pages, path: str, text: str) -> None:
        """Fetch a page and look for ``text`` in it."""
        status, found = pages.fetch(path)
        if status != 200 or text not in found:
            raise failed(f"{pages.url}{path} answered {status} without {text!r}")
        self._say(f"    {pages.url}{path} says: {text.removeprefix('<h1>').removesuffix('</h1>')}")

    def _expect_missing(self, pages: Pages, path: str) -> None:
        """Fetch a page that must not be there."""
        status, _ = pages.fetch(path)
        if status != 404:
            raise failed(f"{pages.url}{path} answered {status}, but the file should not have travelled")
        self._say(f"    {pages.url}{path} is not there: it was ignored")


def failed(message: str) -> PushFailed:
    """The demo went wrong, which is no fault of the user's."""
    return PushFailed(
        f"the demo stopped: {message}",
        hint="push demo --keep DIRECTORY leaves everything in DIRECTORY to be looked at",
    )


def quoted(text: str) -> str:
    """A string of TOML. JSON's escapes are among those of TOML (toml.io, v1.0.0, "String")."""
    return json.dumps(text)
