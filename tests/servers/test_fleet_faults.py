"""A host that dies, at each moment of a rollout over real SSH servers: nobody's ``current`` is ever broken.

The server is killed with every session on it, as a machine that loses its power, or stopped, as one whose network is
gone: it takes what it is sent and says nothing.
"""

from __future__ import annotations

import os
import signal

import pytest

from pushkit.testing import Sshd
from pushkit.testing.processes import descendants
from servers.fleet_site import COUNT, FleetSite, Servers, order, page

#: What stops a host before its switch, while a file is there.
WAIT = "while test -e ~/sick; do sleep 0.02; done"


@pytest.fixture
def site(site: FleetSite, servers: Servers) -> FleetSite:
    # A host that says nothing is taken for dead after three seconds of this.
    config = site.home / "config"
    config.write_text("Host *\n  ServerAliveInterval 1\n")
    site.table |= {"ssh_config": str(config), "connect_timeout": 2}
    site.write()
    return site


def last_words(err: str) -> str:
    """The last message of a push and its hint."""
    return err[err.rindex("\npush: ") :]


def arrived(server: Sshd, site: FleetSite) -> int:
    """How many bytes of an upload lie on a host."""
    incoming = server.files / site.path / ".push/incoming"
    return sum(file.stat().st_size for file in incoming.rglob("*") if file.is_file())


@pytest.mark.parametrize("dies", ["killed", "silent"])
def test_a_host_that_dies_while_it_is_sent_something_stops_all_before_anything_is_switched(
    site: FleetSite, dies: str
) -> None:
    site.good()
    site.change("two")
    victim = order(site)[2]
    (site.root / "big").write_bytes(os.urandom(4 << 20))
    site.write(rate_limit="2 MB")
    with site.watched():
        process = site.start("--json")
        site.until(lambda: arrived(victim, site) > 1 << 16)
        stopped: list[int] = []
        if dies == "killed":
            victim.stop()
        else:
            stopped = sessions(victim)
            for each in stopped:
                os.kill(each, signal.SIGSTOP)
        out, err = process.communicate(timeout=60)
        for each in stopped:
            os.kill(each, signal.SIGCONT)
    assert process.returncode == 8, err
    assert '"state":"switched"' not in out
    assert site.live == ["one"] * COUNT
    assert f"1 of {COUNT} hosts failed: {victim.host}" in last_words(err)


def sessions(server: Sshd) -> list[int]:
    """The processes of a server, itself among them."""
    assert server._process
    return [server._process.pid, *descendants(server._process.pid)]


def test_a_host_that_dies_between_prepare_and_switch_is_unknown_and_the_others_go_back(site: FleetSite) -> None:
    first = site.good()
    site.change("two")
    canary, victim, *others = order(site)
    (canary.files / "sick").touch()
    site.write('batches = ["1", "100%"]', before_switch=WAIT)
    with site.watched():
        process = site.start("--json")
        site.until(
            lambda: all(f'"host":"{each.host}","state":"prepared"' in process.said for each in (victim, *others))
        )
        victim.stop()
        (canary.files / "sick").unlink()
        out, err = process.communicate()
    assert process.returncode == 8, err
    assert f'"host":"{victim.host}","state":"unknown"' in out
    assert site.live == ["one"] * COUNT
    told = last_words(err)
    assert f"{first} is live on {canary.host}" in told
    assert f"what nobody knows is live on {victim.host}" in told
    # It comes back, and a person says what is to be.
    victim.start()
    site.write()
    assert site.push().returncode == 6
    site.good("resume")
    assert site.live == ["two"] * COUNT


def test_a_host_that_dies_between_switch_and_verify_has_the_new_release_and_the_others_go_back(site: FleetSite) -> None:
    site.good()
    site.change("two")
    canary, victim, *_ = order(site)
    well = {"command": "test ! -e ~/sick", "within": 30, "every": 0.05}
    site.write('batches = ["2", "100%"]', health=well)
    (victim.files / "sick").touch()
    with site.watched():
        process = site.start()
        site.until(lambda: page(victim, site.path) == "two" and page(canary, site.path) == "two")
        victim.stop()
        _out, err = process.communicate()
    assert process.returncode == 8, err
    assert page(victim, site.path) == "two"
    assert site.live.count("one") == COUNT - 1
    told = last_words(err)
    assert "is live on" in told
    assert f"what nobody knows is live on {victim.host}" in told
    # One host has what the others have not: a person is told so, and says what is to be.
    victim.start()
    (victim.files / "sick").unlink()
    status = site.push("status").stdout
    assert f"on {victim.host}" in status
    assert site.good("rollback")
    assert site.live == ["one"] * COUNT
