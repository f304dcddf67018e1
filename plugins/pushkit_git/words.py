"""What git and servers say when something fails, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pushkit import PushkitError, PushRefused, TargetError
from pushkit_git.address import Address
from pushkit_git.git import reasons

VALID = 'give a token that is valid: token = "${env:NAME}"'
KEY = "check `key` and the agent (ssh-add -l), and that the server knows the public key"


class Word(NamedTuple):
    """What to look for, what it means, and what helps; ``{host}`` and ``{remote}`` are filled in."""

    sign: str
    message: str
    hint: str


# The first that is found counts.
FAILURES = (
    Word(
        r"host key verification failed|no matching host key",
        "the host key of {host} is not known here, or not the known one",
        "if you expect it, accept it: push trust {host}",
    ),
    Word(r"permission denied \(|too many authentication failures", "{host} refused the login", KEY),
    Word(r"could not read (username|password)|terminal prompts disabled", "{remote} asks who you are", VALID),
    Word(
        r"authentication failed|invalid credentials|http basic: access denied|error: 401",
        "{remote} refused the credentials",
        VALID,
    ),
    Word(r"error: 403|access denied|denied to |forbidden", "{remote} does not let you do that", "who is the token of?"),
    Word(
        r"could not resolve host",
        "there is no host {host}",
        "check the address, and the network",
    ),
    Word(
        r"certificate|ssl_error|ssl routines",
        "the certificate of {host} is not trusted",
        "check the address; for an authority of your own: ca_file",
    ),
    Word(
        r"connection (refused|timed out)|failed to connect|network is unreachable|no route to host|operation too slow"
        r"|connection reset|operation timed out",
        "{host} cannot be reached",
        "check the address, and the network",
    ),
    Word(
        r"repository not found|not found|does not appear to be a git repository|no such file or directory|error: 404",
        "there is no repository at {remote}, or you may not see it",
        "check the address, and who the credentials belong to",
    ),
    Word(
        r"unable to find remote helper|'remote-[a-z0-9+.-]+' is not a git command",
        "git has no helper for {remote}",
        "install it",
    ),
    Word(r"error: 413|request entity too large", "{host} takes no push of that size", "what is in it? push files"),
    Word(r"error: 429|error: 503", "{host} is too busy", "push again later"),
    Word(r"does not support --?filter|shallow", "{host} gives no shallow history", ""),
    Word(r"redirect", "{remote} is at another address", "write the address that it has now"),
)

# What stands in brackets behind a reference that was not taken (git-push(1), OUTPUT).
REJECTIONS = (
    Word(
        r"non-fast-forward|fetch first|needs force",
        "the branch {branch} has commits that yours lacks",
        "get them first (git pull), or replace them: force = true",
    ),
    Word(
        r"stale info",
        "somebody pushed to {branch} since push looked at it",
        "look at what is there now, and push again",
    ),
    Word(
        r"shallow update not allowed|unpacker error.*shallow",
        "the project's repository is a shallow clone, which lacks commits that {remote} needs",
        'deepen it: git fetch --unshallow (actions/checkout: fetch-depth: 0); or push files: what = "snapshot"',
    ),
    Word(
        r"branch is currently checked out",
        "{branch} is checked out in {remote}",
        "push to a bare repository, or to another branch",
    ),
    Word(
        r"pre-receive hook declined|update hook declined|hook declined",
        "the server's hook declined the push",
        "its output says why; nothing changed there",
    ),
    Word(r"protected branch|gh006", "the branch {branch} is protected", "let the server's owner allow it"),
    Word(
        r"failed to update ref|cannot lock ref|failed to lock",
        "{remote} could not move the branch {branch}: somebody pushes too, or another branch's name is in the way",
        "push again; a branch `a` and a branch `a/b` cannot both be there",
    ),
)


def failure(said: str, address: Address, timed_out: bool = False) -> TargetError:
    """Why the repository could not be asked."""
    text = said.lower()
    values = {"host": shown_host(address), "remote": address.url}
    why = "; ".join(reasons(said)[:2])
    for word in FAILURES:
        if re.search(word.sign, text):
            return TargetError(f"{filled(word.message, values)}: {why}", hint=filled(word.hint, values))
    return TargetError(f"git could not speak to {address.url}: {why or 'it said nothing'}", hint="try: git ls-remote")


def rejection(reason: str, address: Address, branch: str) -> PushkitError:
    """Why the branch was not moved, where the server said so."""
    values = {"branch": branch, "remote": address.url}
    for word in REJECTIONS:
        if re.search(word.sign, reason.lower()):
            return PushRefused(f"{filled(word.message, values)} ({reason})", hint=filled(word.hint, values))
    return PushRefused(f"{address.url} did not take the push: {reason}", hint="the server's output may say more")


def filled(text: str, values: Mapping[str, str]) -> str:
    """``text`` with the fields that it has."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def shown_host(address: Address) -> str:
    """The host, for a person."""
    return address.host + (f":{address.port}" if address.port else "") if address.host else address.url
