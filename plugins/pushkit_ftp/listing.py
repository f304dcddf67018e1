"""Listings: what servers say of a directory, as MLSD has it (RFC 3659) and as LIST does, which nobody wrote down."""

from __future__ import annotations

import calendar
import re
import stat
import time
import warnings
from collections.abc import Iterable, Iterator

from pushkit import Kind
from pushkit.files import RemoteError, Stat

KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
TYPES = {"file": Kind.FILE, "dir": Kind.DIRECTORY}
#: The modes of what a server gives none for.
MODES = {Kind.DIRECTORY: 0o755}
NUMBER = re.compile("[0-9]{1,18}")
TIME = re.compile(r"\d{14}")


def time_of(text: str) -> float:
    """``YYYYMMDDHHMMSS``, which is UTC, in seconds since 1970; 0 when it is none."""
    found = TIME.search(text)
    try:
        return float(calendar.timegm(time.strptime(found[0], "%Y%m%d%H%M%S"))) if found else 0.0
    except ValueError:
        return 0.0


def time_text(mtime: float) -> str:
    """Seconds since 1970 as ``YYYYMMDDHHMMSS``."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(mtime))


def fact_stat(line: str) -> Stat | None:
    """What a line of MLSD or MLST says, ``fact=value;...; name``; None for the directory itself and the one above."""
    facts, _, name = line.partition(" ")
    found = {key.lower(): value for key, _, value in (each.partition("=") for each in facts.split(";"))}
    type_ = found.get("type", "").lower()
    if type_ in {"cdir", "pdir"}:
        return None
    # OS.unix=symlink, OS.unix=slink:/where/it/leads
    kind = Kind.SYMLINK if re.match(r"os\.unix=s(ym)?link", type_) else TYPES.get(type_)
    mode, size = found.get("unix.mode", ""), found.get("size", "")
    return Stat(
        name,
        kind,
        int(mode, 8) & 0o777 if re.fullmatch("[0-7]{1,7}", mode) else MODES.get(kind or Kind.FILE, 0o644),
        int(size) if kind is Kind.FILE and NUMBER.fullmatch(size) else 0,
        time_of(found.get("modify", "")),
    )


def fact_stats(lines: Iterable[str]) -> list[Stat]:
    """What the lines of MLSD say."""
    return [found for line in lines if line and (found := fact_stat(line)) and found.name not in {".", ".."}]


def list_stats(lines: Iterable[str], where: str) -> list[Stat]:
    """What the lines of LIST say. Times are to the minute, and by the server's own clock.

    Raises `RemoteError` for what no parser understands: nothing is to be taken for missing.
    """
    return [found for found in _list_stats(lines, where) if found.name not in {".", ".."}]


def _list_stats(lines: Iterable[str], where: str) -> Iterator[Stat]:
    with warnings.catch_warnings():
        # It warns of a change in a part of it that is not used here.
        warnings.simplefilter("ignore", DeprecationWarning)
        from ftputil.error import ParserError  # noqa: PLC0415
        from ftputil.stat import MSParser, UnixParser  # noqa: PLC0415

    parsers = [UnixParser(), MSParser()]
    for line in lines:
        if parsers[0].ignores_line(line):
            continue
        for parser in tuple(parsers):
            try:
                found = parser.parse_line(line)
            except (ParserError, ValueError, OverflowError):
                continue
            # The first line decides which it is.
            parsers = [parser]
            kind = KINDS.get(stat.S_IFMT(found.st_mode))
            size = max(0, int(found.st_size or 0)) if kind is Kind.FILE else 0
            yield Stat(found._st_name, kind, found.st_mode & 0o777, size, found.st_mtime or 0.0)
            break
        else:
            raise RemoteError(
                f"{where}: the server lists files in a way that is not understood: {line[:100]!r}",
                hint="a server that has MLSD is understood; ask its owner, or use sftp",
            )
