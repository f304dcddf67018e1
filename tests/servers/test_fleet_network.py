"""Hosts that vanish: machines in network namespaces, each with an SSH server, cut off at each moment of a rollout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.testing import can_make_accounts
from servers.fleet_site import FleetSite, Servers, order, page, text
from servers.machine import Machine, Network, can_make_networks
from servers.test_fleet_faults import WAIT, arrived, last_words

COUNT = 4


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    if not (can_make_accounts() and can_make_networks()):
        pytest.skip("users and networks of their own can only be made by root")
    made = Servers(tmp_path_factory.mktemp("machines"), COUNT, Network().machine)
    with made.stack:
        yield made
        for each in made.all:
            assert isinstance(each, Machine)
            each.remove()


@pytest.fixture
def site(machines: Servers, tmp_path: Path) -> Iterator[FleetSite]:
    made = FleetSite(tmp_path, machines)
    # A host that says nothing is taken for dead after three seconds of this.
    config = made.home / "config"
    config.write_text("Host *\n  ServerAliveInterval 1\n")
    (made.root / "hosts.sh").write_text("#!/bin/sh\nexec cat listed\n")
    (made.root / "hosts.sh").chmod(0o755)
    (made.root / ".pushignore").write_text("listed\n")
    listed(made, *map(text, machines.all))
    made.hosts = ["command:./hosts.sh"]
    made.table |= {
        "ssh_config": str(config), "connect_timeout": 2, "lock_host": order(made)[0].host,
    }  # fmt: skip
    made.write()
    yield made
    for each in machines.all:
        assert isinstance(each, Machine)
        each.mend()
    machines.heal()


def listed(site: FleetSite, *hosts: str) -> None:
    """Let the source of hosts name these."""
    new = site.root / "listed.new"
    new.write_text("\n".join(hosts) + "\n")
    new.replace(site.root / "listed")


def machine(site: FleetSite, number: int) -> Machine:
    """A machine, by its place in the order of a rollout."""
    found = order(site)[number]
    assert isinstance(found, Machine)
    return found


def without(site: FleetSite, gone: Machine) -> list[str]:
    """The other hosts, as a source names them."""
    return [text(each) for each in site.servers.all if each is not gone]


@pytest.mark.parametrize("how", ["no way", "black hole"])
def test_a_host_that_cannot_be_reached_at_the_start_stops_all_unless_its_source_says_that_it_is_gone(
    site: FleetSite, how: str
) -> None:
    site.good()
    site.change("two")
    victim = machine(site, 2)
    victim.pull() if how == "no way" else victim.cut()
    with site.watched():
        done = site.push()
        assert done.returncode == 7, done.stderr
        told = last_words(done.stderr)
        assert f"1 of {COUNT} hosts failed: {victim.host}" in told
        assert ("cannot be reached" in told) == (how == "no way"), told
        assert ("no answer within 2 s" in told) == (how == "black hole"), told
        assert site.live == ["one"] * COUNT
        listed(site, *without(site, victim))
        done = site.push()
    assert done.returncode == 0, done.stderr
    assert sorted(site.live) == ["one", *["two"] * (COUNT - 1)]


def test_a_host_that_vanishes_while_it_is_sent_something_is_gone_when_its_source_says_so(site: FleetSite) -> None:
    site.good()
    site.change("two")
    victim = machine(site, 2)
    (site.root / "big").write_bytes(os.urandom(4 << 20))
    site.write(rate_limit="2 MB")
    with site.watched():
        process = site.start("--json")
        site.until(lambda: arrived(victim, site) > 1 << 16)
        victim.cut()
        listed(site, *without(site, victim))
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert f'"host":"{victim.host}","state":"gone"' in out
    assert (page(victim, site.path), site.live.count("two")) == ("one", COUNT - 1)


@pytest.mark.parametrize("gone", [True, False], ids=["its source confirms", "its source does not"])
def test_a_host_that_vanishes_between_two_batches(site: FleetSite, *, gone: bool) -> None:
    site.good()
    site.change("two")
    canary, victim = machine(site, 0), machine(site, 2)
    (canary.files / "sick").touch()
    site.write('batches = ["1", "100%"]', before_switch=WAIT)
    with site.watched():
        process = site.start("--json")
        site.until(lambda: process.said.count('"state":"prepared"') == COUNT)
        victim.cut()
        if gone:
            listed(site, *without(site, victim))
        (canary.files / "sick").unlink()
        out, err = process.communicate()
    assert page(victim, site.path) == "one"
    if gone:
        assert process.returncode == 0, err
        assert f'"host":"{victim.host}","state":"gone"' in out
        assert site.live.count("two") == COUNT - 1
        return
    # Nobody knows what is live there, which counts: the others go back to what they had.
    assert process.returncode == 8, err
    assert f'"host":"{victim.host}","state":"unknown"' in out
    assert site.live == ["one"] * COUNT
    assert f"what nobody knows is live on {victim.host}" in last_words(err)
