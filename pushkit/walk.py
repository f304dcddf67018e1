"""One walk over a tree, pruned by the ignore rules: the same for a directory and for the tree of a commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from msgspec import Struct

from pushkit.ignore import GITIGNORE, PUSHIGNORE, Rules, State, Verdict
from pushkit.model import Entry


class Listing(Protocol):
    """What is in a directory."""

    @property
    def names(self) -> Sequence[str]:
        """All names, sorted by their bytes."""

    def is_directory(self, name: str) -> bool:
        """Whether ``name`` is a directory, and not a link to one."""


ListingT = TypeVar("ListingT", bound=Listing)


class Tree(Protocol[ListingT]):
    """What can be walked."""

    def listing(self, directory: str) -> ListingT:
        """What is in ``directory``. The empty path is the top."""

    def ignore_file(self, path: str, listing: ListingT) -> bytes:
        """The content of an ignore file, which ``listing`` has; empty when it is none that counts."""

    def entries(self, directory: str, listing: ListingT, dropped: Collection[str]) -> tuple[Sequence[Entry], list[int]]:
        """The entries of ``listing`` without the names that are ``dropped``, in its order.

        With the number of entries up to each directory among them, that one included. Raises `SnapshotError` for
        what cannot travel.
        """


class Run(NamedTuple):
    """The entries of one directory from ``start`` to before ``stop``, which follow each other."""

    entries: Sequence[Entry]
    start: int
    stop: int


class Frame(Struct):
    """A directory that is under way.

    ``states`` says how its directories stand where not as it does, and ``stops`` how many entries there are up to
    each directory, that one included; ``done`` of them are in a run.
    """

    path: str
    state: State
    rules: Rules
    entries: Sequence[Entry]
    states: dict[str, State]
    stops: Iterator[int]
    done: int = 0


def walk(tree: Tree[ListingT], rules: Rules, check: Callable[[], None], warnings: list[str]) -> list[Run]:
    """Every entry that travels: each directory before what is in it, names by bytes.

    In runs, so that a tree may complete a directory's entries before they are put together: see `gather`. Adds to
    ``warnings`` what a person should know about names. ``check`` is called for each directory, and ends the walk by
    raising. Raises `SnapshotError`.
    """
    runs: list[Run] = []
    # A stack of its own: a tree may be deeper than Python's.
    stack = [enter(tree, "", State.KEPT, rules, warnings)]
    while stack:
        frame = stack[-1]
        stop = next(frame.stops, None)
        if stop:
            runs.append(Run(frame.entries, frame.done, stop))
            frame.done = stop
            check()
            path = frame.entries[stop - 1].path
            stack.append(enter(tree, path, frame.states.get(path, frame.state), frame.rules, warnings))
            continue
        stack.pop()
        if frame.done < len(frame.entries):
            runs.append(Run(frame.entries, frame.done, len(frame.entries)))
        elif frame.state is State.THROUGH:
            # A directory that is only passed through does not travel for its own sake.
            entries, start, end = runs[-1]
            if entries[end - 1].path == frame.path:
                runs[-1] = Run(entries, start, end - 1)
    return runs


def gather(runs: Sequence[Run]) -> list[Entry]:
    """The entries of all runs."""
    out: list[Entry] = []
    for entries, start, stop in runs:
        out += entries[start:stop]
    return out


def enter(tree: Tree[ListingT], directory: str, state: State, rules: Rules, warnings: list[str]) -> Frame:
    """Read one directory, and keep of it what travels."""
    listing = tree.listing(directory)
    names = listing.names
    place = directory + "/" if directory else ""
    if state is State.KEPT:
        rules = rules_in(tree, directory, listing, rules)
    states = {}
    dropped = set()
    for name in rules.candidates(names, state):
        path = place + name
        states[path] = rules.decide(path, listing.is_directory(name), state).state
        if states[path] is State.DROPPED:
            dropped.add(name)
    joined = "\0".join(names)
    if not (joined.isascii() and joined.islower()):
        warnings += alike(place, [name for name in names if name not in dropped])
    entries, stops = tree.entries(directory, listing, dropped)
    return Frame(directory, state, rules, entries, states, iter(stops))


def rules_in(tree: Tree[ListingT], directory: str, listing: ListingT, rules: Rules) -> Rules:
    """The rules in ``directory``, with those of its own ignore files."""
    place = directory + "/" if directory else ""
    names = listing.names
    found = [tree.ignore_file(place + name, listing) if name in names else b"" for name in (GITIGNORE, PUSHIGNORE)]
    return rules.below(directory, *found) if any(found) else rules


def alike(place: str, names: Sequence[str]) -> Iterator[str]:
    """A warning for each pair of names that a file system without case cannot hold both."""
    if len(set("\0".join(names).casefold().split("\0"))) == len(names):
        return
    first: dict[str, str] = {}
    for name in sorted(names):
        other = first.setdefault(name.casefold(), name)
        if other is not name:
            yield f"{place}{other} and {place}{name} differ only in case"


def verdict(tree: Tree[ListingT], rules: Rules, path: str) -> tuple[str, Verdict]:
    """How ``path`` stands, and the path that decided it: its own, or that of a directory above it.

    Raises KeyError, with the path that does not exist, and the names that there are in its place.
    """
    state = State.KEPT
    directory = ""
    components = path.split("/")
    for depth, name in enumerate(components, 1):
        listing = tree.listing(directory)
        here = "/".join(components[:depth])
        if name not in listing.names:
            raise KeyError(here, listing.names)
        is_directory = listing.is_directory(name)
        if depth < len(components) and not is_directory:
            raise KeyError("/".join(components[: depth + 1]), ())
        if state is State.KEPT:
            rules = rules_in(tree, directory, listing, rules)
        found = rules.decide(here, is_directory, state)
        if found.state is State.DROPPED or depth == len(components):
            return here, found
        state, directory = found.state, here
    raise KeyError(path, ())
