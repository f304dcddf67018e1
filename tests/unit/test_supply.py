"""What many hosts get is made once for those that lack the same, sent or fetched, under each shell of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pushkit import Severity, Snapshot
from pushkit.events import Event, StepProgress, Warned
from pushkit.files.releases import Releases
from pushkit.files.supply import Parcel, Supply
from pushkit.model import Release
from unit.test_releases import Site, tree
from unit.test_shell import LocalShell, remote

__all__ = ["remote"]


#: What was asked for.
asked: list[str] = []


class Quiet(SimpleHTTPRequestHandler):
    """Serves files."""

    def do_GET(self) -> None:
        asked.append(self.path)
        super().do_GET()

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""


class Served(Supply):
    """Hosts fetch from a web server."""

    fetched = True

    def __init__(self, place: Path, address: str, *, lost: bool = False, content: str = "") -> None:
        super().__init__(place)
        self._address, self._lost, self._content = address, lost, content

    def url(self, parcel: Parcel) -> str:
        if self._content:
            parcel.path.write_text(self._content)
        return f"{self._address}/{'lost' if self._lost else parcel.path.name}"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    for number in range(70):
        made.write(f"a directory with a long name/{number:04d} {'x' * 40}.txt", f"{number}\n" * 300)
    made.write("index.html", "one")
    return made


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "kept").mkdir()
    asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "kept")))
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Host:
    """One of many: its layout, and what happened on it."""

    def __init__(self, site: Site, like: LocalShell, name: str, supply: Supply) -> None:
        self.root = Path(like.root).parent / name
        self.root.mkdir(exist_ok=True)
        self.shell = LocalShell(self.root, like._command, like._path)
        self.events: list[Event] = []
        self.run = copy(site.run)
        self.run.emit = self.events.append
        self.run.prepare = True
        self.releases = Releases(self.shell, self.run, 5, supply=supply)

    def push(self, snapshot: Snapshot, number: int) -> dict[str, str]:
        """What is live after a push that has its number from elsewhere, as a rollout goes."""
        self.plan = self.releases.plan(snapshot)
        name = f"{number:06d}-20260101T000000Z-abc"
        self.run.release = Release(name, snapshot.revision, datetime.now(UTC), "a@b")
        self.releases.push(self.plan, snapshot)
        self.releases.switch(name)
        return tree(self.root / "current")

    @property
    def warnings(self) -> list[str]:
        return [each.message for each in self.events if isinstance(each, Warned)]


def test_hosts_that_lack_the_same_get_the_same_file_and_others_their_own(
    site: Site, remote: LocalShell, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    supply, snapshot = Supply(kept), site.snapshot()
    hosts = [Host(site, remote, f"host-{number}", supply) for number in range(3)]
    assert [each.push(snapshot, 1) for each in hosts] == [tree(site.source)] * 3
    assert len(list(kept.iterdir())) == 1
    assert hosts[0].plan.difference is hosts[1].plan.difference
    # One of them missed a push.
    for number, some in ((7, "01"), (14, "012")):
        site.write("index.html", f"{number}")
        supply, snapshot = Supply(kept), site.snapshot()
        hosts = [Host(site, remote, f"host-{each}", supply) for each in some]
        assert [each.push(snapshot, number) for each in hosts] == [tree(site.source)] * len(some)
    assert len(list(kept.iterdir())) == 1 + 1 + 1
    for each in hosts:
        assert {finding.severity for finding in each.releases.verify()} == {Severity.OK}
        progress = sum(event.size for event in each.events if isinstance(event, StepProgress))
        assert progress == sum(entry.size for entry in each.plan.difference.send)


def test_a_host_fetches_what_it_lacks_or_is_sent_it_and_why_is_told(
    site: Site, remote: LocalShell, tmp_path: Path, address: str
) -> None:
    host = Host(site, remote, "host-1", Served(tmp_path / "kept", address))
    assert host.push(site.snapshot(), 1) == tree(site.source)
    if remote._path.endswith("tools"):
        assert "it has neither curl nor wget nor python3" in host.warnings[0]
        assert asked == []
        return
    assert (host.warnings, len(asked)) == ([], 1)
    assert host.shell.given < 20_000
    assert not [script for script in host.shell.scripts if address in script]
    # What is gone there, and what is not what was put there, is sent.
    for number, content, words in ((7, None, "404"), (14, "x", "not what was put there")):
        site.write("index.html", words)
        supply = Served(tmp_path / "kept", address, lost=content is None, content=content or "")
        host = Host(site, remote, "host-1", supply)
        assert host.push(site.snapshot(), number) == tree(site.source)
        assert words in host.warnings[0]
