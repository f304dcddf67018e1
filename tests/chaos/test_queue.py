"""Eight people push to one target at the same time, some to its directory and some over SSH, and some of them die."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from shlex import quote

from chaos import pages
from chaos.reader import reading
from chaos.site import FULL, SEED, Site, finished, server_table
from pushkit.testing import Sshd
from pushkit.testing.plugin import require

SECONDS = 600 if FULL else 15
PUSHERS = 8
#: The witness: each push says on the target when it begins and ends what only the holder may do.
WITNESS = "echo begin $PUSH_RELEASE >>{0}; sleep 0.05; echo end $PUSH_RELEASE >>{0}"


class Pusher:
    """Pushes again and again up to the moment ``until``; now and then it is killed."""

    def __init__(self, site: Site, number: int, until: float) -> None:
        self.pushes = 0
        self._site = site
        # Nobody pushes what another does.
        site.version = number * 10_000
        self._random = random.Random(SEED + number)
        self._until = until

    def run(self) -> None:
        """Push."""
        while time.monotonic() < self._until:
            self._site.advance()
            process = self._site.start("--wait", "120")
            if self._random.random() < 0.3:
                time.sleep(self._random.uniform(0.1, 3))
                process.kill()
                finished(process)
                continue
            done = finished(process, 150)
            assert done.code == 0, (SEED, done.said)
            self.pushes += 1


def check(witness: Path, log: Path) -> None:
    """Nobody held the target beside another, and all had their turns in the order in which they came."""
    lines = [line.split() for line in witness.read_text().splitlines()]
    begun = [release for word, release in lines if word == "begin"]
    assert begun == sorted(begun), "out of turn"
    ended = [json.loads(line) for line in log.read_text().splitlines()]
    ended_well = {each["release"] for each in ended if each["outcome"] == "good"}
    for (word, release), (next_word, next_release) in pairwise(lines):
        # Who was killed may not have come to say that it ended.
        if word == "begin" and release in ended_well:
            assert (next_word, next_release) == ("end", release) or next_release not in ended_well, "two held it"


def test_eight_pushers_of_whom_some_die_have_their_turns_one_by_one(tmp_path: Path) -> None:
    require(Sshd)
    local = tmp_path / "live"
    witness = tmp_path / "witness"
    command = {"before_switch": WITNESS.format(quote(str(witness)))}
    (tmp_path / "sshd").mkdir()
    with Sshd(tmp_path / "sshd") as server:
        until = time.monotonic() + SECONDS
        sites = []
        for number in range(PUSHERS):
            here = tmp_path / f"pusher {number}"
            here.mkdir()
            table: dict[str, object] = {"strategy": "dir", "path": str(local)}
            if number % 2:
                table = server_table(server, str(local), here / "known")
            site = Site(here, local)
            site.configure(**table, **command)
            sites.append(site)
        sites[0].advance()
        assert sites[0].push().code == 0
        pushers = [Pusher(site, number, until) for number, site in enumerate(sites, 1)]
        with reading(local) as seen, ThreadPoolExecutor(PUSHERS) as pool:
            for running in [pool.submit(pusher.run) for pusher in pushers]:
                running.result()
    assert seen["problems"] == [], SEED
    check(witness, local / ".push/log")
    assert sum(pusher.pushes for pusher in pushers) >= PUSHERS, "it was stuck"
    last = sites[0]
    last.version = 990_000
    last.advance()
    done = last.push()
    assert done.code == 0, done.said
    assert pages.whole((local / "current").resolve()) == last.version
    last.check_no_debris()
