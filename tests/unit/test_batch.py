"""Operations as one script do what they do one by one, under each shell; what fails is told with its operation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from pushkit import Action, Entry, Kind, Step
from pushkit.files import Remote, RemoteError, RemoteExists, RemoteFull, RemoteMissing
from pushkit.files.operation import (
    LAPS,
    Absent,
    Append,
    Copy,
    Fence,
    Log,
    MakeDirectory,
    Operation,
    Point,
    Pointing,
    Present,
    Put,
    Remove,
    RemoveDirectory,
    RemoveTree,
    Rename,
    SetMode,
    Still,
    Verify,
    Write,
)
from pushkit.testing.given import Given, lying
from pushkit_dir.remote import LocalRemote
from unit.test_shell import LocalShell, remote

__all__ = ["remote"]

STAGE = "stage"
# A backslash is left to papers: not every login shell on the way takes it as it is.
ODD = ("plain", "with space", 'quote\'s "$(id)" `id` $HOME *', "-rf", "new\nline", "latin-1 \udce9", "back\\slash")
RECORD: dict[str, object] = {"words": 'it\'s "quoted" %s $(id) \\ \n ü', "number": 1}
LONG = bytes(range(256)) * 512


def quiet(_: Step) -> AbstractContextManager[None]:
    return nullcontext()


def furnish(root: Path) -> None:
    """A tree to work on: files, a full and an empty directory, a symlink to a file and one to nothing."""
    shutil.rmtree(root)
    for directory in (STAGE, "full/deep", "empty", "to"):
        (root / directory).mkdir(parents=True)
    (root / "file").write_text("a file")
    (root / "full/deep/file").write_text("deep")
    (root / "link").symlink_to("file")
    (root / "dangling").symlink_to("nowhere")
    (root / "number").write_text("000007\n")


def file(path: str, content: bytes = b"x") -> Given:
    given = Given()
    given.file(path, content)
    return given


def each_operation() -> dict[str, Sequence[Operation]]:
    deep = file("deep/file", b"deep").entries
    found: dict[str, Sequence[Operation]] = {
        "absent": [Absent("nothing")],
        "absent, but there": [Absent("file")],
        "absent, but a dangling symlink": [Absent("dangling")],
        "present": [Present("file")],
        "present, but not there": [Present("nothing")],
        "fence": [Fence("number", 8), Fence("number", 8), Fence("new", 3)],
        "fence below": [Fence("number", 6)],
        "fence that holds no number": [Fence("file", 1), Write("blank", b""), Fence("blank", 1), Fence("blank", 1)],
        "pointing": [Pointing("link", "file"), Pointing("nothing", "")],
        "pointing elsewhere": [Pointing("link", "other")],
        "pointing, but a file": [Pointing("file", "file")],
        "pointing, but nothing": [Pointing("nothing", "file")],
        "pointing to nothing, but there": [Pointing("link", "")],
        "still": [
            Still(["file", "link", "empty", "no"], {"file": Kind.FILE, "link": Kind.SYMLINK, "empty": Kind.DIRECTORY})
        ],
        "mkdir": [MakeDirectory("made", 0o711), MakeDirectory("made", 0o700, may_exist=True)],
        "mkdir twice": [MakeDirectory("made"), MakeDirectory("made")],
        "mkdir without a parent": [MakeDirectory("no/such/place")],
        "write": [Write("file", b"short"), Write("long", LONG, 0o640), Write("empty file", b"")],
        "write a percent": [Write("file", b"100% %s $(id) 'quoted' -n\n"), Write("dash", b"-n")],
        "write without a parent": [Write("no/file", b"x")],
        "append": [Append("file", b" and more\n"), Append("new", b"line\n"), Append("new", LONG)],
        "log": [Log("file", lambda: RECORD), Log("new", lambda: RECORD), Log("new", lambda: {"long": "x" * 5000})],
        "point": [Point("link", "other"), Point("new", "a $place"), Point("file", "was a file")],
        "rename": [Rename("file", "moved"), Rename("full", "moved directory"), Rename("link", "moved")],
        "rename nothing": [Rename("nothing", "moved")],
        "remove": [Remove("file"), Remove("link"), Remove("nothing"), Remove("dangling")],
        "rmdir": [RemoveDirectory("empty"), RemoveDirectory("full"), RemoveDirectory("nothing")],
        "rm -r": [RemoveTree("full"), RemoveTree("link"), RemoveTree("nothing")],
        "chmod": [SetMode("file", 0o600), SetMode("full", 0o711)],
        "chmod nothing": [SetMode("nothing", 0o600)],
        "put": [Put(f"{STAGE}/tree", file("one", LONG)), Rename(f"{STAGE}/tree/one", "to/one")],
        "copy": [MakeDirectory("to/deep"), Copy("full", "to", deep), Write("to/deep/other", b"x")],
        "link": [MakeDirectory("to/deep"), Copy("full", "to", deep, link=True)],
        "copy nothing": [Copy("full", "to", file("gone").entries)],
        "verify": [Verify("full", deep), Remove("file")],
        "verify, but wrong": [Verify("full", file("deep/file", b"DEEP").entries), Remove("file")],
        "several, the third fails": [Write("a", b"a"), Remove("file"), Present("nothing"), Write("b", LONG)],
    }
    found["still, but changed"] = [Still(["file", "link"], {"file": Kind.FILE, "link": Kind.FILE})]
    found["put"] = [MakeDirectory(f"{STAGE}/tree"), *found["put"]]
    for name in ODD:
        found[f"odd name {name!r}"] = [
            Write(name, name.encode("utf-8", "surrogateescape")),
            Append(name, b"more"),
            Rename(name, f"{name}.moved"),
            SetMode(f"{name}.moved", 0o600),
            Point(name, name),
            Pointing(name, name),
            MakeDirectory(f"{name}.dir"),
            Rename(f"{name}.moved", f"{name}.dir/{name}"),
            Remove(name),
            RemoveTree(f"{name}.dir"),
            Write(name, b"left"),
        ]
    return found


OPERATIONS = each_operation()


def outcome(remote: LocalRemote | LocalShell, operations: Sequence[Operation]) -> tuple[object, ...]:
    """What came of ``operations``: the entries that are wrong, the error and its operation, and what lies there."""
    root = Path(remote.root)
    furnish(root)
    wrong: Sequence[Entry] = ()
    kind: type[BaseException] | None = None
    failed: Operation | None = None
    try:
        wrong = remote.perform(operations, quiet, STAGE)
    except RemoteError as error:
        kind, failed = type(error), error.operation
    # A file under a temporary name is what a failed operation may leave in either way.
    return [entry.path for entry in wrong], kind, failed, lying(root)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_script_does_what_primitives_do(remote: LocalShell, name: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    operations = OPERATIONS[name]
    expected = outcome(LocalRemote(plain), operations)
    remote.scripts.clear()
    assert outcome(remote, operations) == expected
    assert len(remote.scripts) == 1 + bool(expected[0]), "one script, and one that looks at what is wrong"
    assert not any("\\" in script for script in remote.scripts)


def test_a_script_of_any_length_is_done_whole_and_leaves_nothing(remote: LocalShell) -> None:
    furnish(Path(remote.root))
    before: list[Operation] = [Write(f"file {number}", b"x" * 1000) for number in range(200)]
    after: list[Operation] = [Rename(f"file {number}", f"to/{number}") for number in range(200)]
    remote.perform([*before, Write("long", LONG), *after], quiet, STAGE)
    root = Path(remote.root)
    assert len(list((root / "to").iterdir())) == 200
    assert (root / "long").read_bytes() == LONG
    assert list((root / STAGE).iterdir()) == []
    assert all(len(script) < 100_000 for script in remote.scripts)


@pytest.mark.parametrize("at", [0, 150, 399])
def test_in_a_long_script_the_operation_that_fails_is_told_and_none_after_it_is_done(
    remote: LocalShell, at: int
) -> None:
    furnish(Path(remote.root))
    operations: list[Operation] = [Write(f"file {number}", b"x" * 200) for number in range(400)]
    operations.insert(at, Absent("file"))
    with pytest.raises(RemoteExists) as caught:
        remote.perform(operations, quiet, STAGE)
    assert caught.value.operation is operations[at]
    assert len(list(Path(remote.root).glob("file *"))) == at


def test_a_root_that_is_gone_is_told(remote: LocalShell) -> None:
    shutil.rmtree(remote.root)
    with pytest.raises(RemoteMissing):
        remote.perform([Write("file", b"x")], quiet, STAGE)


@pytest.mark.parametrize("more", [0, 5000, 60_000])
def test_a_script_adds_its_laps_to_what_it_logs_however_long_it_is(remote: LocalShell, more: int) -> None:
    furnish(Path(remote.root))
    verify, switch = (Step(action, "s", "why") for action in (Action.VERIFY, Action.SWITCH))
    operations: list[Operation] = [
        Write("long", b"x" * more),
        *(Write(f"file {number}", b"x" * 100) for number in range(more // 100)),
        Verify("full", file("deep/file", b"deep").entries, step=verify),
        Write("switched", b"", step=switch),
        Log("log", lambda: RECORD | {"more": "x" * more}),
        Remove("switched"),
    ]
    remote.scripts.clear()
    assert not remote.perform(operations, quiet, STAGE)
    text = (Path(remote.root) / "log").read_text()
    assert text.endswith("}\n")
    record = json.loads(text)
    laps = record.pop(LAPS).split()
    assert laps[::2] == ["start", "verify", "switch"]
    assert [float(when) for when in laps[1::2]] == sorted(float(when) for when in laps[1::2])
    assert record == {**RECORD, "more": "x" * more}
    assert not any("\\" in script for script in remote.scripts)


@pytest.mark.parametrize(
    "operation", [Fence("full", 7), Write("full", b"text"), Append("log", b"line"), Log("log", lambda: {"number": 1})]
)
def test_a_full_disk_is_told_as_that_by_every_shell(remote: LocalShell, operation: Operation) -> None:
    # What is written there finds no space, as on a full disk.
    for name in ("full.new", "log"):
        (Path(remote.root) / name).symlink_to("/dev/full")
    with pytest.raises(RemoteFull):
        remote.perform([operation], quiet, STAGE)


@pytest.mark.parametrize("operation", [Write("text", b"text"), Append("log", b"line"), Fence("fence", 7)])
def test_what_could_not_be_written_whole_does_not_stay_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    def fill(self: LocalRemote, path: str, chunks: object, mode: int) -> None:
        (tmp_path / path).write_bytes(b"hal")
        raise RemoteFull("no space left on the target")

    monkeypatch.setattr(LocalRemote, "write", fill)
    monkeypatch.setattr(LocalRemote, "append", Remote.append)
    with pytest.raises(RemoteFull):
        LocalRemote(tmp_path).perform([operation], quiet, STAGE)
    assert list(tmp_path.iterdir()) == []


def test_what_is_cut_off_between_two_files_is_not_taken_for_all(remote: LocalShell) -> None:
    furnish(Path(remote.root))
    given = file("one", b"1")
    given.symlink("two", "one")
    operations = [
        MakeDirectory(f"{STAGE}/tree"),
        Put(f"{STAGE}/tree", given),
        Verify(f"{STAGE}/tree", given.entries[:1]),
        Rename(f"{STAGE}/tree", "live"),
    ]
    remote.line = up_to_the_symlink
    with pytest.raises(RemoteError, match="cut off"):
        remote.perform(operations, quiet, STAGE)
    assert not (Path(remote.root) / "live").exists()
    remote.line = bytes
    furnish(Path(remote.root))
    remote.perform(operations, quiet, STAGE)
    assert (Path(remote.root) / "live/two").is_symlink()


def up_to_the_symlink(stream: bytes) -> bytes:
    """A tar whose last pieces did not arrive: each header begins at a multiple of 512 bytes."""
    return stream[: next(at for at in range(0, len(stream), 512) if stream[at:].startswith(b"tree/two\0"))]
