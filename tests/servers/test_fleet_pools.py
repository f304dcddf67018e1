"""Blue and green: a push is for the pool without traffic, which then gets it, by a real nginx."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.testing import Nginx
from servers.fleet_site import FleetSite, page, text
from servers.front import Front

BLUE, GREEN = slice(0, 2), slice(2, 4)
#: What stops a host before it goes live, or makes it sick when it is.
SICK = {"command": "test ! -e ~/sick", "within": 0.3, "every": 0.1}


@pytest.fixture
def front(site: FleetSite, tmp_path: Path) -> Iterator[Front]:
    if not Nginx.installed():
        pytest.skip("nginx is not installed")
    directory = tmp_path / "nginx"
    directory.mkdir()
    tmp_path.chmod(0o755)
    directory.chmod(0o755)
    servers = site.servers.all
    with Front(directory, {"blue": servers[BLUE], "green": servers[GREEN]}, site.path) as made:
        script = site.root / "bin/traffic"
        script.parent.mkdir()
        script.write_text(made.script())
        script.chmod(0o755)
        (site.root / ".pushignore").write_text("bin\n")
        site.hosts = ()
        site.table |= {
            "pools": {"blue": list(map(text, servers[BLUE])), "green": list(map(text, servers[GREEN]))},
            "traffic": {"switch": "./bin/traffic {pool}", "live": f"{made.url}/pool", "within": 5},
            "health": SICK,
        }
        site.write()
        yield made


def pools(site: FleetSite) -> tuple[list[str], list[str]]:
    """What is live on the hosts of each."""
    found = [page(each, site.path) for each in site.servers.all]
    return found[BLUE], found[GREEN]


def test_a_client_never_sees_an_error_while_the_traffic_is_turned_there_and_back(site: FleetSite, front: Front) -> None:
    # The pool with the traffic has nothing yet; the first push is for the other.
    first = site.good()
    assert pools(site) == (["", ""], ["one", "one"])
    with front.asked() as seen:
        site.change("two")
        second = site.good()
        assert pools(site) == (["two", "two"], ["one", "one"])
        assert "nothing to do" in site.push().stderr
        status = site.push("status").stdout
        assert "the traffic goes to blue" in status
        assert f"{second} is live since " in status
        # Each release is on the hosts of one pool, and both are listed: it can be told where a rollback leads.
        assert [line[:2] + line[2:].split()[0] for line in status.splitlines() if line[:2] in {"* ", "  "}] == [
            f"  {first}",
            f"* {second}",
        ]
        # Back is a turn of the traffic, and no host's release is touched.
        assert site.good("rollback") == first
        assert pools(site) == (["two", "two"], ["one", "one"])
        # What is there already is not sent again.
        done = site.push()
        assert (done.returncode, done.stdout.strip()) == (0, second), done.stderr
        assert "prepared" not in done.stderr
    # While nginx loads anew, its old workers answer beside the new ones; nobody answers anything else.
    assert set(seen) == {"one", "two"}
    assert seen[-1] == "two"


def test_what_fails_on_the_idle_pool_never_gets_the_traffic(site: FleetSite, front: Front) -> None:
    site.good()
    site.change("two")
    with front.asked() as seen:
        (site.servers.all[1].files / "sick").touch()
        done = site.push()
        assert (done.returncode, "the traffic goes to green" in done.stderr) == (8, True), done.stderr
        (site.servers.all[1].files / "sick").unlink()
        # The switch fails: what is prepared waits for a person.
        script = site.root / "bin/traffic"
        good = script.read_text()
        script.write_text("#!/bin/sh\necho no right to do that\nexit 3\n")
        site.change("three")
        done = site.push()
        assert done.returncode == 8, done.stderr
        for words in ("traffic.switch ended with exit code 3", "it goes to green", "no right", "push resume"):
            assert words in done.stderr
        assert pools(site) == (["three", "three"], ["one", "one"])
        script.write_text(good)
        # All that is left to do is to turn it.
        done = site.push()
        assert (done.returncode, "prepared" in done.stderr) == (0, False), done.stderr
    assert set(seen) == {"one", "three"}
    assert "the traffic goes to blue" in site.push("status").stdout


def test_a_switch_that_lies_is_found_out(site: FleetSite, front: Front) -> None:
    script = site.root / "bin/traffic"
    good = script.read_text()
    script.write_text("#!/bin/sh\nexit 0\n")
    site.table |= {
        **site.table,
        "traffic": {"switch": "./bin/traffic {pool}", "live": f"{front.url}/pool", "within": 0.3},
    }
    site.write()
    done = site.push()
    assert (done.returncode, "turned to green, and goes to blue" in done.stderr) == (8, True), done.stderr
    status = site.push("status")
    assert "push resume goes on, push rollback goes back" in status.stdout, status.stdout
    # Where it goes is nowhere that is known: said, and all else is shown.
    site.table["traffic"] = {"switch": "./bin/traffic {pool}", "live": "echo purple"}
    site.write()
    assert "'purple', which is none of the pools blue and green" in site.push("check").stdout
    status = site.push("status")
    assert (status.returncode, "the traffic goes to" in status.stdout) == (0, False), status.stderr
    site.table["traffic"] = {"switch": "./bin/traffic {pool}", "live": f"{front.url}/pool", "within": 5}
    site.write()
    # Given up, it is undone where there is something to go back to, and the next push goes on.
    script.write_text(good)
    subprocess.run([script, "green"], cwd=site.root, check=True)
    assert site.good("resume")
    assert pools(site) == (["", ""], ["one", "one"])


def test_what_is_prepared_waits_on_the_idle_pool_until_it_is_switched_to(site: FleetSite, front: Front) -> None:
    first = site.good()
    site.change("two")
    with front.asked() as seen:
        prepared = site.good("--prepare-only")
        # Nothing is live that was not, and the traffic goes where it went.
        assert pools(site) == (["", ""], ["one", "one"])
        assert "the traffic goes to green" in site.push("status").stdout
        done = site.push("switch", "web", "7")
        assert (done.returncode, "there is no release '7'" in done.stderr) == (6, True), done.stderr
        assert site.good("switch", "web", prepared) == prepared
        assert pools(site) == (["two", "two"], ["one", "one"])
        assert "the traffic goes to blue" in site.push("status").stdout
        assert site.good("rollback") == first
    assert set(seen) == {"one", "two"}
    assert seen[-1] == "one"


def test_a_new_host_joins_the_pool_that_has_the_traffic_and_no_other(site: FleetSite, front: Front) -> None:
    blue, green = site.servers.all[BLUE], site.servers.all[GREEN]
    new = site.servers.all[4]
    # The queue stays on one host, and is not on whichever comes first.
    site.table["lock_host"] = green[0].host
    site.write()
    release = site.good()
    site.table["pools"] = {"blue": list(map(text, blue)), "green": list(map(text, [*green, new]))}
    site.write()
    done = site.push("join", text(new))
    assert done.returncode == 0, done.stderr
    assert (done.stdout.split()[-1], page(new, site.path)) == (release, "one")
    done = site.push("join", text(blue[0]))
    assert (done.returncode, "is in no pool that has the traffic" in done.stderr) == (6, True), done.stderr
    assert pools(site) == (["", ""], ["one", "one"])
    # One that is not well does not count as there, and the traffic goes on.
    (new.files / "sick").touch()
    with front.asked() as seen:
        done = site.push("join", text(new))
    assert (done.returncode, f"{release} is live on {new.host}" in done.stderr) == (8, True), done.stderr
    assert set(seen) == {"one"}


def test_a_client_that_dies_before_and_after_the_traffic_is_turned_is_rolled_back(
    site: FleetSite, front: Front
) -> None:
    site.good()
    site.change("two")
    first = site.good()
    assert pools(site) == (["two", "two"], ["one", "one"])
    site.change("three")
    script = site.root / "bin/traffic"
    turn = script.read_text()
    for turned in (False, True):
        # It dies in the switch: the hosts are done, and the traffic is turned, or it is not.
        script.write_text(f"{turn if turned else '#!/bin/sh'}\ntouch here\nexec sleep 30\n")
        with front.asked() as seen:
            process = site.start()
            site.until((site.root / "here").exists)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            (site.root / "here").unlink()
            script.write_text(turn)
            assert pools(site) == (["two", "two"], ["three", "three"])
            done = site.push("rollback")
        assert done.returncode == 0, done.stderr
        assert "the traffic goes to blue" in site.push("status").stdout
        assert set(seen) == ({"two", "three"} if turned else {"two"})
        # What the idle pool had is live there again, where nobody saw what it got; else it stays, as after any push.
        assert pools(site) == (["two", "two"], ["three", "three"] if turned else ["one", "one"])
    assert done.stdout.split()[-1] == first
