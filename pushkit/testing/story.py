"""`Story`: what could be seen of two pushes to a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from msgspec import Struct, field

from pushkit.errors import PushkitError
from pushkit.events import Event, Output
from pushkit.model import Finding, LogEntry, Plan, Release, Status, Step
from pushkit.strategy import Comparable, Inspectable, Revertible, Verifiable
from pushkit.testing.pusher import Pusher
from pushkit.testing.specimen import Specimen


class Story(Struct):
    """Two pushes to a target, the second after a change, and a rollback; and what could be seen meanwhile.

    ``looks`` are the states of the target: at first, planned, pushed, planned again, changed and planned. ``live`` is
    what was live after each push and at the end, ``after`` what the project was at the second. ``told`` are the events
    of each push; ``status``, ``log``, ``changes`` and the rest were asked between the two. ``said`` is all that was
    told or returned, as the strategy said it, but for what a command printed: whoever hears that hides secrets in it.
    ``printed`` is what anybody printed.
    """

    after: Mapping[str, bytes] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    looks: list[object] = field(default_factory=list)
    releases: list[Release | None] = field(default_factory=list)
    live: list[Mapping[str, bytes]] = field(default_factory=list)
    told: list[Sequence[Event]] = field(default_factory=list)
    status: Status | None = None
    log: Sequence[LogEntry] = ()
    changes: Sequence[Step] = ()
    read: bytes = b""
    verified: Sequence[Finding] = ()
    reverted: Release | PushkitError | None = None
    said: str = ""
    printed: tuple[str, str] = ("", "")
    secrets: Sequence[str] = ()

    @classmethod
    def of(
        cls, pusher: Pusher, specimen: Specimen, files: Mapping[str, bytes], capfd: pytest.CaptureFixture[str]
    ) -> Story:
        """Push twice what ``files`` are, look at everything, and write it down."""
        story = cls(secrets=pusher.secrets())
        story.looks.append(specimen.look())
        story._plan(pusher, specimen)
        story._push(pusher)
        story.looks.append(specimen.look())
        story.live.append(specimen.live())
        story._plan(pusher, specimen)
        story.after = change(pusher, files)
        story._plan(pusher, specimen)
        story._ask(pusher)
        story._push(pusher)
        story.live.append(specimen.live())
        story._revert(pusher)
        story.live.append(specimen.live())
        said = (story.plans, story.releases, story.status, story.log, story.changes, story.verified, story.reverted)
        story.said += repr((said, told_of(pusher)))
        printed = capfd.readouterr()
        story.printed = (printed.out, printed.err)
        return story

    def _push(self, pusher: Pusher) -> None:
        self.releases.append(pusher.push())
        self.told.append(tuple(pusher.events))
        self.said += repr(told_of(pusher))

    def _plan(self, pusher: Pusher, specimen: Specimen) -> None:
        self.plans.append(pusher.plan())
        self.looks.append(specimen.look())

    def _ask(self, pusher: Pusher) -> None:
        """Ask the target what it knows of itself."""
        with pusher.connected() as strategy:
            if isinstance(strategy, Inspectable):
                self.status, self.log = strategy.status(), strategy.log()
            if isinstance(strategy, Comparable):
                self.changes = strategy.changes(pusher.snapshot())
                self.read = strategy.read_live("index.html", 1000)
            if isinstance(strategy, Verifiable):
                self.verified = strategy.verify()

    def _revert(self, pusher: Pusher) -> None:
        with pusher.connected() as strategy:
            if isinstance(strategy, Revertible):
                try:
                    self.reverted = strategy.rollback()
                except PushkitError as error:
                    self.reverted = error


def told_of(pusher: Pusher) -> Sequence[Event]:
    """What the strategy said of itself since the last push began."""
    return [event for event in pusher.raw if not isinstance(event, Output)]


def change(pusher: Pusher, files: Mapping[str, bytes] | None = None) -> Mapping[str, bytes]:
    """Change a file of the project, add one and remove one; ``files`` as they are then."""
    pusher.write("index.html", b"<h1>two</h1>, and more\n")
    pusher.write("new.txt", b"new\n")
    pusher.remove("css/site.css")
    kept = {path: content for path, content in (files or {}).items() if path != "css/site.css"}
    return {**kept, "index.html": b"<h1>two</h1>, and more\n", "new.txt": b"new\n"}
