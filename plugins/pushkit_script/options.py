"""`ScriptOptions`: what a target with the strategy ``script`` may say."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from pushkit import Options, Public

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Every user of the machine can read the arguments of a program while it runs.
ARGUMENT = Public("set a variable in `environment` to it, and read that in the script, or in `run` with `shell = true`")


def listed(commands: str | tuple[str, ...]) -> tuple[str, ...]:
    """A single command line is a list of one."""
    return (commands,) if isinstance(commands, str) else commands


class ScriptOptions(Options):
    """Options of the strategy ``script``: either ``run`` or ``script``, and how to run it."""

    shell: bool = Field(
        default=False, description="Hand `run` and `rollback` to `/bin/sh -c`, with variables, pipes and all."
    )
    run: Annotated[str | tuple[str, ...], ARGUMENT] = Field(
        default=(),
        description="A command line, or a list: the first that fails is the last. Each is split into words as a shell "
        "does; nothing is expanded without `shell`.",
    )
    script: Annotated[str, ARGUMENT] = Field(
        default="",
        description="A script of the project, relative to the directory that `where` says. Instead of `run`.",
    )
    args: Annotated[tuple[str, ...], ARGUMENT] = Field(
        default=(), description="The arguments of `script`, passed as they are: `$HOME` stays `$HOME`."
    )
    rollback: Annotated[str | tuple[str, ...], ARGUMENT] = Field(
        default=(), description="What `push rollback` runs, as `run`, but in the Pushfile's directory."
    )
    where: Literal["snapshot", "project"] = Field(
        default="snapshot",
        description="`snapshot` runs in a clean copy of what is pushed, `project` in the Pushfile's directory.",
    )
    timeout: float = Field(
        default=3600, ge=0, allow_inf_nan=False, description="Seconds after which it is ended; 0 lets it run for ever."
    )
    environment: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="More environment variables, which may be secrets. Its other variables are those of `push`.",
    )
    stdin: SecretStr | None = Field(
        default=None, description="What each command reads on its standard input, which may be a secret."
    )
    exit: Literal["push", "script"] = Field(
        default="push", description="`script` ends `push` with the script's own exit code; otherwise a failure is 8."
    )

    @field_validator("run", "rollback")
    @classmethod
    def _split(cls, value: str | tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        lines = tuple(map(_runnable, listed(value)))
        for text in lines:
            try:
                # What a shell gets is in its own language, with comments and here documents.
                words = text.split() if info.data.get("shell") else shlex.split(text)
            except ValueError as error:
                raise ValueError(f"not a command line: {str(error).lower()}") from error
            if not words and len(lines) > 1:
                raise ValueError("one of the command lines is empty")
            if not words:
                return ()
        return lines

    @field_validator("script")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = posixpath.normpath(value) if value else ""
        if path in {".", ".."} or path.startswith(("/", "../")):
            raise ValueError("expected a file of the project; for any other program use `run`")
        return _runnable(path)

    @field_validator("args")
    @classmethod
    def _arguments(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_runnable, value))

    @field_validator("environment")
    @classmethod
    def _variables(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a variable: letters, digits and _ make one")
            if name.startswith("PUSH_"):
                raise ValueError(f"{name}: the names that begin with PUSH_ are set by push")
            _runnable(content.get_secret_value())
        return value

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.run) == bool(self.script):
            raise ValueError("expected either `run` or `script`" + (", found both" if self.run else ""))
        if self.args and not self.script:
            raise ValueError("`args` are the arguments of `script`; write those of `run` behind its command")
        if self.shell and not self.run and not self.rollback:
            raise ValueError("`shell` is for `run`; a script names its shell in its first line")
        return self


def _runnable(text: str) -> str:
    """``text``, which the operating system has to be able to pass on (execve(2))."""
    if "\0" in text:
        raise ValueError("a null character cannot be passed to a program")
    return text
