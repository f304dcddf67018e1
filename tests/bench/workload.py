"""`Workload`: what is pushed, how far, beside whom, and the ratio that it should have. `WORKLOADS` are all of SSH."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tree import Tree, make_mixed, make_one, make_small

MIB = 1 << 20
LEAST_FILES, LEAST_BYTES = 20, 4 * MIB
#: The ratio that a push should have: with any transport, and with paramiko.
Target = tuple[float, float]


class Kind(Enum):
    """What trees are made of."""

    SMALL = "small files"
    MIXED = "mixed"
    ONE = "one file"


class Change(Enum):
    """What a round is preceded by."""

    FIRST = "first push"
    NONE = "nothing changed"
    TEN = "ten files changed"
    MIDST = "1 MiB of it changed"


MAKERS: Mapping[Kind, Callable[[Path, int], None]] = {
    Kind.SMALL: make_small,
    Kind.MIXED: make_mixed,
    Kind.ONE: make_one,
}


@dataclass(frozen=True)
class Workload:
    """``amount`` is files of a tree of small files, else bytes; ``round_trip`` in seconds.

    The peers that are ``slow`` take minutes, and run once. With ``matched`` false nobody runs with the same crypto.
    """

    name: str
    kind: Kind
    amount: int
    change: Change
    round_trip: float
    peers: Mapping[str, Target | None]
    layout: str = "releases"
    slow: Collection[str] = ()
    matched: bool = True

    @property
    def needs(self) -> int:
        """Bytes that lie there at the same time, roughly."""
        # The tree; two releases, one under way, and what is kept of it; a peer's copy, and another under way.
        copies = 3 if self.change is Change.FIRST else 7
        return copies * self.amount * (6000 if self.kind is Kind.SMALL else 1)

    @property
    def has_floor(self) -> bool:
        """Whether the login is much of what it takes."""
        return self.change in {Change.NONE, Change.TEN}

    def scaled(self, scale: float) -> int:
        """The amount at a scale, 1 for all of it."""
        least = LEAST_FILES if self.kind is Kind.SMALL else LEAST_BYTES
        return min(self.amount, max(least, int(self.amount * scale)))

    def title(self, amount: int) -> str:
        """What it is, in words."""
        size = f"{amount:,} files" if self.kind is Kind.SMALL else f"{sized(amount)}, {self.kind.value}"
        layout = ", in place" if self.layout == "mirror" else ""
        return f"{size}, {self.change.value}{layout}, {self.round_trip * 1000:g} ms"

    def make(self, top: Path, amount: int) -> Tree:
        """Make what is pushed."""
        MAKERS[self.kind](top, amount)
        return Tree(top)

    def alter(self, tree: Tree) -> None:
        """Change what changes before each round."""
        if self.change is Change.TEN:
            tree.append(10)
        elif self.change is Change.MIDST:
            tree.overwrite(MIB)


def sized(size: int) -> str:
    """A number of bytes in words."""
    if size % (MIB << 10) == 0:
        return f"{size // (MIB << 10)} GiB"
    return f"{size // MIB} MiB" if size % MIB == 0 else f"{size / 1e6:.0f} MB"


RSYNC, DELETE, LINK = "rsync -a", "rsync -a --delete", "rsync --link-dest"
FIRST: Mapping[str, Target | None] = {RSYNC: (0.65, 0.85)}
OTHERS: Mapping[str, Target | None] = dict.fromkeys(
    ("scp -r", "sftp put -r", "lftp mirror -R -P8", "rclone", "vagrant push")
)
WORKLOADS = (
    Workload("first-10k-0", Kind.SMALL, 10_000, Change.FIRST, 0, FIRST),
    Workload("first-10k-20", Kind.SMALL, 10_000, Change.FIRST, 0.02, FIRST),
    Workload("first-10k-100", Kind.SMALL, 10_000, Change.FIRST, 0.1, FIRST),
    Workload("mixed-20", Kind.MIXED, 100_000_000, Change.FIRST, 0.02, {RSYNC: (0.75, 0.85)}),
    Workload("one-1gib-0", Kind.ONE, 1024 * MIB, Change.FIRST, 0, {RSYNC: (0.8, 1.2)}),
    Workload("one-256mib-100", Kind.ONE, 256 * MIB, Change.FIRST, 0.1, {RSYNC: (0.3, 0.3)}),
    Workload("midst-1gib-20", Kind.ONE, 1024 * MIB, Change.MIDST, 0.02, {RSYNC: (1.0, 1.2)}),
    Workload("ten-10k-20", Kind.SMALL, 10_000, Change.TEN, 0.02, {DELETE: (0.6, 0.8), LINK: (0.25, 0.3)}),
    Workload("none-10k-20", Kind.SMALL, 10_000, Change.NONE, 0.02, {DELETE: (0.45, 0.65)}),
    Workload("ten-100k-mirror-20", Kind.SMALL, 100_000, Change.TEN, 0.02, {DELETE: (0.36, 0.45)}, "mirror"),
    Workload("none-100k-20", Kind.SMALL, 100_000, Change.NONE, 0.02, {DELETE: (0.25, 0.33)}),
    Workload("peers-1k-0", Kind.SMALL, 1000, Change.FIRST, 0, OTHERS),
    Workload("peers-1k-20", Kind.SMALL, 1000, Change.FIRST, 0.02, OTHERS, slow={"vagrant push"}, matched=False),
)
