"""What a server answers, and the errors that it tells of, in plain words."""

from __future__ import annotations

import re
from typing import NamedTuple

from pushkit.files import RemoteDenied, RemoteError, RemoteExists, RemoteFull, RemoteLost, RemoteMissing


class Reply(NamedTuple):
    """The answer to a command: three digits (RFC 959, 4.2), and the lines of text after them."""

    code: int
    lines: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether it was done, or begun, or goes on with the next command."""
        return self.code < 400

    @property
    def text(self) -> str:
        """The code and its text, on one line."""
        return " ".join([str(self.code), *" ".join(self.lines).split()])


class Dropped(RemoteLost):
    """The server ended the connection in place of doing what it was asked for."""


#: What the words of a reply tell, where the code does not: RFC 959 has 550 for nearly everything.
WORDS: tuple[tuple[type[RemoteError], str], ...] = (
    (RemoteFull, r"no space|disk full|disk is full|quota|not enough space|insufficient"),
    (RemoteMissing, r"no such|not found|does(n't| not) exist|can(not|'t) find"),
    (RemoteExists, r"already exist|file exist|directory exist"),
    (RemoteDenied, r"permission|denied|not permitted|not allowed|read-only|prohibited|forbidden"),
)
FULL = "make room on the server: its disk is full, or the quota of this account is used up"
MAY = "check `path`, and what this user may do there"
CROWDED = re.compile(r"too many|maximum|max(imum)? number|connection limit|already logged|connections? from|"
                     r"simultaneous|limit reached", re.IGNORECASE)  # fmt: skip


def crowded(reply: Reply) -> bool:
    """Whether the server says that it lets in no more connections than there are."""
    return reply.code == 421 or (reply.code in {530, 425, 426} and bool(CROWDED.search(reply.text)))


def kind_of(reply: Reply) -> type[RemoteError] | None:
    """The class of what a failed command tells; None when one has to look."""
    if reply.code in {452, 552}:
        return RemoteFull
    if reply.code == 521:  # of MKD: RFC 1123's authors had it so
        return RemoteExists
    for kind, words in WORDS:
        if re.search(words, reply.text, re.IGNORECASE):
            return kind
    return None


def error_of(reply: Reply, what: str, kind: type[RemoteError] | None = None) -> RemoteError:  # noqa: PLR0912  (a case for each code)
    """The error of a command about ``what`` that was answered by ``reply``. ``kind`` is known by having looked."""
    kind = kind or kind_of(reply)
    words, hint = "the server refuses", ""
    match reply.code:
        case 421:
            kind, words = Dropped, "the server ended the connection"
            hint = "push again; lower `connections` if it says that there are too many"
        case 425:
            kind, words = RemoteLost, "no data connection came about"
            hint = 'a firewall may be in the way: try mode = "active", or push again'
        case 426:
            kind, words, hint = RemoteLost, "the data connection was cut", "push again"
        case 450:
            words, hint = "the file is in use on the server", "push again in a moment"
        case 451 if kind is not RemoteFull:
            words = "the server failed while it did it"
            hint = "the disk may be full, or the quota used up; else ask the server's owner what its log says"
        case 500 | 501 | 502 | 504:
            words = "the server does not know this command"
        case 522 | 534 | 535 | 536:
            words, hint = "the server wants another kind of TLS", "see `tls` and `tls_max`"
        case 530 | 532:
            kind, words, hint = RemoteDenied, "this user is not let in", "check `user` and `password`"
        case 553:
            kind = kind or RemoteDenied
            words, hint = "the server does not take a file of that name", "rename it, or add it to .pushignore"
    if kind is RemoteFull:
        words, hint = "no space left on the target", FULL
    elif kind is RemoteMissing:
        words = "there is no such file or directory"
    elif kind is RemoteExists:
        words = "there is something already"
    elif kind is RemoteDenied and not hint:
        words, hint = "permission denied", MAY
    elif kind is None and reply.code == 550:
        hint = MAY
    return (kind or RemoteError)(f"{what}: {words} ({reply.text})", hint=hint)
