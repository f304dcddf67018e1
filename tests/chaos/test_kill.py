"""kill -9 of the real command, at each step and at any moment, while somebody reads what is live."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Protocol

import pytest

from chaos.reader import reading
from chaos.site import ALL, FULL, KINDS, LOCAL, REMOTE, SEED, Done, Site, finished, server_table, told
from pushkit.testing import Fault, FaultProxy, Sshd, Way
from pushkit.testing.plugin import require

KILLS = 200 if FULL else 2


class Death(Protocol):
    """Starts a push, and sees that it is killed at some moment."""

    def __call__(self, site: Site, /) -> Done: ...


def both(first: Death, second: Death) -> Death:
    """What takes up, or finishes, what another left dies as well."""

    def death(site: Site) -> Done:
        first(site)
        return second(site)

    return death


def campaign(site: Site, deaths: list[Death]) -> None:
    """Whatever dies, what is live is whole; the next push succeeds, sends what is missing only, leaves no debris."""
    was = site.version
    with reading(site.local, site.layout) as seen:
        for number, death in enumerate(deaths):
            wanted = site.advance()
            done = death(site)
            with told(f"seed {SEED}, death {number}: {done.code} {done.said} {done.events[-2:]}"):
                site.recover(was, wanted, site.between(was, wanted))
            was = wanted
    assert seen["problems"] == [], SEED
    assert seen["seen"] == sorted(seen["seen"]), "what was live once came back"
    assert seen["reads"] > 10


def changes(site: Site) -> int:
    """How many changes of the target a push makes."""
    low, high = 1, 512
    while low < high:
        middle = (low + high) // 2
        site.advance()
        if finished(site.start_to_die(middle)).code == 0:
            high = middle
        else:
            low = middle + 1
    site.advance()
    assert site.push().code == 0
    return low - 1


def spread(total: int, parts: int) -> list[int]:
    """Numbers from 1 to ``total``: all of them, or as many as there are ``parts``."""
    if FULL or total <= parts:
        return list(range(1, total + 1))
    generator = random.Random(SEED)
    return sorted(generator.sample(range(1, total + 1), parts))


@pytest.mark.parametrize("site", ["releases-dir", "mirror-dir", "swap-dir"], indirect=True)
def test_killed_right_before_any_change_of_a_directory(site: Site) -> None:
    total = changes(site)
    assert 20 < total < 500

    def dying(number: int) -> Death:
        def death(site: Site) -> Done:
            done = finished(site.start_to_die(number))
            # Not every push has as much to prune, and the last changes are those.
            assert done.code in {-9, 0}, done.said
            return done

        return death

    generator = random.Random(SEED)
    alone = [dying(number) for number in spread(total, 7)]
    campaign(site, [*alone, *(both(dying(n), dying(generator.randrange(1, total))) for n in spread(total, 3))])


def test_killed_when_it_tells_of_a_step(site: Site) -> None:
    site.advance()
    lines = len(site.push().events)

    def dying(number: int) -> Death:
        def death(site: Site) -> Done:
            process = site.start()
            assert process.stdout
            read = b"".join(process.stdout.readline() for _ in range(number))
            process.kill()
            done = finished(process)
            return Done(done.code, read, done.said.encode())

        return death

    campaign(site, [dying(number) for number in spread(lines, 4)])


# On a server, a random byte that was sent is as random a moment: see below.
@pytest.mark.parametrize("site", ALL if FULL else LOCAL, indirect=True)
def test_killed_at_random_moments(site: Site) -> None:
    site.advance()
    start = time.monotonic()
    assert site.push().code == 0
    length = time.monotonic() - start
    generator = random.Random(SEED)

    def death(site: Site) -> Done:
        process = site.start()
        # The first part is spent on starting Python.
        time.sleep(length * generator.uniform(0.5, 1.05))
        process.kill()
        return finished(process)

    campaign(site, [death] * KILLS)


@pytest.mark.parametrize("site", [*REMOTE, "spares-ssh"], indirect=True)
def test_killed_when_a_random_byte_has_been_sent(site: Site, proxy: FaultProxy) -> None:
    proxy.heal()
    site.advance()
    assert site.push().code == 0
    total = proxy.carried[Way.UP]
    generator = random.Random(SEED)

    def death(site: Site) -> Done:
        proxy.heal()
        # Of what was sent on its way to the server nothing more arrives once it is dead.
        after = generator.randrange(total // 8, total)
        process = site.start()
        proxy.cut(Fault.RESET, after, then=process.kill)
        done = finished(process)
        proxy.heal()
        return done

    campaign(site, [both(death, death) if number % 2 else death for number in range(KILLS)])


class Slow(Sshd):
    """A server on which each rename takes a while, so that it is still at work when its client is gone."""

    def _configuration(self) -> list[str]:
        programs = self._directory / "slow"
        programs.mkdir(exist_ok=True)
        (programs / "mv").write_text('#!/bin/sh\nsleep 0.03\nexec /bin/mv "$@"\n')
        (programs / "mv").chmod(0o755)
        return [*super()._configuration(), f'SetEnv "PATH={programs}:/usr/bin:/bin"']


@pytest.mark.parametrize("layout", KINDS)
def test_who_pushes_while_the_server_still_does_what_a_dead_push_told_it(tmp_path: Path, layout: str) -> None:
    require(Sshd)
    generator = random.Random(SEED)
    (tmp_path / "sshd").mkdir()
    with Slow(tmp_path / "sshd") as server, server.new_directory() as directory:
        table = server_table(server, directory.path, tmp_path / "known")
        site = KINDS[layout](tmp_path, directory.local, copies=True, **table)
        site.begin()
        for _ in range(KILLS if FULL else 1):
            site.advance()
            ticket = site.next_ticket
            process = site.start()
            while process.poll() is None and not (ticket / "switching").exists():
                time.sleep(0.005)
            time.sleep(generator.uniform(0, 0.2))
            process.kill()
            dead = finished(process)
            with told(f"seed {SEED}: {dead.code} {dead.said} {dead.events[-2:]}"):
                for _ in range(2):
                    again = site.push()
                    assert again.code == 0, again.said
                    assert site.live == site.version
                    site.advance()
                assert site.push().code == 0
                site.check_no_debris()
