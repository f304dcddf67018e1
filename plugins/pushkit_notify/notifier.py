"""`Notifier`: an observer that makes messages of events and sends those that are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, TypeVar

from msgspec import Meta

from pushkit import (
    CommandFailed,
    Commit,
    Event,
    Held,
    HostChanged,
    Joined,
    Observer,
    Options,
    Outcome,
    Project,
    PushFinished,
    PushStarted,
    Released,
    Resumed,
    RolledBack,
    SnapshotTaken,
    Switched,
    checks,
)
from pushkit_notify.message import USUAL, Message, What, problem

# States of a host in which something is wrong with it, whatever service says so.
TROUBLE = {"unreachable", "gone", "failed", "unknown", "rolled back", "stopped"}
OUTCOMES = {
    Outcome.DONE: What.FINISHED,
    Outcome.PREPARED: What.PREPARED,
    Outcome.NOTHING: What.NOTHING,
    Outcome.FAILED: What.FAILED,
    Outcome.INTERRUPTED: What.FAILED,
}
#: Seconds that one message may take: as long as the end of a push waits.
LIMIT = 5.0


class NotifierOptions(Options):
    """What every observer of this package can be told."""

    events: Annotated[tuple[What, ...], Meta(description="What to tell of.")] = USUAL
    targets: Annotated[tuple[str, ...], Meta(description="Tell of these targets only.")] = ()
    text: Annotated[
        str, Meta(description="What to say instead, with fields in braces, such as `{who} {what} {target}`.")
    ] = ""

    @checks("text")
    @classmethod
    def _text(cls, value: str) -> str:
        if wrong := problem(value):
            raise ValueError(wrong)
        return value


OptionsT = TypeVar("OptionsT", bound=NotifierOptions)


class Notifier(Observer[OptionsT]):
    """Tells of pushes, one message for each of `What`, through `send`."""

    def __init__(self, options: OptionsT, project: Project) -> None:
        super().__init__(options, project)
        self._revision = ""
        self._commits: Sequence[Commit] = ()
        self._more = 0
        self._hosts: dict[str, str] = {}

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send one message. Raises whatever keeps it from arriving; takes at most `LIMIT` seconds."""

    def text(self, message: Message, *, inline: bool = False) -> str:
        """``message`` in the words of the Pushfile."""
        return message.text(self.options.text, inline=inline)

    def hear(self, event: Event) -> None:
        """Take in one event, and send what it makes."""
        message = self._message(event)
        wanted = not self.options.targets or event.target in self.options.targets
        if message and wanted and message.what in self.options.events:
            self.send(message)

    def _message(self, event: Event) -> Message | None:  # noqa: PLR0911  (an event a branch)
        project, target = self.project.name, event.target
        match event:
            case SnapshotTaken(revision=revision):
                self._revision = revision
            case HostChanged(host=host, state=state, reason=reason):
                self._hosts[host] = f"{state} {reason}".strip() if state.lower() in TROUBLE else ""
            case PushStarted(who=who, revision=revision, live=live, commits=commits, more=more):
                self._revision = revision
                self._commits, self._more = commits, more
                return Message(
                    What.STARTED, project, target, who, revision=revision, live=live, commits=commits, more=more
                )
            case PushFinished():
                return self._finished(event)
            case RolledBack(release=release, who=who):
                return Message(What.ROLLED_BACK, project, target, who, release=release.id, live=release.id)
            case Switched(release=release, who=who):
                return Message(What.SWITCHED, project, target, who, release=release.id, live=release.id)
            case Resumed(release=release, who=who):
                return Message(What.RESUMED, project, target, who, release=release.id, live=release.id)
            case Joined(release=release, host=host, who=who):
                return Message(What.JOINED, project, target, who, release=release.id, live=release.id, host=host)
            case CommandFailed(command=command, error=error, who=who):
                return Message(What.FAILED, project, target, who, error=error, command=command)
            case Held(why=why, who=who):
                return Message(What.HELD, project, target, who, why=why)
            case Released(hold=hold, who=who) if hold:
                return Message(What.RELEASED, project, target, who, why=hold.why)
        return None

    def _finished(self, event: PushFinished) -> Message:
        receipt = event.receipt
        return Message(
            OUTCOMES[receipt.outcome],
            self.project.name,
            event.target,
            event.who,
            revision=self._revision,
            release=receipt.release.id if receipt.release else "",
            live=receipt.live,
            error=receipt.error or ("stopped" if receipt.outcome is Outcome.INTERRUPTED else ""),
            seconds=receipt.seconds,
            commits=self._commits,
            more=self._more,
            hosts=len(self._hosts),
            trouble={host: wrong for host, wrong in self._hosts.items() if wrong},
        )
