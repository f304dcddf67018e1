"""`ScriptStrategy`: the push is whatever a command of the user's does."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pushkit import (
    Action,
    Command,
    Finding,
    Kind,
    Plan,
    PushFailed,
    Release,
    ScriptFailed,
    Severity,
    Snapshot,
    Step,
    Strategy,
    TargetError,
    TimedOut,
)
from pushkit_script.copy import clean_copy
from pushkit_script.options import ScriptOptions
from pushkit_script.program import is_path, startable

SHELL = "/bin/sh"


class ScriptStrategy(Strategy[ScriptOptions]):
    """A command or script of your own, in a clean copy of the snapshot or in place."""

    name = "script"
    Options = ScriptOptions

    def plan(self, snapshot: Snapshot) -> Plan:
        """One step: run it. Raises `TargetError` when the script is not in the snapshot."""
        if self.options.where == "snapshot":
            self._look_in(snapshot)
            reason = "in a clean copy of the snapshot"
        else:
            reason = f"in place, in {self.run.project.root}"
        return Plan(self.run.target.name, (Step(Action.RUN, shlex.join(self._argv), reason),))

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Run it. Raises `PushFailed` when it fails or runs over its time, `TargetError` when it cannot start."""
        created = datetime.now(UTC)
        release = Release(
            f"{created:%Y%m%dT%H%M%SZ}-{snapshot.revision.short}", snapshot.revision, created, self.run.person
        )
        for step in plan.steps:
            with self.run.step(step), self._directory(snapshot) as directory:
                self._execute(directory, self._environment(directory, snapshot, release))
        return release

    def check(self) -> Sequence[Finding]:
        """Look for the program, in the work tree: the snapshot does not exist yet."""
        root, source = self.run.project.root, self.run.project.source
        if self.options.where == "snapshot":
            if source.startswith("git:") and is_path(self._argv[0]) and not os.path.isabs(self._argv[0]):
                return [Finding(Severity.OK, self._label, f"will be looked for in {source}")]
            root /= source
        try:
            startable(self._argv, root, self._inherited)
        except TargetError as error:
            return [Finding(Severity.ERROR, self._label, error.message, error.hint)]
        return [Finding(Severity.OK, self._label, "is there and can be started")]

    # What is run.

    @property
    def _argv(self) -> tuple[str, ...]:
        """The command. A script of the project is a path with a slash: it is never looked for on the PATH."""
        if self.options.script:
            return (f"./{self.options.script}", *self.options.args)
        if self.options.shell:
            return (SHELL, "-c", self.options.run)
        return tuple(shlex.split(self.options.run))

    @property
    def _label(self) -> str:
        """A short name for its output and messages."""
        if self.options.script:
            return self.options.script
        return PurePosixPath(self.options.run.split()[0] if self.options.shell else self._argv[0]).name

    @property
    def _inherited(self) -> Mapping[str, str]:
        """The environment of push itself, and what the target adds."""
        added = {name: value.get_secret_value() for name, value in self.options.environment.items()}
        return {**self.run.environment, **added}

    def _environment(self, directory: Path, snapshot: Snapshot, release: Release) -> Mapping[str, str]:
        """What the command gets, the variables that describe the push last; docs/strategies/script.md lists them."""
        revision = snapshot.revision
        return {
            **self._inherited,
            "PWD": str(directory),
            "PUSH_TARGET": self.run.target.name,
            "PUSH_PROJECT": self.run.project.name,
            "PUSH_RELEASE": release.id,
            "PUSH_REVISION": revision.short,
            "PUSH_COMMIT": revision.commit,
            "PUSH_DIRTY": "1" if revision.dirty else "",
            "PUSH_DIGEST": revision.digest,
            "PUSH_DIRECTORY": str(directory),
            "PUSH_PERSON": self.run.person,
            "PUSH_FILES": str(snapshot.files),
            "PUSH_SIZE": str(snapshot.size),
        }

    # Where and how.

    @contextmanager
    def _directory(self, snapshot: Snapshot) -> Iterator[Path]:
        """The directory to run in; a clean copy is gone when it is left."""
        root = self.run.project.root
        if self.options.where == "project":
            yield root
            return
        # Under the project's own name: tools such as docker compose take theirs from the directory's.
        directory = self.run.scratch / (root.name or "snapshot")
        with clean_copy(snapshot, directory, self.run.check):
            yield directory
        if directory.exists():
            self.run.warn(f"{directory} could not be removed: another user owns something in it")

    def _execute(self, directory: Path, environment: Mapping[str, str]) -> None:
        argv = startable(self._argv, directory, environment)
        command = Command(argv, directory, environment, self._label, timeout=self.options.timeout)
        try:
            code = self.run.execute(command)
        except TimedOut as error:
            raise PushFailed(f"{error.message}; what it did until then stays done", hint=error.hint) from error
        if code == 0:
            return
        message = f"{self._label} ended with exit code {code}"
        hint = "its output says why; what it did until then stays done"
        raise (
            ScriptFailed(message, code, hint=hint) if self.options.exit == "script" else PushFailed(message, hint=hint)
        )

    def _look_in(self, snapshot: Snapshot) -> None:
        """Raise `TargetError` when the program is a file of the project that the snapshot lacks."""
        word = self._argv[0]
        if not is_path(word) or os.path.isabs(word):
            return
        path = os.path.normpath(word)
        above = {path, *map(str, PurePosixPath(path).parents)}
        found = {entry.path: entry.kind for entry in snapshot.entries if entry.path in above}
        # Behind a symlink, only the copy can tell.
        if found.get(path) is Kind.FILE or Kind.SYMLINK in found.values():
            return
        root, source = self.run.project.root, self.run.project.source
        message, hint = f"{path} is not in the snapshot", "correct its path; see what is there: push files"
        if path in found:
            message, hint = f"{path} is a directory", "name a file in it"
        elif not path.startswith("../") and not source.startswith("git:") and os.path.exists(root / source / path):
            message = f"{path} is not in the snapshot: the ignore rules keep it out"
            hint = f'see which: push files --why {shlex.quote(path)}; or run in place: where = "project"'
        elif os.path.exists(root / path):
            message = f"{path} is not in the snapshot, which is of {source} only"
            hint = 'add it there, or run in place: where = "project"'
        raise TargetError(message, hint=hint)
