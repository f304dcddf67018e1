"""Two manifests -> what has to be sent, what is there already, what goes; each with a reason."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pushkit.model import Action, Entry, Kind, Step

#: The digest of a file of ours whose content is not known.
UNKNOWN = bytes(32)
#: Why a file is sent that is there with another content, or with one that this remote cannot be asked for.
DIFFERS, NOT_COMPARED = "content differs", "its content cannot be compared there"


class Difference(Struct, frozen=True):
    """What turns one tree into another.

    ``steps`` are in walk order, removals last and deepest first; the subject of a directory's step ends in a slash.
    ``send`` are the entries whose content has to travel (and new directories and symlinks), ``keep`` the files and
    symlinks that are there already, ``modes`` those whose mode has to be set, ``replaced`` the files whose place others
    take.
    """

    steps: tuple[Step, ...]
    send: tuple[Entry, ...]
    keep: tuple[Entry, ...]
    modes: tuple[Entry, ...]
    replaced: tuple[Entry, ...] = ()


def difference(before: Sequence[Entry], after: Sequence[Entry], same: Sequence[Entry] = ()) -> Difference:
    """What turns ``before`` into ``after``, by content: neither times nor inodes count. Both hold ``same`` as well."""
    old = {entry.path: entry for entry in before}
    steps: list[Step] = []
    send: list[Entry] = []
    keep = [entry for entry in same if entry.kind is not Kind.DIRECTORY]
    modes: list[Entry] = []
    replaced: list[Entry] = []
    for entry in after:
        was = old.pop(entry.path, None)
        if was == entry:
            if entry.kind is not Kind.DIRECTORY:
                keep.append(entry)
        elif was is None:
            steps.append(Step(Action.ADD, subject(entry), "new", entry.size))
            send.append(entry)
        elif same_content(was, entry) and entry.kind is Kind.SYMLINK:
            keep.append(entry)  # a symlink has no mode of its own: setting one would change what it leads to
        elif same_content(was, entry):
            steps.append(Step(Action.REPLACE, subject(entry), f"mode {was.mode:o} becomes {entry.mode:o}"))
            modes.append(entry)
            if entry.kind is not Kind.DIRECTORY:
                keep.append(entry)
        else:
            steps.append(Step(Action.REPLACE, subject(entry), reason(was, entry), entry.size))
            send.append(entry)
            if was.kind is entry.kind is Kind.FILE:
                replaced.append(was)
    gone = sorted(old, key=lambda path: path.split("/"), reverse=True)
    steps += [Step(Action.REMOVE, subject(old[path]), "no longer in the project") for path in gone]
    return Difference(tuple(steps), tuple(send), tuple(keep), tuple(modes), tuple(replaced))


def subject(entry: Entry) -> str:
    """What a step on ``entry`` is called: its path, with a slash after a directory's."""
    return f"{entry.path}/" if entry.kind is Kind.DIRECTORY else entry.path


def same_content(was: Entry, entry: Entry) -> bool:
    """Whether two entries of one path differ in their mode at most."""
    return (was.kind, was.sha256, was.link) == (entry.kind, entry.sha256, entry.link)


def reason(was: Entry, entry: Entry) -> str:
    """Why ``entry`` has to take the place of ``was``."""
    if was.kind is not entry.kind:
        return f"was a {was.kind}, is a {entry.kind}"
    if entry.kind is Kind.SYMLINK:
        return f"linked to {was.link}"
    return NOT_COMPARED if was.size and was.sha256 == UNKNOWN else DIFFERS
