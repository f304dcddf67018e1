"""`Turn`: what a person does with releases that are there: rollback, switch, and resume. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from pushkit.errors import Busy, PushRefused, TargetError
from pushkit.files.activation import Activation
from pushkit.files.commands import BEFORE, Commands
from pushkit.files.errors import RemoteExists
from pushkit.files.history import before, good_in, meant, pruning
from pushkit.files.layout import failure
from pushkit.files.live_release import live_in
from pushkit.files.operation import Operation, Write
from pushkit.files.place import CURRENT, RELEASES, STATE
from pushkit.files.queue import Entrance, Queue, now
from pushkit.files.recovery import Perform
from pushkit.files.status import prepared
from pushkit.files.survey import Survey
from pushkit.files.ticket import GOOD, OUTCOME, RECORD, Ticket, encoded, number_of
from pushkit.files.unfinished import decided, waits
from pushkit.model import Action, Release, Step
from pushkit.strategy import Run


class Turn:
    """Turns one target, which ``look`` surveys, to another of its releases; ``keep`` good ones stay."""

    def __init__(
        self,
        run: Run,
        queue: Queue,
        activation: Activation,
        *,
        look: Callable[[], Survey],
        perform: Perform,
        commands: Commands,
        keep: int,
    ) -> None:
        self._run = run
        self._queue = queue
        self._look = look
        self._perform = perform
        self._activation = activation
        self._commands = commands
        self._keep = keep

    def back(self, wanted: str) -> Release:
        """Make ``wanted`` live again, or, where it is empty, the release that was live before the live one."""
        survey = self._look()
        return self._turn(survey, good_release(survey, wanted), "rollback", named=bool(wanted))

    def to(self, wanted: str, survey: Survey) -> Release:
        """Make ``wanted`` live, which was prepared or live before. Nothing is done when it is."""
        live = live_in(survey)
        there = prepared(survey) | good_in(survey, live)
        wanted = meant(wanted, there)
        ticket = there.get(wanted)
        if ticket is None or ticket.release is None:
            raise PushRefused(
                f"there is no release {wanted!r} to switch to",
                hint=f"releases to choose from: {', '.join(sorted(there)) or 'none'}",
            )
        return ticket.release if wanted == live else self._turn(survey, ticket.release, "switch", named=True)

    def _turn(self, survey: Survey, release: Release, why: str, *, named: bool) -> Release:
        """Make ``release``, which is there, live. Unless it was ``named``, what is live must not change meanwhile."""
        live = live_in(survey)
        forward = why == "switch"

        def describe(number: int) -> Ticket:
            return Ticket(number, release, live, why, after=bool(self._commands.after))

        # Where nobody else is and no command runs, it is all done in one go.
        commands = self._commands.after or (forward and self._commands.before)
        if not commands and (entrance := self._queue.entrance(survey, describe)):
            try:
                self._turn_at_once(entrance, survey, release, live, forward=forward)
            except RemoteExists as error:
                if error.operation is not entrance.taking:
                    raise
                # Somebody was faster.
                survey = self._look()
            else:
                return release
        # A push that died before `after_switch` had ended is what one may want to leave.
        ticket, survey = self._queue.enter(survey, describe, None if forward else decided("left by a rollback"))
        with self._queue.alive(ticket):
            if live_in(survey) != live:
                live = live_in(survey)
                if not named or live == release.id or release.id not in survey.names(RELEASES):
                    self._queue.end(ticket, "overtaken")
                    raise Busy(
                        f"another push made {live or 'nothing'} live meanwhile; this {why} changed nothing",
                        hint=f"look at it (push status), then {why} again",
                    )
            with self._ended_by_failure(ticket):
                if ticket.previous != live:
                    ticket = replace(ticket, previous=live)
                    self._perform([Write(f"{STATE.ticket(ticket.number)}/{RECORD}", ticket.record())], STATE.name)
                if forward and self._commands.before:
                    self._perform(self._queue.holding(ticket), STATE.name)
                    self._activation.command(BEFORE, release.id, live)
                switching, then, ending = self._turning(ticket, survey, live, forward=forward)
                if ticket.after:
                    self._perform(switching, STATE.name)
                    # What a person leaves is not what to go back to.
                    self._activation.after(ticket, live, back=forward)
                    self._activation.conclude(ticket, ending, then)
                else:
                    self._perform([*switching, *ending], STATE.name, then)
        return release

    def _turn_at_once(self, entrance: Entrance, survey: Survey, release: Release, live: str, *, forward: bool) -> None:
        """Enter the queue, make ``release`` live in place of ``live``, and end: one script, where there are any."""
        ticket = entrance.ticket
        switching, then, ending = self._turning(ticket, survey, live, forward=forward)
        with self._queue.alive(ticket), self._ended_by_failure(ticket, entrance):
            self._perform([*entrance.operations, *switching, *ending], STATE.name, then)

    def _turning(
        self, ticket: Ticket, survey: Survey, live: str, *, forward: bool
    ) -> tuple[Sequence[Operation], Sequence[Operation], Sequence[Operation]]:
        """What makes the release of ``ticket`` live; what removes what is old; and that with what ends the ticket."""
        assert ticket.release
        release = ticket.release.id
        way = "to" if forward else "back to"
        step = Step(Action.SWITCH, CURRENT, f"from {live or 'nothing'} {way} {release}")
        switching = [*self._activation.vouching(survey), *self._activation.switching(ticket, release, live, step)]
        then = pruning(survey, ticket, live_in(survey), self._keep) if forward else []
        return switching, then, [*then, *self._queue.ending(ticket, ticket.success)]

    @contextmanager
    def _ended_by_failure(self, ticket: Ticket, entrance: Entrance | None = None) -> Iterator[None]:
        """End a ticket that was to make a release live, when that fails; unless it is live after all."""
        assert ticket.release
        try:
            yield
        except BaseException as error:
            taken = entrance and isinstance(error, RemoteExists) and error.operation is entrance.taking
            with suppress(TargetError, PushRefused):
                if not taken and live_in(self._look()) != ticket.release.id:
                    self._queue.end(ticket, failure(error, self._run))
                elif not taken and not ticket.after:
                    # The answer to the switch may be lost.
                    self._queue.end(ticket, ticket.success)
            if isinstance(error, RemoteExists) and not taken:
                raise self._queue.lost(ticket, error) from error
            raise

    def resume(self, number: int = 0) -> Release:
        """Run `after_switch` again for a push that died before it had ended, and end that push well.

        ``number`` is the push's, 0 when there is only one. As in a push, what was live before is live again when it
        fails. Raises `PushRefused` when there is none, `Busy` while it is alive.
        """
        survey = self._look()
        live = live_in(survey)
        found = next((each for each in survey.open_tickets if waits(each, live) and number in {0, each.number}), None)
        if found is None or found.release is None:
            push = f"push {number} does not wait" if number else "no push waits"
            raise PushRefused(
                f"{push} to be resumed on {self._run.target.name}; nothing was changed",
                hint="see what there is: push status",
            )
        release, previous = found.release, found.previous

        def describe(number: int) -> Ticket:
            return Ticket(number, release, previous, "resume", after=True)

        ticket, survey = self._queue.enter(survey, describe, decided("left to push resume"))
        with self._queue.alive(ticket):
            if live_in(survey) != live:
                self._queue.end(ticket, "overtaken")
                raise Busy(f"{live_in(survey) or 'nothing'} was made live meanwhile; nothing was resumed")
            try:
                self._perform([*self._queue.holding(ticket), self._queue.switching(ticket)], STATE.name)
                good = any(each.number == number_of(live) and each.outcome == GOOD for each in survey.tickets)
                self._activation.after(ticket, previous, back=not good)
                # The push that made it is good after all.
                outcome = f"{STATE.ticket(number_of(live))}/{OUTCOME}"
                vouching = Write(outcome, encoded({"outcome": GOOD, "ended": now()}))
                self._activation.conclude(ticket, [vouching, *self._queue.ending(ticket, ticket.success)])
            except BaseException as error:
                with suppress(TargetError, PushRefused):
                    self._activation.give_up(ticket, error)
                raise
        return release


def good_release(survey: Survey, wanted: str) -> Release:
    """The release to roll back to: ``wanted``, by default the one before the live one. Raises `PushRefused`."""
    live = live_in(survey)
    good = good_in(survey, live)
    if not live:
        raise PushRefused(f"nothing was ever pushed to {survey.root}: there is nothing to roll back")
    wanted = meant(wanted, good) or before(live, good)
    if not wanted:
        raise PushRefused(f"there is no release before {live} on the target: nothing to roll back to")
    if wanted == live:
        raise PushRefused(f"{wanted} is live already")
    ticket = good.get(wanted)
    if ticket is None or ticket.release is None:
        there = ", ".join(each for each in good if each != live) or "none"
        raise PushRefused(
            f"there is no good release {wanted!r} to roll back to",
            hint=f"releases to choose from: {there}",
        )
    return ticket.release
