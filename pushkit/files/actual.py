"""What really lies on a target, where its manifest says what should."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pushkit.files.diff import difference
from pushkit.files.errors import RemoteMissing
from pushkit.files.remote import Remote
from pushkit.files.stat import Stat, safe_name
from pushkit.model import Action, Entry, Finding, Kind, Severity


def actual(remote: Remote, directory: str, entries: Sequence[Entry]) -> list[Entry]:
    """The entries below ``directory``, where ``entries`` should lie: those first, then what is foreign there.

    A file whose content is not what it should be, or not known, has no digest. Content is compared as `Remote.verify`
    does it: where the remote computes no digests, a file of the same size passes. Devices and the like are left out.
    """
    found = dict(scan(remote, directory))
    expected = {entry.path: entry for entry in entries}
    whole = [e for e in entries if e.kind is Kind.FILE and e.path in found and found[e.path].kind is Kind.FILE]
    altered = {entry.path for entry in remote.verify(directory, whole)}
    paths = [entry.path for entry in entries if entry.path in found]
    lying: list[Entry] = []
    for path in (*paths, *(path for path in found if path not in expected)):
        kind, mode, size = found[path].kind, found[path].mode, found[path].size
        entry = expected.get(path)
        if kind is Kind.DIRECTORY:
            lying.append(Entry(path, kind, mode))
        elif kind is Kind.SYMLINK:
            link = remote.read_link(f"{directory}/{path}")
            # A symlink's own mode says nothing.
            lying.append(Entry(path, kind, entry.mode if entry else mode, link=link))
        elif kind is Kind.FILE:
            known = entry.sha256 if entry and entry.kind is kind and path not in altered else b""
            lying.append(Entry(path, kind, mode, size, known))
    return lying


def scan(remote: Remote, directory: str) -> Iterator[tuple[str, Stat]]:
    """Everything below ``directory``, by path relative to it, each directory before what is in it."""
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        try:
            children = remote.list(f"{directory}/{parent}".strip("/"))
        except RemoteMissing:
            continue  # it went away meanwhile
        for child in children:
            path = f"{parent}/{safe_name(child.name)}".lstrip("/")
            yield path, child
            if child.kind is Kind.DIRECTORY:
                waiting.append(path)


def findings(directory: str, entries: Sequence[Entry], lying: Sequence[Entry], digests: bool) -> list[Finding]:
    """What ``push check`` says of ``directory``, where ``entries`` should lie and ``lying`` do, the sum of it last.

    ``digests``: their content was compared, and not only its size. What is foreign, and another mode, does not make a
    release any less whole.
    """
    found = []
    altered = 0
    for step in difference(entries, lying).steps:
        severity = Severity.WARNING
        if step.action is Action.ADD:
            message = "foreign: no push put it there"
        elif step.action is Action.REMOVE:
            message, severity = "missing", Severity.ERROR
        elif step.reason.startswith("mode "):
            message = f"altered: {step.reason}"
        else:
            message, severity = f"altered: {step.reason}", Severity.ERROR
        altered += severity is Severity.ERROR
        found.append(Finding(severity, f"{directory}/{step.subject}", message))
    how = "by sha256" if digests else "by size: this target computes no digests"
    if altered:
        message = f"{altered:,} of {len(entries):,} paths are not as they were pushed ({how})"
        return [*found, Finding(Severity.WARNING, directory, message, "send them again: push --repair")]
    return [*found, Finding(Severity.OK, directory, f"{len(entries):,} paths are as they were pushed ({how})")]
