"""Commands of the user's that run on the host of a target, around the moment when a release goes live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from pushkit.errors import PushFailed, PushRefused, TimedOut
from pushkit.model import Action, Step
from pushkit.process import Command
from pushkit.secret import Secret
from pushkit.strategy import Run

if TYPE_CHECKING:
    from pushkit.files.remote import Remote

When = Literal["before_switch", "after_switch"]
BEFORE: When = "before_switch"
AFTER: When = "after_switch"
#: What stands for the release's directory in a command.
PLACE = "{release}"


class Commands(Struct, frozen=True):
    """What runs in a release's directory before and after it goes live, each ended after ``timeout`` seconds.

    ``environment`` are more variables of theirs, resolved when they run.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    timeout: float = 300.0
    environment: Mapping[str, Secret] = field(default_factory=dict)

    @property
    def trips(self) -> int:
        """How many round trips they add to a push."""
        return len(self.before) + bool(self.before) + len(self.after) + bool(self.after)

    def check(self, remote: Remote) -> None:
        """Refuse commands for a remote that cannot run any."""
        named = [name for name, found in ((BEFORE, self.before), (AFTER, self.after)) if found]
        if named and not remote.capabilities.commands:
            raise PushRefused(
                f"{remote.root} is reached without a shell, so that {' and '.join(named)} cannot run; nothing was sent",
                hint="give the account a shell, or leave the commands out",
            )

    def steps(self, when: When) -> tuple[Step, ...]:
        """The steps of a plan."""
        return tuple(Step(Action.RUN, " ".join(command.split()), reason(when)) for command in self._of(when))

    def run(self, when: When, remote: Remote, run: Run, directory: str, previous: str) -> None:
        """Run them one after the other in the release ``directory``, relative to the remote's root.

        ``previous`` is the id of the release that was live before, empty when there was none. Raises `PushFailed` when
        one fails or runs over its time, `Interrupted` when the user asks to stop.
        """
        path = f"{remote.root}/{directory}"
        release = directory.rpartition("/")[2]
        environment = {name: value.reveal() for name, value in self.environment.items()} | {
            "PUSH_TARGET": run.target.name,
            "PUSH_RELEASE": release,
            "PUSH_RELEASE_PATH": path,
            "PUSH_REVISION": release.split("-", 2)[2],
            "PUSH_PREVIOUS": previous,
        }
        for text, step in zip(self._of(when), self.steps(when), strict=True):
            argv = ("sh", "-c", text.replace(PLACE, quote(path)))
            with run.step(step):
                try:
                    code = remote.run(Command(argv, Path(path), environment, when, timeout=self.timeout), run)
                except TimedOut as error:
                    hint = "raise `command_timeout`, or find out what it waits for"
                    raise PushFailed(error.message, hint=hint) from error
                if code:
                    raise PushFailed(f"{when} ended with exit code {code} ({step.subject})", hint="its output says why")

    def _of(self, when: When) -> Sequence[str]:
        return self.before if when == BEFORE else self.after


def reason(when: When) -> str:
    """Why a command runs, for a plan."""
    return "on the host, before the release goes live" if when == BEFORE else "on the host, once the release is live"
