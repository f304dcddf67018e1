"""`Line`: one command line of the options, as what is started."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from msgspec import Struct

from pushkit_script.options import ScriptOptions, listed

SHELL = "/bin/sh"


class Line(Struct, frozen=True):
    """A command: its words, and a short name for its output and messages."""

    argv: tuple[str, ...]
    label: str


def pushing(options: ScriptOptions) -> tuple[Line, ...]:
    """What a push runs. A script of the project is a path with a slash: it is never looked for on the PATH."""
    if options.script:
        return (Line((f"./{options.script}", *options.args), options.script),)
    return tuple(line(text, shell=options.shell) for text in listed(options.run))


def reverting(options: ScriptOptions) -> tuple[Line, ...]:
    """What a rollback runs."""
    return tuple(line(text, shell=options.shell) for text in listed(options.rollback))


def line(text: str, *, shell: bool) -> Line:
    """A command line, split as a shell does, or handed to one."""
    argv = (SHELL, "-c", text) if shell else tuple(shlex.split(text))
    return Line(argv, PurePosixPath(text.split(maxsplit=1)[0] if shell else argv[0]).name)
