"""The scripts of the lifecycle events of one deployment: from which revision, with what environment, logged where."""

from __future__ import annotations

import os
import pwd
import stat
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from pushkit import Action, PushFailed, Run, Step
from pushkit_aws.appspec import Hook
from pushkit_aws.local.script import GRACE, Script, ScriptError, run_script

#: Lines of a failing script that are told again at the end, and characters of one that are.
TAIL = 12
WIDTH = 500


class Hooks:
    """Runs scripts. ``deployment`` is the deployment's id; ``variables`` what each script finds in its environment."""

    def __init__(self, run: Run, variables: Mapping[str, str], grace: float = GRACE) -> None:
        self._run = run
        self._variables = variables
        self._grace = grace

    def event(self, event: str, hooks: tuple[Hook, ...], revision: Path) -> None:
        """Run the scripts of an event, in order, from the deployment ``revision``. Raises `PushFailed` at the first
        that fails."""
        if not hooks:
            return
        with Log(revision / "logs" / "scripts.log") as log:
            log.line(f"LifecycleEvent - {event}")
            for hook in hooks:
                with self._run.step(step(event, hook)):
                    self._one(event, hook, revision, log)

    def _one(self, event: str, hook: Hook, revision: Path, log: Log) -> None:
        log.line(f"Script - {hook.location}")
        tail: deque[str] = deque(maxlen=TAIL)

        def output(stream: str, line: str) -> None:
            log.line(f"[{stream}]{line}")
            tail.append(line)
            self._run.output(hook.location, line)

        script = Script(
            revision / "deployment-archive" / hook.location.lstrip("/"),
            hook.location,
            hook.timeout,
            hook.runas if hook.runas != own_name() else "",
            {**self._run.environment, "LIFECYCLE_EVENT": event, **self._variables},
            Path.cwd(),
            self._grace,
        )
        try:
            run_script(script, output, self._run.check)
        except ScriptError as error:
            log.line(error.message)
            hint = error.hint or f"all that it said is in {log.path}"
            failed = PushFailed(f"{event}: {error.message} (code {error.code.value})", hint=hint)
            for line in tail:
                failed.add_note(printable(f"{hook.location} | {self._run.redact(line)[:WIDTH]}"))
            raise failed from error


class Log:
    """``logs/scripts.log`` of a revision, added to line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Log:
        self.path.parent.mkdir(exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file: IO[str] = open(file, "w", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def line(self, text: str) -> None:
        """Write a line with the time."""
        self._file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._file.flush()


def step(event: str, hook: Hook) -> Step:
    """A script as a step."""
    who = f"as {hook.runas}, " if hook.runas else ""
    return Step(Action.RUN, f"{event}: {hook.location}", f"{who}up to {hook.timeout} s")


def printable(text: str) -> str:
    """``text`` without what a terminal would obey."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def own_name() -> str:
    """The name of who runs this, empty where the machine has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def runas_obstacle(hook: Hook, state: Path, exists: Callable[[str], bool]) -> str:
    """Why a hook cannot run as the user it names, empty when it can. ``exists`` tells of a user."""
    if not hook.runas or hook.runas == own_name():
        return ""
    if not exists(hook.runas):
        return f"{hook.location} runs as {hook.runas}, and there is no such user on this machine"
    if os.geteuid():
        return f"{hook.location} runs as {hook.runas}, which only root can do, and this is {own_name() or os.geteuid()}"
    closed = first_closed(state, pwd.getpwnam(hook.runas))
    return f"{hook.location} runs as {hook.runas}, who may not enter {closed}" if closed else ""


def first_closed(path: Path, user: pwd.struct_passwd) -> str:
    """The first directory on the way to ``path`` that ``user`` may not enter, as far as modes tell; empty when none."""
    groups = set(os.getgrouplist(user.pw_name, user.pw_gid))
    for each in (*reversed(path.parents), path):
        try:
            status = each.stat()
        except OSError:
            return ""
        bit = stat.S_IXOTH
        if status.st_uid == user.pw_uid:
            bit = stat.S_IXUSR
        elif status.st_gid in groups:
            bit = stat.S_IXGRP
        if user.pw_uid and not status.st_mode & bit:
            return str(each)
    return ""
