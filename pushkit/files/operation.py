"""What a remote is asked to do, as values: a layout computes them, a remote performs them, in one script where it can.

Paths are as in `Remote`. An operation may bear the step that it carries out, which is reported around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from msgspec import Struct

from pushkit.course import phase
from pushkit.files.transfer import Transfer
from pushkit.model import Entry, Kind, Step


class Operation(Struct, frozen=True, kw_only=True):
    """One thing to do. Performing it raises subclasses of `RemoteError`.

    What ``waits`` may get ready while what comes before it is under way, and changes nothing until all that went well.
    """

    waits: ClassVar[bool] = False
    step: Step | None = None


class Independent(Operation, frozen=True, kw_only=True):
    """An operation that may be under way together with others that are about other ``paths``."""

    @property
    def paths(self) -> tuple[str, ...]:
        """What it is about."""
        raise NotImplementedError


class Guard(Operation, frozen=True):
    """Something must be so at ``path``, or what follows is not done. It changes nothing."""

    path: str


class Absent(Guard, frozen=True):
    """There must be nothing at ``path``; else `RemoteExists`."""


class Present(Guard, frozen=True):
    """There must be something at ``path``; else `RemoteMissing`."""


class Fence(Operation, frozen=True):
    """The number in the file ``path`` must not be above ``number``, which takes its place; else `RemoteExists`.

    No file is as good as 0, and so is one with no number in it.
    """

    waits: ClassVar[bool] = True
    path: str
    number: int


class Pointing(Operation, frozen=True):
    """``path`` must be a symlink whose text is ``link``, nothing where that is empty; else `RemoteExists`."""

    path: str
    link: str


class Still(Operation, frozen=True):
    """What lies at ``paths`` must be of the kinds that ``kinds`` gives, as `Remote.kinds` does; else `RemoteExists`."""

    paths: Sequence[str]
    kinds: Mapping[str, Kind | None]


class MakeDirectory(Operation, frozen=True):
    """Make one directory, atomically. One that is there is `RemoteExists`, unless it ``may_exist``."""

    path: str
    mode: int = 0o755
    may_exist: bool = False


class Base(Struct, frozen=True):
    """A file of the remote at ``path``, said to hold ``content``, of which another differs in little."""

    path: str
    content: bytes


class Write(Operation, frozen=True):
    """Make a file or replace it; at no moment is half of it there. The parent is there, ``data`` in memory.

    Not ``whole``: a new file, of which half may be there for a moment, or for ever where who writes it dies. Who reads
    it takes half of it for none. Where there is a ``base`` only what differs from it need travel; it may turn out not
    to hold what it is said to.
    """

    waits: ClassVar[bool] = True
    path: str
    data: bytes
    mode: int = 0o600
    whole: bool = True
    base: Base | None = None


class Append(Operation, frozen=True):
    """Add ``data``, a line of text, to a file, which is made where there is none."""

    path: str
    data: bytes


class Log(Operation, frozen=True):
    """Add a line to a file, which is made where there is none: the record that ``tell`` gives when its turn comes.

    A script is told all of it before it begins, and adds its own `laps`, as the text of `LAPS`: "start", and the name
    of each phase, before the seconds of the host's clock at which that was over.
    """

    path: str
    tell: Callable[[], Mapping[str, object]]


class Point(Operation, frozen=True):
    """Make ``path`` a symlink whose text is ``link``, in place of a file or a symlink and without a gap."""

    waits: ClassVar[bool] = True
    path: str
    link: str


class Switchable(Operation, frozen=True):
    """The remote must be able to do what `Point` does; else `RemoteError`, and what follows is not done.

    It is tried on symlinks at ``path``, which does not stay: there are servers that rename what a symlink leads to.
    """

    path: str


class Rename(Independent, frozen=True):
    """Rename, in place of a file or a symlink at ``new``. ``new`` is not a directory.

    Where the remote does not replace, what is at ``new`` is first put ``aside``; without that it is an error.
    """

    old: str
    new: str
    aside: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Both paths."""
        return (self.old, self.new)


class Remove(Independent, frozen=True):
    """Remove a file or a symlink, if it is there."""

    path: str

    @property
    def paths(self) -> tuple[str, ...]:
        """The path."""
        return (self.path,)


class RemoveDirectory(Independent, frozen=True):
    """Remove a directory if it is there and empty; one that holds anything stays."""

    path: str

    @property
    def paths(self) -> tuple[str, ...]:
        """The path."""
        return (self.path,)


class RemoveTree(Operation, frozen=True):
    """Remove whatever is at ``path``, and all in it; symlinks are not followed. Nothing there is no error."""

    path: str


class SetMode(Independent, frozen=True):
    """Set the nine permission bits."""

    path: str
    mode: int

    @property
    def paths(self) -> tuple[str, ...]:
        """The path."""
        return (self.path,)


class Put(Operation, frozen=True):
    """Make the entries of ``transfer`` below ``directory``; see `Remote.put`."""

    directory: str
    transfer: Transfer


class Listing(Struct, frozen=True):
    """A manifest on the remote, at ``path``, that lists the entries of an operation in their order, and ``others``.

    An operation before it has written it. Names that it lists need not travel once more.
    """

    path: str
    others: Sequence[Entry] = ()


class Copy(Operation, frozen=True):
    """Copy files and symlinks from below ``source`` to below ``directory``; see `Remote.copy`.

    With ``link`` files become hard links to those that are there. ``listing`` is as in `Listing`.
    """

    source: str
    directory: str
    entries: Sequence[Entry]
    link: bool = False
    listing: Listing | None = None


class Verify(Operation, frozen=True):
    """Compare the files of ``entries`` with what lies below ``directory``; see `Remote.verify`.

    Its result is the entries that are not whole there. When there are any, what follows is not done. ``listing`` is as
    in `Listing`.
    """

    directory: str
    entries: Sequence[Entry]
    listing: Listing | None = None


#: The key of a script's laps, in a record of `Log`.
LAPS = "laps"


def laps(operations: Sequence[Operation]) -> dict[int, str]:
    """Which phase is over where, of ``operations`` that a `Log` ends: its name, by the number of what comes next."""
    end = next((at for at, each in enumerate(operations) if isinstance(each, Log)), 0)
    found: dict[int, str] = {}
    now = ""
    for at, operation in enumerate(operations[:end]):
        name = phase_of(operation)
        if name and now and name != now:
            found[at] = now
        now = name or now
    return found | ({end: now} if now else {})


def phase_of(operation: Operation) -> str:
    """The name of the phase that an operation begins, empty where it belongs to that which is under way."""
    if isinstance(operation, (Put, Copy)):
        return "send" if isinstance(operation, Put) else "copy"
    return phase(operation.step) if operation.step and not isinstance(operation, SetMode) else ""


def makes_root(operation: Operation | None) -> bool:
    """Whether it makes the remote's root, before which nothing can be done there."""
    return isinstance(operation, MakeDirectory) and not operation.path
