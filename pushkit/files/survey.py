"""What a target holds of pushes, read at once: everything that a layout and a queue decide by."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property

from msgspec import Struct

from pushkit.errors import PushRefused
from pushkit.files.known import Known
from pushkit.files.remote import Remote
from pushkit.files.scripts import collect
from pushkit.files.stat import Found, Stat
from pushkit.files.ticket import HEARTBEAT, NUMBER, RELEASE_ID, Ticket, decoded, number_of, read_ticket
from pushkit.manifest import HEAD, decode, digest
from pushkit.model import Entry, Hold, Kind

FORMAT = "1"
#: A record on a target is at most as large, in bytes; a manifest of four million files is.
LIMIT = 1 << 30
#: No line that is a record of its own is as long, in bytes.
LONGEST = 256


class State(Struct, frozen=True):
    """Where a layout keeps what it remembers: the directory ``name``, relative to the root."""

    name: str

    def __truediv__(self, path: str) -> str:
        return f"{self.name}/{path}"

    @property
    def pushes(self) -> str:
        """The tickets' directory."""
        return self / "pushes"

    @property
    def manifests(self) -> str:
        """The manifests' directory; each bears its release's id."""
        return self / "manifests"

    @property
    def incoming(self) -> str:
        """Uploads under way; each bears its release's id."""
        return self / "incoming"

    @property
    def spare(self) -> str:
        """The tree of a release that is none any more, which the next one may begin as. It may be damaged."""
        return self / "spare"

    @property
    def live(self) -> str:
        """The file that names the live release, where no symlink does."""
        return self / "live"

    @property
    def journal(self) -> str:
        """The file that is there while a push changes what is live, where that takes more than one rename."""
        return self / "journal"

    def stage(self, release: str) -> str:
        """The directory of a release's upload."""
        return f"{self.incoming}/{release}"

    def ticket(self, number: int) -> str:
        """The directory that is a ticket."""
        return f"{self.pushes}/{number:06d}"

    def manifest(self, release: str) -> str:
        """The manifest of a release."""
        return f"{self.manifests}/{release}"


def as_it_is(path: str, content: bytes) -> bytes:
    """``content``."""
    del path
    return content


class Survey(Struct, frozen=True, dict=True):
    """What was found. ``found`` is by path; the properties read it with care, for it came from a target.

    Of a manifest there may be the head line alone, which ``complete`` makes a whole one of: it is long, and most who
    look want to know its digest.
    """

    root: str
    state: State
    found: dict[str, Found]
    complete: Callable[[str, bytes], bytes] = as_it_is

    @property
    def exists(self) -> bool:
        """Whether the root is there."""
        return "" in self.found

    @cached_property
    def tickets(self) -> Sequence[Ticket]:
        """All tickets, by number."""
        parts: dict[int, dict[str, bytes]] = {}
        beats: dict[int, float] = {}
        read: list[str] = []
        prefix = self.state.pushes + "/"
        for path, each in self.found.items():
            name, _, part = path.removeprefix(prefix).partition("/")
            if path.startswith(prefix) and re.fullmatch(NUMBER, name):
                number = int(name)
                parts.setdefault(number, {})
                if part:
                    parts[number][part] = each.content
                    read.append(path)
                if part == HEARTBEAT:
                    beats[number] = each.stat.mtime
                elif not part:
                    # A push that has not said yet that it lives was there when it took its number.
                    beats.setdefault(number, each.stat.mtime)
        # What was read is not kept beside what it says: a fleet has hundreds of surveys.
        for path in read:
            del self.found[path]
        return [read_ticket(number, parts[number], beats.get(number, 0.0)) for number in sorted(parts)]

    @property
    def open_tickets(self) -> Sequence[Ticket]:
        """The queue: tickets that have not ended, the holder first."""
        return [ticket for ticket in self.tickets if not ticket.ended]

    @property
    def last(self) -> int:
        """The highest number that was ever taken, as far as is known."""
        names = [name for place in ("releases", self.state.incoming) for name in self.names(place)]
        numbers = [number_of(name) for name in names if RELEASE_ID.fullmatch(name)]
        return max((*(ticket.number for ticket in self.tickets), *numbers, self.fence))

    @property
    def fence(self) -> int:
        """The highest number whose push changed what is live."""
        text = self._text("fence")
        return int(text) if re.fullmatch(NUMBER, text) else 0

    @cached_property
    def hold(self) -> Hold | None:
        """Who froze pushes, if somebody did. A damaged record holds as well."""
        found = self.found.get(self.state / "hold")
        if found is None:
            return None
        record = decoded(found.content)
        return Hold(*(str(record.get(key, "unknown")) for key in ("who", "when", "why")))

    def followed(self, ticket: Ticket, made: str) -> Survey:
        """What this is once ``ticket`` has ended, which left the directory ``made``. Nobody has looked again."""
        # What is there otherwise is not copied: there are many such surveys in a fleet.
        self.found[made] = Found(Stat(made.rpartition("/")[2], Kind.DIRECTORY, 0, 0))
        after = Survey(self.root, self.state, self.found, self.complete)
        after.__dict__["tickets"] = [*self.tickets, ticket]
        return after

    @property
    def named_live(self) -> str:
        """The release that the file `State.live` names, empty where there is none, or where that cannot be told."""
        release = self._text("live")
        return release if RELEASE_ID.fullmatch(release) else ""

    @property
    def manifests(self) -> Sequence[str]:
        """The names in the manifests' directory, also of those that a push that died was writing, in no order."""
        prefix = self.state.manifests + "/"
        names = (path.removeprefix(prefix) for path in self.found if path.startswith(prefix))
        return [name for name in names if "/" not in name]

    def entries(self, release: str) -> list[Entry]:
        """What a release holds, by its manifest. Raises ValueError when that is missing or damaged."""
        if self.state.manifest(release) not in self.found:
            raise ValueError("its manifest is missing")
        return decode(self.manifest(release))

    def manifest(self, release: str) -> bytes:
        """The manifest of a release. Raises KeyError when it is missing, and `RemoteError`."""
        path = self.state.manifest(release)
        content = self.found[path].content
        return self.complete(path, content) if len(content) == HEAD else content

    def take(self, release: str) -> bytes:
        """The same, which is let go of: it is large, and a survey lives as long as its plan."""
        content = self.manifest(release)
        path = self.state.manifest(release)
        self.found[path] = self.found[path]._replace(content=b"")
        return content

    def names(self, directory: str) -> Sequence[str]:
        """The names of the directories in ``directory``, in no order."""
        prefix = directory + "/"
        return [
            path.removeprefix(prefix)
            for path, found in self.found.items()
            if path.startswith(prefix) and "/" not in path[len(prefix) :] and found.stat.kind is Kind.DIRECTORY
        ]

    def check(self, *directories: str) -> None:
        """Refuse a state of another version, and whatever stands in the place of one of our ``directories``."""
        wanted = [(path, Kind.DIRECTORY, "no directory") for path in (self.state.name, *directories)]
        wanted += [(self.state / name, Kind.FILE, "no file") for name in ("format", "fence", "log")]
        for path, kind, what in wanted:
            found = self.found.get(path)
            if found is not None and found.stat.kind is not kind:
                raise PushRefused(
                    f"{self.root}/{path} is a {found.stat.kind or 'special file'}, {what}; nothing was sent",
                    hint="push writes through nothing that it did not make: move it away",
                )
        text = self._text("format")
        if text and text != FORMAT:
            newer = text.isdigit() and int(text) > int(FORMAT)
            raise PushRefused(
                f"{self.root}/{self.state.name} has format {text!r}, this push knows {FORMAT}; nothing was sent",
                hint="upgrade pushkit on this machine" if newer else f"move {self.root}/{self.state.name} away",
            )

    def _text(self, name: str) -> str:
        found = self.found.get(self.state / name)
        return found.content[:LONGEST].decode("ascii", "replace").strip() if found else ""


class Look(Struct, frozen=True):
    """What a layout wants to know: what lies in ``state``, and at more paths as in `Remote.collect`.

    ``live`` is a symlink whose text ends in the id of the live release; that one's manifest is read as well.
    """

    state: State
    trees: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    looked: tuple[str, ...] = ()
    live: str = ""

    def at(self, remote: Remote, known: Known | None = None) -> Survey:
        """Look at ``remote``. Manifests that are ``known`` need not travel where a script looks; what does is kept."""
        if not remote.capabilities.scripts:
            # Of such a one nothing is asked by its digest.
            known = None
        found = remote.collect(
            self._trees,
            listed=self._listed,
            looked=self._looked,
            pointed=self._pointed,
            known=(self.state.manifests, known.digests if known else ()),
            limit=LIMIT,
        )
        if known is None:
            return Survey(remote.root, self.state, found)
        for path in [each for each in found if each.startswith(f"{self.state.manifests}/")]:
            if len(found[path].content) > HEAD:
                known.keep(found[path].content)
        return Survey(
            remote.root,
            self.state,
            found,
            lambda path, head: known.content(digest(head)) or remote.read(path, LIMIT),
        )

    def script(self, known: Known) -> str:
        """The same as a shell script, which a remote may run before it is asked: see `ShellRemote.foresee`."""
        records = (self.state.manifests, known.digests)
        return collect(self._trees, self._listed, self._looked, self._pointed, records)

    @property
    def _trees(self) -> Sequence[str]:
        state = self.state
        return (state / "format", state / "hold", state / "fence", state.pushes, *self.trees)

    @property
    def _listed(self) -> Sequence[str]:
        return (self.state.incoming, *self.listed)

    @property
    def _looked(self) -> Sequence[str]:
        return ("", self.state.name, self.state / "log", *self.looked, *filter(None, [self.live]))

    @property
    def _pointed(self) -> tuple[str, str] | None:
        return (self.live, self.state.manifests) if self.live else None
