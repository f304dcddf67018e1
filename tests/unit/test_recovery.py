"""What becomes of a mirror whose push died in its switch: it is finished, or called off, and nothing is guessed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from pushkit import Entry, Kind, PushRefused, manifest
from pushkit.events import Note, Warned
from pushkit.files.ground import UNKNOWN
from pushkit.files.journal import Journal, Renaming
from pushkit.files.operation import Operation
from pushkit.files.place import MIRROR as STATE
from pushkit.files.queue import Queue
from pushkit.files.recovery import Recovery, place_of
from pushkit.files.survey import Look, Survey
from pushkit.files.ticket import Ticket
from unit.test_history import named, ticket
from unit.test_queue_turns import never
from unit.test_releases import Site

OLD, NEW = named(1), named(2)


def directory(path: str) -> Entry:
    return Entry(path, Kind.DIRECTORY, 0o755)


def file(path: str, content: str) -> Entry:
    return Entry(path, Kind.FILE, 0o644, len(content), sha256(content.encode()).digest())


def link(path: str, text: str) -> Entry:
    return Entry(path, Kind.SYMLINK, 0o777, link=text)


BEFORE = [
    file("a", "old a"),
    file("b", "old b"),
    directory("d"),
    file("d/x", "x"),
    file("gone", "gone"),
    link("l", "a"),
]
AFTER = [
    file("a", "new a"),
    file("b", "new b"),
    directory("d"),
    file("d/x", "x"),
    link("l", "b"),
    directory("n"),
    file("n/m", "m"),
]
JOURNAL = Journal(NEW, OLD, [], [*map(Renaming, ("a", "b", "l", "n"))], ["gone"], [], [])


class Mirror(Site):
    """A mirror: what is live, and what a push had sent that died after the first renaming."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.path.mkdir()
        self.stage = self.path / STATE.stage(NEW)
        self.put(self.path, {"a": "new a", "b": "old b", "d/x": "x", "gone": "gone", "l": "-> a"})
        self.put(self.stage / "tree", {"b": "new b", "l": "-> b", "n/m": "m"})
        self.put(self.path / ".htpush", {"live": f"{OLD}\n", "fence": "000002\n"})
        (self.path / STATE.manifests).mkdir()
        for release, entries in ((OLD, BEFORE), (NEW, AFTER)):
            (self.path / STATE.manifest(release)).write_bytes(manifest.encode(entries))
        self.note(JOURNAL)
        self.stages: list[str] = []
        self.queue = Queue(self.remote, STATE, self.run, look=self.look, settle=never)
        self.ticket, _ = self.queue.enter(self.look(), lambda number: ticket(3, ""), first=3)

    def put(self, top: Path, files: dict[str, str]) -> None:
        for path, text in files.items():
            place = top / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                place.symlink_to(text[3:])
            else:
                place.write_text(text)
                place.chmod(0o644)

    def note(self, journal: Journal) -> None:
        (self.path / STATE.journal).write_bytes(journal.encode())

    def look(self) -> Survey:
        return Look(STATE, trees=(STATE.live, STATE.journal, STATE.manifests)).at(self.remote)

    def perform(
        self, operations: Sequence[Operation], stage: str, optional: Sequence[Operation] = ()
    ) -> Sequence[Entry]:
        self.stages.append(stage)
        assert all(any(each is one for one in operations) for each in optional)
        return self.remote.perform(operations, self.run.step, stage)

    def recover(self, by: Ticket | None = None) -> bool:
        return Recovery(self.remote, self.run, self.queue, self.perform).recover(by or self.ticket, self.look())

    @property
    def there(self) -> dict[str, str]:
        """What a web server would serve."""
        found = {}
        for top, _, names in os.walk(self.path):
            for name in names:
                path = Path(top, name)
                if ".htpush" not in path.parts:
                    text = f"-> {os.readlink(path)}" if path.is_symlink() else path.read_text()
                    found[str(path.relative_to(self.path))] = text
        return found

    @property
    def remembered(self) -> dict[str, list[Entry]]:
        """What the manifests say, by release."""
        place = self.path / STATE.manifests
        return {name: manifest.decode((place / name).read_bytes()) for name in os.listdir(place)}

    def concluded(self, release: str) -> bool:
        """Whether that release is live, and nothing is left of the push that died."""
        left = (self.path / STATE.journal).exists() or (self.path / STATE.stage(release)).exists()
        return not left and (self.path / STATE.live).read_text() == f"{release}\n"

    def said(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Note | Warned))


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path)


def test_what_is_whole_is_finished(mirror: Mirror) -> None:
    assert mirror.recover()
    assert mirror.there == {"a": "new a", "b": "new b", "d/x": "x", "l": "-> b", "n/m": "m"}
    assert mirror.concluded(NEW)
    assert mirror.remembered == {NEW: AFTER}
    assert mirror.said() == f"the push of {NEW} had died while it switched; it was finished"
    assert mirror.stages == [STATE.stage(NEW)]


def test_the_same_release_is_finished_again_and_keeps_its_manifest(mirror: Mirror) -> None:
    mirror.note(Journal(NEW, NEW, [], JOURNAL.renamings, ["gone"], [], []))
    assert mirror.recover()
    assert set(mirror.remembered) == {OLD, NEW}


def test_the_first_release_is_finished(mirror: Mirror) -> None:
    mirror.note(Journal(NEW, "", [], JOURNAL.renamings, ["gone"], [], []))
    assert mirror.recover()
    assert set(mirror.remembered) == {OLD, NEW}
    assert mirror.concluded(NEW)


def test_who_does_not_hold_recovers_nothing(mirror: Mirror) -> None:
    mirror.queue.end(mirror.ticket, "unlocked")
    before = mirror.there
    with pytest.raises(Exception, match="end"):
        mirror.recover()
    assert mirror.there == before
    assert (mirror.path / STATE.journal).exists()


CALLED_OFF = "what it had not done yet was called off, what it had put in place is pushed over"


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (f"{STATE.stage(NEW)}/tree/b", "NEW b", "1 file of it are not whole, 'b' first"),
        (f"{STATE.stage(NEW)}/tree/n/m", "M", "1 file of it are not whole, 'n/m' first"),
        ("a", "NEW a", "1 file of it are not whole, 'a' first"),
    ],
)
def test_what_is_not_whole_is_called_off(mirror: Mirror, path: str, text: str, words: str) -> None:
    (mirror.path / path).write_text(text)
    before = mirror.there
    assert not mirror.recover()
    assert mirror.there == before
    assert mirror.concluded(NEW)
    assert (
        mirror.said() == f"the push of {NEW} had died while it switched, and cannot be finished ({words}): {CALLED_OFF}"
    )
    known = {entry.path: entry for entry in mirror.remembered[NEW]}
    # What is there of either tree is a push's; of what content it is, is known where it is the new one's.
    assert list(known) == ["a", "b", "d", "d/x", "gone", "l"]
    assert known["a"] == (file("a", "new a") if path != "a" else Entry("a", Kind.FILE, 0o644, 0, UNKNOWN))
    assert known["b"] == Entry("b", Kind.FILE, 0o644, 0, UNKNOWN)
    assert (known["d/x"], known["l"]) == (file("d/x", "x"), link("l", "/"))


def test_where_a_push_said_nothing_of_its_release_all_is_compared_by_the_next(mirror: Mirror) -> None:
    (mirror.path / STATE.manifest(NEW)).write_bytes(b"damaged")
    assert not mirror.recover()
    assert mirror.remembered == {}
    assert mirror.concluded(NEW)


def test_what_came_in_the_way_of_a_directory_is_never_gone_through(mirror: Mirror, tmp_path: Path) -> None:
    mirror.note(Journal(NEW, OLD, [], [Renaming("d/y")], [], [], []))
    os.rename(mirror.path / "d", tmp_path / "elsewhere")
    (mirror.path / "d").symlink_to(tmp_path / "elsewhere")
    mirror.put(mirror.stage / "tree", {"d/y": "y"})
    with pytest.raises(PushRefused, match="/d is a symlink on the target, and was a directory; nothing was changed"):
        mirror.recover()
    assert os.listdir(tmp_path / "elsewhere") == ["x"]
    assert (mirror.path / STATE.journal).exists()


@pytest.mark.parametrize("part", ["removals", "directories", "modes"])
def test_nor_for_what_is_to_go_or_to_be_changed(mirror: Mirror, tmp_path: Path, part: str) -> None:
    found: dict[str, list[object]] = {"removals": [], "directories": [], "modes": []}
    found[part] = [("d/x", 0o600)] if part == "modes" else ["d/x"]
    mirror.note(Journal(NEW, OLD, [], [], **found))  # type: ignore[arg-type]
    os.rename(mirror.path / "d", tmp_path / "elsewhere")
    (mirror.path / "d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PushRefused, match="/d is a symlink on the target"):
        mirror.recover()
    assert os.listdir(tmp_path / "elsewhere") == ["x"]


@pytest.mark.parametrize(
    ("path", "wrong", "words"),
    [
        ("d/y", "gone", "'d/y' has no directory any more"),
        ("b", "directory", "a directory has come to 'b'"),
        ("b", "fifo", "a special file has come to 'b'"),
    ],
)
def test_what_cannot_be_put_in_its_place_is_called_off(mirror: Mirror, path: str, wrong: str, words: str) -> None:
    mirror.note(Journal(NEW, OLD, [], [Renaming(path)], [], [], []))
    mirror.put(mirror.stage / "tree", {"d/y": "y"})
    if wrong == "gone":
        (mirror.path / "d/x").unlink()
        (mirror.path / "d").rmdir()
    else:
        (mirror.path / "b").unlink()
        (os.mkfifo if wrong == "fifo" else os.mkdir)(mirror.path / "b")
    assert not mirror.recover()
    assert f"cannot be finished ({words})" in mirror.said()
    assert mirror.concluded(NEW)
    # What nobody put there is nobody's.
    assert wrong == "gone" or path not in [entry.path for entry in mirror.remembered[NEW]]


def test_a_directory_that_is_to_be_emptied_is_in_nobodys_way(mirror: Mirror) -> None:
    mirror.put(mirror.stage / "tree", {"e": "e"})
    mirror.put(mirror.path, {"e/f": "f"})
    after = sorted([*AFTER, file("e", "e")], key=lambda entry: entry.path.split("/"))
    (mirror.path / STATE.manifest(NEW)).write_bytes(manifest.encode(after))
    mirror.note(Journal(NEW, OLD, [], [*JOURNAL.renamings, Renaming("e", ["e/f"], ["e"])], ["gone"], [], []))
    assert mirror.recover()
    assert mirror.there["e"] == "e"


def test_a_directory_takes_the_place_of_a_file_with_what_is_below_it(mirror: Mirror) -> None:
    (mirror.stage / "tree/b").unlink()
    (mirror.stage / "tree/b/c").mkdir(parents=True)
    after = sorted(
        [each for each in [*AFTER, directory("b"), directory("b/c")] if each != file("b", "new b")],
        key=lambda entry: entry.path.split("/"),
    )
    (mirror.path / STATE.manifest(NEW)).write_bytes(manifest.encode(after))
    ways = [Renaming("b", ["b"]), *map(Renaming, ("l", "n"))]
    mirror.note(Journal(NEW, OLD, [], ways, ["gone"], [], [("b/c", 0o555)]))
    assert mirror.recover()
    assert (mirror.path / "b/c").stat().st_mode & 0o777 == 0o555


@pytest.mark.parametrize(
    ("live", "manifests", "release"),
    [
        # The manifest of the push that died was written before its journal.
        (OLD, [OLD, NEW], NEW),
        (NEW, [OLD, NEW], NEW),
        (NEW, [NEW], ""),
        ("", [OLD], OLD),
        (OLD, [], ""),
    ],
)
def test_of_a_damaged_journal_only_that_there_was_a_push_is_known(
    mirror: Mirror, live: str, manifests: list[str], release: str
) -> None:
    (mirror.path / STATE.journal).write_bytes(b"damaged")
    (mirror.path / STATE.live).write_text(f"{live}\n")
    for name in {OLD, NEW} - {*manifests}:
        (mirror.path / STATE.manifest(name)).unlink()
    (mirror.path / STATE.manifests / "mine").write_text("no release")
    before = mirror.there
    assert not mirror.recover()
    assert mirror.there == before
    assert not (mirror.path / STATE.journal).exists()
    assert "the journal of a push that died is damaged (" in mirror.said()
    assert "what is live is compared anew" in mirror.said()
    (mirror.path / STATE.manifests / "mine").unlink()
    if release:
        assert mirror.concluded(release)
        # Of what only the release before had, it is a push's, too.
        assert "gone" in [entry.path for entry in mirror.remembered[release]]
    else:
        assert (mirror.path / STATE.live).read_text() == f"{live}\n"


def test_what_is_needed_on_the_way_lies_in_the_upload_with_which_it_goes(mirror: Mirror) -> None:
    assert place_of(NEW, mirror.look()) == STATE.stage(NEW)
    assert place_of(OLD, mirror.look()) == ".htpush"
