"""The nouns of a push, as data. No behaviour beyond what a sum or a name needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct, field


class Kind(StrEnum):
    """What an entry is. Nothing else travels."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"


class Entry(NamedTuple):
    """One path of a snapshot. A named tuple, since a snapshot may hold hundreds of thousands.

    ``path`` is relative, POSIX, never empty, without ``.`` or ``..``; bytes that are not UTF-8 stand as
    surrogate escapes, as in `os.fsdecode`. ``mode`` is the nine permission bits. ``size`` is in bytes, 0
    for anything but a file. ``sha256`` is the digest of a file's content, 32 bytes, empty for anything
    but a file. ``link`` is the text of a symlink, empty for anything else.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    sha256: bytes = b""
    link: str = ""


class Revision(Struct, frozen=True):
    """Where a snapshot came from.

    ``commit`` is the full git commit id, empty outside git. ``dirty`` is true when what travels may differ
    from that commit. ``digest`` is the manifest's sha256 in hex.
    """

    commit: str
    dirty: bool
    digest: str

    @property
    def short(self) -> str:
        """Seven characters of the commit, with ``-dirty`` where it is; of the digest outside git."""
        if not self.commit:
            return self.digest[:7]
        return self.commit[:7] + ("-dirty" if self.dirty else "")


class Action(StrEnum):
    """What a step does to its subject."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"
    PREPARE = "prepare"
    VERIFY = "verify"
    SWITCH = "switch"
    PRUNE = "prune"
    RUN = "run"
    REVERT = "revert"


class Step(Struct, frozen=True):
    """One action on one subject, with its reason. ``size`` is the bytes that would travel."""

    action: Action
    subject: str
    reason: str
    size: int = 0


class Plan(Struct, frozen=True):
    """The steps that a push would take on one target, in order.

    ``round_trips`` are those that planning took and those that the push will take, where that is known.
    ``kept`` counts the files that are there already and stay. ``live`` is the id of the release that is
    live now, empty when there is none. An empty plan has no steps: there is nothing to do. A strategy may
    extend this class with what its own ``push`` needs.
    """

    target: str
    steps: tuple[Step, ...]
    kept: int = 0
    live: str = ""
    warnings: tuple[str, ...] = ()
    round_trips: tuple[int, int] | None = None

    @property
    def told(self) -> Plan:
        """What every plan has, for others to hear of: what a strategy extended it with is its own."""
        return Plan(*(getattr(self, name) for name in Plan.__struct_fields__))

    @property
    def size(self) -> int:
        """Bytes that would travel."""
        return sum(step.size for step in self.steps)

    @property
    def removed(self) -> int:
        """How many paths that are live would be removed."""
        return self.count(Action.REMOVE)

    @property
    def there(self) -> int:
        """How many paths are live."""
        return self.removed + self.kept + self.count(Action.REPLACE)

    def count(self, *actions: Action) -> int:
        """How many steps are one of ``actions``."""
        return sum(step.action in actions for step in self.steps)


class Release(Struct, frozen=True):
    """What a push leaves on a target. ``digest`` is its manifest's sha256 in hex; ``created`` is in UTC."""

    id: str
    revision: Revision
    created: datetime
    creator: str


class Commit(Struct, frozen=True):
    """A commit of git: its short id, and the first line of its message."""

    id: str
    subject: str


class Hold(Struct, frozen=True):
    """Pushes to a target are frozen: by whom (``user@host``), since when (ISO 8601, UTC) and why."""

    who: str
    when: str
    why: str


class Place(Struct, frozen=True):
    """A place in the queue of a target: a ticket that has not ended.

    ``why`` is what it was taken for: ``push``, ``rollback``, ``switch`` or ``resume``. ``who`` is ``user@host``, and
    ``since`` when it was taken, by that machine's clock. ``seen`` is its last sign of life, by the target's clock.
    ``release`` is what it is about. ``switching``: it has begun to change what is live. ``died``: it ran on this
    machine, and does no more.
    """

    number: int
    why: str
    who: str
    since: datetime | None
    seen: datetime | None
    release: str
    switching: bool
    died: bool = False


class Status(Struct, frozen=True):
    """What a target says of itself, all of one moment.

    ``live`` is the id of the live release, empty when there is none; ``since`` and ``who`` say when and by whom it was
    made live, where that is known. ``releases`` are the good ones that are there, ``prepared`` those that were never
    live, the oldest first. ``queue`` begins with who holds the target. Where the target is many hosts, ``hosts`` are
    what is live on each, empty when nothing is, and a word in brackets where that is not known. Where they are in two
    pools, ``pool`` has the traffic.
    """

    live: str
    since: datetime | None = None
    who: str = ""
    releases: tuple[Release, ...] = ()
    prepared: tuple[Release, ...] = ()
    queue: tuple[Place, ...] = ()
    hold: Hold | None = None
    hosts: Mapping[str, str] = field(default_factory=dict)
    pool: str = ""


class Phase(Struct, frozen=True):
    """A part of a push that took time: it ``began`` so many seconds after the command, and took ``seconds``.

    ``host`` is empty where there is one.
    """

    name: str
    began: float
    seconds: float
    host: str = ""


class LogEntry(Struct, frozen=True):
    """How one push to a target ended.

    ``number`` is its ticket's, ``why`` what that was taken for, ``who`` by whom. ``release`` is what it was about and
    ``previous`` what was live when it began, both ids. ``outcome`` is in words, ``ended`` in UTC. What follows is there
    where the target kept it: ``phases``, ``size``, which is bytes, and of a push that failed the last lines of its
    ``output``.
    """

    number: int
    ended: datetime
    who: str
    why: str
    release: str
    previous: str
    outcome: str
    phases: tuple[Phase, ...] = ()
    size: int = 0
    output: tuple[str, ...] = ()


class Outcome(StrEnum):
    """How a push ended."""

    DONE = "done"
    PREPARED = "prepared"
    NOTHING = "nothing to do"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Receipt(Struct, frozen=True):
    """The outcome of a push, built by the engine from the events of its steps.

    ``release`` is what was left on the target, absent when nothing was. ``live`` is the id of the release
    that is live after the push, as far as it is known. ``error`` is one line, empty when all went well.
    """

    target: str
    outcome: Outcome
    release: Release | None
    live: str
    done: int
    failed: tuple[Step, ...]
    size: int
    seconds: float
    error: str = ""


class Severity(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(Struct, frozen=True):
    """One thing that ``push check`` saw: about what, what it is, and what to do about it."""

    severity: Severity
    subject: str
    message: str
    hint: str = ""


class Host(Struct, frozen=True):
    """A machine. ``user`` is empty and ``port`` 0 where nothing was said. ``pool`` and ``zone`` are its source's words.

    ``name`` is a name or an address; of IPv6 without brackets.
    """

    name: str
    user: str = ""
    port: int = 0
    pool: str = ""
    zone: str = ""

    def __str__(self) -> str:
        """As a Pushfile has it."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{self.user}@" * bool(self.user) + name + f":{self.port}" * bool(self.port)

    @property
    def in_url(self) -> str:
        """Its name as a URL has it."""
        return f"[{self.name}]" if ":" in self.name else self.name


class Target(Struct, frozen=True):
    """One named place to push to.

    ``table`` is the target's table in the Pushfile without the keys that every target has, its references
    (``${env:NAME}``) unresolved. ``ignore`` and ``include`` are gitignore patterns of the target's own.
    """

    name: str
    strategy: str
    table: Mapping[str, Any] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


class Notify(Struct, frozen=True):
    """Who is told of pushes: a ``[notify.NAME]`` table, its references unresolved, without ``observer``."""

    name: str
    observer: str
    table: Mapping[str, Any] = field(default_factory=dict)


class Project(Struct, frozen=True):
    """What a Pushfile describes.

    ``pushfile`` is its absolute path and ``root`` the directory it lies in. ``source`` is a directory
    relative to the root, or ``git:REVISION`` or ``git:REVISION:DIRECTORY``. ``default`` is the target of a
    bare ``push``, empty when several targets leave it open. ``private`` are the files that the Pushfile takes secrets
    from, as it names them; they never travel.
    """

    name: str
    pushfile: Path
    root: Path
    source: str
    ignore: tuple[str, ...]
    default: str
    targets: Mapping[str, Target]
    notify: Mapping[str, Notify] = field(default_factory=dict)
    private: tuple[str, ...] = ()
