"""What differs between a snapshot and what is live, path by path, and the text of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import unified_diff

from msgspec import Struct

from pushkit.errors import TargetError
from pushkit.model import Action, Entry, Kind, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Comparable

#: The largest file whose text is compared, in bytes.
LIMIT = 256 * 1024
#: Files by whose names one expects a secret, and what one begins with.
SECRET_NAME = re.compile(
    r"(?:.*/)?(?:\.env(?:\..*)?|\.netrc|\.htpasswd|\.pgpass|\.npmrc|\.pypirc|id_(?:rsa|dsa|ecdsa|ed25519)"
    r"|(?:[^/]*[-_.])?(?:secrets?|credentials?|passwords?|passwd|tokens?|master[-_.]key|private[-_.]key)(?:\.[^/]*)?"
    r"|[^/]*\.(?:key|pem|p12|pfx|jks|keystore|kdbx|gpg|age|ovpn|ppk))",
    re.IGNORECASE,
).fullmatch
SECRET_TEXT = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY").search


class Change(Struct, frozen=True):
    """One path that differs. ``text`` is a unified diff of it, a line each; ``note`` says why there is none."""

    step: Step
    text: tuple[str, ...] = ()
    note: str = ""


class HiddenError(Exception):
    """The text of a file is not shown; the message says why."""


def compare(strategy: Comparable, snapshot: Snapshot, redact: Callable[[str], str], *, text: bool) -> Iterator[Change]:
    """What differs between what is live and ``snapshot``; with ``text``, line by line, ``redact`` applied to it."""
    entries = {entry.path: entry for entry in snapshot.entries} if text else {}
    for step in strategy.changes(snapshot):
        if not text or step.subject.endswith("/") or step.reason.startswith("mode "):
            yield Change(step)
            continue
        try:
            if SECRET_NAME(step.subject):
                raise HiddenError("not shown: by its name it may hold a secret")
            new = content_of(snapshot, entries.get(step.subject))
            old = b"" if step.action is Action.ADD else strategy.read_live(step.subject, LIMIT)
            lines = [redact(decoded(content)).split("\n") for content in (old, new)]
        except HiddenError as error:
            yield Change(step, note=str(error))
        except TargetError as error:
            yield Change(step, note=f"not shown: {error.message}")
        else:
            yield Change(step, tuple(unified(step.subject, *lines)))


def content_of(snapshot: Snapshot, entry: Entry | None) -> bytes:
    """The content of a file of ``snapshot``, of which there is nothing for None."""
    if entry is None:
        return b""
    if entry.kind is not Kind.FILE:
        raise HiddenError("")
    if entry.size > LIMIT:
        raise HiddenError(f"not shown: larger than {LIMIT // 1024} KiB")
    with snapshot.open(entry) as stream:
        return stream.read()


def decoded(content: bytes) -> str:
    """``content`` as text. Raises `HiddenError`."""
    if SECRET_TEXT(content):
        raise HiddenError("not shown: it holds a private key")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise HiddenError("not shown: binary") from error
    if "\0" in text:
        raise HiddenError("not shown: binary")
    return text


def unified(path: str, old: list[str], new: list[str]) -> Iterator[str]:
    """A unified diff of two texts, split at their line ends: the last line is empty where a text ends with one."""
    found = list(unified_diff(ended(old), ended(new), f"live/{path}", f"new/{path}", lineterm=""))
    for line in found:
        text, mark, _ = line.partition("\n")
        yield text
        if mark:
            yield "\\ No newline at end of file"
    if not found:
        yield "only what is hidden differs"


def ended(lines: list[str]) -> list[str]:
    """``lines`` as `unified` compares them: one that lacks its end is marked, for it differs from one that has it."""
    return lines[:-1] if not lines[-1] else [*lines[:-1], lines[-1] + "\n"]
