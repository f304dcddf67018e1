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
    Revision,
    ScriptFailed,
    Severity,
    Snapshot,
    Step,
    Strategy,
    TargetError,
    TimedOut,
    UsageError,
)
from pushkit_script.copy import clean_copy
from pushkit_script.line import Line, pushing, reverting
from pushkit_script.options import ScriptOptions
from pushkit_script.program import is_path, startable

#: What a rollback is to that names no release: which one that is, only the script knows.
PREVIOUS = "previous"


class ScriptStrategy(Strategy[ScriptOptions]):
    """A command or script of your own, in a clean copy of the snapshot or in place."""

    name = "script"
    Options = ScriptOptions

    def plan(self, snapshot: Snapshot) -> Plan:
        """A step for each command. Raises `TargetError` when the first is a file that the snapshot lacks."""
        first, *_ = lines = pushing(self.options)
        if self.options.where == "snapshot":
            self._look_in(snapshot, first.argv[0])
            reason = "in a clean copy of the snapshot"
        else:
            reason = f"in place, in {self.run.project.root}"
        return Plan(self.run.target.name, tuple(Step(Action.RUN, shlex.join(line.argv), reason) for line in lines))

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Run it. Raises `PushFailed` when it fails or runs over its time, `TargetError` when it cannot start."""
        created = datetime.now(UTC)
        release = Release(
            f"{created:%Y%m%dT%H%M%SZ}-{snapshot.revision.short}", snapshot.revision, created, self.run.person
        )
        with self._directory(snapshot) as directory:
            environment = self._environment(directory, release) | {
                "PUSH_FILES": str(snapshot.files),
                "PUSH_SIZE": str(snapshot.size),
            }
            self._execute_all(plan.steps, pushing(self.options), directory, environment)
        return release

    def rollback(self, release: str = "") -> Release:
        """Run what the Pushfile has for that, in its directory. Raises `UsageError` when it has nothing."""
        lines = reverting(self.options)
        if not lines:
            raise UsageError(
                f"the target {self.run.target.name} does not say how to roll back",
                hint='give it a command: rollback = "./bin/rollback.sh"',
            )
        root = self.run.project.root
        back = Release(release or PREVIOUS, Revision("", False, ""), datetime.now(UTC), self.run.person)
        steps = [Step(Action.RUN, shlex.join(line.argv), f"to roll back, in {root}") for line in lines]
        environment = self._environment(root, back) | {"PUSH_RELEASE": release}
        self._execute_all(steps, lines, root, environment)
        return back

    def check(self) -> Sequence[Finding]:
        """Look for the programs, in the work tree: the snapshot does not exist yet."""
        root, source = self.run.project.root, self.run.project.source
        copied = self.options.where == "snapshot"
        of_commit = copied and source.startswith("git:")
        directory = root / source if copied and not of_commit else root
        first, *others = pushing(self.options)
        word = first.argv[0]
        if of_commit and is_path(word) and not os.path.isabs(word):
            found = [Finding(Severity.OK, first.label, f"will be looked for in {source}")]
        else:
            found = [self._looked_for(first, directory, Severity.ERROR)]
        # What comes later may be made by what runs before it.
        found += [self._looked_for(line, directory, Severity.WARNING) for line in others]
        return [*found, *(self._looked_for(line, root, Severity.WARNING) for line in reverting(self.options))]

    def _looked_for(self, line: Line, directory: Path, severity: Severity) -> Finding:
        """Whether a command can be started."""
        try:
            startable(line.argv, directory, self._inherited)
        except TargetError as error:
            return Finding(severity, line.label, error.message, error.hint)
        return Finding(Severity.OK, line.label, "is there and can be started")

    # What it gets.

    @property
    def _inherited(self) -> Mapping[str, str]:
        """The environment of push itself, and what the target adds."""
        added = {name: value.reveal() for name, value in self.options.environment.items()}
        return {**self.run.environment, **added}

    def _environment(self, directory: Path, release: Release) -> dict[str, str]:
        """What a command gets, the variables that describe the push last; docs/strategies/script.md lists them."""
        revision = release.revision
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

    def _execute_all(
        self, steps: Sequence[Step], lines: Sequence[Line], directory: Path, environment: Mapping[str, str]
    ) -> None:
        """One after the other; the first that fails is the last."""
        for step, line in zip(steps, lines, strict=True):
            with self.run.step(step):
                try:
                    self._execute(line, directory, environment)
                except TargetError as error:
                    if step is steps[0]:
                        raise
                    raise PushFailed(f"{error.message}; what ran before it stays done", hint=error.hint) from error

    def _execute(self, line: Line, directory: Path, environment: Mapping[str, str]) -> None:
        argv = startable(line.argv, directory, environment)
        given = self.options.stdin.reveal().encode() if self.options.stdin else b""
        command = Command(argv, directory, environment, line.label, given, timeout=self.options.timeout)
        try:
            code = self.run.execute(command)
        except TimedOut as error:
            raise PushFailed(f"{error.message}; what it did until then stays done", hint=error.hint) from error
        if code == 0:
            return
        message = f"{line.label} ended with exit code {code}"
        hint = "its output says why; what it did until then stays done"
        raise (
            ScriptFailed(message, code, hint=hint) if self.options.exit == "script" else PushFailed(message, hint=hint)
        )

    def _look_in(self, snapshot: Snapshot, word: str) -> None:
        """Raise `TargetError` when the program ``word`` is a file of the project that the snapshot lacks."""
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
