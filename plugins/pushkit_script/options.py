"""`ScriptOptions`: what a target with the strategy ``script`` may say."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Annotated, Literal

from msgspec import Meta, field

from pushkit import Options, Secret, checks, public

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Every user of the machine can read the arguments of a program while it runs.
ARGUMENT = public("set a variable in `environment` to it, and read that in the script, or in `run` with `shell = true`")


def listed(commands: str | tuple[str, ...]) -> tuple[str, ...]:
    """A single command line is a list of one."""
    return (commands,) if isinstance(commands, str) else commands


class ScriptOptions(Options):
    """Options of the strategy ``script``: either ``run`` or ``script``, and how to run it."""

    shell: Annotated[
        bool, Meta(description="Hand `run` and `rollback` to `/bin/sh -c`, with variables, pipes and all.")
    ] = False
    run: Annotated[
        str | tuple[str, ...],
        ARGUMENT,
        Meta(
            description="A command line, or a list: the first that fails is the last. Each is split into words "
            "as a shell "
            "does; nothing is expanded without `shell`."
        ),
    ] = ()
    script: Annotated[
        str,
        ARGUMENT,
        Meta(description="A script of the project, relative to the directory that `where` says. Instead of `run`."),
    ] = ""
    args: Annotated[
        tuple[str, ...],
        ARGUMENT,
        Meta(description="The arguments of `script`, passed as they are: `$HOME` stays `$HOME`."),
    ] = ()
    rollback: Annotated[
        str | tuple[str, ...],
        ARGUMENT,
        Meta(description="What `push rollback` runs, as `run`, but in the Pushfile's directory."),
    ] = ()
    where: Annotated[
        Literal["snapshot", "project"],
        Meta(description="`snapshot` runs in a clean copy of what is pushed, `project` in the Pushfile's directory."),
    ] = "snapshot"
    timeout: Annotated[float, Meta(ge=0, description="Seconds after which it is ended; 0 lets it run for ever.")] = 3600
    environment: Annotated[
        dict[str, Secret],
        Meta(description="More environment variables, which may be secrets. Its other variables are those of `push`."),
    ] = field(default_factory=dict)
    stdin: Annotated[
        Secret | None, Meta(description="What each command reads on its standard input, which may be a secret.")
    ] = None
    exit: Annotated[
        Literal["push", "script"],
        Meta(description="`script` ends `push` with the script's own exit code; otherwise a failure is 8."),
    ] = "push"

    @checks("run", "rollback")
    @classmethod
    def _lines(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        lines = tuple(map(_runnable, listed(value)))
        if not any(map(str.strip, lines)) and len(lines) < 2:
            return ()
        if not all(map(str.strip, lines)):
            raise ValueError("one of the command lines is empty")
        return lines

    @checks("script")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = posixpath.normpath(value) if value else ""
        if path in {".", ".."} or path.startswith(("/", "../")):
            raise ValueError("expected a file of the project; for any other program use `run`")
        return _runnable(path)

    @checks("args")
    @classmethod
    def _arguments(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_runnable, value))

    @checks("environment")
    @classmethod
    def _variables(cls, value: dict[str, Secret]) -> dict[str, Secret]:
        for name, content in value.items():
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a variable: letters, digits and _ make one")
            if name.startswith("PUSH_"):
                raise ValueError(f"{name}: the names that begin with PUSH_ are set by push")
            _runnable(content.reveal())
        return value

    @checks()
    def _one_of_two(self) -> None:
        if bool(self.run) == bool(self.script):
            raise ValueError("expected either `run` or `script`" + (", found both" if self.run else ""))
        if self.args and not self.script:
            raise ValueError("`args` are the arguments of `script`; write those of `run` behind its command")
        if self.shell and not self.run and not self.rollback:
            raise ValueError("`shell` is for `run`; a script names its shell in its first line")
        # What a shell gets is in its own language, with comments and here documents.
        for name in () if self.shell else ("run", "rollback"):
            for text in getattr(self, name):
                try:
                    shlex.split(text)
                except ValueError as error:
                    raise ValueError(f"`{name}`: not a command line: {str(error).lower()}") from error


def _runnable(text: str) -> str:
    """``text``, which the operating system has to be able to pass on (execve(2))."""
    if "\0" in text:
        raise ValueError("a null character cannot be passed to a program")
    return text
