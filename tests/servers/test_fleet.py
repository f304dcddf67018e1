"""A rollout over real SSH servers, by the command line: what goes well, and each way in which it does not."""

from __future__ import annotations

import json
import os
import signal
import socket

from servers.fleet_site import COUNT, FleetSite, changes, order, text
from servers.starter import Started

SICK = {"command": "test ! -e ~/sick", "within": 0.3, "every": 0.1}


def test_all_hosts_go_to_one_release_in_batches_and_back(site: FleetSite) -> None:
    site.write('batches = ["1", "50%"]')
    done = site.push("--json")
    assert done.returncode == 0, done.stderr
    first = changes(done)
    hosts = [each.host for each in order(site)]
    for host in hosts:
        states = [each["state"] for each in first if each["host"] == host]
        assert states == ["connected", "prepared", "switched", "done"]
    switched = [(each["host"], each["batch"]) for each in first if each["state"] == "switched"]
    assert [batch for _, batch in switched] == ["batch 1 of 3", *["batch 2 of 3"] * 2, *["batch 3 of 3"] * 3]
    assert switched[0][0] == hosts[0]
    # Nothing is switched before all are prepared.
    kinds = [each["state"] for each in first if each["state"] in {"prepared", "switched"}]
    assert kinds == ["prepared"] * COUNT + ["switched"] * COUNT
    (release,) = site.releases
    assert "nothing to do" in site.push().stderr
    site.change("two")
    with site.watched():
        second = site.good()
        assert site.live == ["two"] * COUNT
        assert site.releases == {second}
        assert site.good("rollback") == release
    assert site.live == ["one"] * COUNT
    status = site.push("status").stdout
    assert f"{release} on {COUNT} hosts" in status
    events = [json.loads(line) for line in site.push("log", "--json").stdout.splitlines()]
    log = [each for each in events if each["event"] == "log-entry"]
    assert [(each["why"], each["outcome"]) for each in log] == [
        ("push", "good"),
        ("push", "good"),
        ("rollback", "rolled back"),
    ]
    for each in hosts:
        found = [phase["name"] for phase in log[0]["phases"] if phase["host"] == each]
        assert found == ["connect", "prepare", "switch"]
    report = site.push("report", "-o", "-").stdout
    assert report.count('<th scope="row">127.64.0.') >= COUNT
    assert f"<strong>{release}</strong> is live on 6 of 6 hosts" in report
    site.change("three")
    site.good("--prepare-only")
    assert site.live == ["one"] * COUNT
    (prepared,) = [each["id"] for each in json.loads(site.push("status", "--json").stdout.splitlines()[-1])["prepared"]]
    assert site.good("switch", "web", str(int(prepared[:6]))) == prepared
    assert site.live == ["three"] * COUNT


def test_a_host_that_cannot_be_reached_stops_it_before_anything_is_changed_unless_it_may_fail(site: FleetSite) -> None:
    site.good()
    site.change("two")
    refused = f"{site.servers.all[0].user}@127.64.0.98:1"
    everybody = site.hosts
    with socket.create_server(("127.64.0.99", 0)) as silent:
        mute = f"{site.servers.all[0].user}@127.64.0.99:{silent.getsockname()[1]}"
        site.hosts = [*everybody, refused, mute]
        site.write(connect_timeout=1.5, lock_host="127.64.0.1")
        done = site.push()
    assert done.returncode == 7, done.stderr
    assert "2 of 8 hosts failed" in done.stderr
    assert "127.64.0.98" in done.stderr
    assert site.live == ["one"] * COUNT
    # What to do about one is said as for a sole host.
    site.hosts = everybody
    site.write(known_hosts="/dev/null")
    done = site.push()
    assert (done.returncode, "push trust" in done.stderr) == (7, True), done.stderr
    assert site.push("check").stdout.count("accept it with: push trust") == COUNT
    site.hosts = [*everybody, refused]
    site.write("max_failures = 1", lock_host="127.64.0.1")
    done = site.push()
    assert done.returncode == 0, done.stderr
    assert "1 of 7 hosts failed" in done.stderr
    assert site.live == ["two"] * COUNT


def test_each_pool_has_a_canary_and_words_of_the_host_are_known_to_commands(site: FleetSite) -> None:
    pools = ["blue", "green", "blue", "green", "blue", "green"]
    lines = [f"{text(each)} {pool} eu-{pool}\n" for each, pool in zip(order(site), pools, strict=True)]
    (site.root / "hosts").write_text("".join(lines))
    (site.root / ".pushignore").write_text("hosts\n")
    site.hosts = ["file:hosts"]
    first, second, *others = order(site)
    site.table |= {
        "lock_host": first.host,
        "after_switch": "echo I am {host} of {pool} in {zone}",
        "health": {"command": "test ! -e ~/sick || { echo {pool} is sick; false; }", "within": 0.2, "every": 0.1},
    }
    site.write('batches = ["1", "100%"]')
    # With nothing to go back to, a first rollout that fails leaves its canaries, and is in nobody's way.
    (second.files / "sick").touch()
    done = site.push("--json")
    assert done.returncode == 8, done.stderr
    assert {e["host"] for e in changes(done) if e["state"] == "switched"} == {first.host, second.host}, (
        done.stdout + done.stderr
    )
    assert "nothing was live there before" in done.stderr
    assert "green is sick" in done.stdout
    # Who looks later finds it in the log: what was printed, by each host, and which of them failed.
    failed = json.loads(site.push("log", "--json").stdout.splitlines()[-1])
    assert failed["outcome"].startswith("failed: ")
    assert f"{first.host} after_switch: I am {first.host} of blue in eu-blue" in failed["output"]
    assert any(line.startswith(f"{second.host}: failed: ") for line in failed["output"])
    assert "green is sick" in " ".join(failed["output"])
    (second.files / "sick").unlink()
    site.change("two")
    # Nobody is there to be asked: what has begun is undone.
    site.write('batches = ["1", "100%"]\nconfirm = true')
    done = site.push()
    assert (done.returncode, "this needs a yes" in done.stderr) == (8, True), done.stderr
    assert site.live.count("one") == 2
    done = site.push("--yes")
    assert done.returncode == 0, done.stderr
    assert f"{others[0].host} after_switch | I am {others[0].host} of blue in eu-blue" in done.stderr
    # Those that had nothing before keep what they have, and that is said.
    done = site.push("rollback", "--yes")
    assert (done.returncode, "not known what was live there before" in done.stderr) == (0, True), done.stderr
    assert sorted(site.live) == ["one"] * 2 + ["two"] * 4


def test_what_is_live_is_told_also_when_the_host_with_the_queue_is_away(site: FleetSite) -> None:
    release = site.good()
    lead, *others = order(site)
    lead.stop()
    done = site.push("status")
    assert done.returncode == 0, done.stderr
    assert f"{release} on {', '.join(each.host for each in others)}" in done.stdout
    assert f"[unreachable] on {lead.host}" in done.stdout
    assert "the host with the queue cannot be used" in done.stderr


def test_what_differs_is_told_of_most_hosts_and_what_was_altered_is_mended_where_it_was(site: FleetSite) -> None:
    site.good()
    *others, odd = order(site)
    everybody = site.hosts
    site.hosts = list(map(text, others))
    site.write()
    site.change("two")
    site.good()
    site.hosts = everybody
    site.write()
    site.change("three")
    done = site.push("diff", "--text")
    assert done.returncode == 0, done.stderr
    assert "-two\n" in done.stdout
    assert "+three\n" in done.stdout
    assert f"{odd.host}: 000001-" in done.stderr
    assert "1 path would change" in done.stderr
    site.change("two")
    site.good()
    (others[1].files / site.path / "current/index.html").write_text("altered\n")
    done = site.push("check", "--deep")
    assert done.returncode == 7, done.stdout
    assert [line for line in done.stdout.splitlines() if others[1].host in line and "index.html" in line]
    done = site.push("--repair", "--json")
    assert done.returncode == 0, done.stderr
    assert {each["host"] for each in changes(done) if each["state"] == "switched"} == {others[1].host}
    assert site.live == ["two"] * COUNT


def test_a_sick_canary_is_the_only_one_that_ever_was_live(site: FleetSite) -> None:
    site.good()
    site.change("two")
    site.write(health=SICK)
    canary = order(site)[0]
    (canary.files / "sick").touch()
    with site.watched():
        done = site.push("--json")
    assert done.returncode == 8, done.stderr
    assert [each["host"] for each in changes(done) if each["state"] == "switched"] == [canary.host]
    assert site.live == ["one"] * COUNT
    assert f"1 of {COUNT} hosts failed: {canary.host}: not well after 0.3 seconds" in done.stderr
    assert f"is live on {', '.join(each.host for each in order(site)[:5])} and 1 more" in done.stderr
    (canary.files / "sick").unlink()
    site.good()
    assert site.live == ["two"] * COUNT


def test_a_failure_in_the_last_batch_restores_what_was_live_on_each_host_also_where_one_had_missed_a_push(
    site: FleetSite,
) -> None:
    site.good()
    *others, last = order(site)
    everybody, missed = site.hosts, others[0]
    site.hosts = [text(each) for each in site.servers.all if each is not missed]
    site.write()
    site.change("two")
    site.good()
    site.hosts = everybody
    before = site.live
    assert sorted(before) == ["one", *["two"] * 5]
    site.write(health=SICK)
    (last.files / "sick").touch()
    site.change("three")
    with site.watched():
        done = site.push()
    assert done.returncode == 8, done.stderr
    assert site.live == before
    assert "went back" in done.stderr
    odd = site.push("status").stdout
    assert f"on {missed.host}" in odd


def test_a_rollout_that_halts_is_resumed_where_it_stopped_and_nobody_pushes_meanwhile(site: FleetSite) -> None:
    site.good()
    site.change("two")
    site.write('batches = ["2", "100%"]\non_failure = "halt"', health=SICK)
    second = order(site)[1]
    (second.files / "sick").touch()
    done = site.push()
    assert done.returncode == 8, done.stderr
    assert sorted(site.live) == [*["one"] * 4, *["two"] * 2]
    assert "halted" in done.stderr
    assert "push resume" in done.stderr
    status = site.push("status").stdout
    assert "halted in the middle of its hosts: push resume goes on, push rollback goes back" in status
    assert "the next push goes on" not in status
    site.change("three")
    done = site.push()
    assert (done.returncode, "push resume, push rollback" in done.stderr) == (6, True), done.stderr
    (second.files / "sick").unlink()
    with site.watched():
        done = site.push("resume", "--json")
    assert done.returncode == 0, done.stderr
    assert len([each for each in changes(done) if each["state"] == "switched"]) == 4
    assert site.live == ["two"] * COUNT
    site.good()
    assert site.live == ["three"] * COUNT


def test_a_hook_that_fails_on_one_host_fails_the_rollout_and_that_host_changed_nothing(site: FleetSite) -> None:
    site.good()
    site.change("two")
    third = order(site)[2]
    (third.files / "sick").touch()
    site.write('batches = ["2", "100%"]', before_switch="echo for $PUSH_RELEASE; test ! -e ~/sick")
    with site.watched():
        done = site.push()
    assert done.returncode == 8, done.stderr
    assert f"web: {third.host} before_switch | for 0" in done.stderr
    assert f"{third.host}: before_switch ended with exit code 1" in done.stderr
    assert site.live == ["one"] * COUNT


def wait_for(site: FleetSite, process: Started, words: str) -> None:
    """Until a push under way has said something."""
    site.until(lambda: words in process.said)


def test_after_the_client_was_killed_in_the_second_batch_resume_completes_the_rest_and_rollback_undoes_it(
    site: FleetSite,
) -> None:
    site.good()
    for content, then, expected in (("two", "resume", "two"), ("three", "rollback", "two")):
        site.change(content)
        site.write('batches = ["1", "50%", "100%"]', before_switch="test -e ~/calm || sleep 20")
        first = order(site)[0]
        (first.files / "calm").touch()
        with site.watched():
            process = site.start()
            wait_for(site, process, "batch 1 of 3")
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert site.live.count(content) == 1
        site.write('batches = ["1", "100%"]')
        done = site.push()
        assert done.returncode == 6, done.stderr
        done = site.push(then, "--json")
        assert done.returncode == 0, done.stderr
        # Only what is missing, or what has gone too far.
        switched = [each["host"] for each in changes(done) if each["state"] == "switched"]
        assert len(switched) == (COUNT - 1 if then == "resume" else 1)
        assert site.live == [expected] * COUNT


def test_a_host_that_its_source_does_not_list_any_more_is_gone_and_a_new_one_gets_the_release(site: FleetSite) -> None:
    *others, newcomer = site.servers.all
    first = "\n".join([*map(text, others), "nobody@127.64.0.98:1"])
    later = "\n".join(map(text, site.servers.all))
    (site.root / "first").write_text(first)
    (site.root / "later").write_text(later)
    (site.root / "hosts.sh").write_text("#!/bin/sh\ntest -e asked && exec cat later\ntouch asked\nexec cat first\n")
    (site.root / ".pushignore").write_text("asked\n")
    (site.root / "hosts.sh").chmod(0o755)
    site.hosts = ["command:./hosts.sh"]
    site.write(lock_host=others[0].host)
    done = site.push("--json")
    assert done.returncode == 0, done.stderr
    states = {each["host"]: each["state"] for each in changes(done)}
    assert states.pop("127.64.0.98") == "gone"
    assert set(states.values()) == {"done"}
    assert newcomer.host in states
    assert site.live == ["one"] * COUNT
    assert len(site.releases) == 1
    # A source that names far fewer than the last time is not believed.
    (site.root / "later").write_text(text(others[0]))
    site.change("two")
    done = site.push()
    assert (done.returncode, "this needs a yes: only 1 hosts are listed" in done.stderr) == (6, True), done.stderr
    assert site.live == ["one"] * COUNT


def test_ctrl_c_between_batches_leaves_a_rollout_that_can_be_resumed(site: FleetSite) -> None:
    site.good()
    site.change("two")
    site.write('batches = ["1", "100%"]', health={"command": "test -e ~/go", "within": 30, "every": 0.1})
    process = site.start()
    site.until(lambda: "two" in site.live)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "go on with push resume, or back with push rollback" in err
    assert "is live on " in err
    assert site.live.count("two") == 1
    site.write()
    assert site.good("rollback")
    assert site.live == ["one"] * COUNT


def test_hosts_are_listed_in_the_order_of_a_rollout_without_connecting(site: FleetSite) -> None:
    site.hosts = ["web[1-3].example.com", "deploy@db.example.com:2222", "file:more"]
    (site.root / "more").write_text("[::1] # here\nblue.example.com blue eu-1\n")
    site.write(lock_host="web1.example.com")
    lines = site.push("hosts").stdout.splitlines()
    assert {tuple(line.split()) for line in lines} == {
        ("web1.example.com", "-", "-"),
        ("web2.example.com", "-", "-"),
        ("web3.example.com", "-", "-"),
        ("deploy@db.example.com:2222", "-", "-"),
        ("[::1]", "-", "-"),
        ("blue.example.com", "blue", "eu-1"),
    }
    site.hosts = list(reversed(site.hosts))
    site.write(lock_host="web1.example.com")
    assert site.push("hosts").stdout.splitlines() == lines
