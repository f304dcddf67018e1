"""`FileOptions`: the options that every file strategy has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from pushkit.options import Options, Public

#: A component that is empty, ``.`` or ``..``.
LEADS_OUT = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)").search


def apart(names: Iterable[str]) -> tuple[str, ...]:
    """``names``, when each is a path within a release and none lies in another.

    Raises ValueError, with all that is wrong.
    """
    names = tuple(names)
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


def runnable(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """``value``, when a shell can run it. Raises ValueError."""
    for command in (value,) if isinstance(value, str) else value:
        if "\0" in command or not command.strip():
            raise ValueError("a command that is empty, or that holds a null character, cannot be run")
    return value


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variables(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """``value``, when commands can get them. Raises ValueError."""
    for name, content in value.items():
        if not VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a variable: letters, digits and _ make one")
        if name.startswith("PUSH_"):
            raise ValueError(f"{name}: the names that begin with PUSH_ are set by push")
        if "\0" in content.get_secret_value():
            raise ValueError(f"{name}: a null character cannot be passed to a program")
    return value


# Every user of the host can read a command line while it runs.
OnHost = Annotated[
    str | tuple[str, ...],
    AfterValidator(runnable),
    Public("set a variable in `environment` to it, and read that in the command"),
]


#: What the live directory is called where nobody says so.
LIVE = "current"


class FileOptions(Options):
    """The options that every file strategy has."""

    path: str = Field(min_length=1, description="The directory on the target: what is pushed lies in it.")
    layout: Literal["releases", "mirror", "swap"] = Field(
        default="releases",
        description="How pushes lie on the target: `releases` gives each a directory, `current` links to the live one; "
        "`mirror` puts the files right into `path`, beside those that are there; `swap` puts another directory in the "
        "place of `live` by two renames.",
    )
    live: str = Field(default=LIVE, description='What the live directory in `path` is called, with layout = "swap".')
    keep: int = Field(
        default=5, ge=1, description="How many good releases stay on the target, the live one among them."
    )
    shared: Annotated[tuple[str, ...], AfterValidator(apart)] = Field(
        default=(),
        description="Paths that all releases share, kept in `shared` on the target; a slash at the end: a directory.",
    )
    before_switch: OnHost = Field(
        default=(),
        description="What the host runs in a new release before it goes live; when it fails, nothing changes.",
    )
    after_switch: OnHost = Field(
        default=(),
        description="What the host runs in a release that has gone live; when it fails, what was live is live again.",
    )
    environment: Annotated[dict[str, SecretStr], AfterValidator(variables)] = Field(
        default_factory=dict,
        description="Variables of the commands on the host, which may be secrets: they travel on standard input, where "
        "nobody else on the host can see them.",
    )
    command_timeout: float = Field(
        default=300, gt=0, allow_inf_nan=False, description="Seconds after which a command on the host is ended."
    )
    hard_links: bool = Field(
        default=False, description="Unchanged files are hard links to those of the release before, in place of copies."
    )
    mtimes: bool = Field(
        default=False, description="Files get the times that they have in the project when they are sent."
    )

    @model_validator(mode="after")
    def _of_releases(self) -> Self:
        needs = ("shared", "before_switch", "after_switch", "environment", "hard_links")
        named = [name for name in needs if getattr(self, name)]
        if self.layout != "releases" and named:
            raise ValueError(f'`{"`, `".join(named)}`: only for layout = "releases"')
        if self.layout != "swap" and self.live != LIVE:
            raise ValueError('`live`: only for layout = "swap"')
        if "/" in self.live or self.live in {"", ".", ".."} or self.live.startswith((".ht", ".push")):
            raise ValueError("`live`: expected the name of a directory in `path`, such as htdocs")
        return self
