"""What a remote raises.

::

    TargetError
    └── RemoteError        a primitive failed
        ├── RemoteMissing  there is nothing at the path
        ├── RemoteExists   there is something at the path already
        ├── RemoteDenied   this user may not
        ├── RemoteFull     no space, no inodes, or no quota
        └── RemoteLost     the connection failed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pushkit.errors import TargetError

if TYPE_CHECKING:
    from pushkit.files.operation import Operation


class RemoteError(TargetError):
    """A primitive failed. The message names the path and what the remote said.

    ``operation`` is what it was part of, when several were to be performed, ``done`` those that are known to be done of
    the ones that were asked for together with it.
    """

    operation: Operation | None = None
    done: Sequence[Operation] = ()


class RemoteMissing(RemoteError):
    """There is nothing at the path."""


class RemoteExists(RemoteError):
    """There is something at the path already."""


class RemoteDenied(RemoteError):
    """The remote does not let this user do that."""


class RemoteFull(RemoteError):
    """No space, or no inodes, or a quota is used up."""

    def __init__(self, message: str, *, hint: str = "make room there, then push again: what arrived stays") -> None:
        super().__init__(message, hint=hint)


class RemoteLost(RemoteError):
    """The connection failed, and how far the remote came is not known. `Remote.renew` may make another."""


def not_switchable(root: str) -> RemoteError:
    """The error of a remote that cannot do what makes a release live."""
    return RemoteError(
        f"{root}: this server cannot rename one symlink over another, which is how a release is made live; "
        "nothing was sent",
        hint='set layout = "mirror", which does without',
    )
