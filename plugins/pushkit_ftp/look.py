"""`Look`: what lies at several paths of a remote, each directory of which is listed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pushkit import Kind
from pushkit.files import Remote, Stat, safe_name
from pushkit_ftp.listing import time_of
from pushkit_ftp.replies import Reply

#: Seconds by which zones of time differ, and to which a listing has times.
ZONE, MINUTE = 900, 60


class Look:
    """What was ``found`` up to now, by path. ``lists`` tells what several directories hold, of those that are there."""

    def __init__(self, remote: Remote, lists: Callable[[Sequence[str]], Mapping[str, Sequence[Stat]]]) -> None:
        self.found: dict[str, Stat] = {}
        self._remote = remote
        self._lists = lists
        self._listings: dict[str, Sequence[Stat]] = {}

    def at(self, path: str) -> Stat | None:
        """What lies at ``path``."""
        if path not in self.found and (stat := self._stat(path)) is not None:
            self.found[path] = stat
        return self.found.get(path)

    def below(self, directory: str, kind: Kind | None = None) -> Sequence[str]:
        """The paths of what a directory holds, if it is one, and of that only what is of ``kind``."""
        stat = self.at(directory)
        if stat is None or stat.kind is not Kind.DIRECTORY:
            return ()
        children = [child for child in self._children(directory) if kind is None or child.kind is kind]
        there = {f"{directory}/{safe_name(child.name)}".lstrip("/"): child for child in children}
        self.found |= there
        return list(there)

    def trees(self, paths: Sequence[str]) -> list[str]:
        """Find everything below ``paths``; the files of it."""
        files: list[str] = []
        level = [path for path in paths if self.at(path)]
        while level:
            files += [path for path in level if self.found[path].kind is Kind.FILE]
            directories = [path for path in level if self.found[path].kind is Kind.DIRECTORY]
            self._list(directories)
            level = [path for directory in directories for path in self.below(directory)]
        return files

    def date(self, answers: Mapping[str, Reply]) -> None:
        """Put right the times of a listing, which has them to the minute and by the clock of the server's own zone.

        ``answers`` are those of MDTM about files, which has seconds of UTC. How far the two clocks are apart, the files
        tell that have both; all else gets the latest time that it can have, so that nobody is taken for dead too soon.
        """
        exact = {path: time_of(reply.lines[0]) for path, reply in answers.items() if reply.code == 213}
        zones = [round((time - self.found[path].mtime) / ZONE) * ZONE for path, time in exact.items()]
        zone = max(set(zones), key=zones.count) if zones else 0
        for path, stat in self.found.items():
            self.found[path] = stat._replace(mtime=exact.get(path, stat.mtime + zone + MINUTE))

    def _stat(self, path: str) -> Stat | None:
        if not path:
            return self._remote.stat("")
        parent, _, name = path.rpartition("/")
        above = self.at(parent) if parent else None
        if parent and (above is None or above.kind is not Kind.DIRECTORY):
            return None
        return next((child for child in self._children(parent) if child.name == name), None)

    def _children(self, directory: str) -> Sequence[Stat]:
        self._list([directory])
        return self._listings[directory]

    def _list(self, directories: Sequence[str]) -> None:
        """List those that were not yet. What is not there holds nothing."""
        new = [directory for directory in directories if directory not in self._listings]
        found = self._lists(new) if new else {}
        self._listings |= {directory: found.get(directory, ()) for directory in new}
