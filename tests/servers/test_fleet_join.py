"""One new host joins a fleet of real SSH servers."""

from __future__ import annotations

import json
import shutil

from servers.fleet_site import COUNT, FleetSite, changes, order, page, text

SICK = {"command": "test ! -e ~/sick", "within": 0.3, "every": 0.1}


def test_a_new_host_is_brought_to_what_is_live_and_to_nothing_else(site: FleetSite) -> None:
    lead, *others, new = order(site)
    site.hosts = [text(each) for each in (lead, *others)]
    site.write(lock_host=lead.host, health=SICK)
    done = site.push("join", text(new))
    assert (done.returncode, "nothing was ever rolled out" in done.stderr) == (6, True), done.stderr
    release = site.good()
    # It need not be listed yet; no other host is asked anything.
    for each in others:
        each.stop()
    done = site.push("join", text(new), "web", "--json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["release"]["id"]) == ("joined", release)
    assert [each["state"] for each in changes(done) if each["host"] == new.host] == [
        "connected", "prepared", "switched", "verified", "done",
    ]  # fmt: skip
    assert {each["host"] for each in changes(done)} == {lead.host, new.host}
    assert page(new, site.path) == "one"
    # Once more is nothing to do. What is not well does not join.
    assert site.good("join", text(new)) == release
    (new.files / "sick").touch()
    done = site.push("join", text(new))
    assert (done.returncode, f"{release} is live on {new.host}" in done.stderr) == (8, True), done.stderr
    site.change("two")
    done = site.push("join", text(new))
    assert (done.returncode, "the project is not what was pushed" in done.stderr) == (6, True), done.stderr
    site.servers.heal()
    site.hosts = [*site.hosts, text(new)]
    site.write(lock_host=lead.host)
    site.good()
    assert site.live == ["two"] * COUNT


def test_a_join_waits_for_a_rollout_and_says_why_it_cannot_be(site: FleetSite) -> None:
    lead, *others, new = order(site)
    site.hosts = [text(each) for each in (lead, *others)]
    site.write('batches = ["100%"]', lock_host=lead.host)
    first = site.good()
    site.change("two")
    site.write('batches = ["100%"]', lock_host=lead.host, before_switch="while test -e ~/sick; do sleep 0.05; done")
    (lead.files / "sick").touch()
    under_way = site.start()
    site.until(lambda: "two" in site.live)
    done = site.push("join", text(new))
    assert (done.returncode, "is busy: push" in done.stderr) == (9, True), done.stderr
    waiting = site.start("join", text(new), "--wait", "60", "--json")
    site.until(lambda: "waiting: push" in waiting.said)
    back = site.start("rollback", "--wait", "60")
    site.until(lambda: "waiting: push" in back.said)
    (lead.files / "sick").unlink()
    out, err = under_way.communicate(timeout=30)
    assert under_way.returncode == 0, err
    # What was to be gone back from is not what is live any more.
    _, err = back.communicate()
    assert (back.returncode, "another rollout was on web meanwhile" in err) == (9, True), err
    second = out.split()[-1]
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["release"]["id"] == second
    assert site.live == ["two"] * COUNT
    # After a rollback that is what is live, and the project is not it any more.
    assert site.good("rollback") == first
    done = site.push("join", text(new))
    assert (done.returncode, f"{first} is live" in done.stderr) == (6, True), done.stderr
    site.change("one")
    shutil.rmtree(new.files / site.path)
    assert site.good("join", text(new)) == first
    assert site.live == ["one"] * COUNT


def test_a_join_that_cannot_be_changes_nothing(site: FleetSite) -> None:
    lead = order(site)[0]
    site.good()
    for host, code, words in (
        (text(lead), 6, "keeps the queue"),
        ("-oProxyCommand=x", 2, ""),
        ("we/b", 2, "is no host"),
        # What `$(hostname -f)` is on a machine that does not know its name.
        ("", 2, "HOST is empty; nothing was changed"),
        ("nobody@127.64.0.98:1", 7, "127.64.0.98"),
    ):
        done = site.push("join", host)
        assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    site.hosts = ()
    site.table |= {"host": text(lead)}
    site.write()
    done = site.push("join", text(lead))
    assert (done.returncode, "no other hosts to join" in done.stderr) == (2, True), done.stderr
