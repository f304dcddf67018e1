"""What the ssh program says, read: what it asks, what it found, and why it failed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pushkit import TargetError

LOCKED = re.compile(r"^Enter passphrase for (?:key )?'?(.*?)'?: ?$")
DEBUG = re.compile(r"^debug\d: ")
REACH = "check the port; is it that of an SSH server?"
#: What ssh says, what is told then, and what to do.
SAYINGS = (
    (r"Could not resolve hostname (\S+):", "{0}: there is no such host",
     "check `host`, and that this machine can look names up"),
    (r"connect to host \S+ port \d+: Connection refused", "{where}: the connection was refused",
     "check the port, and that the SSH server runs"),
    (r"connect to host \S+ port \d+: (?:Connection|Operation) timed out", "{where}: no answer within {timeout:g} s",
     "check the host and the port, and that no firewall drops the connection"),
    (r"connect to host \S+ port \d+: ([^;]+)", "{where}: cannot be reached: {0}", ""),
    (r"timed out during banner exchange|Connection to \S+ port \d+ timed out",
     "{where}: is open, but no SSH server introduced itself within {timeout:g} s", REACH),
    (r"kex_exchange_identification|banner (?:line|exchange)",
     "{where}: is open, but what listens there hung up, or is no SSH server", REACH),
    (r"tilde_expand: No such user (\S+)", "~{0}: there is no such user", "look at ssh's configuration"),
    (r"Unable to negotiate with \S+ port \d+: ([^;]+)", "{where}: the server shares no algorithm with this client: {0}",
     REACH),
    (r"Received disconnect from \S+ port \d+:\d+: (Too many authentication failures)",
     "{where}: the server ended the login: {0}",
     "it takes only so many keys: name the right one with `key`, and set `agent = false`"),
    (r"Connection (?:closed|reset)|Broken pipe|[Dd]isconnect", "{where}: the server hung up before anybody was let in",
     "push again; or look at the server's log"),
)  # fmt: skip


def failure(words: str, where: str, timeout: float) -> TargetError | None:
    """The error of whoever could not reach ``where``, by the ``words`` of ssh; None where they do not tell."""
    for pattern, message, hint in SAYINGS:
        if found := re.search(pattern, words):
            return TargetError(message.format(*found.groups(), where=where, timeout=timeout), hint=hint)
    return None


def last_words(said: str) -> str:
    """What ssh wrote to a person."""
    return "; ".join(line for line in map(str.strip, plain(said)) if line and not chatter(line))


def plain(said: str) -> Iterator[str]:
    """The lines that are not for whoever looks for faults in ssh.

    ssh ends what it says with CR and LF. A line feed alone is within: of the scripts, it says, that it sends.
    """
    for message in said.split("\r\n"):
        for line in message.split("\n"):
            if DEBUG.match(line):
                break
            yield line


def chatter(line: str) -> bool:
    """Whether a line of ssh tells nothing of a failure."""
    return line.startswith(("OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ", "Pseudo-terminal"))


def found_last(pattern: str, text: str) -> str:
    """What ``pattern`` found last: what concerns servers on the way comes before. Empty when there is nothing."""
    found = re.findall(pattern, text)
    return found[-1] if found else ""
