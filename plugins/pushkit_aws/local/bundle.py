"""Unpacking a bundle. What is in an archive was written by somebody else: nothing of it may land outside."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from msgspec import Struct

from pushkit import TargetError
from pushkit_aws.appspec import AppSpecError

#: Bytes and members of an archive that no application has, and that would fill a disk.
MOST_BYTES = 20_000_000_000
MOST_MEMBERS = 1_000_000
CHUNK = 1 << 20

Check = Callable[[], None]


class Member(Struct, frozen=True):
    """One member of an archive: ``open`` reads a file, ``link`` is a symlink's text, neither is a directory's."""

    name: str
    mode: int
    open: Callable[[], IO[bytes] | None] | None = None
    link: str = ""


def unpack(location: Path, kind: str, to: Path, check: Check) -> None:
    """Unpack the bundle ``location`` into the new directory ``to``. ``check`` raises when it should stop.

    Raises `TargetError` for what is no such bundle, and for one that would put something elsewhere.
    """
    try:
        if kind == "directory":
            copy_tree(location, to, check)
        elif kind == "zip":
            with zipfile.ZipFile(location) as archive:
                Unpacking(location.name, to, check).all(zip_members(archive, location.name))
        else:
            with tarfile.open(location, "r:gz" if kind == "tgz" else "r:*") as tar:
                Unpacking(location.name, to, check).all(tar_members(tar, location.name))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        hint = "the kind of the bundle is what -t says: directory, tar, tgz or zip"
        raise TargetError(f"{location} cannot be unpacked as {kind}: {error}", hint=hint) from error
    except (OSError, ValueError) as error:
        raise TargetError(f"{location} cannot be unpacked as {kind}: {error}") from error


class Unpacking:
    """Writes members below ``top``. Symlinks are made last: no member is ever written through one."""

    def __init__(self, name: str, top: Path, check: Check) -> None:
        self._name = name
        self._top = top
        self._check = check
        self._left = MOST_BYTES
        self._links: dict[str, str] = {}

    def all(self, members: Iterator[Member]) -> None:
        """Write all of them. Raises `TargetError` for one that is not to be."""
        self._top.mkdir()
        for number, member in enumerate(members):
            self._check()
            if number >= MOST_MEMBERS:
                raise TargetError(f"{self._name} has more than {MOST_MEMBERS:,} members")
            self._one(member)
        for path, text in self._links.items():
            self._link(path, text)

    def _one(self, member: Member) -> None:
        parts = [part for part in member.name.split("/") if part not in {"", "."}]
        if member.name.startswith("/") or ".." in parts or "\0" in member.name:
            raise TargetError(f"{self._name} has the member {member.name!r}, which would lie elsewhere")
        if not parts:
            return
        path = "/".join(parts)
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in self._links:
                raise TargetError(f"{self._name} has the member {member.name!r}, which lies behind a link")
        place = self._top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        self._links.pop(path, None)
        if member.link:
            self._links[path] = member.link
        elif member.open is None:
            place.mkdir(exist_ok=True)
        else:
            self._file(member, place)

    def _file(self, member: Member, place: Path) -> None:
        assert member.open is not None
        source = member.open()
        if source is None:
            raise TargetError(f"{self._name} has the member {member.name!r}, which is no file")
        place.unlink(missing_ok=True)
        with source, open(place, "xb") as file:
            while data := source.read(CHUNK):
                self._check()
                self._left -= len(data)
                if self._left < 0:
                    raise TargetError(f"{self._name} holds more than {MOST_BYTES:,} bytes")
                file.write(data)
        # Who unpacks gains no rights by a bit of the archive's.
        place.chmod((member.mode & 0o777) | 0o400)

    def _link(self, path: str, text: str) -> None:
        place = self._top / path
        if os.path.lexists(place):
            raise TargetError(f"{self._name} has {path!r} as a link and as something else")
        place.symlink_to(text)
        # The others are made or will be: each is looked at when all that it may lead through is there.
        real, top = os.path.realpath(place), os.path.realpath(self._top)
        if text.startswith("/") or not (real == top or real.startswith(top + "/")):
            place.unlink()
            raise TargetError(f"{self._name} has the link {path!r}, which leads out of it: {text}")


def tar_members(archive: tarfile.TarFile, name: str) -> Iterator[Member]:
    """The members of a tar archive."""
    for each in archive:
        if each.isdir():
            yield Member(each.name, each.mode)
        elif each.issym():
            yield Member(each.name, 0, link=each.linkname)
        elif each.islnk():
            yield hard_link(archive, each, name)
        elif each.isreg():
            yield Member(each.name, each.mode, lambda each=each: archive.extractfile(each))  # type: ignore[misc]
        else:
            raise TargetError(f"{name} has the member {each.name!r}, which is no file, directory or link")


def hard_link(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Member:
    """A hard link as the file that it is another name of."""

    def read() -> IO[bytes] | None:
        try:
            return archive.extractfile(member)
        except KeyError as error:
            message = f"{name} has the link {member.name!r}, and not what it leads to: {member.linkname}"
            raise TargetError(message) from error

    return Member(member.name, member.mode, read)


def zip_members(archive: zipfile.ZipFile, name: str) -> Iterator[Member]:
    """The members of a zip archive. Those made on Windows have no modes of Unix."""
    for each in archive.infolist():
        mode = each.external_attr >> 16
        if each.is_dir():
            yield Member(each.filename, mode)
        elif stat.S_ISLNK(mode):
            if each.file_size > 4096:
                raise TargetError(f"{name} has the link {each.filename!r}, which is longer than any path")
            yield Member(each.filename, 0, link=os.fsdecode(archive.read(each)))
        elif stat.S_IFMT(mode) in {0, stat.S_IFREG}:
            yield Member(each.filename, mode & 0o777 or 0o644, lambda each=each: archive.open(each))  # type: ignore[misc]
        else:
            raise TargetError(f"{name} has the member {each.filename!r}, which is no file, directory or link")


def copy_tree(location: Path, to: Path, check: Check) -> None:
    """Copy a directory: symlinks as they are, and no sockets, pipes and devices."""

    def copy(source: str, destination: str) -> str:
        check()
        if not stat.S_ISREG(os.stat(source).st_mode):
            raise TargetError(f"{source} is neither a file, a directory nor a link")
        return shutil.copy2(source, destination)

    real = os.path.realpath(location)
    if os.path.realpath(to).startswith(real.rstrip("/") + "/"):
        raise TargetError(f"the state in {to} lies in the bundle itself", hint="name a directory for it: --state DIR")
    try:
        shutil.copytree(location, to, symlinks=True, copy_function=copy)
    except shutil.Error as error:
        source, _, why = error.args[0][0]
        raise TargetError(f"{source} cannot be copied: {why}") from error


def strip(archive: Path, appspec: str) -> None:
    """Where all of a bundle is in one directory, which holds the AppSpec, take that directory away around it."""
    inside = list(archive.iterdir())
    if len(inside) != 1 or not inside[0].is_dir() or inside[0].is_symlink() or not (inside[0] / appspec).is_file():
        return
    aside = archive.with_name(archive.name + ".whole")
    archive.rename(aside)
    (aside / inside[0].name).rename(archive)
    aside.rmdir()


def find_appspec(archive: Path, name: str) -> Path:
    """The AppSpec in a revision: ``name``, and for the default name also with ``.yaml``. Raises `AppSpecError`."""
    from pushkit import Problem  # noqa: PLC0415

    names = (name, "appspec.yaml") if name == "appspec.yml" else (name,)
    for each in names:
        if (archive / each).is_file():
            return archive / each
    below = sorted(path.relative_to(archive).as_posix() for each in names for path in archive.rglob(each))
    hint = f"it is in {below[0]}: bundle what is in that directory" if below else "it lies at the top of the bundle"
    raise AppSpecError(name, [Problem(0, "", "is not in the bundle", hint)])
