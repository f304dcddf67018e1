"""The errors that a user may see, each with the exit code of the command line.

::

    PushkitError                 1   a bug, unless a subclass says otherwise
    ├── UsageError               2   the command line
    ├── PushfileError            3   the Pushfile; carries every problem found
    ├── SecretError              3   a secret that cannot be resolved or kept
    ├── PluginError              4   unknown, ambiguous or broken plugin
    ├── SnapshotError            5   unreadable file, unknown revision
    │   └── SnapshotChanged      5   a file changed after it was frozen
    ├── PushRefused              6   a guard, a hold, a veto: nothing changed
    ├── TargetError              7   the target could not be reached or used: nothing changed
    │   └── TimedOut             7   a command on this machine ran over its time and was ended
    ├── PushFailed               8   some steps were taken; says what is live now
    │   └── ScriptFailed         8   a script's own exit code, when its target asks for it
    ├── Busy                     9   another push holds or has just changed the target
    │   └── Overtaken            9   the same, and a new plan may be carried out at once
    └── Interrupted            130   the user asked to stop

Nothing else reaches a user: any other exception is a bug, and is shown with the name of the distribution
whose code raised it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from pushkit.model import Receipt


class PushkitError(Exception):
    """What happened to what (``message``), and what to do next (``hint``)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PushkitError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class Problem(NamedTuple):
    """One thing that is wrong in a Pushfile.

    ``line`` is 1 for the first line, 0 when no line can be named. ``path`` is dotted
    (``target.production.port``), empty for the file as a whole.
    """

    line: int
    path: str
    message: str
    hint: str = ""


class PushfileError(PushkitError):
    """The Pushfile is wrong. Every problem is listed, in the order of its lines."""

    exit_code = 3

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{file}: {count} problem{'s' if count != 1 else ''}")
        self.file = file
        self.problems = tuple(sorted(problems))


class SecretError(PushkitError):
    """A secret that cannot be resolved, decrypted or kept. The message never holds a value."""

    exit_code = 3


class PluginError(PushkitError):
    """A plugin that is unknown, claimed by two distributions, or broken."""

    exit_code = 4


class SnapshotError(PushkitError):
    """A file of the project cannot be read, or its revision is unknown."""

    exit_code = 5


class SnapshotChanged(SnapshotError):
    """A file is no longer what it was when the snapshot was taken."""


class PushRefused(PushkitError):
    """A guard, a hold or a person said no. Nothing changed."""

    exit_code = 6


class TargetError(PushkitError):
    """The target could not be reached or used. Nothing changed; it is safe to try again."""

    exit_code = 7


class TimedOut(TargetError):
    """A command on this machine ran over its time and was ended.

    Whoever runs a command that may change the target raises `PushFailed` in its place.
    """


class PushFailed(PushkitError):
    """Some steps were taken before the failure. The message says what is live now, ``receipt`` which they were."""

    exit_code = 8

    def __init__(self, message: str, *, hint: str = "", receipt: Receipt | None = None) -> None:
        super().__init__(message, hint=hint)
        self.receipt = receipt


class ScriptFailed(PushFailed):
    """A script of the user's ended with ``code``, which becomes the exit code of ``push``."""

    def __init__(self, message: str, code: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Busy(PushkitError):
    """Another push holds the target, or changed it since this one was planned."""

    exit_code = 9


class Overtaken(Busy):
    """Another push changed the target since this one was planned, which may be planned again: it has its turn now."""


class Interrupted(PushkitError):
    """Somebody asked to stop, and the push stopped between two steps. Its hint says what is live now."""

    exit_code = 130
