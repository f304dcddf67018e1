"""What many hosts are asked in vain, and who says no or asks to stop: each is told, and where the hosts are then."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping

from cli.project import PUSH
from cli.terminal import Terminal
from pushkit.testing import ServerDirectory, Sshd
from recorder.sitecustomize import recorded
from servers.fleet_site import FleetSite, ManySite, order, page, text


def few(site: ManySite, count: int = 2) -> None:
    """Let the target be the first hosts alone."""
    site.hosts = site.hosts[:count]
    site.write()


def environment(site: ManySite) -> Mapping[str, str]:
    """That of somebody at a terminal."""
    return {**recorded(), "PATH": os.environ["PATH"], "HOME": str(site.home), "LC_ALL": "C.UTF-8"}


def test_what_there_is_none_of_is_refused_with_what_to_do(site: FleetSite) -> None:
    few(site)
    done = site.push("rollback")
    assert done.returncode == 6
    assert "push: no rollout is known that something was live before\n  hint: name a release: push" in done.stderr
    site.good()
    done = site.push("resume")
    assert done.returncode == 6
    assert "push: no rollout waits to be resumed; nothing was changed\n  hint: see: push status" in done.stderr
    site.hosts = ["nobody@127.64.0.98:1"]
    site.write(connect_timeout=1.5)
    done = site.push("diff")
    assert done.returncode == 7
    assert "push: no host can be looked at\n  hint: see why: push status" in done.stderr


def test_a_push_that_waited_for_another_rollout_looks_at_all_hosts_again(site: FleetSite) -> None:
    few(site)
    site.good()
    site.change("two")
    lead = next(each for each in order(site) if text(each) in site.hosts)
    site.write(before_switch="while test -e ~/sick; do sleep 0.05; done")
    (lead.files / "sick").touch()
    first = site.start()
    site.until(lambda: "prepared" in first.said)
    second = site.start("--wait", "60")
    site.until(lambda: "waiting: push" in second.said)
    (lead.files / "sick").unlink()
    for each in (first, second):
        _, err = each.communicate(timeout=60)
        assert each.returncode == 0, err
    assert site.live[:2] == ["two", "two"]


def test_who_says_no_to_the_next_batch_or_to_fewer_hosts_is_heard(site: FleetSite) -> None:
    site.good()
    site.change("two")
    everybody = site.hosts
    site.hosts = [text(order(site)[0])]
    site.write()
    with Terminal([PUSH], site.root, environment(site)) as terminal:
        terminal.wait_for("only 1 hosts are listed, and 6 were in the last rollout. Go on?")
        terminal.type("n\n")
        assert terminal.end()[0] == 6
        assert "1 hosts in place of 6 were not confirmed; nothing changed" in terminal.seen
    site.hosts = everybody
    site.write('batches = ["1", "100%"]\nconfirm = true')
    with Terminal([PUSH], site.root, environment(site)) as terminal:
        terminal.wait_for("Go on with batch 2 of 2")
        terminal.type("n\n")
        assert terminal.end()[0] == 8
        assert "a person said no to the next batch" in terminal.seen
    assert site.live == ["one"] * len(site.live), "it went back"
    with Terminal([PUSH], site.root, environment(site)) as terminal:
        terminal.wait_for("Go on with batch 2 of 2")
        terminal.type("\x03")
        assert terminal.end()[0] == 130
        assert re.search(r"push: stopped: \S+ is live on .*; \S+ is live on 127\.64\.0\.\d+\r", terminal.seen)
        assert "go on with push resume, or back with push rollback" in terminal.seen
    assert site.live.count("two") == 1


def test_traffic_that_has_nowhere_to_go_stays(site: FleetSite) -> None:
    blue, green = site.servers.all[:2]
    pool = site.home / "pool"
    site.hosts = ()
    site.table |= {
        "pools": {"blue": [text(blue)], "green": [text(green)]},
        "traffic": {"switch": f"sh -c 'echo $0 >{pool}' {{pool}}", "live": f"cat {pool}"},
        "health": {"command": "test ! -e ~/sick", "within": 0.3, "every": 0.1},
    }
    site.write()
    pool.write_text("purple\n")
    done = site.push()
    assert done.returncode == 7
    assert (
        "push: the traffic goes to 'purple', which is none of the pools blue and green\n  hint: see what" in done.stderr
    )
    pool.write_text("blue\n")
    done = site.push("rollback")
    assert done.returncode == 6
    assert "push: green has no one release that the traffic could go back to; nothing was changed\n" in done.stderr
    releases = []
    for content in ("one", "two", "three", "four"):
        site.change(content)
        releases.append(site.good())
    assert pool.read_text() == "blue\n"
    done = site.push("rollback", "web", releases[0])
    assert done.returncode == 6
    assert (
        f"push: {releases[2]} is what is live on green, and not {releases[0]}; nothing was changed\n"
        "  hint: leave out the release, or push what it was made of"
    ) in done.stderr
    assert site.good("rollback") == releases[2]
    # What is there already is not sent again, but asked for its health before it gets the traffic.
    (blue.files / "sick").touch()
    done = site.push()
    assert done.returncode == 8, done.stderr
    assert "1 of 1 hosts failed" in done.stderr
    assert pool.read_text() == "green\n"


def test_ctrl_c_of_a_join_says_what_is_live_on_the_new_host(site: FleetSite) -> None:
    lead, new = order(site)[:2]
    site.hosts = [text(lead)]
    site.write(lock_host=lead.host)
    release = site.good()
    site.write(lock_host=lead.host, health={"command": "test -e ~/go", "within": 30, "every": 0.1})
    joining = site.start("join", text(new))
    site.until(lambda: page(new, site.path) == "one")
    joining.send_signal(signal.SIGINT)
    _, err = joining.communicate(timeout=30)
    assert joining.returncode == 130, err
    assert f"push: stopped: {release} is live on {new.host}\n  hint: join again" in err


def test_a_host_without_a_shell_cannot_be_asked_by_a_command_how_it_is(
    site: FleetSite, sftp_only_server: Sshd, sftp_only_directory: ServerDirectory
) -> None:
    site.hosts = [text(sftp_only_server)]
    site.table = {"key": str(sftp_only_server.key), "known_hosts": str(sftp_only_server.known_hosts)}
    site.path = sftp_only_directory.path
    site.write(health={"command": "true", "within": 0.3, "every": 0.1})
    done = site.push("--json")
    assert done.returncode == 8, done.stderr
    error = json.loads(done.stdout.splitlines()[-1])["receipt"]["error"]
    assert "is reached without a shell: no health command can run there" in error
