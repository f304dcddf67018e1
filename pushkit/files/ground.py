"""What lies in a live tree at the paths that a push touches, and what of it is a push's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from msgspec import Struct

from pushkit.errors import PushRefused
from pushkit.files.diff import UNKNOWN
from pushkit.files.merge import Merge, at, order
from pushkit.files.remote import Remote
from pushkit.files.stat import above
from pushkit.model import Entry, Kind


def reach(before: Sequence[Entry], after: Sequence[Entry]) -> list[str]:
    """The paths that differ in two trees, and the directories that lead to them."""
    same = set(before) & set(after)
    return with_ways(entry.path for entry in (*before, *after) if entry not in same)


def with_ways(paths: Iterable[str]) -> list[str]:
    """``paths``, and the directories that lead to them, each once and after those that lead to it."""
    return list(dict.fromkeys(each for path in paths for each in (*above(path), path)))


class Ground(Struct, frozen=True, dict=True):
    """What lies at ``paths``, which have the directories that lead to them among them."""

    remote: Remote
    paths: Sequence[str]

    @cached_property
    def kinds(self) -> dict[str, Kind | None]:
        """What lies at each of the paths, as `Remote.kinds` says."""
        return self.remote.kinds(self.paths)

    @property
    def guarded(self) -> list[str]:
        """The paths that say it all: what lies below a directory that is missing is missing."""
        there = self.kinds
        return [path for path in self.paths if path in there or all(way in there for way in above(path))]

    def check_ways(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        """Refuse to go through anything that is no directory, unless ``before`` says that it is ours and it goes."""
        kinds = {way: self.kinds.get(way, Kind.DIRECTORY) for path in self.paths for way in above(path)}
        if others := {way: kind for way, kind in kinds.items() if kind is not Kind.DIRECTORY}:
            ours = {(entry.path, entry.kind) for entry in before}
            for way, kind in sorted(others.items()):
                if (way, kind) not in ours:
                    self.refuse(way, kind, after)

    def refuse(self, path: str, kind: Kind | None, after: Sequence[Entry]) -> None:
        """Raise the error that says that something lies where a directory should."""
        wanted = "is to be a directory" if any(entry.path == path for entry in after) else "was a directory"
        raise PushRefused(
            f"{self.remote.root}/{path} is a {kind or 'special file'} on the target, and {wanted}; nothing was changed",
            hint="push writes through nothing that it did not make: move it away",
        )

    def present(self, found: Merge) -> Merge:
        """``found`` without what is known to be gone from here, or to be something else by now: that is new.

        The paths are those that differ, and the directories that lead to them.
        """
        gone = {path for path in self.paths if path not in self.kinds}
        # What both have was not looked at, but where it leads to something that differs: without that it is gone too.
        leading = {way for path in self.paths for way in above(path)}
        leading |= {entry.path for entry in found.gone if entry.kind is Kind.DIRECTORY}
        same, lost = list(found.same), list[Entry]()
        for path in leading:
            if self.kinds.get(path, "") is not Kind.DIRECTORY:
                below = at(same, path)
                lost += same[below]
                del same[below]
        left = [
            entry
            for entry in found.gone
            if self.kinds.get(entry.path, "") is entry.kind and gone.isdisjoint(above(entry.path))
        ]
        return Merge(same, left, sorted([*found.new, *lost], key=order) if lost else found.new)

    def compared(self, entries: Sequence[Entry], *, by_size: bool = False) -> list[Entry]:
        """Those of ``entries`` that lie here as what they are; of others' content nothing is known.

        Where the remote computes no digests, that is so of all, unless files may be told ``by_size``.
        """
        there = [entry for entry in entries if self.kinds.get(entry.path, "") is entry.kind]
        files = [entry for entry in there if entry.kind is Kind.FILE]
        trusted = files and (by_size or self.remote.capabilities.digests)
        altered = set(self.remote.verify("", files)) if trusted else set()
        found = [self._known(entry, whole=entry not in altered) for entry in there]
        if trusted:
            return found
        # Of the size that they should have, as far as one can tell; see `diff.reason`.
        return [entry._replace(sha256=UNKNOWN) if entry.kind is Kind.FILE else entry for entry in found]

    def _known(self, entry: Entry, *, whole: bool) -> Entry:
        if entry.kind is Kind.SYMLINK:
            return entry._replace(link=self.remote.read_link(entry.path))
        return entry if whole else entry._replace(size=0, sha256=UNKNOWN)

    def in_the_way(self, before: Sequence[Entry], after: Sequence[Entry]) -> list[Entry]:
        """The entries of ``after`` at whose path lies what is not ours.

        A directory is in no directory's way. On a target that does not tell letters' case, nor is a file of ours whose
        name has another case.
        """
        ours = {entry.path for entry in before}
        names = {entry.path for entry in after}
        twins = {path.casefold() for path in ours - names}
        return [
            entry
            for entry in after
            if entry.path not in ours
            and entry.path in self.kinds
            and not (entry.kind is Kind.DIRECTORY and self.kinds[entry.path] is Kind.DIRECTORY)
            and entry.path.casefold() not in twins
        ]

    def directories(self, before: Sequence[Entry], after: Sequence[Entry]) -> list[Entry]:
        """The directories of ``after`` that are here without being ours, which are taken as they are."""
        ours = {entry.path for entry in before}
        return [
            entry
            for entry in after
            if entry.kind is Kind.DIRECTORY
            and entry.path not in ours
            and self.kinds.get(entry.path, "") is Kind.DIRECTORY
        ]

    def check_emptied(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        """Refuse that a directory becomes something else while it holds what is not ours."""
        ours = {entry.path for entry in before}
        replaced = {entry.path for entry in after if entry.kind is not Kind.DIRECTORY}
        for entry in before:
            if entry.kind is Kind.DIRECTORY and not replaced.isdisjoint((*above(entry.path), entry.path)):
                for child in self.remote.list(entry.path):
                    if f"{entry.path}/{child.name}" not in ours:
                        raise PushRefused(
                            f"{self.remote.root}/{entry.path} is to be no directory any more, and holds "
                            f"{child.name!r}, which push did not put there; nothing was changed",
                            hint="move that away",
                        )


def as_unknown(entry: Entry, kind: Kind | None) -> Entry:
    """An entry at the path of ``entry``, of ``kind``, of whose content nothing is known."""
    if kind is Kind.SYMLINK:
        return Entry(entry.path, kind, 0o777, link="/")
    if kind is Kind.FILE:
        return Entry(entry.path, kind, entry.mode, 0, UNKNOWN)
    return entry
