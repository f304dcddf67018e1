"""The connection breaks at a random byte: reset, closed, or silent, on the way there or back."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from chaos.reader import reading
from chaos.site import FULL, REMOTE, SEED, Site, check_truth, each_with_each, finished, told
from pushkit.testing import Fault, FaultProxy, Way

FAULTS = 100 if FULL else 2
LOST = re.compile(r"lost|answer|reach|closed|ended|SSH server|hung up|gone|timed out", re.IGNORECASE)
# A silent server is given up after three quarters of a minute; here after a few seconds.
IMPATIENT = """
import pushkit_sftp.destination

pushkit_sftp.destination.KEEPALIVE = 1
"""


@pytest.fixture
def impatient(tmp_path: Path) -> dict[str, str]:
    """The environment of a push that soon gives up a server that is silent."""
    (tmp_path / "impatient").mkdir()
    (tmp_path / "impatient/sitecustomize.py").write_text(IMPATIENT)
    return {"PYTHONPATH": str(tmp_path / "impatient")}


@pytest.mark.parametrize(("fault", "site"), each_with_each(Fault), indirect=["site"])
def test_a_connection_that_breaks_is_told_as_that_and_nothing_else_breaks(
    site: Site, proxy: FaultProxy, fault: Fault, impatient: dict[str, str]
) -> None:
    site.configure(connect_timeout=3)
    site.advance()
    assert site.push().code == 0
    totals = dict(proxy.carried)
    generator = random.Random(SEED)
    was = site.version
    with reading(site.local, site.layout) as seen:
        for number in range(FAULTS if fault is not Fault.SILENCE or FULL else 1):
            way = generator.choice(list(Way))
            after = generator.randrange(1, totals[way])
            wanted = site.advance()
            proxy.heal()
            proxy.cut(fault, after, way)
            done = finished(site.start(**impatient))
            with told(f"seed {SEED}, number {number}: {fault} {way} after {after} of {totals[way]}: {done.said}"):
                live = site.between(was, wanted)
                if done.code:
                    assert done.code in {7, 8}
                    assert LOST.search(done.said)
                    assert not re.search("locked|busy|Traceback|held by", done.said)
                    assert done.code == 8 or live == was
                    check_truth(done, live, was, wanted)
                else:
                    assert live == wanted
                proxy.heal()
                again = site.push()
                assert again.code == 0, again.said
                assert site.live == wanted
                site.check_no_debris()
            was = wanted
    assert seen["problems"] == [], SEED


@pytest.mark.parametrize(("fault", "site"), each_with_each([Fault.RESET, Fault.CLOSE]), indirect=["site"])
def test_a_connection_that_breaks_once_does_not_end_a_push_that_has_begun(
    site: Site, proxy: FaultProxy, fault: Fault
) -> None:
    site.advance()
    assert site.push().code == 0
    totals = dict(proxy.carried)
    generator = random.Random(SEED)
    regained = 0
    was = site.version
    with reading(site.local, site.layout) as seen:
        for number in range(FAULTS):
            # Once surely after the login.
            way = generator.choice(list(Way)) if number else Way.UP
            after = int(totals[way] * generator.uniform(0.2 if number else 0.6, 0.9))
            wanted = site.advance()
            proxy.heal()
            proxy.cut(fault, after, way, once=True)
            done = finished(site.start())
            with told(f"seed {SEED}, number {number}: {fault} {way} after {after} of {totals[way]}: {done.said}"):
                live = site.between(was, wanted)
                warnings = [event["message"] for event in done.events if event["event"] == "warned"]
                if any("there is another" in warning for warning in warnings):
                    regained += 1
                    assert done.code == 0, done.events
                    assert done.events[-1]["receipt"]["failed"] == []
                if done.code:
                    assert LOST.search(done.said)
                    assert done.code == 8 or live == was
                    check_truth(done, live, was, wanted)
                    assert site.push().code == 0
                assert site.live == wanted
                site.check_no_debris()
            was = wanted
    assert regained
    assert seen["problems"] == [], SEED


@pytest.mark.parametrize("site", REMOTE, indirect=True)
def test_a_connection_that_breaks_in_the_switch_is_not_called_harmless(site: Site, proxy: FaultProxy) -> None:
    site.configure(connect_timeout=3)
    for number in range(50 if FULL else 2):
        was, wanted = site.version, site.advance()
        proxy.heal()
        begun = site.watch()
        process = site.start()
        while not begun() and process.poll() is None:
            pass
        proxy.cut(Fault.RESET)
        done = finished(process)
        with told(f"number {number}: {done.said}"):
            live = site.between(was, wanted)
            check_truth(done, live, was, wanted)
            proxy.heal()
            again = site.push()
            assert again.code == 0, again.said
            assert site.live == wanted
            if live == wanted:
                site.advance()
                assert site.push().code == 0
            site.check_no_debris()


@pytest.mark.parametrize("site", ["releases-ssh"], indirect=True)
@pytest.mark.parametrize("fault", Fault)
def test_a_network_that_is_down_is_unreachable_and_never_busy(site: Site, proxy: FaultProxy, fault: Fault) -> None:
    site.configure(connect_timeout=1)
    site.advance()
    proxy.cut(fault)
    done = site.push("--wait", "5")
    assert done.code == 7
    assert LOST.search(done.said), done.said
    proxy.heal()
    assert site.push().code == 0


@pytest.mark.parametrize("site", REMOTE if FULL else REMOTE[:1], indirect=True)
def test_a_slow_line_is_no_broken_one(site: Site, proxy: FaultProxy) -> None:
    site.advance()
    proxy.delay, proxy.rate = 0.02, 500_000
    done = site.push()
    assert done.code == 0, done.said
    assert site.live == site.version
