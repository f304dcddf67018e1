"""What one look at a target says: read with care, for it came from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pushkit import Entry, Kind, PushRefused, manifest
from pushkit.files.place import STATE
from pushkit.files.stat import Found, Stat
from pushkit.files.survey import Look, State, Survey
from pushkit.files.ticket import Ticket
from pushkit.model import Hold
from pushkit_dir.remote import LocalRemote
from unit.test_history import named, ticket

ENTRIES = [Entry("d", Kind.DIRECTORY, 0o755)]


def survey(found: Mapping[str, bytes | Kind | None], mtimes: Mapping[str, float] | None = None) -> Survey:
    """What lies at some paths: a file of that content, a directory for None, or anything of a kind."""
    looks = {}
    for path, what in found.items():
        kind = what if isinstance(what, Kind) else Kind.DIRECTORY if what is None else Kind.FILE
        content = what if isinstance(what, bytes) else b""
        stat = Stat(path.rpartition("/")[2], kind, 0o600, len(content), (mtimes or {}).get(path, 0.0))
        looks[path] = Found(stat, content)
    return Survey("/srv/blog", STATE, looks)


def test_every_part_of_a_state_has_its_place() -> None:
    state = State(".push")
    assert (state.pushes, state.manifests, state.incoming) == (".push/pushes", ".push/manifests", ".push/incoming")
    assert (state.live, state.journal, state / "hold") == (".push/live", ".push/journal", ".push/hold")
    assert state.spare == ".push/spare"
    assert (state.ticket(42), state.ticket(1234567)) == (".push/pushes/000042", ".push/pushes/1234567")
    assert (state.stage("x"), state.manifest("x")) == (".push/incoming/x", ".push/manifests/x")


def test_tickets_are_read_from_their_parts_and_those_are_let_go_of() -> None:
    whole = ticket(2, "", who="bob@desk", previous=1)
    found = survey(
        {
            ".push/pushes/000010": None,
            ".push/pushes/000002": None,
            ".push/pushes/000002/ticket.json": whole.record(),
            ".push/pushes/000002/hb": b"alive",
            ".push/pushes/000002/switching": None,
            ".push/pushes/000001/end": None,
            ".push/pushes/000001/end/outcome.json": b'{"outcome": "good"}',
            ".push/pushes/12": None,
            ".push/pushes/000007.expired": None,
            ".push/other/000009": None,
            "000009": None,
        },
        {".push/pushes/000002": 5.0, ".push/pushes/000002/hb": 9.0, ".push/pushes/000010": 7.0},
    )
    first, second, last = found.tickets
    assert first == Ticket(1, ended=True, outcome="good")
    assert (second.number, second.who, second.heartbeat, second.switching) == (2, "bob@desk", 9.0, True)
    # Who has not said yet that it lives was there when it took its number.
    assert last == Ticket(10, heartbeat=7.0)
    assert found.open_tickets == [second, last]
    assert sorted(found.found) == [
        *(".push/other/000009", ".push/pushes/000002", ".push/pushes/000007.expired", ".push/pushes/000010"),
        *(".push/pushes/12", "000009"),
    ]


@pytest.mark.parametrize("first", ["hb", ""])
def test_a_heartbeat_counts_and_not_the_directory_whichever_is_found_first(first: str) -> None:
    place, beat = ".push/pushes/000001", ".push/pushes/000001/hb"
    order = {beat: b"", place: None} if first else {place: None, beat: b""}
    assert survey(order, {place: 5.0, beat: 9.0}).tickets[0].heartbeat == 9.0


@pytest.mark.parametrize(
    ("found", "last"),
    [
        ({}, 0),
        ({".push/pushes/000003": None}, 3),
        ({f"releases/{named(4)}": None, ".push/pushes/000003": None}, 4),
        ({f".push/incoming/{named(5)}": None, f"releases/{named(4)}": None}, 5),
        ({".push/fence": b"000006\n", f"releases/{named(4)}": None}, 6),
        ({".push/fence": b"x", "releases/mine": None, "releases/999999-x": None}, 0),
        ({f"releases/{named(9)}": b"a file"}, 0),
    ],
)
def test_the_last_number_is_the_highest_that_was_ever_taken(found: dict[str, bytes | None], last: int) -> None:
    assert survey(found).last == last


def test_who_froze_pushes_is_told_as_far_as_that_is_known() -> None:
    record = {"who": "ada@lovelace", "when": "2026-11-22T19:30:12+00:00", "why": "the shop is open"}
    assert survey({}).hold is None
    assert survey({".push/hold": json.dumps(record).encode()}).hold == Hold(*record.values())
    assert survey({".push/hold": b"damaged"}).hold == Hold("unknown", "unknown", "unknown")


def test_what_is_live_is_named_by_a_file_where_no_link_does() -> None:
    assert survey({".push/live": f"{named(1)}\n".encode()}).named_live == named(1)
    assert survey({".push/live": b"../../etc"}).named_live == ""
    assert survey({".push/live": b" " * 256 + named(1).encode()}).named_live == ""
    assert survey({".push/live": b" " * 200 + named(1).encode()}).named_live == named(1)
    assert survey({}).named_live == ""


def test_names_are_those_of_directories_right_below() -> None:
    found = survey({"releases/a": None, "releases/b": b"", "releases/a/c": None, "releases": None, "other/d": None})
    assert found.names("releases") == ["a"]
    assert found.names("other") == ["d"]
    assert not found.exists
    assert survey({"": None}).exists


def test_a_manifest_says_what_a_release_holds() -> None:
    content = manifest.encode(ENTRIES)
    path = f".push/manifests/{named(1)}"
    found = survey({path: content, f"{path}.new": b"", ".push/manifests/x/y": b"", ".push/manifests": None})
    assert found.manifests == [named(1), f"{named(1)}.new"]
    assert found.entries(named(1)) == ENTRIES
    with pytest.raises(ValueError, match=r"^its manifest is missing$"):
        found.entries(named(2))
    assert found.take(named(1)) == content
    assert found.found[path].content == b""


def test_of_a_manifest_of_which_the_head_is_there_the_rest_is_asked_for() -> None:
    content = manifest.encode(ENTRIES)
    path = f".push/manifests/{named(1)}"
    found = survey({path: content[: manifest.HEAD]})
    assert found.manifest(named(1)) == content[: manifest.HEAD]
    asked: list[tuple[str, bytes]] = []

    def complete(path: str, head: bytes) -> bytes:
        asked.append((path, head))
        return content

    assert Survey(found.root, STATE, found.found, complete).manifest(named(1)) == content
    assert asked == [(path, content[: manifest.HEAD])]


def test_what_follows_a_ticket_is_known_without_another_look() -> None:
    found = survey({".push/pushes/000001": None})
    before = found.tickets
    after = found.followed(Ticket(2, ended=True), f"releases/{named(2)}")
    assert after.tickets == [*before, Ticket(2, ended=True)]
    assert after.names("releases") == [named(2)]
    assert after.found[f"releases/{named(2)}"].stat.name == named(2)
    assert after.root == "/srv/blog"


@pytest.mark.parametrize(
    ("found", "words", "hint"),
    [
        ({".push": b""}, "/srv/blog/.push is a file, no directory; nothing was sent", "move it away"),
        ({"releases": Kind.SYMLINK}, "/srv/blog/releases is a symlink, no directory; nothing was sent", "move it away"),
        ({".push/fence": None}, "/srv/blog/.push/fence is a directory, no file; nothing was sent", "move it away"),
        ({".push/log": Kind.SYMLINK}, "/srv/blog/.push/log is a symlink, no file; nothing was sent", "move it away"),
        ({".push/format": None}, "/srv/blog/.push/format is a directory, no file; nothing was sent", "move it away"),
        ({".push/format": b"2\n"}, "/srv/blog/.push has format '2', this push knows 1; nothing was sent", "upgrade"),
        ({".push/format": b"0"}, "/srv/blog/.push has format '0', this push knows 1; nothing was sent", "move "),
        ({".push/format": b"x"}, "/srv/blog/.push has format 'x', this push knows 1; nothing was sent", "move "),
        (
            {".push/format": b"\xff"},
            "/srv/blog/.push has format '\ufffd', this push knows 1; nothing was sent",
            "move ",
        ),
        (
            {".push/format": b"%256s" % b"2"},
            "/srv/blog/.push has format '2', this push knows 1; nothing was sent",
            "up",
        ),
        ({".push/format": b"01"}, "/srv/blog/.push has format '01', this push knows 1; nothing was sent", "move "),
    ],
)
def test_what_push_did_not_make_is_refused(found: dict[str, bytes | Kind | None], words: str, hint: str) -> None:
    with pytest.raises(PushRefused) as caught:
        survey(found).check("releases")
    assert caught.value.message == words
    assert hint in caught.value.hint


def test_what_push_made_is_taken() -> None:
    made = {".push": None, ".push/format": b"1\n", ".push/fence": b"", ".push/log": b"", "releases": None}
    survey(made).check("releases")
    survey({".push/format": b""}).check()
    # Of a record of one line no more is read.
    survey({".push/format": b"%257s" % b"2"}).check()
    survey({"releases": b""}).check()


def test_a_device_has_no_name_among_the_kinds() -> None:
    found = survey({})
    found.found[".push"] = Found(Stat(".push", None, 0o600, 0))
    with pytest.raises(PushRefused, match=r"/srv/blog/.push is a special file, no directory"):
        found.check()


def test_a_look_finds_what_a_layout_wants_to_know(tmp_path: Path) -> None:
    state = tmp_path / ".push"
    for path in ("pushes/000001/end", "incoming/x/tree", "manifests"):
        (state / path).mkdir(parents=True)
    for path, text in {
        "format": "1",
        "fence": "000001",
        "hold": "{}",
        "log": "x",
        "live": "y",
        f"manifests/{named(1)}": "z",
    }.items():
        (state / path).write_text(text)
    (tmp_path / "releases" / named(1)).mkdir(parents=True)
    (tmp_path / "current").symlink_to(f"releases/{named(1)}")
    look = Look(STATE, trees=(".push/live",), listed=("releases",), looked=("shared",), live="current")
    found = look.at(LocalRemote(tmp_path))
    assert found.root == str(tmp_path)
    assert found.exists
    assert (found.fence, found.hold, found.last) == (1, Hold("unknown", "unknown", "unknown"), 1)
    assert [each.ended for each in found.tickets] == [True]
    assert (found.names("releases"), found.names(".push/incoming")) == ([named(1)], ["x"])
    assert found.found["current"].link == f"releases/{named(1)}"
    assert found.found[".push/live"].content == b"y"
    assert found.found[".push/log"].content == b""
    assert found.found[".push/format"].content == b"1"
    assert found.found[f".push/manifests/{named(1)}"].content == b"z"
    assert "shared" not in found.found
    assert ".push/incoming/x/tree" not in found.found
