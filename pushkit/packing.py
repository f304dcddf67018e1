"""A snapshot as one file: a tar.gz or a zip, the same bytes for the same snapshot on any day and in any time zone."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from msgspec import Struct

from pushkit.archive import PIECE, Part, tar
from pushkit.errors import SnapshotError, TargetError
from pushkit.model import Entry, Kind
from pushkit.snapshot import Snapshot

LEVEL = 6
#: The first time that a zip can name (APPNOTE.TXT 4.4.6).
EPOCH = (1980, 1, 1, 0, 0, 0)
UNIX = 3
TYPES = {Kind.FILE: stat.S_IFREG, Kind.DIRECTORY: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}
MSDOS_DIRECTORY = 0x10


class Archive(Struct, frozen=True):
    """A packed snapshot: the file, its bytes, and their sha256, 32 bytes."""

    path: Path
    size: int
    sha256: bytes


def pack(snapshot: Snapshot, packing: Literal["tar.gz", "zip"], path: Path, check: Callable[[], None]) -> Archive:
    """Write ``snapshot`` to the new file ``path``, mode 0600, in constant memory.

    ``check`` is called before each entry and stops it by raising. The bytes depend on the snapshot alone, and on the
    version of zlib. Raises `SnapshotChanged` when a file is no longer what it was, `SnapshotError` for a name that a
    zip cannot hold, `TargetError` when ``path`` cannot be written.
    """
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            if packing == "zip":
                _zip(snapshot, file, check)
            else:
                _tar_gz(snapshot, file, check)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            return Archive(path, file.tell(), digest)
    except OSError as error:
        raise TargetError(
            f"the archive of the snapshot cannot be written to {path}: {error.strerror}",
            hint="set TMPDIR to a directory with room",
        ) from error


def _tar_gz(snapshot: Snapshot, file: BinaryIO, check: Callable[[], None]) -> None:
    def content(entry: Entry) -> Iterator[bytes]:
        check()
        with snapshot.open(entry) as stream:
            while piece := stream.read(PIECE):
                yield piece

    # Without a name and a time in its header (RFC 1952, section 2.3.1).
    with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as stream:
        for piece in tar(Part(snapshot.entries, content)):
            stream.write(piece)


def _zip(snapshot: Snapshot, file: BinaryIO, check: Callable[[], None]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for entry in snapshot.entries:
            check()
            info = _info(entry)
            with archive.open(info, "w") as stream:
                if entry.kind is Kind.SYMLINK:
                    stream.write(entry.link.encode("utf-8", "surrogateescape"))
                elif entry.kind is Kind.FILE:
                    with snapshot.open(entry) as content:
                        shutil.copyfileobj(content, stream, PIECE)


def _info(entry: Entry) -> zipfile.ZipInfo:
    """The header of an entry, its mode and type as Info-ZIP writes them."""
    try:
        entry.path.encode()
    except UnicodeEncodeError:
        raise SnapshotError(
            f"{entry.path!a} is no name in UTF-8, and a zip holds no other",
            hint="rename it, or send a tar.gz",
        ) from None
    directory = entry.kind is Kind.DIRECTORY
    info = zipfile.ZipInfo(entry.path + "/" * directory, EPOCH)
    info.create_system = UNIX
    info.external_attr = (TYPES[entry.kind] | entry.mode) << 16 | MSDOS_DIRECTORY * directory
    info.file_size = entry.size
    info.compress_type = zipfile.ZIP_DEFLATED if entry.size else zipfile.ZIP_STORED
    return info
