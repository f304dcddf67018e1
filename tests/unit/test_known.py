"""Manifests that this machine has seen do not travel again, and nothing that a target says is believed for it."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import force_setattr

from pushkit import manifest
from pushkit.blocks import LARGE
from pushkit.files.batch import Batch
from pushkit.files.known import MOST, Known
from pushkit.files.large import FAR
from pushkit.files.operation import Base, Copy, Listing, MakeDirectory, Operation, Put, Verify, Write
from pushkit.files.place import CURRENT, STATE
from pushkit.files.scripts import collect
from pushkit.files.stat import Found
from pushkit.files.survey import LIMIT, Look
from pushkit.model import Entry, Kind, Project, Target
from pushkit.secrets.redaction import Redactor
from pushkit.strategy import Run
from pushkit.testing.given import Given, lying
from pushkit_dir.remote import LocalRemote
from unit.test_batch import quiet
from unit.test_shell import LocalShell, remote

__all__ = ["remote"]

LIVE = "000001-20261130T000000Z-abcdef0"


@pytest.fixture
def known(tmp_path: Path) -> Known:
    """What is known of a target to which nothing was pushed yet."""
    target = Target("there", "sftp")
    return Known(
        Run(
            project=Project("p", tmp_path / "Pushfile", tmp_path, ".", (), "there", {"there": target}),
            target=target,
            emit=lambda _: None,
            cancelled=threading.Event(),
            scratch=tmp_path,
            person="ada@lovelace",
            redact=Redactor(),
            environment={},
        )
    )


def files(count: int, changed: Iterable[int] = ()) -> list[Entry]:
    """A directory of files, each named by its number, some of them changed."""
    texts = [f"{number}!" if number in set(changed) else str(number) for number in range(count)]
    found = [Entry("d", Kind.DIRECTORY, 0o755)]
    for number, text in enumerate(texts):
        digest = hashlib.sha256(text.encode()).digest()
        found.append(Entry(f"d/{number:06d} it's", Kind.FILE, 0o644, len(text), digest))
    return found


def lay(root: Path, entries: Iterable[Entry], changed: Iterable[int] = ()) -> None:
    """Write the files of `files`."""
    for number, entry in enumerate(entry for entry in entries if entry.kind is Kind.FILE):
        (root / entry.path).parent.mkdir(parents=True, exist_ok=True)
        (root / entry.path).write_text(f"{number}!" if number in set(changed) else str(number))


def looked(remote: LocalShell, known: tuple[str, Iterable[str]]) -> dict[str, Found]:
    return remote.collect((), pointed=(CURRENT, STATE.manifests), known=(known[0], list(known[1])), limit=LIMIT)


def furnish(remote: LocalShell, content: bytes) -> str:
    """Make a target whose live release has this manifest; the path of that."""
    root = Path(remote.root)
    (root / STATE.manifests).mkdir(parents=True)
    (root / STATE.manifest(LIVE)).write_bytes(content)
    (root / CURRENT).symlink_to(f"releases/{LIVE}")
    return STATE.manifest(LIVE)


def test_what_is_kept_is_there_until_others_came_after_it(known: Known) -> None:
    contents = [manifest.encode(files(number)) for number in range(MOST + 1)]
    for age, content in enumerate(contents):
        known.keep(content)
        for file in known._directory.iterdir():
            os.utime(file, (file.stat().st_mtime - 100, file.stat().st_mtime - 100 - age))
    kept = contents[-MOST:]
    assert known.digests == sorted(map(manifest.digest, kept))
    assert [known.content(manifest.digest(each)) for each in contents] == [b"", *kept]


@pytest.mark.parametrize("damage", ["body", "head", "short"])
def test_what_is_damaged_is_not_kept(known: Known, damage: str) -> None:
    whole = manifest.encode(files(2))
    wrong = {"body": whole[:-2] + b"x\0", "head": b"x" + whole[1:], "short": whole[:-9]}[damage]
    known.keep(wrong)
    assert known.digests == []


def test_what_a_target_calls_a_digest_is_no_path(known: Known, tmp_path: Path) -> None:
    known.keep(manifest.encode(files(2)))
    (tmp_path / "secret").write_text("a secret")
    for name in ("../../secret", str(tmp_path / "secret"), "\0" * 64, ""):
        assert known.content(name) == b""


def test_a_known_manifest_does_not_travel_and_another_one_does(remote: LocalShell) -> None:
    content = manifest.encode(files(500))
    path = furnish(remote, content)
    digest = manifest.digest(content)
    assert looked(remote, (STATE.manifests, ()))[path].content == content
    assert looked(remote, (STATE.manifests, ["0" * 64]))[path].content == content
    found = looked(remote, (STATE.manifests, ["0" * 64, digest]))
    assert found[path].content == manifest.head(digest)
    assert found[path].stat.kind is Kind.FILE
    assert found[CURRENT].link == f"releases/{LIVE}"


def test_a_target_cannot_name_what_it_was_not_asked_about(remote: LocalShell, monkeypatch: pytest.MonkeyPatch) -> None:
    path = furnish(remote, manifest.encode(files(3)))
    script = collect((), (), (), (CURRENT, STATE.manifests), (STATE.manifests, ["1" * 64]))
    remote.foresee(script, f"k {'2' * 64} {path}\n\npushkit-all\n".encode())
    assert looked(remote, (STATE.manifests, ["1" * 64])) == {}


def test_a_manifest_that_a_look_was_sent_is_not_sent_to_the_next_one(remote: LocalShell, known: Known) -> None:
    content = manifest.encode(files(3))
    path = furnish(remote, content)
    place = Path(remote.root, path)
    other = STATE.manifest("other")
    Path(remote.root, other).write_bytes(manifest.encode(files(1)))
    look = Look(STATE, live=CURRENT)
    assert look.at(remote).manifest(LIVE) == content
    assert not Known(known._run).digests
    assert look.at(remote, known).manifest(LIVE) == content
    later = Known(known._run)
    assert later.digests == [manifest.digest(content)]
    found = look.at(remote, later)
    assert found.found[path].content == manifest.head(manifest.digest(content))
    # It is read here, also when it has gone there; and there, when it has gone here.
    place.unlink()
    assert found.manifest(LIVE) == content
    place.write_bytes(content)
    (known._directory / manifest.digest(content)).unlink()
    assert found.manifest(LIVE) == content


def test_of_a_remote_without_a_shell_nothing_is_known(remote: LocalShell, known: Known) -> None:
    content = manifest.encode(files(3))
    path = furnish(remote, content)
    assert Look(STATE, live=CURRENT).at(LocalRemote(Path(remote.root)), known).found[path].content == content
    assert not Known(known._run).digests


def test_what_a_remote_may_run_before_it_is_asked_is_what_a_look_runs(remote: LocalShell, known: Known) -> None:
    content = manifest.encode(files(3))
    furnish(remote, content)
    known.keep(content)
    look = Look(STATE, trees=("live",), listed=("releases",), looked=("shared",), live=CURRENT)
    look.at(remote, known)
    assert remote.scripts[-1].endswith(look.script(known))
    assert manifest.digest(content) in look.script(known)


def tools_without(remote: LocalShell, *names: str) -> None:
    force_setattr(remote.shell, "tools", remote.shell.tools - set(names))


@pytest.mark.parametrize("patching", [True, False])
def test_what_differs_from_a_base_travels_and_the_file_is_whole(remote: LocalShell, patching: bool) -> None:
    before, after = manifest.encode(files(3000)), manifest.encode(files(3000, {7, 8, 2000}))
    Path(remote.root, "base").write_bytes(before)
    if not patching:
        tools_without(remote, "zstd-patch")
    remote.perform([MakeDirectory("stage"), Write("made", after, base=Base("base", before))], quiet, "stage")
    made = Path(remote.root, "made")
    assert made.read_bytes() == after
    assert made.stat().st_mode & 0o777 == 0o600
    if patching and "zstd-patch" in remote.shell.tools:
        assert remote.given < len(after) // 10


@pytest.mark.parametrize("there", [b"something else", b"", None])
def test_a_base_that_is_not_what_it_was_costs_the_whole_file(remote: LocalShell, there: bytes | None) -> None:
    before, after = manifest.encode(files(3000)), manifest.encode(files(3000, {7}))
    if there is not None:
        Path(remote.root, "base").write_bytes(there)
    remote.perform([Write("made", after, base=Base("base", before)), Write("next", b"done")], quiet, "new")
    assert Path(remote.root, "made").read_bytes() == after
    assert Path(remote.root, "next").read_bytes() == b"done"
    assert not list(Path(remote.root, "new").iterdir())


@pytest.mark.parametrize("large", [False, True], ids=["together", "large files apart"])
def test_what_came_with_a_patch_that_failed_is_neither_sent_nor_told_again(remote: LocalShell, *, large: bool) -> None:
    before, after = manifest.encode(files(3000)), manifest.encode(files(3000, {7}))
    Path(remote.root, "base").write_bytes(b"something else")
    given = Given()
    given.directory("css")
    given.file("css/one", random.Random(1).randbytes(200_000))
    given.symlink("link", "css/one")
    if large:
        remote.distance = FAR
        given.file("film", random.Random(2).randbytes(LARGE + 1))
    operations = [
        MakeDirectory("stage"),
        MakeDirectory("stage/tree"),
        Write("made", after, base=Base("base", before)),
        Put("stage/tree", given),
        Verify("stage/tree", given.entries),
        Write("next", b"done"),
    ]
    assert remote.perform(operations, quiet, "stage") == ()
    assert Path(remote.root, "made").read_bytes() == after
    assert lying(Path(remote.root, "stage/tree")) == given.expected()
    assert Path(remote.root, "next").read_bytes() == b"done"
    assert sorted(given.finished) == sorted(entry.path for entry in given.entries)
    sizes = sum(entry.size for entry in given.entries)
    assert remote.given < sizes + len(after) + 100_000


def test_names_are_read_from_a_manifest_that_is_there(remote: LocalShell) -> None:
    changed = {3, 1500}
    entries = files(2500, changed)
    root = Path(remote.root)
    lay(root / "old", entries)
    lay(root / "old", [Entry("d/foreign", Kind.FILE, 0o644)])
    (root / "new/d").mkdir()
    others = [entry for entry in entries if entry.kind is Kind.FILE and int(entry.path[2:8]) in changed]
    copied = [entry for entry in entries if entry.kind is Kind.FILE and entry not in others]
    for entry in others:
        (root / "new" / entry.path).write_text(f"{int(entry.path[2:8])}!")
    listing = Listing("made")
    operations: list[Operation] = [
        Write("made", manifest.encode(entries)),
        Copy("old", "new", copied, listing=Listing("made", others)),
        Verify("new", entries, listing),
        Write("done", b""),
    ]
    batch = Batch(operations, remote.root, "stage", remote.shell)
    sizes = {paper.path: len(paper.content) for paper in batch.papers}
    assert max(sizes.values()) > 100_000, "the manifest"
    assert sum(sizes.values()) < 320_000, "and no list beside it"
    assert remote.perform([MakeDirectory("stage"), *operations], quiet, "stage") == ()
    assert (root / "done").exists()
    assert sorted(each.name for each in (root / "new/d").iterdir()) == [entry.path[2:] for entry in entries[1:]]

    (root / "new" / entries[100].path).write_text("altered")
    wrong = remote.perform([Verify("new", entries, listing), Write("never", b"")], quiet, "stage")
    assert wrong == [entries[100]]
    assert not (root / "never").exists()


def test_a_name_with_a_line_break_is_sent_as_it_is(remote: LocalShell) -> None:
    entries = [*files(1200), Entry("d/two\nlines", Kind.FILE, 0o644, 1, hashlib.sha256(b"x").digest())]
    root = Path(remote.root)
    lay(root / "old", entries[:-1])
    (root / "old/d/two\nlines").write_text("x")
    (root / "new/d").mkdir()
    operations: list[Operation] = [
        MakeDirectory("stage"),
        Write("made", manifest.encode(entries)),
        Copy("old", "new", entries[1:], listing=Listing("made")),
        Verify("new", entries, Listing("made")),
        Write("done", b""),
    ]
    assert remote.perform(operations, quiet, "stage") == ()
    assert (root / "new/d/two\nlines").read_text() == "x"
    assert (root / "done").exists()
