"""What Install does, computed before anything is touched: directories, copies, permissions, and what is in the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from typing import Any

from msgspec import Struct

from pushkit_aws.appspec import AppSpec, Behavior, Permission
from pushkit_aws.local.matching import matches
from pushkit_aws.local.root import Root, normal


class MakeDirectory(Struct, frozen=True):
    """Make a directory."""

    destination: str


class Copy(Struct, frozen=True):
    """Copy a file or a symlink of the bundle. ``source`` is on this machine, ``size`` in bytes."""

    source: str
    destination: str
    size: int
    replaces: bool = False


class Grant(Struct, frozen=True):
    """Give ``paths``, that this deployment made, what a permission says."""

    permission: Permission
    paths: tuple[str, ...]


class Instructions(Struct, frozen=True):
    """All of an Install, in order. Paths are within the root.

    ``in_the_way`` exist although no deployment put them there, ``retained`` likewise and they stay. ``problems`` are
    what else would fail it.
    """

    makes: tuple[MakeDirectory | Copy, ...]
    grants: tuple[Grant, ...]
    retained: tuple[str, ...]
    in_the_way: tuple[str, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


class Planner:
    """Plans the Install of ``spec`` from the directory ``archive``.

    ``gone`` are the paths that the cleanup before it will have removed. A relative destination begins at ``here``.
    """

    def __init__(
        self, spec: AppSpec, archive: str, root: Root, *, behavior: Behavior, gone: Collection[str], here: str
    ) -> None:
        self._spec = spec
        self._archive = os.path.realpath(archive)
        self._root = root
        self._behavior = behavior
        self._gone = gone
        self._here = here
        self._made: dict[str, MakeDirectory | Copy] = {}
        self._retained: list[str] = []
        self._in_the_way: list[str] = []
        self._problems: list[str] = []
        self._warnings: list[str] = []

    def plan(self) -> Instructions:
        """The instructions; what is wrong is in them."""
        for file in self._spec.files:
            self._file(file.source, normal(file.destination, self._here))
        grants = tuple(self._grants())
        return Instructions(
            tuple(self._made.values()),
            grants,
            tuple(self._retained),
            tuple(dict.fromkeys(self._in_the_way)),
            tuple(self._problems),
            tuple(self._warnings),
        )

    def _file(self, source: str, destination: str) -> None:
        path = os.path.normpath(os.path.join(self._archive, source.lstrip("/")))
        if not os.path.lexists(path):
            self._problems.append(f"{source} is not in the bundle")
        elif os.path.isdir(path) and (not os.path.islink(path)):
            self._ancestors(destination)
            self._directory(path, destination, ())
        else:
            target = normal(os.path.basename(path), destination)
            self._ancestors(target)
            self._one(path, target, ())

    def _ancestors(self, destination: str) -> None:
        """The directories above ``destination`` that are not there."""
        missing = []
        parent = os.path.dirname(destination)
        while parent != "/" and parent not in self._made and not self._there(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        for each in reversed(missing):
            self._make(each)

    def _directory(self, path: str, destination: str, above: tuple[str, ...]) -> None:
        """Everything in a directory of the bundle. ``above`` are the real paths of those that it is in."""
        real = os.path.realpath(path)
        if real in above:
            self._problems.append(f"{self._name(path)} is a link to a directory that it is in")
            return
        if real != self._archive and not real.startswith(self._archive + "/"):
            self._problems.append(f"{self._name(path)} is a link that leads out of the bundle")
            return
        if not (self._there(destination) and self._root.is_directory(destination)):
            self._make(destination)
        for name in sorted(os.listdir(path)):
            target = normal(name, destination)
            self._one(os.path.join(path, name), target, (*above, real))

    def _one(self, path: str, destination: str, above: tuple[str, ...]) -> None:
        """One entry of the bundle. Links to files are kept, links to directories are expanded, as by the agent."""
        status = os.lstat(path)
        if "\n" in destination:
            self._problems.append(f"{self._name(path)!r} has a line break in its name")
        elif os.path.isdir(path):
            self._directory(path, destination, above)
        elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            self._copy(path, destination, status.st_size)
        else:
            self._problems.append(f"{self._name(path)} is neither a file nor a directory")

    def _copy(self, path: str, destination: str, size: int) -> None:
        other = self._made.get(destination)
        if other is not None:
            what = "two files" if isinstance(other, Copy) else "a file and a directory"
            self._problems.append(f"{what} of the bundle go to {destination}")
        elif not self._there(destination):
            self._check_parent(destination)
            self._made[destination] = Copy(path, destination, size)
        elif self._behavior is Behavior.RETAIN:
            self._retained.append(destination)
        elif self._behavior is Behavior.DISALLOW or stat.S_ISDIR(self._root.mode(destination)):
            self._in_the_way.append(destination)
        else:
            self._check_parent(destination)
            self._made[destination] = Copy(path, destination, size, replaces=True)

    def _make(self, destination: str) -> None:
        other = self._made.get(destination)
        if isinstance(other, Copy):
            self._problems.append(f"a file and a directory of the bundle go to {destination}")
        elif other is None and self._there(destination):
            self._in_the_way.append(destination)
        elif other is None and destination != "/":
            self._check_parent(destination)
            self._made[destination] = MakeDirectory(destination)

    def _check_parent(self, path: str) -> None:
        """Whether we may make ``path``: where the directory that it goes to is there already."""
        parent = os.path.dirname(path)
        if parent in self._made or not self._there(parent) or not self._root.is_directory(parent):
            return
        place = self._root.place(parent, follow=True)
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
            problem = f"{parent} is not ours to write to (run it as root, or into a directory: --root DIR)"
            if problem not in self._problems:
                self._problems.append(problem)

    def _there(self, path: str) -> bool:
        """Whether something will be at ``path`` after the cleanup."""
        return path not in self._gone and self._root.exists(path)

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self._archive)

    def _grants(self) -> Iterator[Grant]:
        taken: set[str] = set()
        for number, permission in enumerate(self._spec.permissions):
            paths = tuple(self._paths(permission, f"permissions[{number}]"))
            for path in taken.intersection(paths):
                self._problems.append(f"permissions[{number}] is for {path}, and so is one before it")
            taken.update(paths)
            if paths:
                yield Grant(permission, paths)

    def _paths(self, permission: Permission, name: str) -> Iterator[str]:
        """What a permission is for: a single file, or what was made below its object, and not the object itself."""
        top = normal(permission.object, self._here)
        if isinstance(self._made.get(top), Copy):
            if "file" in permission.types:
                if permission.pattern != "**" or permission.excepts:
                    self._problems.append(
                        f"{name} is for the file {top}, and a pattern or an exception is for a directory"
                    )
                self._check_access(permission, top, name)
                yield top
            return
        found = False
        for path, made in self._made.items():
            kind = "file" if isinstance(made, Copy) else "directory"
            if kind in permission.types and matches(permission, top, path):
                found = True
                if kind == "file":
                    self._check_access(permission, path, name)
                yield path
        if not found:
            self._warnings.append(f"{name}: nothing that is installed is meant by {top} and {permission.pattern}")

    def _check_access(self, permission: Permission, path: str, name: str) -> None:
        if any(entry.default for entry in permission.acls):
            self._problems.append(
                f"{name} has a default entry in its acls, which is for directories, and {path} is a file"
            )


def as_json(instructions: Instructions) -> dict[str, Any]:
    """The instructions in the format of the agent's ``-install.json``."""
    found: list[dict[str, Any]] = []
    for made in instructions.makes:
        if isinstance(made, Copy):
            found.append({"type": "copy", "source": made.source, "destination": made.destination})
        else:
            found.append({"type": "mkdir", "directory": made.destination})
    for grant in instructions.grants:
        one = grant.permission
        for path in grant.paths:
            if one.owner or one.group:
                found.append({"type": "chown", "owner": one.owner or None, "group": one.group or None, "file": path})
            if one.mode:
                found.append({"type": "chmod", "mode": one.mode, "file": path})
            if one.acls:
                found.append({"type": "setfacl", "acl": [str(entry) for entry in one.acls], "file": path})
            if one.context:
                context = {
                    "user": one.context.user or None,
                    "type": one.context.type,
                    "range": one.context.range or None,
                }
                found.append({"type": "semanage", "context": context, "file": path})
    return {"instructions": found}
