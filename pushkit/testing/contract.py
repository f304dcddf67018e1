"""`StrategyContract`: what every strategy promises, as tests."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import time as clock
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from pushkit import capability, registry
from pushkit.errors import Interrupted, PushRefused, SnapshotChanged, TargetError, UsageError
from pushkit.events import Event, StepFailed, StepFinished, StepStarted
from pushkit.model import Action, Release, Severity
from pushkit.options import Options, schema_of, without_schema
from pushkit.strategy import Checkable
from pushkit.testing.leftovers import nothing_left_open
from pushkit.testing.pusher import Pusher
from pushkit.testing.specimen import Specimen
from pushkit.testing.story import Story, told_of
from pushkit.validation import validate

#: What the contract pushes: names that need quoting, a file without content, a program, and enough steps to stop among.
FILES: Mapping[str, bytes] = {
    "index.html": b"<h1>one</h1>\n",
    "css/site.css": b"h1 { color: red }\n",
    "a b/ü & 'x'.txt": "ü\n".encode(),
    "empty": b"",
    "bin/run": b"#!/bin/sh\nexit 0\n",
    **{f"pages/{number:02d}.html": b"<p>%d</p>\n" % number for number in range(12)},
}
#: How many steps may be under way at once when somebody asks to stop.
UNDER_WAY = 8


class StrategyContract:
    """A subclass, named ``Test...``, says which ``strategy`` it is about, and has a fixture `specimen`.

    The strategy has to be installed (``pip install --editable .`` is enough), since it is found as ``push`` finds it.
    ``files`` are what is pushed. ``remembers`` is false for a strategy that cannot know what is live, and has to push
    each time. ``sends`` is false for one that leaves it to others to read the project's files. ``refuses`` are methods
    of the protocols that this target refuses with `PushRefused`: a mirror cannot ``rollback``. All others are tested
    where the strategy has them; where it has not, ``push`` has to say so.
    """

    strategy: ClassVar[str]
    files: ClassVar[Mapping[str, bytes]] = FILES
    remembers: ClassVar[bool] = True
    sends: ClassVar[bool] = True
    refuses: ClassVar[Collection[str]] = ()

    @pytest.fixture
    def specimen(self) -> Specimen:
        """The target, fresh for each test."""
        raise NotImplementedError("a StrategyContract needs a fixture `specimen`, which gives a Specimen")

    @pytest.fixture
    def pusher(
        self, specimen: Specimen, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> Pusher:
        """The project that is pushed to `specimen`."""
        base = tmp_path_factory.mktemp("contract")
        monkeypatch.setenv("XDG_CACHE_HOME", str(base / "cache"))
        made = Pusher(base, registry.strategy(self.strategy), specimen.options)
        for path, content in self.files.items():
            made.write(path, content, 0o755 if path.startswith("bin/") else 0o644)
        return made

    @pytest.fixture
    def story(self, request: pytest.FixtureRequest) -> Story:
        """Two pushes, made once for all the tests of the class that only look at what came of them."""
        kind = type(self)
        if "_story" not in vars(kind):
            pusher, specimen = request.getfixturevalue("pusher"), request.getfixturevalue("specimen")
            kind._story = Story.of(pusher, specimen, self.files, request.getfixturevalue("capfd"))
        return kind._story

    _story: ClassVar[Story]

    # What it says of itself.

    def test_it_is_installed_under_its_name_and_says_what_it_is(self) -> None:
        kind = registry.strategy(self.strategy)
        assert kind.name == self.strategy
        assert (kind.__doc__ or "").strip(), "push explain prints the first line of the class's docstring"

    def test_every_option_is_explained(self) -> None:
        kind = registry.strategy(self.strategy).Options
        assert without_schema(kind) == "", "each type has a JSON Schema"
        assert not list(unexplained(kind)), 'each option has a description: Annotated[str, Meta(description="...")]'

    def test_a_mistake_in_the_options_is_found_when_the_pushfile_is_loaded(self, pusher: Pusher) -> None:
        kind = pusher.kind.Options
        assert validate(kind, pusher.table, pusher.table)[1] == (), "the options of the specimen are right"
        for name in [*schema_of(kind)["properties"], "no-such-option"]:
            # A time is what no option is.
            table = {**pusher.table, name: clock(12)}
            places = [fault.path[:1] for fault in validate(kind, table, table)[1]]
            assert (name,) in places, f"any value of {name} is taken"

    # What a push does.

    def test_a_plan_writes_nothing(self, story: Story) -> None:
        first, planned, pushed, again, changed = story.looks
        assert story.plans[0].steps, "there is something to push"
        assert planned == first, "a plan changed the target"
        assert again == pushed, "a plan for which nothing is to be done changed the target"
        assert changed == pushed, "a plan of a change changed the target"

    def test_what_is_live_is_what_was_pushed(self, story: Story) -> None:
        assert story.live[0] == self.files
        assert story.live[1] == story.after, "a file was changed, one added and one removed"

    def test_a_second_plan_is_empty_and_one_after_a_change_is_not(self, story: Story) -> None:
        assert all(story.releases), "a push that had something to do leaves a release"
        assert bool(story.plans[1].steps) != self.remembers, story.plans[1].steps
        assert story.plans[2].steps

    def test_each_step_is_planned_with_a_reason_and_told_once(self, story: Story) -> None:
        assert all(step.reason for plan in story.plans for step in plan.steps), "each step says why"
        # The first push, and the one after a change, which also replaces and removes.
        for plan, events in zip(story.plans[::2], story.told, strict=True):
            started, finished = told(events, StepStarted), told(events, StepFinished)
            assert not told(events, StepFailed)
            assert started == finished
            assert max(finished.values()) == 1, f"told more than once: {finished.most_common(3)}"
            planned = Counter((step.action, step.subject) for step in plan.steps)
            assert not planned - finished, "planned, and not told when it was done"

    def test_a_plan_and_a_release_say_what_they_are(self, story: Story) -> None:
        assert {plan.target for plan in story.plans} == {"live"}, "run.target.name"
        for release in filter(None, story.releases):
            assert release.id
            assert release.created.utcoffset() == timedelta(0), "in UTC"
            assert release.creator
        first = story.releases[0]
        assert first
        assert story.plans[0].live == "", "nothing was live"
        assert story.plans[2].live in {"", first.id}, "what is live, where that is known"

    def test_nothing_is_printed_and_no_secret_is_told(self, story: Story) -> None:
        assert story.printed == ("", ""), "a strategy prints nothing: run.note, run.warn, run.output"
        assert not [secret for secret in story.secrets if secret in story.said], "a secret was told"

    def test_a_file_that_changes_meanwhile_does_not_go_live(self, pusher: Pusher, specimen: Specimen) -> None:
        if not self.sends:
            return
        changed = b"<h1>six</h1>\n"
        assert len(changed) == len(self.files["index.html"])
        with pusher.connected() as strategy:
            snapshot = pusher.snapshot()
            plan = strategy.plan(snapshot)
            pusher.write("index.html", changed)
            planned = True
            try:
                strategy.push(plan, snapshot)
            except* SnapshotChanged:
                planned = False
        # One that made what it sends when it planned has no need to look again.
        live = specimen.live()
        assert live == self.files if planned else live.get("index.html") != changed, "what was planned, or nothing"
        assert pusher.push()
        assert specimen.live() == {**self.files, "index.html": changed}

    def test_who_asks_to_stop_is_heard_between_two_steps(self, pusher: Pusher, specimen: Specimen) -> None:
        steps = pusher.plan().steps
        after: list[StepStarted] = []
        asked = 0

        def stop(event: Event) -> None:
            nonlocal asked
            if isinstance(event, StepFinished) and not asked:
                pusher.cancelled.set()
                asked = pusher.moment
            elif isinstance(event, StepStarted) and 0 < asked < pusher.moment:
                after.append(event)

        pusher.hear = stop
        if len(steps) > 1:
            with nothing_left_open(), pytest.raises(Interrupted):
                pusher.push()
            assert len(after) <= UNDER_WAY, f"{len(after)} steps were begun after somebody asked to stop"
        pusher.hear = lambda event: None
        pusher.cancelled.set()
        with pytest.raises(Interrupted):
            pusher.push()
        assert not told(pusher.events, StepStarted), "a step was begun after somebody asked to stop"
        pusher.cancelled.clear()
        pusher.push()
        assert specimen.live() == self.files, "what was stopped is completed by the next push"

    # How it ends.

    def test_a_target_that_cannot_be_used_is_a_target_error_and_nothing_changed(
        self, pusher: Pusher, specimen: Specimen, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert specimen.unusable, "say what makes the target unusable: wrong credentials, an address without a server"
        before = specimen.look()
        capfd.readouterr()
        for changes in specimen.unusable:
            with nothing_left_open():
                error = failure(pusher, changes)
            assert isinstance(error, TargetError), f"{changes}: {error!r}"
            assert error.hint, f"{error.message}: and what to do?"
            said = repr((error.message, error.hint, told_of(pusher)))
            assert not [secret for secret in pusher.secrets(**changes) if secret in said], "a secret was told"
            assert specimen.look() == before, "an error said that nothing changed"
            assert capfd.readouterr() == ("", ""), "a strategy prints nothing, and no library that it uses"

    def test_close_gives_back_everything_whatever_was_done_before(self, pusher: Pusher) -> None:
        with pusher.connected():
            pass  # what a process makes once stays: connections pooled by a library, its threads
        with nothing_left_open():
            pusher.push()
        with nothing_left_open(), pusher.connected() as strategy:
            strategy.close()
        strategy = pusher.kind.of(strategy.options, strategy.run)
        strategy.close()

    # What only some can do.

    def test_a_check_finds_nothing_wrong_and_changes_nothing(self, pusher: Pusher, specimen: Specimen) -> None:
        before = specimen.look()
        with pusher.connected() as strategy:
            findings = list(strategy.check()) if isinstance(strategy, Checkable) else []
        assert not [finding for finding in findings if finding.severity is Severity.ERROR]
        assert specimen.look() == before

    def test_the_target_says_what_is_live_and_what_was(self, pusher: Pusher, story: Story) -> None:
        if self.able("status", capability.inspectable, pusher):
            assert story.status
            release = story.releases[0]
            assert release
            assert story.status.live == release.id
            assert [entry.release for entry in story.log][-1:] == [release.id]

    def test_how_the_project_differs_from_what_is_live_is_told_path_by_path(self, pusher: Pusher, story: Story) -> None:
        if self.able("changes", capability.comparable, pusher):
            changes = {step.subject: step.action for step in story.changes}
            assert [changes.get(path) for path in ("index.html", "new.txt", "css/site.css")] == [
                Action.REPLACE,
                Action.ADD,
                Action.REMOVE,
            ]
            assert story.read == self.files["index.html"]
        assert not [finding for finding in story.verified if finding.severity is Severity.ERROR]

    def test_an_earlier_release_is_live_again_after_a_rollback(self, pusher: Pusher, story: Story) -> None:
        able = self.able("rollback", capability.revertible, pusher)
        if able is not False:
            assert isinstance(story.reverted, Release if able else PushRefused), story.reverted
            assert story.live[2] == (self.files if able else story.after)

    def test_what_is_prepared_is_live_once_it_is_switched_to(self, pusher: Pusher, specimen: Specimen) -> None:
        able = self.able("switch", capability.preparable, pusher)
        if able:
            release = pusher.push(flags={"prepare": True})
            assert release
            assert not specimen.live(), "what is prepared is not live"
            with pusher.connected() as strategy:
                strategy.switch(release.id)  # type: ignore[attr-defined]
            assert specimen.live() == self.files
        elif able is None:
            with pytest.raises(PushRefused):
                pusher.push(flags={"prepare": True})
            assert not specimen.live()

    def test_where_no_push_died_there_is_nothing_to_resume(self, pusher: Pusher, specimen: Specimen) -> None:
        if self.able("resume", capability.resumable, pusher) is not False:
            assert pusher.push()
            before = specimen.look()
            with pusher.connected() as strategy, pytest.raises(PushRefused):
                strategy.resume()  # type: ignore[attr-defined]
            assert specimen.look() == before

    def test_nobody_pushes_to_what_is_held(self, pusher: Pusher, specimen: Specimen) -> None:
        if self.able("hold", capability.lockable, pusher):
            with pusher.connected() as strategy:
                strategy.hold("a fair")  # type: ignore[attr-defined]
                with pytest.raises(PushRefused, match="a fair"):
                    pusher.push()
                with pytest.raises(PushRefused):
                    strategy.hold("another")  # type: ignore[attr-defined]
                with pytest.raises(PushRefused):
                    strategy.unlock(4711, "there is no such push")  # type: ignore[attr-defined]
                hold = strategy.release_hold()  # type: ignore[attr-defined]
                assert strategy.release_hold() is None  # type: ignore[attr-defined]
            assert hold.why == "a fair"
            assert not specimen.live()
            assert pusher.push()

    def able(self, method: str, asked: Callable[[Any], object], pusher: Pusher) -> bool | None:
        """Whether the strategy can do ``method``; None when its target refuses. ``push`` says so where it cannot."""
        strategy = pusher.strategy()
        if hasattr(strategy, method):
            asked(strategy)
            return None if method in self.refuses else True
        with pytest.raises(UsageError, match=self.strategy):
            asked(strategy)
        return False


def failure(pusher: Pusher, changes: Mapping[str, Any]) -> BaseException | None:
    """What a push with these changes of the options raises; nothing that was in its hands is held by it."""
    try:
        pusher.push(**changes)
    except Exception as error:
        found: BaseException | None = error
        while found is not None:
            traceback.clear_frames(found.__traceback__)
            found = found.__cause__ or found.__context__
        return error
    return None


def told(events: Sequence[Event], kind: type[StepStarted | StepFinished | StepFailed]) -> Counter[tuple[Action, str]]:
    """How often each step was told of."""
    steps = [event.step for event in events if isinstance(event, kind)]
    return Counter((step.action, step.subject) for step in steps)


def unexplained(options: type[Options]) -> Iterator[str]:
    """The options without a description, those of the tables in them too, whose class stands before theirs."""
    schema = schema_of(options)
    for kind, part in {"": schema, **schema.get("$defs", {})}.items():
        for name, option in part.get("properties", {}).items():
            if not option.get("description"):
                yield f"{kind}.{name}" if kind else name
