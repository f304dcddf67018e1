"""What git knows of the project: read, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from pushkit import Captured, Command, PushRefused, Run, TargetError
from pushkit_git.access import clean
from pushkit_git.address import Address, parse

SECONDS = 60.0


def ask(run: Run, *arguments: str) -> Captured:
    """What git says in the project's directory."""
    environment = {**clean(run.environment), "GIT_OPTIONAL_LOCKS": "0"}
    return run.capture(
        Command(("git", *arguments), run.project.root, environment, f"git {arguments[0]}", timeout=SECONDS)
    )


def line(run: Run, *arguments: str) -> str:
    """The one line that git prints, empty when it has no answer."""
    done = ask(run, *arguments)
    return os.fsdecode(done.stdout).removesuffix("\n") if done.code == 0 else ""


def remote(run: Run, name: str) -> Address:
    """Where the project's own remote ``name`` is. Raises `PushRefused` when there is none, or it holds a password."""
    url = line(run, "remote", "get-url", "--push", name)
    if not url:
        raise PushRefused(
            f"the project's repository has no remote {name}", hint="git remote -v lists them; or write its URL"
        )
    try:
        address = parse(url)
    except ValueError as error:
        raise PushRefused(
            f"the address of the remote {name} cannot be used: {error}",
            hint='write it in the Pushfile, without a password, and token = "${env:NAME}"',
        ) from None
    return Address("file", url) if not address.scheme else address


def objects(run: Run) -> tuple[str, str]:
    """The directory of the objects of the project's repository, and its file that says where history ends."""
    found = line(run, "rev-parse", "--git-path", "objects", "--git-path", "shallow").splitlines()
    if len(found) != 2:
        raise TargetError("the repository of the project cannot be read", hint="look at it with: git status")
    root = run.project.root
    return tuple(os.path.realpath(Path(root, each)) for each in found)  # type: ignore[return-value]


def identity(run: Run) -> str:
    """Who git says commits here are by; who pushes, where it does not know."""
    name, address = line(run, "config", "user.name"), line(run, "config", "user.email")
    user = run.person.partition("@")[0]
    plain = str.maketrans("", "", "<>\n")
    return f"{(name or user).translate(plain).strip() or 'push'} <{(address or run.person).translate(plain).strip()}>"
