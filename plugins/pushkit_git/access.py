"""How git gets to the repository: the environment that it runs in.

Credentials are in that environment alone: other users cannot see it, and git writes none of it down. A password is
given by a credential helper of push's own (gitcredentials(7)), which answers for one host; helpers of the person's,
which could keep it, do not hear of it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from pushkit_git.address import Address
from pushkit_git.options import GitOptions

#: The name that the repository has for git, wherever it is.
REMOTE = "target"
HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$PUSH_GIT_USER" "$PUSH_GIT_TOKEN"; }; f'
# What the person's own configuration could add, and must not: hooks, signatures that are asked for, more refs, a gc
# that outlives the push.
ALWAYS = (
    ("core.hooksPath", os.devnull),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("gc.autoDetach", "false"),
    ("core.logAllRefUpdates", "false"),
)


def clean(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for every git: without what a hook of git's is started with, and with nothing to ask at."""
    kept = {name: value for name, value in inherited.items() if not name.startswith("GIT_")}
    return {**kept, "LC_ALL": "C", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}


def environment(options: GitOptions, address: Address, root: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for a git that speaks to ``address``."""
    pairs = [*ALWAYS, (f"remote.{REMOTE}.url", address.url)]
    extra: dict[str, str] = {}
    if address.web or address.scheme == "helper":
        # A remote helper, such as that of CodeCommit, mostly leads to HTTPS as well.
        pairs.append(("http.sslVerify", "true"))
        if options.ca_file:
            extra["GIT_SSL_CAINFO"] = located(options.ca_file, root)
    if address.web:
        # Git takes the more special one, which may be the person's.
        pairs.append((f"http.{address.url}.sslVerify", "true"))
        pairs += credentials(options, address)
        if options.token:
            extra |= {"PUSH_GIT_USER": options.user or "git", "PUSH_GIT_TOKEN": options.token.reveal()}
    if address.ssh:
        extra |= {"GIT_SSH_COMMAND": ssh(options, root), "GIT_SSH_VARIANT": "ssh"}
    return {**clean(inherited), **extra, **configuration(pairs)}


def credentials(options: GitOptions, address: Address) -> list[tuple[str, str]]:
    """How the token is sent, to ``address`` alone."""
    if not options.token:
        return []
    if options.auth == "bearer":
        # git would send the header to where it is redirected, too.
        header = f"Authorization: Bearer {options.token.reveal()}"
        return [(f"http.{address.origin}/.extraHeader", header), ("http.followRedirects", "false")]
    name = f"credential.{address.origin}.helper"
    return [(name, ""), (name, HELPER)]


def ssh(options: GitOptions, root: Path) -> str:
    """The command line of ssh, for a shell. A host key that is not known is refused, whatever ssh_config says."""
    words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ServerAliveInterval=15"]
    if options.key:
        words += ["-i", located(options.key, root), "-o", "IdentitiesOnly=yes"]
    if options.known_hosts:
        words += ["-o", f'UserKnownHostsFile="{located(options.known_hosts, root)}"']
    return shlex.join(words)


def configuration(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings for git as environment variables (git-config(1), ENVIRONMENT)."""
    numbered = {
        name: value
        for number, pair in enumerate(pairs)
        for name, value in zip((f"GIT_CONFIG_KEY_{number}", f"GIT_CONFIG_VALUE_{number}"), pair, strict=True)
    }
    return {"GIT_CONFIG_COUNT": str(len(pairs)), **numbered}


def located(file: str, root: Path) -> str:
    """A file that the Pushfile names; a relative path starts at its directory."""
    return str(root / Path(file).expanduser())
