"""`RemoteContract`: what every remote promises, and what comes with it, as tests."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

from pushkit.errors import Busy, Interrupted, PushRefused
from pushkit.events import Event, StepFinished, StepStarted
from pushkit.files import FileOptions, FileStrategy, Remote
from pushkit.files.place import MIRROR
from pushkit.files.place import STATE as RELEASES
from pushkit.model import Action, Kind
from pushkit.strategy import Strategy
from pushkit.testing.primitives_contract import PrimitivesContract, RemoteSpecimen
from pushkit.testing.pusher import Pusher


class RemoteContract(PrimitivesContract):
    """A subclass, named ``Test...``, has a fixture `specimen`.

    ``layouts`` are those that are tried with pushes, rollbacks and the queue; a remote without symlinks has only the
    mirror.
    """

    layouts: ClassVar[Sequence[str]] = ("releases", "mirror")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test with ``layout`` runs for each of them."""
        if "layout" in metafunc.fixturenames:
            metafunc.parametrize("layout", self.layouts)

    @pytest.fixture
    def pusher(
        self, specimen: RemoteSpecimen, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> Pusher:
        """A project whose strategy pushes to `specimen`."""
        base = tmp_path_factory.mktemp("contract")
        monkeypatch.setenv("XDG_CACHE_HOME", str(base / "cache"))

        class Here(FileStrategy[FileOptions]):
            """Pushes to the remote of the test."""

            name = "contract"
            Options = FileOptions

            def open_remote(self) -> Remote:
                """The remote."""
                return specimen.open()

        made = Pusher(base, Here, {"path": "here"})
        for name in ("index.html", "css/site.css", "a/b/deep.txt", *(f"pages/{number}" for number in range(8))):
            made.write(name, f"content of {name}\n")
        return made

    # What comes with it.

    def test_a_push_sends_what_changed_and_leaves_the_rest(self, pusher: Pusher, layout: str) -> None:
        pusher.table["layout"] = layout
        first = pusher.push()
        pusher.write("index.html", "changed\n")
        pusher.remove("a/b/deep.txt")
        plan = pusher.plan()
        moved = {step.subject for step in plan.steps if step.action in {Action.ADD, Action.REPLACE} and step.size}
        with pusher.connected() as strategy:
            # A release needs what did not change as well: copied on the target, or else sent again.
            copies = layout == "mirror" or strategy.remote.capabilities.copies  # type: ignore[attr-defined]
        files = {entry.path: entry.size for entry in pusher.snapshot().entries if entry.kind is Kind.FILE}
        assert moved == ({"index.html"} if copies else set(files))
        assert plan.size == (len("changed\n") if copies else sum(files.values()))
        second = pusher.push()
        assert first
        assert second
        with pusher.connected() as strategy:
            assert strategy.plan(pusher.snapshot()).steps == ()
            assert strategy.status().live == second.id  # type: ignore[attr-defined]
            assert [entry.release for entry in strategy.log()] == [first.id, second.id]  # type: ignore[attr-defined]
            assert live(strategy, pusher, "index.html", "css/site.css") == ["changed\n", "content of css/site.css\n"]
            if layout == "releases":
                assert strategy.rollback().id == first.id  # type: ignore[attr-defined]
                assert live(strategy, pusher, "a/b/deep.txt") == ["content of a/b/deep.txt\n"]

    def test_who_comes_second_is_told_that_the_target_is_busy(self, pusher: Pusher, layout: str) -> None:
        pusher.table["layout"] = layout
        met: list[BaseException] = []

        def second(event: Event) -> None:
            """Push too, in the middle of the first push."""
            if isinstance(event, StepFinished) and not met:
                met.append(RuntimeError("the second push went through"))
                try:
                    with pusher.connected() as strategy:
                        snapshot = pusher.snapshot()
                        strategy.push(strategy.plan(snapshot), snapshot)
                except Busy as error:
                    met[0] = error

        pusher.hear = second
        assert pusher.push()
        assert isinstance(met[0], Busy), met

    def test_a_push_that_was_stopped_leaves_what_was_live_and_the_next_one_goes_on(
        self, pusher: Pusher, layout: str
    ) -> None:
        pusher.table["layout"] = layout
        first = pusher.push()
        assert first
        pages = [f"pages/{number}" for number in range(8)]
        for number, page in enumerate(pages):
            pusher.write(page, f"new {number}\n")
        pusher.hear = lambda event: pusher.cancelled.set() if isinstance(event, StepFinished) else None
        with pytest.raises(Interrupted):
            pusher.push()
        pusher.hear = lambda event: None
        pusher.cancelled.clear()
        with pusher.connected() as strategy:
            for number, content in enumerate(live(strategy, pusher, *pages)):
                assert content in {f"content of pages/{number}\n", f"new {number}\n"}, "each file is wholly old or new"
        assert pusher.push()
        state = RELEASES if layout == "releases" else MIRROR
        with pusher.connected() as strategy:
            assert live(strategy, pusher, *pages) == [f"new {number}\n" for number in range(8)]
            assert list(strategy.remote.list(f"{state.name}/incoming")) == [], "nothing half-sent stays"  # type: ignore[attr-defined]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be killed here without fork")
    def test_a_push_that_is_killed_leaves_what_was_live_whole_and_the_next_one_completes_it(
        self, pusher: Pusher, layout: str
    ) -> None:
        pusher.table["layout"] = layout
        assert pusher.push()
        pages = [f"pages/{number}" for number in range(8)]
        for turn, deadly in enumerate(DEADLY):
            for page in pages:
                pusher.write(page, f"turn {turn}\n")
            killed(pusher, deadly)
            with pusher.connected() as strategy:
                found = set(live(strategy, pusher, *pages))
            old = "content of pages/" if turn == 0 else f"turn {turn - 1}\n"
            assert all(each == f"turn {turn}\n" or each.startswith(old) for each in found), "each is wholly old or new"
            if layout == "releases":
                assert len({each.startswith(old) for each in found}) == 1, "and so are all of them together"
            # The next push goes on by itself, though that one has never ended.
            pusher.write("index.html", f"after turn {turn}\n")
            assert pusher.push()
            with pusher.connected() as strategy:
                assert live(strategy, pusher, *pages) == [f"turn {turn}\n"] * 8
        # What a server still does of a push that is dead already may come too late for the next one to see.
        pusher.write("index.html", "at last\n")
        assert pusher.push()
        state = RELEASES if layout == "releases" else MIRROR
        with pusher.connected() as strategy:
            left = strategy.remote.list(f"{state.name}/incoming")  # type: ignore[attr-defined]
            assert list(left) == [], "nothing half-sent stays"
            assert strategy.status().queue == ()  # type: ignore[attr-defined]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be killed here without fork")
    def test_a_push_that_is_killed_in_its_last_command_is_resumed(
        self, pusher: Pusher, specimen: RemoteSpecimen
    ) -> None:
        with pusher.connected() as strategy, pytest.raises(PushRefused):
            strategy.resume()  # type: ignore[attr-defined]
        if "releases" not in self.layouts:
            return
        pusher.table["after_switch"] = "echo done"
        remote = specimen.open()
        able = remote.capabilities.commands
        remote.close()
        if not able:
            with pytest.raises(PushRefused, match="without a shell"):
                pusher.push()
            return
        killed(pusher, lambda event: isinstance(event, StepStarted) and event.step.action is Action.RUN)
        pusher.write("index.html", "changed\n")
        with pytest.raises(PushRefused, match="has not ended"):
            pusher.push()
        with pusher.connected() as strategy:
            resumed = strategy.resume()  # type: ignore[attr-defined]
            assert strategy.status().live == resumed.id  # type: ignore[attr-defined]
            assert [entry.outcome for entry in strategy.log()][-1] == "resumed"  # type: ignore[attr-defined]
        assert pusher.push()


#: Seconds after which a push that is to be killed is given up.
PATIENCE = 120
#: At which of its events a push is killed: in the middle of sending, and when it has begun to change what is live.
DEADLY: Sequence[Callable[[Event], bool]] = (
    lambda event: isinstance(event, StepFinished),
    lambda event: isinstance(event, StepFinished) and event.step.action is Action.SWITCH,
)


def killed(pusher: Pusher, deadly: Callable[[Event], bool]) -> None:
    """Push in a process of its own, which ends at once, and without a word, at the first event that is ``deadly``."""
    with warnings.catch_warnings():
        # The other threads are the servers'; the child does with a connection of its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        # One that hangs ends as well, and is told.
        signal.alarm(PATIENCE)
        try:
            pusher.hear = lambda event: os._exit(9) if deadly(event) else None
            pusher.push()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, "the push ended before it was killed"


def live(strategy: Strategy[Any], pusher: Pusher, *paths: str) -> list[str]:
    """The content of live files."""
    strategy.changes(pusher.snapshot())  # type: ignore[attr-defined]
    return [strategy.read_live(path, 1000).decode() for path in paths]  # type: ignore[attr-defined]
