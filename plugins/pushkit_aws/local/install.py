"""The event Install: what the last deployment left goes, what this one brings comes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from msgspec import Struct

from pushkit import Action, Run, Step, TargetError
from pushkit_aws.appspec import AppSpec, Behavior
from pushkit_aws.local import cleanup
from pushkit_aws.local.grants import Granter, forget_context
from pushkit_aws.local.instructions import Copy, Grant, Instructions, MakeDirectory, Planner, as_json
from pushkit_aws.local.root import Root
from pushkit_aws.local.state import State


class Prepared(Struct, frozen=True):
    """An Install that was computed: what goes first, in order, then what is done."""

    removals: tuple[str, ...]
    instructions: Instructions

    def steps(self) -> Iterator[Step]:
        """Its steps, with their reasons."""
        yield from (Step(Action.REMOVE, path, "the last deployment put it there") for path in self.removals)
        yield from map(step_of, self.instructions.makes)
        yield from map(step_of_grant, self.instructions.grants)


class Installer:
    """Installs into ``root``, remembering in ``state``. ``lenient`` is as of `Granter`."""

    def __init__(self, run: Run, root: Root, state: State, *, lenient: bool) -> None:
        self._run = run
        self._root = root
        self._state = state
        self._granter = Granter(root, lenient=lenient)

    def prepare(self, spec: AppSpec, archive: Path, behavior: Behavior) -> Prepared:
        """Compute the Install of a revision. Touches nothing."""
        removals = tuple(cleanup.gone(cleanup.parsed(self._state.made()), self._root))
        gone = frozenset(removals)
        planner = Planner(spec, str(archive), self._root, behavior=behavior, gone=gone, here=str(Path.cwd()))
        return Prepared(removals, planner.plan())

    def obstacles(self, prepared: Prepared) -> Iterator[str]:
        """What would fail it, in words."""
        yield from prepared.instructions.problems
        for grant in prepared.instructions.grants:
            yield from self._granter.obstacles(grant.permission)

    def warnings(self, prepared: Prepared) -> Iterator[str]:
        """What a person should know of it, in words."""
        yield from prepared.instructions.warnings
        for grant in prepared.instructions.grants:
            for what in self._granter.left_out(grant.permission):
                yield f"{what} of {grant.permission.object} is left out: it cannot be given here"

    def install(self, prepared: Prepared) -> None:
        """Do it. What was made is in the cleanup file before it is made. Raises `TargetError` and `OSError`."""
        for path in cleanup.contexts(self._state.made()):
            with suppress(TargetError):  # a rule that somebody else took away
                forget_context(self._root.place(path))
        for path in prepared.removals:
            with self._run.step(Step(Action.REMOVE, path, "the last deployment put it there")):
                cleanup.remove(path, self._root)
        self._state.instructions.write_text(json.dumps(as_json(prepared.instructions)))
        with open(self._state.cleanup, "w", encoding="utf-8", errors="surrogateescape") as file:
            for made in prepared.instructions.makes:
                with self._run.step(step_of(made)):
                    self._make(made, file)
            for grant in prepared.instructions.grants:
                with self._run.step(step_of_grant(grant)):
                    for path in grant.paths:
                        self._run.check()
                        for labelled in self._granter.give(grant.permission, path):
                            file.write(f"{cleanup.CONTEXT}{labelled}\n")
                            file.flush()

    def _make(self, made: MakeDirectory | Copy, file: IO[str]) -> None:
        place = self._root.place(made.destination)
        if isinstance(made, Copy) and not made.replaces and os.path.lexists(place):
            # A script could have made it since.
            raise TargetError(f"{made.destination} already exists, and no deployment put it there")
        file.write(made.destination + "\n")
        file.flush()
        if isinstance(made, MakeDirectory):
            os.mkdir(place)
        else:
            copy(made.source, place)


def copy(source: str, place: str) -> None:
    """Copy a file with its mode and time, or a link as a link. A link that is in the way is replaced, not followed."""
    new = os.path.join(os.path.dirname(place), f".push-{secrets.token_hex(8)}")
    try:
        if stat.S_ISLNK(os.lstat(source).st_mode):
            os.symlink(os.readlink(source), new)
        else:
            shutil.copy2(source, new, follow_symlinks=False)
        os.rename(new, place)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def step_of(made: MakeDirectory | Copy) -> Step:
    """An instruction as a step."""
    if isinstance(made, MakeDirectory):
        return Step(Action.ADD, made.destination + "/", "not there")
    action, reason = (Action.REPLACE, "in the way") if made.replaces else (Action.ADD, "in the bundle")
    return Step(action, made.destination, reason, made.size)


def step_of_grant(grant: Grant) -> Step:
    """A permission as a step."""
    one = grant.permission
    parts = {"owner": one.owner, "group": one.group, "mode": one.mode}
    words = [f"{name} {value}" for name, value in parts.items() if value]
    words += [f"{len(one.acls)} acls"] * bool(one.acls)
    if one.context:
        words.append(f"context {one.context.type}")
    what = "the file" if grant.paths == (one.object,) else f"{len(grant.paths)} below"
    return Step(Action.RUN, f"permissions of {one.object}", f"{what}: {', '.join(words) or 'nothing'}")
