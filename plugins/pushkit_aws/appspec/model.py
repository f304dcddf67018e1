"""An AppSpec as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct, field

from pushkit import Problem

Platform = Literal["server", "lambda", "ecs"]


class Behavior(StrEnum):
    """What becomes of a file that is in the way and that no deployment put there."""

    DISALLOW = "DISALLOW"
    OVERWRITE = "OVERWRITE"
    RETAIN = "RETAIN"


class File(Struct, frozen=True):
    """What is copied, a path in the bundle, and the directory that it goes to. ``source`` ``/`` is everything."""

    source: str
    destination: str
    line: int = 0


class Hook(Struct, frozen=True):
    """A script of a lifecycle event: its path in the bundle, seconds until it is ended, the user that it runs as."""

    location: str
    timeout: int = 3600
    runas: str = ""
    line: int = 0


class AccessEntry(Struct, frozen=True):
    """One entry of an access control list. ``kind`` is user, group, mask or other; ``rights`` are like ``r-x``."""

    default: bool
    kind: str
    name: str
    rights: str

    def __str__(self) -> str:
        return f"{'default:' * self.default}{self.kind}:{self.name}:{self.rights}"


class Context(Struct, frozen=True):
    """An SELinux context. ``range`` is like ``s0-s3:c0.c5``; it and ``user`` may be empty."""

    type: str
    user: str = ""
    range: str = ""


class Permission(Struct, frozen=True):
    """What the files and directories of this deployment below ``object`` get that match ``pattern`` and no ``excepts``.

    ``mode`` is in octal digits; it, ``owner`` and ``group`` may be empty.
    """

    object: str
    pattern: str = "**"
    excepts: tuple[str, ...] = ()
    types: tuple[str, ...] = ("file", "directory")
    owner: str = ""
    group: str = ""
    mode: str = ""
    acls: tuple[AccessEntry, ...] = ()
    context: Context | None = None
    line: int = 0


class Resource(Struct, frozen=True):
    """What a Lambda or ECS deployment is about. ``properties`` have the names that AWS documents."""

    name: str
    type: str
    properties: Mapping[str, Any]
    line: int = 0


class Function(Struct, frozen=True):
    """The Lambda function, a name or an ARN, that validates a deployment at a lifecycle event."""

    event: str
    name: str
    line: int = 0


class AppSpec(Struct, frozen=True):
    """A valid AppSpec.

    ``os``, ``files``, ``hooks`` (scripts by event, in order), ``permissions`` and ``file_exists_behavior`` (None where
    the file leaves it open) are of the platform ``server``, ``resource`` and ``functions`` of the others. ``warnings``
    are what is allowed and probably not meant.
    """

    name: str
    platform: Platform
    os: str = ""
    files: tuple[File, ...] = ()
    hooks: Mapping[str, tuple[Hook, ...]] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    file_exists_behavior: Behavior | None = None
    resource: Resource | None = None
    functions: tuple[Function, ...] = ()
    warnings: tuple[Problem, ...] = ()
