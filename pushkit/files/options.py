"""`FileOptions`: the options that every file strategy has."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, field

from pushkit.options import Options, checks, public
from pushkit.secret import Secret

#: A component that is empty, ``.`` or ``..``.
LEADS_OUT = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)").search


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Every user of the host can read a command line while it runs.
ON_HOST = public("set a variable in `environment` to it, and read that in the command")


#: What the live directory is called where nobody says so.
LIVE = "current"


class FileOptions(Options):
    """The options that every file strategy has."""

    path: Annotated[str, Meta(min_length=1, description="The directory on the target: what is pushed lies in it.")]
    layout: Annotated[
        Literal["releases", "mirror", "swap"],
        Meta(
            description="How pushes lie on the target: `releases` gives each a directory, `current` links to "
            "the live one; "
            "`mirror` puts the files right into `path`, beside those that are there; `swap` puts another "
            "directory in the "
            "place of `live` by two renames."
        ),
    ] = "releases"
    live: Annotated[str, Meta(description='What the live directory in `path` is called, with layout = "swap".')] = LIVE
    keep: Annotated[
        int, Meta(ge=1, description="How many good releases stay on the target, the live one among them.")
    ] = 5
    shared: Annotated[
        tuple[str, ...],
        Meta(
            description="Paths that all releases share, kept in `shared` on the target; a slash at the end: a "
            "directory."
        ),
    ] = ()
    before_switch: Annotated[
        str | tuple[str, ...],
        ON_HOST,
        Meta(description="What the host runs in a new release before it goes live; when it fails, nothing changes."),
    ] = ()
    after_switch: Annotated[
        str | tuple[str, ...],
        ON_HOST,
        Meta(
            description="What the host runs in a release that has gone live; when it fails, what was live is "
            "live again."
        ),
    ] = ()
    environment: Annotated[
        dict[str, Secret],
        Meta(
            description="Variables of the commands on the host, which may be secrets: they travel on standard "
            "input, where "
            "nobody else on the host can see them."
        ),
    ] = field(default_factory=dict)
    command_timeout: Annotated[float, Meta(gt=0, description="Seconds after which a command on the host is ended.")] = (
        300
    )
    hard_links: Annotated[
        bool, Meta(description="Unchanged files are hard links to those of the release before, in place of copies.")
    ] = False
    mtimes: Annotated[
        bool, Meta(description="Files get the times that they have in the project when they are sent.")
    ] = False

    @checks("shared")
    @classmethod
    def _apart(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Each is a path within a release, and none lies in another."""
        paths = [name.removesuffix("/") for name in names]
        wrong = []
        for name, path in zip(names, paths, strict=True):
            if LEADS_OUT(path) or not path.isprintable() or "\\" in path:
                wrong.append(f"{name!r} is no path within a release: expected one such as uploads/ or config/local.ini")
            elif paths.count(path) > 1:
                wrong.append(f"{name!r} is there twice")
            elif outer := next((other for other in paths if path.startswith(f"{other}/")), ""):
                wrong.append(f"{name!r} lies in {outer!r}, which is shared as a whole")
        if wrong:
            raise ValueError("; ".join(dict.fromkeys(wrong)))
        return names

    @checks("before_switch", "after_switch")
    @classmethod
    def _runnable(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        """A shell can run it."""
        for command in (value,) if isinstance(value, str) else value:
            if "\0" in command or not command.strip():
                raise ValueError("a command that is empty, or that holds a null character, cannot be run")
        return value

    @checks("environment")
    @classmethod
    def _variables(cls, value: dict[str, Secret]) -> dict[str, Secret]:
        """Commands can get them."""
        for name, content in value.items():
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a variable: letters, digits and _ make one")
            if name.startswith("PUSH_"):
                raise ValueError(f"{name}: the names that begin with PUSH_ are set by push")
            if "\0" in content.reveal():
                raise ValueError(f"{name}: a null character cannot be passed to a program")
        return value

    @checks()
    def _of_releases(self) -> None:
        needs = ("shared", "before_switch", "after_switch", "environment", "hard_links")
        named = [name for name in needs if getattr(self, name)]
        if self.layout != "releases" and named:
            raise ValueError(f'`{"`, `".join(named)}`: only for layout = "releases"')
        if self.layout != "swap" and self.live != LIVE:
            raise ValueError('`live`: only for layout = "swap"')
        if "/" in self.live or self.live in {"", ".", ".."} or self.live.startswith((".ht", ".push")):
            raise ValueError("`live`: expected the name of a directory in `path`, such as htdocs")
