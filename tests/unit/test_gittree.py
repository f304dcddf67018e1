"""The tree of a commit as a snapshot: what git archive has, under the project's own rules."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from pushkit.blobs import Blobs
from pushkit.capture import end
from pushkit.errors import SnapshotError, UsageError
from pushkit.model import Entry, Kind, Project, Target
from pushkit.snapshot import Snapshot, take
from pushkit.source import explain
from repository import before_git, commit, git, init

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 12\n" % (b"0" * 64)


def project(top: Path, source: str = "git:HEAD", ignore: tuple[str, ...] = ()) -> Project:
    return Project("p", top / "Pushfile", top, source, ignore, "", {})


def freeze(top: Path, source: str = "git:HEAD", ignore: tuple[str, ...] = (), target: Target | None = None) -> Snapshot:
    return take(project(top, source, ignore), target)


def paths(snapshot: Snapshot) -> list[str]:
    return [entry.path for entry in snapshot.entries]


def archived(top: Path, *arguments: str) -> list[str]:
    """What git archive holds, directories without their slash."""
    with tarfile.open(
        fileobj=io.BytesIO(git(top, "archive", "--format=tar", *arguments)), errors="surrogateescape"
    ) as tar:
        return sorted(member.name for member in tar.getmembers())


def test_the_commit_is_read_and_not_the_work_tree(top: Path) -> None:
    files = {"a": b"1", "sub/run": b"2", "sub/\udcff\n é": b"3"}
    (top / "sub").mkdir()
    (top / "sub" / "run").touch(0o755)
    (top / "link").symlink_to("sub/run")
    name = commit(top, files)
    (top / "a").write_bytes(b"changed")
    (top / "untracked").write_bytes(b"")
    git(top, "rm", "-q", "--cached", "sub/run")
    snapshot = freeze(top)
    assert snapshot.entries == [
        Entry("a", Kind.FILE, 0o644, 1, sha256(b"1").digest()),
        Entry("link", Kind.SYMLINK, 0o777, link="sub/run"),
        Entry("sub", Kind.DIRECTORY, 0o755),
        Entry("sub/run", Kind.FILE, 0o755, 1, sha256(b"2").digest()),
        Entry("sub/\udcff\n é", Kind.FILE, 0o644, 1, sha256(b"3").digest()),
    ]
    assert (snapshot.revision.commit, snapshot.revision.dirty) == (name, False)
    for entry in snapshot.entries:
        if entry.kind is Kind.FILE:
            with snapshot.open(entry) as stream:
                assert stream.read() == files[entry.path]


def test_a_clean_checkout_and_its_commit_are_the_same_snapshot(top: Path) -> None:
    commit(top, {"a.txt": b"1", "a/b": b"2", "a-": b"3", "é/\udcfe": b"4"})
    for path in (top, *top.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert freeze(top).digest == freeze(top, ".").digest


def test_a_branch_a_tag_and_a_directory_of_it(top: Path) -> None:
    old = commit(top, {"public/a": b"1", "other": b"2"})
    git(top, "tag", "-a", "v1", "-m", "one")
    commit(top, {"public/b": b"1"})
    assert paths(freeze(top, "git:v1:public")) == ["a"]
    assert freeze(top, "git:v1").revision.commit == old
    assert paths(freeze(top, "git:main:/public/")) == ["a", "b"]
    with pytest.raises(SnapshotError, match="main has no directory nothing"):
        freeze(top, "git:main:nothing")


def test_gitignore_does_not_count_and_the_projects_own_rules_do(top: Path) -> None:
    files = {".gitignore": b"*.log\n", "a.log": b"", "b": b"", "c": b"", "sub/d": b"", "e/f": b"", "Pushfile": b""}
    commit(top, {**files, ".pushignore": b"b\n", "sub/.pushignore": b"/d\n", "push.secrets.toml": b""})
    (top / ".pushignore").write_text("a.log\n")
    target = Target("t", "dir", ignore=("c",), include=("e/f",))
    assert paths(freeze(top, ignore=("e",), target=target)) == [".gitignore", "a.log", "e", "e/f", "sub"]


def test_export_ignore_leaves_out_what_git_archive_leaves_out(top: Path) -> None:
    patterns = (b"*.md export-ignore", b"keep.md -export-ignore", b"/tests/ export-ignore", b"/file/ export-ignore")
    attributes = b"\n".join((*patterns, b"all/* export-ignore", b""))
    files = {
        ".gitattributes": attributes,
        "sub/.gitattributes": b"only export-ignore\n.gitattributes export-ignore\n*.c diff=c\n",
        **dict.fromkeys(
            ("a.md", "sub/b.md", "sub/keep.md", "tests/x", "sub/tests/x", "file", "all/x", "sub/only/y", "z"), b""
        ),
    }
    commit(top, files)
    (top / ".gitattributes").write_text("z export-ignore\n")
    assert sorted(paths(freeze(top))) == archived(top, "HEAD")
    inside = [path.removeprefix("sub/") for path in archived(top, "HEAD", "sub") if path != "sub"]
    assert sorted(paths(freeze(top, "git:HEAD:sub"))) == inside


def test_a_persons_own_attributes_do_not_count(top: Path) -> None:
    commit(top, {".gitattributes": b"", "a": b""})
    config = top.parent / "home" / ".config" / "git"
    config.mkdir(parents=True)
    (config / "attributes").write_text("a export-ignore\n")
    assert "a" in paths(freeze(top))


def test_a_submodule_is_refused_by_name_unless_it_is_ignored(top: Path, tmp_path: Path) -> None:
    other = init(tmp_path / "other")
    commit(other, {"x": b""})
    git(top, "submodule", "--quiet", "add", str(other), "vendor/lib")
    commit(top, {"a": b""})
    with pytest.raises(SnapshotError, match="vendor/lib is a submodule"):
        freeze(top)
    assert paths(freeze(top, ignore=("vendor/lib/",))) == [".gitmodules", "a", "vendor"]


def test_a_pointer_of_git_lfs_is_warned_about_every_time(top: Path) -> None:
    commit(top, {"video.mp4": POINTER, "a": b"x"})
    for _ in range(2):
        (warning,) = freeze(top).warnings
        assert warning.startswith("video.mp4 is a git LFS pointer")


@pytest.mark.parametrize("name", ["nothing", "", "--help", "HEAD~9", "a b"])
def test_an_unknown_revision_is_an_error_with_a_hint(top: Path, name: str) -> None:
    commit(top, {"a": b""})
    with pytest.raises(SnapshotError, match=f"git knows no revision {name}") as raised:
        freeze(top, f"git:{name}")
    assert raised.value.exit_code == 5
    assert "git log" in raised.value.hint


@pytest.mark.parametrize("name", ["..", ".", "/etc", "a/../../b"])
def test_a_commit_that_leads_out_of_its_tree_is_refused(top: Path, name: str) -> None:
    """Nobody makes one with git, and git takes one all the same."""
    file = top / "object"

    def made(kind: str, content: bytes) -> str:
        file.write_bytes(content)
        return git(top, "hash-object", "-t", kind, "-w", "--literally", file).decode().strip()

    tree = made("tree", b"100644 %s\0%s" % (name.encode(), bytes.fromhex(made("blob", b"x"))))
    commit = made("commit", f"tree {tree}\nauthor a <b> 0 +0000\ncommitter a <b> 0 +0000\n\nm\n".encode())
    with pytest.raises(SnapshotError, match="git lists what is no path within a tree") as caught:
        freeze(top, f"git:{commit}")
    assert "git fsck" in caught.value.hint


def test_a_directory_outside_git_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(SnapshotError, match="cannot be read as a git repository") as raised:
        freeze(tmp_path)
    assert "git init" in raised.value.hint


def test_a_shallow_clone_and_a_pushfile_in_a_subdirectory(top: Path, tmp_path: Path) -> None:
    commit(top, {"site/Pushfile": b"", "a": b"1"})
    commit(top, {"site/b": b"2"})
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{top}", tmp_path / "clone"], check=True)
    root = tmp_path / "clone" / "site"
    described = Project("p", root / "Pushfile", root, "git:HEAD", (), "", {})
    assert paths(take(described, None)) == ["a", "site", "site/b"]


def test_git_variables_of_a_hook_do_not_lead_astray(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(top, {"a": b"1", ".gitattributes": b""})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert paths(freeze(top)) == [".gitattributes", "a"]
    assert freeze(top, ".").revision.commit


def test_blobs_large_and_small_are_read_by_many_threads(top: Path) -> None:
    files = {f"f{number}": os.urandom(1000 + number) for number in range(60)} | {"large": os.urandom(9 << 20)}
    commit(top, files)
    snapshot = freeze(top)

    def read(entry: Entry) -> bool:
        with snapshot.open(entry) as stream:
            return b"".join(iter(lambda: stream.read(50_000), b"")) == files[entry.path]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, [*snapshot.entries] * 3))
    with snapshot.open(snapshot.entries[-1]) as stream:
        stream.read(10)  # and closed before its end


def test_explains_paths_of_a_commit(top: Path) -> None:
    commit(top, {"a": b"", "sub/b": b"", ".pushignore": b"sub\n"})
    assert str(explain(project(top), None, "a")) == "a is sent: no rule excludes it"
    assert (
        str(explain(project(top), None, "sub/b"))
        == "sub/b is not sent: its directory sub is excluded by .pushignore:1: sub"
    )
    with pytest.raises(UsageError, match='there is no "nothing" in git:HEAD'):
        explain(project(top), None, "nothing")


@pytest.mark.parametrize("task", ["ls-tree", "read-tree", "check-attr"])
def test_a_git_that_is_ended_is_an_error_that_names_what_it_was_doing(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    commit(top, {"a": b"1", ".gitattributes": b"a export-ignore\n"})
    before_git(monkeypatch, tmp_path / "bin", f'case "$*" in *{task}*) kill -9 $$;; esac')
    with pytest.raises(SnapshotError, match=f"git {task} failed in {top}") as raised:
        freeze(top)
    assert raised.value.exit_code == 5
    assert "git fsck" in raised.value.hint


def test_every_git_has_a_session_of_its_own_so_that_an_interrupt_does_not_reach_it(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(top, {"a": b"1", "large": bytes((4 << 20) + 1), ".gitattributes": b""})
    python = f"import os; print(os.getsid(0), file=open('{tmp_path}/sessions', 'a'))"
    before_git(monkeypatch, tmp_path / "bin", f'{sys.executable} -c "{python}"')
    snapshot = freeze(top)
    with snapshot.open(snapshot.entries[-1]) as stream:
        assert len(stream.read()) == (4 << 20) + 1
    sessions = (tmp_path / "sessions").read_text().split()
    assert len(sessions) > 5
    assert str(os.getsid(0)) not in sessions


def test_a_blob_that_is_missing_is_named(top: Path) -> None:
    commit(top, {"a": b"1"})
    name = git(top, "rev-parse", "HEAD:a").decode().strip()
    (top / ".git/objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(SnapshotError) as raised:
        freeze(top)
    assert raised.value.message == f"git has no blob {name}"
    assert raised.value.hint == "fetch what is missing, and look at the repository with `git fsck`"


def test_a_git_that_was_ended_between_two_questions_is_told_and_then_started_again(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(top, {"a": b"1"})
    name = git(top, "rev-parse", "HEAD:a").decode().strip()
    before_git(monkeypatch, tmp_path / "bin", f"echo $$ >{tmp_path}/id")
    blobs = Blobs(str(top), b"")
    assert blobs.content(name) == b"1"
    process = int((tmp_path / "id").read_text())
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    with pytest.raises(SnapshotError, match=f"git ended while blob {name} was read"):
        blobs.content(name)
    assert blobs.content(name) == b"1"


def test_a_process_that_ended_before_it_read_its_questions_is_waited_for() -> None:
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process.stdin
    process.stdin.write(b"question")
    end(process)
    assert process.returncode == 0


HALF_A_BLOB = """case "$*" in
*"cat-file --batch"*) read -r name; printf '%s blob 3000000\\nonly a part' "$name"; exit;;
esac"""


def test_a_git_that_ends_in_the_middle_of_a_blob_is_told_and_nothing_is_remembered(top: Path, tmp_path: Path) -> None:
    commit(top, {"a": b"a"})
    with pytest.MonkeyPatch.context() as patch:
        before_git(patch, tmp_path / "bin", HALF_A_BLOB)
        with pytest.raises(SnapshotError, match="git ended while"):
            freeze(top)
    assert [entry.size for entry in freeze(top).entries] == [1]
