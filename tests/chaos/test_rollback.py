"""Pushes that go well, fail or die, prunes, rollbacks, clocks that jump: what is live is always what a model says."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chaos.site import FULL
from pushkit import PushkitError, PushRefused
from pushkit.files import RemoteFull
from pushkit.files.place import STATE
from pushkit.files.releases import Releases
from pushkit_dir.remote import LocalRemote
from unit.test_releases import Site

CHANGES = ["write", "append", "make_directory", "make_symlink", "rename", "set_mode", "remove", "remove_directory"]


class DiedError(BaseException):
    """The process is gone."""


class Frail(LocalRemote):
    """A directory that takes ``left`` more changes (-1: any number); the next one raises, and all that follow."""

    left = -1
    error: type[BaseException] = RemoteFull


def frail(name: str) -> Callable[..., Any]:
    """The primitive ``name`` of `Frail`."""

    def primitive(self: Frail, *arguments: Any) -> Any:
        if self.left == 0:
            # A full disk lets things be removed; who is dead does nothing more.
            if self.error is RemoteFull and name.startswith("remove"):
                return getattr(LocalRemote, name)(self, *arguments)
            raise self.error("no more")
        self.left -= 1
        return getattr(LocalRemote, name)(self, *arguments)

    return primitive


for each in CHANGES:
    setattr(Frail, each, frail(each))


class Clock(datetime):
    """A clock that jumps."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """This moment, as a clock tells it that goes wrong."""
        return datetime.now(tz) + cls.ahead


class History(RuleBasedStateMachine):
    """What happens to one target, and a model of it: the content of each good release, and what was live before it."""

    @initialize(keep=st.integers(1, 4))
    def begin(self, keep: int) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.site = Site(Path(self.scratch.name))
        self.remote = Frail(self.site.path)
        self.releases = Releases(self.remote, self.site.run, keep)
        self.site.releases = self.releases
        self.keep = keep
        self.version = 0
        self.live = ""
        self.content: dict[str, str] = {}
        self.previous: dict[str, str] = {}
        self.patch = pytest.MonkeyPatch()
        for name, module in list(sys.modules.items()):
            if name.startswith("pushkit.") and "datetime" in vars(module):
                self.patch.setattr(module, "datetime", Clock)

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()
            Clock.ahead = timedelta()
            self.scratch.cleanup()

    @rule()
    def push(self) -> None:
        self.edit()
        self.went_live(self.site.push().id)
        self.agree()

    @rule(after=st.integers(0, 45), error=st.sampled_from([RemoteFull, DiedError]))
    def push_goes_wrong(self, after: int, error: type[BaseException]) -> None:
        self.edit()
        self.went_wrong(self.site.push, after, error)

    @precondition(lambda self: self.target())
    @rule()
    def roll_back(self) -> None:
        wanted = self.target()
        assert self.releases.rollback().id == wanted
        self.live = wanted
        self.agree()

    @precondition(lambda self: not self.target())
    @rule()
    def roll_back_to_nothing(self) -> None:
        with pytest.raises(PushRefused):
            self.releases.rollback()

    @precondition(lambda self: len(self.content) > 1)
    @rule(data=st.data())
    def roll_back_to_one(self, data: st.DataObject) -> None:
        wanted = data.draw(st.sampled_from([each for each in self.content if each != self.live]))
        assert self.releases.rollback(wanted).id == wanted
        self.live = wanted
        self.agree()

    @precondition(lambda self: self.target())
    @rule(after=st.integers(0, 16), error=st.sampled_from([RemoteFull, DiedError]))
    def rollback_goes_wrong(self, after: int, error: type[BaseException]) -> None:
        self.went_wrong(self.releases.rollback, after, error)

    @rule(hours=st.integers(-100_000, 100_000))
    def clock_jumps(self, hours: int) -> None:
        Clock.ahead = timedelta(hours=hours)

    @precondition(lambda self: self.live)
    @rule(seconds=st.integers(0, 4_000_000_000))
    def times_change(self, seconds: int) -> None:
        # A backup that was put back, a `touch` of everything: nothing is decided by these.
        for path in self.site.path.rglob("*"):
            if not path.is_symlink():
                os.utime(path, (seconds, seconds))
        self.bury()

    # The model.

    def edit(self) -> None:
        self.version += 1
        self.site.write("index.html", f"version {self.version}")
        self.site.write(f"only/{self.version}", "x")

    def target(self) -> str:
        """Where a rollback leads: to what was live before, where that is there; else to the newest that is older."""
        if self.previous.get(self.live, "") in self.content:
            return self.previous[self.live]
        return max((each for each in self.content if each < self.live), default="")

    def went_live(self, release: str) -> None:
        self.previous[release], self.live = self.live, release
        self.content[release] = f"version {self.version}"
        stay = {release, self.target(), *sorted(self.content)[-self.keep :]}
        self.pruned = set(self.content) - stay
        self.content = {each: text for each, text in self.content.items() if each in stay}

    def went_wrong(self, what: Callable[[], Any], after: int, error: type[BaseException]) -> None:
        """Something fails or dies after some changes: it may have gone live, and then it is what is live."""
        was = self.live
        target = self.target()
        self.remote.left, self.remote.error = after, error
        try:
            what()
        except (PushkitError, DiedError):
            pass
        finally:
            self.remote.left = -1
        link = self.site.path / "current"
        live = os.readlink(link).removeprefix("releases/") if link.is_symlink() else ""
        self.bury()
        if live != was and live == target and what != self.site.push:
            self.live = live
        elif live != was:
            before = dict(self.content)
            self.went_live(live)
            # Who died had not come to prune, or not to the end of it; the next push does.
            there = os.listdir(self.site.path / "releases")
            self.content |= {each: text for each, text in before.items() if each in there}
        assert not self.live or self.served() == self.content[self.live]

    def served(self) -> str:
        """What a visitor gets; where that is nothing, what lies there."""
        try:
            return (self.site.path / "current/index.html").read_text()
        except OSError:
            link = self.site.path / "current"
            leads = os.readlink(link) if link.is_symlink() else "nowhere"
            log = (self.site.path / STATE.name / "log").read_text()
            return f"nothing: it leads to {leads}, and there are {os.listdir(self.site.path / 'releases')}; {log}"

    def bury(self) -> None:
        """Who died is dead for everybody: this process, which played them, is not."""
        for ticket in (self.site.path / STATE.pushes).glob("*"):
            record = ticket / "ticket.json"
            if not (ticket / "end").exists():
                if record.exists():
                    record.write_text(json.dumps(json.loads(record.read_text()) | {"machine": "another"}))
                for path in (ticket, *ticket.glob("hb")):
                    os.utime(path, (1, 1))

    def agree(self) -> None:
        """The target is as the model says, to the last byte and the last release."""
        if not self.live:
            return
        assert self.served() == self.content[self.live]
        assert sorted(self.content) == [each.id for each in self.releases.history()]
        for release, text in self.content.items():
            assert (self.site.path / "releases" / release / "index.html").read_text() == text
        assert not self.releases.look().open_tickets


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=400 if FULL else 20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
