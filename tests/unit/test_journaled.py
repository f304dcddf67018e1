"""What layouts with a journal have in common: what they make, what is old, and how a push ended that died."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pushkit import Action
from pushkit.files import RemoteLost, Stat
from pushkit.files.operation import MakeDirectory, Remove, RemoveTree, Write
from pushkit.files.place import MIRROR as STATE
from pushkit.files.survey import Survey
from pushkit.files.ticket import Ticket
from pushkit.model import Release, Revision
from pushkit_dir.remote import LocalRemote
from unit.test_history import named
from unit.test_mirror import Site
from unit.test_survey import survey

NOW = datetime(2026, 11, 22, 19, 30, 12, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def release(number: int) -> Release:
    return Release(named(number), Revision("", False, ""), NOW, "ada@lovelace")


def seen(*paths: str, live: int = 0, waits: int = 0) -> Survey:
    """What lies in the state at ``paths``, which release is live, and which has a place in the queue."""
    files: dict[str, bytes | None] = dict.fromkeys(paths)
    if live:
        files[STATE.live] = named(live).encode()
    if waits:
        record = Ticket(waits, release(waits), who="ada@lovelace", since=NOW).record()
        files |= {STATE.ticket(waits): None, f"{STATE.ticket(waits)}/ticket.json": record}
    found = survey({path.replace(".push/", f"{STATE.name}/", 1): content for path, content in files.items()})
    return Survey(found.root, STATE, found.found)


def test_uploads_are_hidden_and_the_guard_can_be_read(site: Site) -> None:
    made = site.mirror._preparing(seen(), STATE.stage("x"))
    modes = {each.path: each.mode for each in made if isinstance(each, MakeDirectory | Write)}
    assert modes[STATE.stage("x")] == modes[STATE.incoming] == 0o700
    assert modes[STATE / ".htaccess"] == 0o644
    assert STATE / "format" in modes
    again = site.mirror._preparing(seen(*site.mirror.directories, STATE / "format"), STATE.stage("x"))
    assert again == [MakeDirectory(STATE.stage("x"), 0o700)]


def test_what_ended_pushes_left_goes_and_what_is_live_or_waits_stays(site: Site) -> None:
    old, live, waiting, later = map(named, (1, 2, 3, 4))
    stages = [STATE.stage(each) for each in (old, live, waiting, later, "mine")]
    records = [STATE.manifest(each) for each in (old, live, waiting, later, f"{old}.new", "mine")]
    found = seen(*stages, *records, live=2, waits=3)
    going = site.mirror._clearing(found, 4)
    # The upload of what is live is of no use any more, its manifest is.
    assert going == [
        RemoveTree(STATE.stage(old)),
        RemoveTree(STATE.stage(live)),
        Remove(STATE.manifest(old)),
        Remove(STATE.manifest(f"{old}.new")),
    ]
    # What is about to be live is named, where it is not yet; it has the place in the queue.
    assert site.mirror._clearing(found, 4, waiting, old) == [
        *(RemoveTree(STATE.stage(each)) for each in (old, live, waiting)),
        Remove(STATE.manifest(live)),
        Remove(STATE.manifest(f"{old}.new")),
    ]


@pytest.mark.parametrize(
    ("found", "ended"),
    [
        (seen(live=2), "good"),
        (seen(live=1), "died while it switched"),
        (seen(), "died while it switched"),
        (seen(STATE.journal, live=2), "died while it switched"),
    ],
)
def test_a_push_that_died_in_its_switch_ended_well_when_all_of_it_is_live(
    site: Site, found: Survey, ended: str
) -> None:
    assert site.mirror._settle(Ticket(2, release(2)), found) == ended
    assert site.mirror._settle(Ticket(2), found) == "died while it switched"


def test_a_push_beside_which_another_one_sends_finds_nothing_to_remove(site: Site) -> None:
    site.write("index.html")
    assert site.push()
    held, _ = site.mirror.queue.enter(site.mirror.look(), lambda number: Ticket(number, release(number)))
    (site.path / STATE.stage(named(held.number))).mkdir(parents=True)
    assert site.plan().steps == ()
    site.mirror.queue.end(held, "failed: no space")
    assert [(step.action, step.subject) for step in site.plan().steps] == [(Action.PRUNE, "1 path")]


class Gone(LocalRemote):
    """A remote to which the connection is lost when a file is sent."""

    lost = False

    def write(self, path: str, chunks: Iterable[bytes], mode: int) -> None:
        self.lost = self.lost or path.endswith("/index.html")
        self._check()
        super().write(path, chunks, mode)

    def stat(self, path: str) -> Stat | None:
        self._check()
        return super().stat(path)

    def _check(self) -> None:
        if self.lost:
            raise RemoteLost("the connection was lost")


def test_who_loses_the_connection_before_anything_goes_live_is_not_told_that_it_may_be(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkit.files.layout.PAUSE", 0.01)
    site.write("index.html")
    site.on(Gone(site.path))
    with pytest.raises(RemoteLost, match=r"^the connection was lost$"):
        site.push()
