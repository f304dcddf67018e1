"""`Place`: the target's directory on its server, and what one connection is asked about paths in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from pushkit import Kind
from pushkit.files import RemoteDenied, RemoteError, RemoteExists, RemoteLost, RemoteMissing, Stat
from pushkit_ftp.connection import Connection, Refused
from pushkit_ftp.control import AHEAD
from pushkit_ftp.listing import NUMBER, fact_stat, fact_stats, list_stats, time_text
from pushkit_ftp.replies import Reply, error_of, kind_of
from pushkit_ftp.server import Server
from pushkit_ftp.steps import Steps, through

#: The most that a listing may have, in bytes.
LISTING = 256 * 1024 * 1024
#: From so many bytes on a file is gone on with of which a beginning is there, its last bytes sent once more.
RESUMED, OVERLAP = 1 << 20, 64 * 1024
#: How often a file is sent that did not arrive whole.
SENDINGS = 2
#: What a 5xx may be about, as far as its words say; a look at the path says more.
OPEN = {RemoteError, RemoteDenied, RemoteExists, RemoteMissing}


class Place:
    """The directory ``root`` of ``server``. Paths are relative to it, as those of a `Remote` are."""

    def __init__(self, server: Server, root: str) -> None:
        self.server = server
        self.root = root

    # Commands, as they are sent.

    def full(self, path: str) -> str:
        """The absolute path."""
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    def command(self, verb: str, path: str) -> str:
        """A command about a path."""
        return f"{verb} {self.server.wired(self.full(path))}"

    def chmod(self, path: str, mode: int) -> str:
        """The command that sets a mode."""
        return self.command(f"SITE CHMOD {mode:o}", path)

    def touch(self, path: str, mtime: float) -> str:
        """The command that sets a time: that of an internet draft, or what servers made of MDTM before it."""
        return self.command(f"{'MFMT' if 'MFMT' in self.server.features else 'MDTM'} {time_text(mtime)}", path)

    def renaming(self, old: str, new: str) -> Sequence[str]:
        """The commands that rename."""
        return self.command("RNFR", old), self.command("RNTO", new)

    # Looking.

    def look(self, connection: Connection, path: str) -> Stat | None:
        """What lies at ``path``, symlinks not followed."""
        if not path:
            return Stat("", Kind.DIRECTORY, 0o755, 0) if self.enters(connection, "") else None
        parent, _, name = path.rpartition("/")
        if self.server.has_facts:
            (reply,) = connection.ask(self.command("MLST", path))
            facts = next((line.strip() for line in reply.lines[1:] if "=" in line), "")
            if reply.good and (found := fact_stat(facts)):
                return found._replace(name=name)
            if kind_of(reply) is RemoteMissing:
                return None
        # What 550 means without words, the listing of the parent tells.
        with suppress(RemoteMissing):
            return next((each for each in self.list(connection, parent) if each.name == name), None)
        return None

    def asking(self, path: str) -> Sequence[str]:
        """The commands that tell whether there is something at ``path``, be it a file or a directory."""
        if self.server.has_facts:
            return (self.command("MLST", path),)
        return (self.command("SIZE", path), self.command("CWD", path))

    def is_there(self, answers: Sequence[Reply]) -> bool:
        """What the answers to `asking` tell. Raises `RemoteError` where they do not."""
        for reply in answers:
            if reply.code != 550 and not reply.good and kind_of(reply) is not RemoteMissing:
                raise error_of(reply, self.server.where)
        return any(reply.good for reply in answers)

    def list(self, connection: Connection, path: str) -> Sequence[Stat]:
        """What a directory holds. It is entered first: LIST may take a name for a pattern, or for an option."""
        full, facts = self.full(path), self.server.has_facts
        entering = [self.command("CWD", path)]
        try:
            content, reply, entered = connection.retrieve("MLSD" if facts else "LIST -a", full, LISTING, entering)
        except Refused as refused:
            content, reply, entered = b"", refused.reply, refused.first
        if not entered[0].good:
            raise error_of(entered[0], full, RemoteMissing if entered[0].code == 550 else None)
        if not reply.good:
            raise error_of(reply, full)
        if content and not content.endswith(b"\n"):
            raise RemoteLost(f"{full}: the listing was cut off", hint="push again")
        if "truncated" in reply.text:  # Pure-FTPd's -L
            raise RemoteError(
                f"{full}: the server lists only a part of the files that are there ({reply.text})",
                hint="ask its owner to list more",
            )
        lines = [self.server.named(line.rstrip("\r")) for line in content.decode("latin-1").split("\n")]
        return fact_stats(lines) if facts else list_stats(lines, full)

    def listing(self, path: str) -> Sequence[str]:
        """The commands in whose answers a directory's content is, for a server that `Server.states` it.

        None of it comes over a data connection, and many are asked at once. But who may write into the directory can
        give a file a name with line breaks in it, which makes one answer look like several: it is only for push's own.
        """
        return self.command("CWD", path), "STAT -a"

    def listed(self, answers: Sequence[Reply], path: str) -> Sequence[Stat] | None:
        """What the answers to `listing` tell; None where they do not. Raises `RemoteMissing`."""
        entered, told = answers
        if entered.code == 550:
            raise error_of(entered, self.full(path), RemoteMissing)
        if not (entered.good and told.code == 213 and len(told.lines) > 1):
            return None
        return list_stats([self.server.named(line) for line in told.lines[1:-1]], self.full(path))

    def enters(self, connection: Connection, path: str) -> bool:
        """Whether there is a directory that this user may enter."""
        return connection.ask(self.command("CWD", path))[0].good

    # Content.

    def read(self, connection: Connection, path: str, limit: int) -> bytes:
        """The content of a file of at most ``limit`` bytes."""
        full = self.full(path)
        try:
            # More than the limit and one byte is not read, whatever the size.
            content, _, (said,) = connection.retrieve(
                self.command("RETR", path), full, limit, [self.command("SIZE", path)]
            )
        except Refused as refused:
            raise self.explained(connection, refused.reply, path) from None
        size = size_in(said)
        if max(len(content), size or 0) > limit:
            raise RemoteError(f"{full}: more than {limit:,} bytes, which cannot be right")
        if size is not None and len(content) != size:
            raise RemoteLost(f"{full}: {len(content):,} of {size:,} bytes came", hint="push again")
        return content

    def storing(
        self,
        connection: Connection,
        path: str,
        content: Callable[[int], Iterable[bytes]],
        size: int,
        *,
        mode: int,
        mtime: float | None = None,
        resume: bool = False,
    ) -> Steps[bool]:
        """Send a file, and see that it is there in full: a server may well say so of half of it.

        ``content`` gives what comes after so many bytes. A short one is sent once more. With ``resume`` only what is
        missing is sent of a large one, and of what is there the end: after a server has died it may be anything. True
        when that was done.
        """
        going_on = resume and size >= RESUMED and self.server.can_resume
        start = self._begun(connection, path, size) if going_on else 0
        for _ in range(SENDINGS + going_on):
            commands = [self.command("SIZE", path)]
            chmod, touch = self.server.chmod, mtime is not None and self.server.times
            commands += [self.chmod(path, mode)] if chmod else []
            commands += [self.touch(path, mtime)] if touch and mtime is not None else []
            try:
                replies = yield from self._sending(connection, "STOR", path, content(start), commands, start=start)
            except RemoteError as error:
                if not start or isinstance(error, RemoteLost):
                    raise
                # There are servers that say that they go on, and then do not.
                self.server.resumes = False
                start = 0
                replies = yield from self._sending(connection, "STOR", path, content(0), commands)
            if chmod:
                self.server.heed_mode(replies[1])
            if touch:
                self.server.heed_time(replies[-1])
            there = self._size(replies[0], path)
            if there == size:
                return start > 0
            start = max(0, there - OVERLAP) if going_on and not start and there < size else 0
        raise RemoteError(
            f"{self.full(path)}: {there:,} of {size:,} bytes arrived, although the server says that all is well",
            hint="push again; if it happens again, look for a full disk, or a firewall in between",
        )

    def _begun(self, connection: Connection, path: str, size: int) -> int:
        """After how many bytes to go on with a file; 0 where there is none."""
        there = size_in(connection.ask_ahead(self.command("SIZE", path))[0]) or 0
        return max(0, there - OVERLAP) if there <= size else 0

    def digests(self, connection: Connection, paths: Sequence[str]) -> Sequence[str]:
        """What the server says are the digests of files, by `Server.digest`; empty where it does not say."""
        digest = self.server.digest
        assert digest
        commands = [self.command(digest.verb, path) for path in paths]
        replies = connection.ask(*([digest.select] if digest.select else []), *commands)
        return [digest.read(reply) for reply in replies[-len(commands) :]]

    def append(self, connection: Connection, path: str, data: bytes) -> None:
        """Add to a file, which is made where there is none."""
        size = self.command("SIZE", path)
        if self.server.in_turn:
            # It does so first, and does not read what is added before it was told what that is.
            said, then = through(self._sending(connection, "APPE", path, [data], [size], first=[size]))
        else:
            (said,) = connection.ask_ahead(size)
            (then,) = through(self._sending(connection, "APPE", path, [data], [size]))
        before, after = size_in(said) or 0, self._size(then, path)
        if after != before + len(data):
            whole = f"{before + len(data):,}"
            raise RemoteError(f"{self.full(path)}: {after:,} of {whole} bytes are there", hint="push again")

    def _sending(
        self,
        connection: Connection,
        verb: str,
        path: str,
        content: Iterable[bytes],
        then: Sequence[str] = (),
        *,
        start: int = 0,
        first: Sequence[str] = (),
    ) -> Steps[Sequence[Reply]]:
        try:
            command = self.command(verb, path)
            return (yield from connection.storing(command, content, self.full(path), then, start, first))
        except Refused as refused:
            raise self.explained(connection, refused.reply, path, making=True) from None

    def _size(self, reply: Reply, path: str) -> int:
        if reply.code in {500, 502, 504}:
            raise error_of(reply, f"{self.full(path)}: SIZE, without which nobody knows what arrived")
        return size_in(reply) or 0

    # Changing.

    def make(
        self,
        connection: Connection,
        directories: Sequence[tuple[str, int]],
        made: Callable[[str], None],
        *,
        may_exist: bool = False,
    ) -> None:
        """Make directories with their modes, and say of each that it is there.

        Parents come first: on one connection, the server does one after the other.
        """
        for start in range(0, len(directories), AHEAD):
            batch = directories[start : start + AHEAD]
            new: list[tuple[str, int]] = []
            replies = connection.ask(*(self.command("MKD", path) for path, _ in batch))
            for (path, mode), reply in zip(batch, replies, strict=True):
                if reply.good:
                    new.append((path, mode))
                else:
                    error = self.explained(connection, reply, path, making=True, anew=True)
                    if not (may_exist and isinstance(error, RemoteExists)):
                        raise error
                made(path)
            if self.server.chmod:
                for reply in connection.ask(*(self.chmod(path, mode) for path, mode in new)):
                    self.server.heed_mode(reply)

    def refuse_symlink(self, path: str) -> None:
        """Raise what tells that none can be made."""
        raise RemoteError(f"{self.full(path)}: FTP has no way to make a symlink", hint="leave it out, or push by sftp")

    def rename(self, connection: Connection, old: str, new: str) -> None:
        """Rename, in place of what is at ``new`` where the server does that."""
        ready, done = connection.ask(*self.renaming(old, new))
        if not (ready.good and done.good):
            raise self.unrenamed(connection, old, new, done if ready.good else ready)

    def unrenamed(self, connection: Connection, old: str, new: str, reply: Reply) -> RemoteError:
        """Why the server refused a rename."""
        full = self.full(old)
        error = error_of(reply, full)
        if isinstance(error, RemoteLost):
            return error
        if self.look(connection, old) is None:
            return error_of(reply, full, RemoteMissing)
        there = self.look(connection, new)
        if there and there.kind in {Kind.FILE, Kind.SYMLINK}:
            return error_of(reply, self.full(new), RemoteExists)
        return error

    def explained(
        self, connection: Connection, reply: Reply, path: str, *, making: bool = False, anew: bool = False
    ) -> RemoteError:
        """The error of a command about ``path``; where the words of ``reply`` leave it open, a look at it tells.

        ``making``: it was to be made; ``anew``: where nothing was.
        """
        full = self.full(path)
        error = error_of(reply, full)
        if type(error) not in OPEN or not path:
            return error
        there = self.look(connection, path)
        if anew and there is not None:
            return error_of(reply, full, RemoteExists)
        if not making and there is None:
            return error_of(reply, full, RemoteMissing)
        if making and not self.enters(connection, path.rpartition("/")[0]):
            return error_of(reply, full, RemoteMissing)
        return error_of(reply, full, RemoteDenied) if reply.code == 550 else error


def size_in(reply: Reply) -> int | None:
    """What the answer to SIZE says, None when there is no file."""
    text = reply.lines[0].strip()
    return int(text) if reply.code == 213 and NUMBER.fullmatch(text) else None
