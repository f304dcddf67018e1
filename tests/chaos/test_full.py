"""The disk becomes full, the inodes run out, or the file system becomes read-only, before a push or in its middle."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import partial

from chaos.disk import Disk
from chaos.reader import reading
from chaos.site import FULL, SEED, Done, Site, check_truth, finished, told

TIMES = 400 if FULL else 5
SAID = re.compile(r"no space|read-only", re.IGNORECASE)
#: What a push takes, at most, beyond the bytes of its files: blocks that are half full, and records; and inodes.
EXTRA, INODES = 24 * 4096, 30


class Harm:
    """What befalls a disk. Up to then it has room for one push, whose files have ``size`` bytes; then less."""

    def __init__(self, disk: Disk, size: int) -> None:
        self._disk = disk
        self._size = size
        self._random = random.Random(SEED)

    def prepare(self) -> None:
        """Leave what a push takes."""
        self._disk.fill(self._size + EXTRA)
        self._disk.use_inodes(INODES)

    def fill(self) -> str:
        """Leave few bytes: mostly enough by what push reckons beforehand."""
        left = self._random.randrange(self._size * 3 // 4, self._size + EXTRA)
        self._disk.fill(left)
        return f"{left} bytes left"

    def fill_up(self) -> str:
        """Leave some of the bytes that are free."""
        left = self._random.randrange(self._disk.bytes_left + 1)
        self._disk.fill(left)
        return f"{left} bytes left"

    def use_inodes(self) -> str:
        """Leave some of the inodes that are free."""
        left = self._random.randrange(self._disk.inodes_left + 1)
        self._disk.use_inodes(left)
        return f"{left} inodes left"

    def protect(self) -> str:
        """Let nothing be written."""
        self._disk.protect()
        return "read-only"


BEFORE = [Harm.fill, Harm.use_inodes]
AMID = [Harm.fill_up, Harm.use_inodes, Harm.protect]


def test_a_disk_that_takes_no_more_is_told_and_nothing_breaks(site_on_disk: Site, disk: Disk) -> None:
    site = site_on_disk
    generator = random.Random(SEED)
    site.advance()
    seconds = length(site)
    was = site.version
    harm = Harm(disk, site.needed())
    with reading(site.local, site.layout) as seen:
        for number in range(TIMES):
            wanted = site.advance()
            harm.prepare()
            befalls = [*BEFORE, *AMID][number % 5]
            share = generator.random()
            what = befalls(harm) if number % 5 < len(BEFORE) else ""
            if what:
                done = site.push()
            else:
                done, what = amid(site, partial(befalls, harm), seconds * share)
            with told(f"seed {SEED}, number {number}: {what}, at {share:.2f}: {done.code} {done.said}"):
                live = site.between(was, wanted)
                check_told(done, live, was, wanted)
                site.recover(was, wanted, live, disk.relieve)
            was = wanted
    assert seen["problems"] == [], SEED
    assert seen["seen"] == sorted(seen["seen"]), "what was live once came back"


def amid(site: Site, harm: Callable[[], str], after: float) -> tuple[Done, str]:
    """A push whose target is harmed ``after`` so many seconds from when it has its number, and how it was harmed."""
    ticket = site.next_ticket
    process = site.start()
    while not ticket.exists() and process.poll() is None:
        time.sleep(0.0002)
    time.sleep(after)
    what = harm()
    return finished(process), what


def length(site: Site) -> float:
    """How many seconds a push takes from when it has its number to its end."""
    began = 0.0

    def begin() -> str:
        nonlocal began
        began = time.time()
        return ""

    ticket = site.next_ticket
    done, _ = amid(site, begin, 0)
    assert done.code == 0, done.said
    # The clock of the files may be a little behind.
    return max(0.0, (ticket / "end").stat().st_mtime - began)


def check_told(done: Done, live: int, was: int, wanted: int) -> None:
    """It says in plain words why it failed, and what is live."""
    assert "Traceback" not in done.said
    if done.code == 0:
        assert live == wanted
    else:
        assert done.code == 8 or (done.code == 7 and live == was)
        assert SAID.search(done.said)
        check_truth(done, live, was, wanted)
