"""What a new host is brought to: which host it is, what is live on the others, and whether the project is that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from pushkit import Project, PushRefused, Snapshot, Target, UsageError
from pushkit.files.place import STATE
from pushkit.files.stat import Found, Stat
from pushkit.files.survey import Survey
from pushkit.files.ticket import END, OUTCOME, RECORD, SWITCHING, Ticket, encoded
from pushkit.fleet.host import parse
from pushkit.fleet.join import check_revision, newcomer, pair, recorded
from pushkit.fleet.lead import lead_of
from pushkit.fleet.options import FleetOptions
from pushkit.model import Host, Kind, Release, Revision
from pushkit.snapshot import take
from repository import commit, init

NOW = datetime(2026, 11, 22, 19, 30, 12, tzinfo=UTC)
HOSTS = [parse(text) for text in ("web1", "web2:2222", "web3:22", "web3:23")]


def release(number: int) -> Release:
    return Release(f"{number:06d}-20261122T193012Z-4f2a91c", Revision("", False, "ab" * 32), NOW, "ada@lovelace")


def ended(number: int, outcome: str, *, why: str = "push", switching: bool = True) -> Ticket:
    """A ticket that ended so, for what the first push made where it is not of a push."""
    made = release(number if why == "push" else 1)
    return Ticket(number, made, "", why, "ada@lovelace", NOW, switching=switching, ended=True, outcome=outcome)


def survey(*tickets: Ticket) -> Survey:
    """What the host with the queue holds."""
    found: dict[str, bytes | None] = {}
    for each in tickets:
        place = STATE.ticket(each.number)
        found |= {place: None, f"{place}/{RECORD}": each.record()}
        if each.switching:
            found[f"{place}/{SWITCHING}"] = b""
        if each.ended:
            found[f"{place}/{END}"] = None
        if each.outcome:
            found[f"{place}/{OUTCOME}"] = encoded({"outcome": each.outcome, "ended": NOW.isoformat()})
    kinds = {path: Kind.DIRECTORY if content is None else Kind.FILE for path, content in found.items()}
    looks = {path: Found(Stat(path.rpartition("/")[2], kinds[path], 0o644, 0), found[path] or b"") for path in found}
    return Survey("/srv/blog", STATE, looks)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("web1", HOSTS[0]),
        ("web2", HOSTS[1]),
        ("web2:2222", HOSTS[1]),
        ("web3:23", HOSTS[3]),
        pytest.param("web3", Host("web3"), id="two of one name are none of them"),
        pytest.param("web9:2222", Host("web9", port=2222), id="who is listed nowhere yet is who they say"),
    ],
)
def test_a_host_joins_as_it_is_listed(text: str, host: Host) -> None:
    assert newcomer(text, HOSTS) == host


def test_what_is_no_host_cannot_join() -> None:
    with pytest.raises(UsageError, match="'-oProxyCommand=id' is no host"):
        newcomer("-oProxyCommand=id", HOSTS)


def test_a_host_joins_beside_the_one_with_the_queue_and_not_as_that() -> None:
    options = FleetOptions.of({"path": "/srv/blog", "hosts": ["web1", "web2:2222"], "lock_host": "web1"})
    assert pair("web2", HOSTS, options) == [HOSTS[0], HOSTS[1]]
    assert pair("web1:2222", HOSTS, options) == [HOSTS[0], Host("web1", port=2222)]
    with pytest.raises(PushRefused, match=r"web1 keeps the queue, .*nothing was changed") as caught:
        pair("web1", HOSTS, options)
    assert "lock_host" in caught.value.hint


def test_a_fleet_whose_queue_nobody_keeps_is_refused() -> None:
    options = FleetOptions.of({"path": "/srv/blog", "hosts": ["file:hosts", "web1"]})
    with pytest.raises(PushRefused) as caught:
        lead_of(HOSTS, options)
    assert caught.value.message == (
        "the hosts come from file:hosts, and may be others each time: one has to keep the queue"
    )
    assert caught.value.hint == 'name it: lock_host = "web1.example.com"'
    options = FleetOptions.of({"path": "/srv/blog", "hosts": ["file:hosts"], "lock_host": "db"})
    with pytest.raises(PushRefused) as caught:
        lead_of(HOSTS, options)
    assert caught.value.message == "lock_host db is none of the hosts"
    assert caught.value.hint == "see them: push hosts"


@pytest.mark.parametrize(
    ("tickets", "number"),
    [
        ([ended(1, "good"), ended(2, "good")], 2),
        ([ended(1, "good"), ended(2, "failed: no space")], 1),
        ([ended(1, "good"), ended(2, "died", switching=False)], 1),
        ([ended(1, "good"), ended(2, "", switching=False)], 1),
        ([ended(1, "good"), ended(2, "unlocked by ada: gone", switching=False)], 1),
        ([ended(1, "good"), ended(2, "good"), ended(3, "rolled back", why="rollback")], 1),
        ([ended(1, "good"), ended(2, "good"), ended(3, "joined", why="join")], 1),
        ([ended(1, "good"), Ticket(2, release(2), who="ada", since=NOW)], 1),
    ],
)
def test_what_is_live_is_what_the_last_good_rollout_made_so(tickets: list[Ticket], number: int) -> None:
    assert recorded(survey(*tickets)).id == release(number).id


@pytest.mark.parametrize("outcome", ["", "unlocked by bob@desk: the runner is gone"])
def test_who_was_ended_in_the_middle_of_its_hosts_left_no_one_release(outcome: str) -> None:
    with pytest.raises(PushRefused, match="push 2 by ada@lovelace was ended in the middle of its hosts") as caught:
        recorded(survey(ended(1, "good"), ended(2, outcome)))
    assert caught.value.hint == "push to all first"


@pytest.mark.parametrize("tickets", [[], [Ticket(1, release(1), who="ada", since=NOW)], [ended(1, "failed: no space")]])
def test_where_nothing_was_rolled_out_there_is_nothing_to_join(tickets: list[Ticket]) -> None:
    with pytest.raises(PushRefused, match="nothing was ever rolled out that a host could join"):
        recorded(survey(*tickets))


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """A project at a commit."""
    monkeypatch.setenv("HOME", str(tmp_path))
    top = init(tmp_path / "blog")
    commit(top, {"index.html": b"one"})
    target = Target("web", "sftp")
    return take(Project("blog", top / "Pushfile", top, ".", (), "web", {"web": target}), target)


def test_only_the_project_that_is_live_can_be_joined_with(snapshot: Snapshot) -> None:
    live = replace(release(1), revision=snapshot.revision)
    check_revision(live, snapshot, "web")
    for revision, hint in [
        (Revision("0c0ffee" + "0" * 33, False, "cd" * 32), "check out 0c0ffee" + "0" * 33),
        (Revision("0c0ffee" + "0" * 33, True, "cd" * 32), "push to all: push web"),
        (Revision("", False, "cd" * 32), "push to all: push web"),
    ]:
        with pytest.raises(PushRefused, match=r"is live on web, and the project is not what was pushed then") as caught:
            check_revision(replace(live, revision=revision), snapshot, "web")
        assert caught.value.hint == hint
        assert f"revision {snapshot.revision.short} in place of {revision.short}; nothing" in caught.value.message
