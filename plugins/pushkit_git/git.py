"""Run git in one repository: what it says is data, why it failed is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pushkit import Command, Run, TargetError

#: Seconds that git may take for what it does on this machine, of the largest repository on the slowest disk.
LIMIT = 600.0


class GitFailed(TargetError):
    """git ended with an error; ``said`` are the lines that it said."""

    def __init__(self, task: str, said: str, code: int) -> None:
        self.said = said.strip()
        why = next(iter(reasons(self.said)), "") or (f"exit code {code}" if code >= 0 else f"signal {-code} ended it")
        super().__init__(f"git {task} failed: {why}")


class Git:
    """git in the repository ``directory``, or in none, with an environment of its own."""

    def __init__(self, run: Run, directory: Path | None, environment: Mapping[str, str]) -> None:
        self._place = directory
        self._run = run
        self._environment = environment

    @property
    def directory(self) -> Path:
        """The repository."""
        assert self._place, "git is in no repository"
        return self._place

    def within(self, directory: Path) -> Git:
        """The same in the repository ``directory``."""
        return Git(self._run, directory, self._environment)

    def __call__(self, *arguments: str, stdin: bytes = b"", seconds: float = LIMIT) -> bytes:
        """What git prints. Raises `GitFailed`, `TimedOut`, `TargetError` when there is no git, and `Interrupted`."""
        done = self._run.capture(self._command(arguments, stdin, seconds))
        if done.code:
            raise GitFailed(arguments[0], done.stderr.decode("utf-8", "replace"), done.code)
        return done.stdout

    def text(self, *arguments: str) -> str:
        """What git prints, as text, without the last line's end."""
        return self(*arguments).decode("utf-8", "replace").removesuffix("\n")

    def knows(self, *arguments: str) -> bool:
        """Whether git answers yes, which it does by its exit code."""
        return self._run.capture(self._command(arguments, b"", LIMIT)).code == 0

    def stream(
        self,
        *arguments: str,
        stdin: bytes | Iterable[bytes] = b"",
        output: Callable[[str], None] | None = None,
        seconds: float = LIMIT,
    ) -> int:
        """Run git with each line that it writes going to ``output``; its exit code."""
        return self._run.execute(self._command(arguments, stdin, seconds), output)

    def _command(self, arguments: tuple[str, ...], stdin: bytes | Iterable[bytes], seconds: float) -> Command:
        # In no repository means in none that happens to be above, either.
        place = (f"--git-dir={self._place}",) if self._place else ()
        environment = {**self._environment, "GIT_CEILING_DIRECTORIES": str(self._run.scratch.parent)}
        argv = ("git", "--no-pager", *place, *arguments)
        return Command(argv, self._run.scratch, environment, f"git {arguments[0]}", stdin, seconds)


def reasons(said: str) -> list[str]:
    """The lines in which git says why, the first the best."""
    lines = [line.strip() for line in said.splitlines()]
    for mark in ("fatal: ", "error: "):
        found = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
        if found:
            return found
    return [line for line in lines if line][-1:]
