"""`Activation`: a release that is there goes live, commands run before and after that, and a failure takes it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pushkit.errors import Interrupted, PushFailed, PushkitError, PushRefused, TargetError
from pushkit.files.commands import AFTER, Commands, When
from pushkit.files.errors import RemoteExists
from pushkit.files.history import forgetting
from pushkit.files.layout import UNDERWAY, failure, patient
from pushkit.files.live_release import live_in
from pushkit.files.operation import Absent, Operation, Point, Pointing, Present, Remove, RemoveTree
from pushkit.files.place import CURRENT, RELEASES, STATE
from pushkit.files.queue import Queue
from pushkit.files.recovery import Perform
from pushkit.files.remote import Remote
from pushkit.files.survey import Survey
from pushkit.files.ticket import END, GOOD, UNLOCKED, Ticket, number_of
from pushkit.model import Action, Step
from pushkit.strategy import Run, one_line


class Activation:
    """Makes releases of one target live, which ``look`` surveys, by ``perform``; ``commands`` are run around that."""

    def __init__(
        self,
        remote: Remote,
        run: Run,
        queue: Queue,
        *,
        look: Callable[[], Survey],
        perform: Perform,
        commands: Commands,
    ) -> None:
        self._remote = remote
        self._run = run
        self._queue = queue
        self._look = look
        self._perform = perform
        self._commands = commands

    def command(self, when: When, release: str, previous: str, run: Run | None = None) -> None:
        """Run the commands of a moment in ``release``."""
        try:
            self._commands.run(when, self._remote, run or self._run, f"{RELEASES}/{release}", previous)
        except PushFailed as error:
            if when == AFTER:
                raise
            live = f"{previous} is live as before" if previous else "nothing is live, as before"
            raise PushFailed(f"{error.message}; {live}", hint=error.hint) from error

    def after(self, ticket: Ticket, previous: str, *, back: bool = True) -> None:
        """Run `after_switch` for what ``ticket`` made live. When it fails, go ``back`` to what was live before.

        Raises `PushFailed`, which says what is live, or `Interrupted`.
        """
        assert ticket.release
        release = ticket.release.id
        try:
            self.command(AFTER, release, previous)
        except BaseException as error:
            stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
            try:
                if back:
                    self._go_back(ticket, release, previous, again=not stopped)
            except (TargetError, PushRefused) as second:
                raise PushFailed(
                    f"{one_line(error)}; then {one_line(second)}; when last seen {release} was live",
                    hint=f"look at it (push status), then push resume, push rollback, or push unlock {ticket.number}",
                ) from error
            if stopped:
                raise
            if not back:
                raise PushFailed(
                    f"{one_line(error)}; {release} is live, and waits for {AFTER}",
                    hint="mend what is wrong there, then run it again: push resume; or take it as it is: "
                    f"push unlock {ticket.number} --why TEXT",
                ) from error
            live = f"{previous} is live again" if previous else "nothing is live, as before"
            raise PushFailed(f"{one_line(error)}; {live}", hint=getattr(error, "hint", "")) from error

    def _go_back(self, ticket: Ticket, release: str, previous: str, *, again: bool) -> None:
        """Make ``previous`` live again, and run `after_switch` in it ``again``, so that it is what runs."""
        # Whoever asks to stop wants this to be done.
        unheard = patient(self._run)
        step = Step(Action.REVERT, CURRENT, f"from {release} back to {previous or 'nothing'}")
        pointing = Point(CURRENT, f"{RELEASES}/{previous}", step=step) if previous else Remove(CURRENT, step=step)
        ended = f"{STATE.ticket(ticket.number)}/{END}"
        operations = [Absent(ended), Pointing(CURRENT, f"{RELEASES}/{release}"), pointing]
        self._remote.perform(operations, unheard.step, STATE.name)
        if not previous:
            return
        if not again:
            self._run.warn(f"{AFTER} was stopped, and is not run for {previous}")
            return
        try:
            self.command(AFTER, previous, release, unheard)
        except PushkitError as error:
            self._run.warn(f"{previous} is live again, but: {error.message}")

    def conclude(self, ticket: Ticket, ending: Sequence[Operation], optional: Sequence[Operation] = ()) -> None:
        """End a ticket whose `after_switch` went well. What of ``ending`` is ``optional`` may fail."""
        assert ticket.release
        try:
            self._perform(ending, STATE.name, optional)
        except RemoteExists as error:
            raise PushFailed(
                f"{ticket.release.id} is live, but somebody ended {ticket.why} {ticket.number} while {AFTER} ran",
                hint="look at it: push status",
            ) from error

    def switching(self, ticket: Ticket, release: str, live: str, step: Step) -> list[Operation]:
        """The operations that make ``release`` live, if ``ticket`` holds and ``live`` is still what is live."""
        return [
            *self._queue.holding(ticket),
            self._queue.switching(ticket),
            Present(f"{RELEASES}/{release}"),
            Pointing(CURRENT, f"{RELEASES}/{live}" if live else ""),
            # The text is relative to where the link will be, so that the tree can be moved as a whole.
            Point(CURRENT, f"{RELEASES}/{release}", step=step),
        ]

    def give_up(self, ticket: Ticket, error: BaseException) -> bool:
        """Remove what a failed push made, unless it is live after all: the answer to a rename may be lost.

        Whether it is.
        """
        assert ticket.release
        release = ticket.release.id
        survey = self._look()
        if not self._queue.owns(ticket, survey):
            return False
        if live_in(survey) == release:
            # What has to run after the switch did not: a person decides, see `settle`.
            if not ticket.after:
                self._queue.end(ticket, GOOD)
            return True
        if number_of(release) != ticket.number:
            # Another push made it, and it is as good as it was.
            pass
        elif isinstance(error, UNDERWAY):
            # What has arrived whole is taken up by the next push.
            self._perform([RemoveTree(f"{RELEASES}/{release}")], STATE.name)
        else:
            self._perform(forgetting(release), STATE.name)
        self._queue.end(ticket, failure(error, self._run))
        return False

    def vouching(self, survey: Survey) -> list[Operation]:
        """Say that what made the live release live went well, where it died right before it said so itself.

        Somebody may have ended its ticket meanwhile, and taken what is live as it is.
        """
        live = live_in(survey)
        mute = [
            each
            for each in survey.tickets
            if each.ended and each.switching and (not each.outcome or each.outcome.startswith(UNLOCKED))
        ]
        return [
            operation
            for ticket in mute
            if ticket.release and ticket.release.id == live
            for operation in self._queue.ending(ticket, ticket.success)[1:]
        ]
