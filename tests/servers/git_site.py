"""A project with one ``git`` target, on a repository of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from cli.project import PUSH, hear_ctrl_c
from recorder.sitecustomize import recorded

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def git(directory: Path, *arguments: str) -> str:
    """What git prints, in a repository of the test's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | IDENTITY
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class GitSite:
    """A project in ``root``; its target is the bare repository ``bare``, at the address ``remote``."""

    strategy = "git"
    after = ""

    def __init__(self, base: Path, bare: Path, remote: str, **options: object) -> None:
        self.root = base / "blog"
        self.home = base / "home"
        for directory in (self.root, self.home):
            directory.mkdir()
        self.bare = bare
        self.options: dict[str, object] = {"remote": remote, **options}
        self.environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        (self.root / "index.html").write_text("<h1>one</h1>\n")
        (self.root / "css").mkdir()
        (self.root / "css/site.css").write_text("h1 { color: red }\n")

    def write(self, **options: object) -> None:
        """Write the Pushfile, with ``options`` over the usual ones (None: without); ``source`` is the project's."""
        table = {key: value for key, value in {**self.options, **options}.items() if value is not None}
        source = table.pop("source", ".")
        lines = [
            f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in table.items()
        ]
        text = "\n".join(
            [f'[project]\nsource = "{source}"\n[target.web]\nstrategy = "{self.strategy}"', *lines, self.after]
        )
        (self.root / "Pushfile").write_text(text)

    def start(self, *arguments: str, **options: object) -> subprocess.Popen[str]:
        """Start ``push``."""
        self.write(**options)
        return subprocess.Popen(
            [PUSH, *arguments], cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c, start_new_session=True,  # noqa: PLW1509  (no thread of the test is in need of a lock)
        )  # fmt: skip

    def push(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run ``push``."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def good(self, *arguments: str, **options: object) -> str:
        """Run ``push``, which has to end well; the last line that it printed."""
        done = self.push(*arguments, **options)
        assert done.returncode == 0, done.stderr
        return (done.stdout.splitlines() or [""])[-1]

    def repository(self) -> None:
        """Make the project a git repository with one commit of all that is there."""
        git(self.root, "init", "--quiet", "--initial-branch=main")
        self.write()
        self.commit("one")

    def commit(self, message: str) -> str:
        """Commit all that is there; the commit."""
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", message)
        return git(self.root, "rev-parse", "HEAD")

    @property
    def tip(self) -> str:
        """Where ``main`` is, empty when it is not there."""
        return git(self.bare, "for-each-ref", "--format=%(objectname)", "refs/heads/main")

    def tree(self) -> dict[str, tuple[str, str]]:
        """What the branch holds: mode and content by path."""
        lines = git(self.bare, "ls-tree", "-r", "-z", "main").split("\0")
        found = {}
        for head, _, path in (line.partition("\t") for line in lines if line):
            mode, _kind, name = head.split()
            found[path] = (mode, git(self.bare, "cat-file", "blob", name))
        return found


def state(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Every path below a directory: its mode, when it was changed, its content's digest."""
    found = {}
    for path in sorted(directory.rglob("*")):
        look = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(directory))] = (look.st_mode, look.st_mtime_ns, content)
    return found
