"""What is done after a rollout over real SSH servers stopped in the middle, and what must not be begun at all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from recorder.sitecustomize import recorded
from servers.fleet_site import COUNT, FleetSite, changes, order, text

SICK = {"command": "test ! -e ~/sick", "within": 0.3, "every": 0.1}
#: What stops a host before its switch, while a file is there.
WAIT = "while test -e ~/stay; do sleep 0.02; done"


def switched(site: FleetSite, *arguments: str, code: int = 0) -> list[str]:
    """The hosts that ``push`` switches, which ends with ``code``."""
    done = site.push(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return [each["host"] for each in changes(done) if each["state"] == "switched"]


def kill_after_the_first(site: FleetSite) -> None:
    """Begin to push, and kill it once the first batch of one host is live."""
    first = order(site)[0]
    (first.files / "calm").touch()
    site.write('batches = ["1", "100%"]', before_switch="test -e ~/calm || sleep 20", lock_host=first.host)
    process = site.start()
    site.until(lambda: "batch 1 of 2" in process.said)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (first.files / "calm").unlink()


def test_nothing_goes_back_or_on_while_a_host_is_away_that_may_not_fail(site: FleetSite) -> None:
    lock = site.servers.all[0].host
    site.write(lock_host=lock)
    site.good()
    site.change("two")
    two = site.good()
    everybody = site.hosts
    site.hosts = [*everybody, "nobody@127.64.0.98:1"]
    site.write(lock_host=lock)
    for arguments in (["rollback"], ["rollback", "web", "1"], ["switch", "web", two]):
        done = site.push(*arguments)
        assert done.returncode == 7, done.stderr
        assert "1 of 7 hosts failed: 127.64.0.98: " in done.stderr
        assert "nothing was changed on any host" in done.stderr
        assert site.live == ["two"] * COUNT
    site.write("max_failures = 1", lock_host=lock)
    # What there is nothing to do for, is told of all the same.
    done = site.push()
    assert done.returncode == 0
    assert "warning: 127.64.0.98 is unreachable" in done.stderr
    site.good("rollback")
    assert site.live == ["one"] * COUNT


def test_a_rollback_that_stopped_in_the_middle_is_gone_on_with_by_the_next(site: FleetSite) -> None:
    *others, missed = order(site)
    site.good()
    site.hosts = list(map(text, others))
    site.change("two")
    site.write(lock_host=others[0].host)
    site.good()
    site.hosts = list(map(text, (*others, missed)))
    site.change("three")
    site.good()
    # Not all hosts go back to the same.
    site.write('batches = ["1", "100%"]', lock_host=others[0].host, health=SICK)
    for then in ("rollback", "resume"):
        (others[1].files / "sick").touch()
        done = site.push("rollback")
        assert done.returncode == 8, done.stderr
        (others[1].files / "sick").unlink()
        site.good(then)
        assert sorted(site.live) == ["one", *["two"] * 5]
        site.good("push")
        assert site.live == ["three"] * COUNT


def test_a_resumed_rollout_that_fails_takes_back_what_went_live_before_it_was_killed(site: FleetSite) -> None:
    site.good()
    site.change("two")
    kill_after_the_first(site)
    assert site.live.count("two") == 1
    last = order(site)[-1]
    (last.files / "sick").touch()
    site.write('batches = ["1", "100%"]', health=SICK)
    with site.watched():
        done = site.push("resume")
    assert done.returncode == 8, done.stderr
    assert "went back" in done.stderr
    assert site.live == ["one"] * COUNT


def test_what_went_live_before_is_asked_for_its_health_when_a_rollout_is_resumed(site: FleetSite) -> None:
    site.good()
    site.change("two")
    site.write('batches = ["1", "100%"]\non_failure = "halt"', health=SICK)
    canary = order(site)[0]
    (canary.files / "sick").touch()
    assert switched(site, code=8) == [canary.host]
    assert switched(site, "resume", code=8) == []
    assert site.live.count("two") == 1
    (canary.files / "sick").unlink()
    assert len(switched(site, "resume")) == COUNT - 1


def test_a_host_that_is_new_is_left_out_when_a_rollout_is_resumed(site: FleetSite) -> None:
    first, *others, newcomer = order(site)
    site.hosts = list(map(text, (first, *others)))
    site.write()
    site.good()
    site.change("two")
    kill_after_the_first(site)
    site.hosts.append(text(newcomer))
    site.write(lock_host=first.host)
    done = site.push("resume")
    assert done.returncode == 0, done.stderr
    assert f"{newcomer.host}: not in the rollout that is resumed" in done.stderr
    assert sorted(site.live) == ["", *["two"] * 5]
    site.good()
    assert site.live == ["two"] * COUNT


def test_once_a_host_has_failed_no_other_of_its_batch_is_begun(site: FleetSite) -> None:
    site.good()
    site.change("two")
    second = order(site)[1]
    (second.files / "sick").touch()
    site.write('batches = ["100%"]\nparallel = 1', health=SICK)
    assert switched(site, code=8) == [each.host for each in order(site)[:2]]
    assert site.live == ["one"] * COUNT
    # One that may fail keeps nobody from it.
    site.write('batches = ["100%"]\nparallel = 1\nmax_failures = 1', health=SICK)
    assert len(switched(site)) == COUNT


def test_the_host_with_the_queue_may_die_once_it_is_live(site: FleetSite) -> None:
    site.good()
    site.change("two")
    lead, *_, last = order(site)
    (last.files / "stay").touch()
    site.write('batches = ["1", "100%"]', before_switch=WAIT, lock_host=lead.host)
    process = site.start()
    site.until(lambda: site.live.count("two") == COUNT - 1)
    lead.stop()
    (last.files / "stay").unlink()
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 8, err
    assert "all hosts are done: " in err
    assert f"the queue on {lead.host} does not know" in err
    assert "push resume" in err
    assert site.live == ["two"] * COUNT
    site.servers.heal()
    site.write(lock_host=lead.host)
    assert switched(site, "resume") == []
    assert "nothing to do" in site.push().stderr


def test_a_source_that_fails_at_the_end_says_nothing_about_the_hosts(site: FleetSite) -> None:
    (site.root / "hosts").write_text("\n".join(site.hosts))
    (site.root / "hosts.sh").write_text("#!/bin/sh\ntest -e asked && exec echo no connection to the inventory\n")
    with (site.root / "hosts.sh").open("a") as script:
        script.write("touch asked\nexec cat hosts\n")
    (site.root / "hosts.sh").chmod(0o755)
    (site.root / ".pushignore").write_text("asked\n")
    site.hosts = ["command:./hosts.sh"]
    site.write(lock_host=site.servers.all[0].host)
    done = site.push()
    assert done.returncode == 0, done.stderr
    assert "warning: the hosts cannot be listed again: `./hosts.sh`: 'no connection to the inventory'" in done.stderr
    assert site.live == ["one"] * COUNT


def test_hosts_behind_one_address_are_told_apart_by_their_ports(site: FleetSite) -> None:
    site.hosts = [*site.hosts, "nobody@127.64.0.98:1", "nobody@127.64.0.98:2"]
    site.write("max_failures = 2", lock_host=site.servers.all[0].host)
    done = site.push("--json")
    assert done.returncode == 0, done.stderr
    away = {each["host"] for each in changes(done) if each["state"] == "unreachable"}
    assert away == {"127.64.0.98:1", "127.64.0.98:2"}
    status = json.loads(site.push("status", "--json").stdout.splitlines()[-1])
    assert len(status["hosts"]) == COUNT + 2


def test_a_queue_that_another_host_kept_is_not_forgotten(site: FleetSite) -> None:
    first, second, *_ = order(site)
    site.good()
    site.change("two")
    site.write(lock_host=second.host)
    done = site.push()
    assert done.returncode == 0, done.stderr
    assert f"warning: {first.host} has kept the queue of rollouts until now, and {second.host} would" in done.stderr
    assert f'lock_host = "{first.host}"' in done.stderr
    site.change("three")
    third = order(site)[2]
    kill_after_the_first(site)
    site.write(lock_host=third.host)
    for then in ("push", "resume", "rollback"):
        done = site.push(then)
        assert done.returncode == 6, done.stderr
        assert "is not over there; nothing was changed" in done.stderr
        assert f'hint: let it keep the queue: lock_host = "{first.host}"' in done.stderr
    site.write(lock_host=first.host)
    site.good("resume")
    assert site.live == ["three"] * COUNT


def test_who_asks_to_stop_does_not_wait_for_a_host_that_does_not_answer(site: FleetSite) -> None:
    with socket.create_server(("127.64.0.99", 0)) as silent:
        site.hosts = [*site.hosts, f"nobody@127.64.0.99:{silent.getsockname()[1]}"]
        site.write(lock_host=site.servers.all[0].host, connect_timeout=60)
        # A process of its own, with all that Python does at its end.
        log = site.home / "log"
        environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(site.home), "LC_ALL": "C.UTF-8"}
        with log.open("w") as stream:
            push = [str(Path(sys.executable).with_name("push"))]
            process = subprocess.Popen(push, cwd=site.root, env=environment, stdout=stream, stderr=stream)
        site.until(lambda: log.read_text().count(" connected") == COUNT)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(30) == 130
        finally:
            process.kill()
    assert "nothing was changed" in log.read_text()
