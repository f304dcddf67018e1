"""Giving what a deployment made the owner, mode, access control list and SELinux context that it is to have."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence

from pushkit import TargetError
from pushkit_aws.appspec import AccessEntry, Permission
from pushkit_aws.local.root import Root

#: Seconds that setfacl, semanage and restorecon may take; the policy is compiled by each call of semanage.
PATIENCE = 120


class Granter:
    """Gives permissions within ``root``.

    When ``lenient``, which is for a directory that stands for ``/`` and may belong to anybody, owners that cannot be
    given and contexts are left out; `left_out` says which.
    """

    def __init__(self, root: Root, *, lenient: bool) -> None:
        self._root = root
        self._lenient = lenient

    def obstacles(self, permission: Permission) -> Iterator[str]:
        """Why a permission cannot be given here."""
        if permission.acls and not shutil.which("setfacl"):
            yield "acls need setfacl, which is not on the PATH (its package is called acl)"
        if self._lenient:
            return
        if permission.owner and user_id(permission.owner) is None:
            yield f"there is no user {permission.owner} on this machine"
        if permission.group and group_id(permission.group) is None:
            yield f"there is no group {permission.group} on this machine"
        yield from self._not_ours(permission)
        if permission.context:
            yield from (
                f"a context needs {name}, which is not on the PATH"
                for name in ("semanage", "restorecon")
                if not shutil.which(name)
            )

    def left_out(self, permission: Permission) -> Iterator[str]:
        """What of a permission is not given."""
        if not self._lenient:
            return
        if permission.context:
            yield f"the context {permission.context.type}"
        for name, number, ours in ownership(permission):
            if number is None or not ours:
                yield name

    def _not_ours(self, permission: Permission) -> Iterator[str]:
        for name, number, ours in ownership(permission):
            if number is not None and not ours:
                yield f"only root gives files {name}"

    def give(self, permission: Permission, path: str) -> Sequence[str]:
        """Give it to one path; the paths that have a rule of SELinux now. Raises `TargetError` and `OSError`.

        The owner comes first: chown(2) takes the set-user-ID bit away that a mode of four digits gives. A mode and a
        list are never given through a link, which may lead anywhere.
        """
        place = self._root.place(path)
        left_out = set(self.left_out(permission))
        owner = user_id(permission.owner) if f"the owner {permission.owner}" not in left_out else None
        group = group_id(permission.group) if f"the group {permission.group}" not in left_out else None
        if owner is not None or group is not None:
            os.chown(place, -1 if owner is None else owner, -1 if group is None else group, follow_symlinks=False)
        if stat.S_ISLNK(os.lstat(place).st_mode):
            return ()
        if permission.mode:
            os.chmod(place, int(permission.mode, 8))
        if permission.acls:
            text = ",".join(access_list(permission.acls, os.stat(place).st_mode))
            called(("setfacl", "--set", text, "--", place))
        if permission.context and not self._lenient:
            self._label(permission, place)
            return (path,)
        return ()

    def _label(self, permission: Permission, place: str) -> None:
        assert permission.context is not None
        context = permission.context
        user = ("-s", context.user) if context.user else ()
        range_ = ("-r", context.range) if context.range else ()
        called(("semanage", "fcontext", "-a", *user, "-t", context.type, *range_, place))
        called(("restorecon", "-v", place))


def ownership(permission: Permission) -> Iterator[tuple[str, int | None, bool]]:
    """The owner and the group of a permission: in words, by number if there is one, and whether we may give it."""
    root = os.geteuid() == 0
    if permission.owner:
        owner = user_id(permission.owner)
        yield f"the owner {permission.owner}", owner, root or owner == os.geteuid()
    if permission.group:
        group = group_id(permission.group)
        yield f"the group {permission.group}", group, root or group in {os.getegid(), *os.getgroups()}


def forget_context(place: str) -> None:
    """Take the rule of SELinux for a path away. Raises `TargetError`."""
    called(("semanage", "fcontext", "-d", place))


def access_list(entries: Sequence[AccessEntry], mode: int) -> list[str]:
    """``entries`` with what setfacl(1) wants beside them: the base entries, from ``mode``, and a mask for names.

    Default entries get a base of their own.
    """
    user, group, other = ("".join(letters(mode >> shift & 7)) for shift in (6, 3, 0))
    found = [str(entry) for entry in entries]
    found += [f"user::{user}", f"group::{group}", f"other::{other}"]
    own = [entry for entry in entries if not entry.default]
    if any(entry.name for entry in own) and not any(entry.kind == "mask" for entry in own):
        found.append(f"mask::{group}")
    default = [entry for entry in entries if entry.default]
    there = {entry.kind: entry.rights for entry in default if not entry.name}
    if default:
        base = {"user": user, "group": group, "other": other}
        found += [f"default:{kind}::{rights}" for kind, rights in base.items() if kind not in there]
        if any(entry.name for entry in default) and "mask" not in there:
            found.append(f"default:mask::{there.get('group', group)}")
    return found


def letters(bits: int) -> Iterator[str]:
    """Three bits as ``rwx``."""
    return (letter if bits & bit else "-" for letter, bit in zip("rwx", (4, 2, 1), strict=True))


def called(argv: Sequence[str]) -> None:
    """Run a program that says nothing when all is well. Raises `TargetError` with what it says otherwise."""
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or f"it did not end within {PATIENCE} seconds"
        raise TargetError(f"{argv[0]} for {argv[-1]} did not run: {why}") from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise TargetError(f"{' '.join(argv[:3])} for {argv[-1]} ended with exit code {done.returncode}: {said}")


def user_id(name: str) -> int | None:
    """The number of a user, given by name or by number; None where there is none."""
    try:
        return int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> int | None:
    """The number of a group, given by name or by number; None where there is none."""
    try:
        return int(name) if name.isascii() and name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        return None
