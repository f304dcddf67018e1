"""A branch of a remote repository: where it is, what it holds, and how it is moved."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from pushkit import Interrupted, PushFailed, Run, TargetError, TimedOut
from pushkit_git.access import REMOTE
from pushkit_git.address import Address
from pushkit_git.git import Git, GitFailed
from pushkit_git.repository import Repository
from pushkit_git.words import failure, rejection, shown_host

#: Seconds that a server may take to say what it has.
LOOK = 60.0
# How far git is, in its own words.
PROGRESS = re.compile(r"(Enumerating|Counting|Compressing|Writing) objects: |Total |Delta compression ")
# git-push(1), OUTPUT: flag, references, summary.
RESULT = re.compile(r"([ +*!=-])\t[^\t]+:[^\t]+\t(.*)")


class Branch:
    """The branch ``name`` at ``address``, to which ``git`` speaks; ``seconds`` is what a transfer may take.

    ``tip`` is the commit that it was at when it was last looked at, empty when it was not there.
    """

    def __init__(self, run: Run, git: Git, address: Address, name: str, seconds: float) -> None:
        self.name = name
        self.address = address
        self.tip = ""
        self._run = run
        self.git = git
        self._seconds = seconds

    @property
    def reference(self) -> str:
        """Its full name."""
        return f"refs/heads/{self.name}"

    def look(self) -> str:
        """Ask where it is. Raises `TargetError` in plain words, as all here do."""
        said = self._ask(self.git, LOOK, "ls-remote", "--quiet", REMOTE, self.reference).decode("utf-8", "replace")
        found = (line.split("\t") for line in said.splitlines())
        self.tip = next((fields[0] for fields in found if fields[1:] == [self.reference]), "")
        return self.tip

    def fetch(self, repository: Repository, depth: int = 1) -> None:
        """Get its last commits, their trees, and where the server can do without, no content."""
        arguments = repository.fetching(self.reference, depth)
        self._ask(repository.git, self._seconds, *arguments)
        self.tip = repository.tip()

    def try_to_push(self, repository: Repository, commit: str) -> None:
        """Let the server say whether it would let a push in. Nothing is sent, whatever is there."""
        arguments = ("push", "--dry-run", "--porcelain", "--no-verify", "--force", REMOTE)
        self._ask(repository.git, LOOK, *arguments, f"{commit}:{self.reference}")

    def move(self, repository: Repository, commit: str, *, before: str, whole: bool, force: bool) -> None:
        """Push ``commit``. What the server's hooks print is passed on as it comes.

        ``before`` is where the branch was seen; with ``force`` it has to be there still, and its history is replaced.
        ``whole``: what the commit before has is here, or what ``commit`` has is not, and may be fetched.
        Raises `PushRefused` when the server does not take it, and `PushFailed` when nobody knows whether it took it.
        """
        arguments = ["push", "--porcelain", "--progress", "--no-verify"]
        # What the commit before has and is not here would be fetched first, to send a difference from it. (By HTTP, git
        # takes no notice of this, and fetches the files that changed.)
        arguments += ["--no-thin"] * (not whole)
        arguments += [f"--force-with-lease={self.reference}:{before}"] * force
        said: list[str] = []
        hear = self._heard(said.append)
        try:
            code = repository.git.stream(
                *arguments, REMOTE, f"{commit}:{self.reference}", output=hear, seconds=self._seconds
            )
        except (Interrupted, TimedOut) as error:
            look = f"look: git ls-remote {self.address.url} {self.name}"
            if isinstance(error, TimedOut):
                raise PushFailed(f"{error.message}; what the server was sent, it may still take", hint=look) from error
            self._run.warn(f"what {shown_host(self.address)} was sent, it may still take; {look}")
            raise
        if code:
            self._explain("\n".join(said), commit)
        self.tip = commit
        with suppress(TargetError):
            repository.remember(commit)

    def _ask(self, git: Git, seconds: float, *arguments: str) -> bytes:
        """What git prints that speaks to the remote."""
        try:
            return git(*arguments, seconds=seconds)
        except GitFailed as error:
            raise failure(error.said, self.address) from error
        except TimedOut as error:
            host = shown_host(self.address)
            raise TargetError(f"{host} did not answer for {seconds:g} seconds", hint="push again later") from error

    def _heard(self, keep: Callable[[str], None]) -> Callable[[str], None]:
        """What takes the lines of a push: passes on the server's and how far git is, keeps what else it says."""

        def hear(line: str) -> None:
            # What is written over and over on a terminal is told as it ends.
            line = line.rsplit("\r", 1)[-1]
            if line.startswith("remote:"):
                self._run.output("remote", line.removeprefix("remote:").removeprefix(" ").rstrip())
            elif PROGRESS.match(line):
                self._run.output("git", line.rstrip())
                return
            keep(line)

        return hear

    def _explain(self, said: str, commit: str) -> None:
        """Raise why a push failed, unless it did not."""
        for flag, summary in (found.groups() for line in said.splitlines() if (found := RESULT.fullmatch(line))):
            if flag == "!":
                reason = summary.partition("(")[2].rstrip(")") or summary
                raise rejection(reason, self.address, self.name)
        why = failure(said, self.address)
        try:
            tip = self.look()
        except TargetError as error:
            raise PushFailed(
                f"{why.message}; it is not known whether {self.name} was moved",
                hint="look with push status before you push again",
            ) from error
        if tip != commit:
            raise why
        self._run.note(f"the connection was lost at the end; {self.name} is at {tip[:7]} all the same")
