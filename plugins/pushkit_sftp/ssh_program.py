"""The ssh program: what it is configured with and started with, and what it cannot do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pushkit import TargetError
from pushkit_sftp.destination import Destination, Hop, way
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.prompts import TRIES
from pushkit_sftp.ssh_config import SYSTEM, USUAL, account_home

# Ends what it runs when its standard input ends: when push does, however that came.
LEASH = """
exec 3<&0
"$@" 3<&- </dev/null &
pid=$!
{ cat <&3 >/dev/null; kill "$pid"; } 2>/dev/null &
watch=$!
exec 3<&-
wait "$pid"
kill "$watch"
"""
#: What is so of every connection, also of those to the servers on the way.
ALWAYS = (
    "StrictHostKeyChecking yes",
    "VerifyHostKeyDNS no",
    "NoHostAuthenticationForLocalhost no",
    "UpdateHostKeys no",
    "VisualHostKey no",
    f"NumberOfPasswordPrompts {TRIES}",
    # A password is for the target, see `said_of`, and shown to no server on the way.
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
)
#: What is so of the connection to the target: nothing that the configuration wants of a person's own session.
OURS = (
    "IgnoreUnknown=ForkAfterAuthentication,StdinNull,SessionType",
    "ControlMaster=yes",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "Tunnel=no",
)
#: The same ciphers as always, in another order: a processor that has AES takes half as long for it as for ssh's first.
AES_FIRST = "Ciphers ^aes128-gcm@openssh.com"


def invocation(program: str, there: Destination, options: SftpOptions, directory: Path, kept: int = 0) -> Sequence[str]:
    """What an ssh is started with that keeps a connection to ``there``; its configuration and socket: in ``directory``.

    With ``kept`` it goes on by itself, until nobody has used the connection for so many seconds.
    """
    argv = [program, "-F", str(directory / "config"), "-v", "-N", "-T", "-S", str(directory / "s")]
    lasting = (f"ControlPersist={kept}",) if kept else ("ControlPersist=no", "ForkAfterAuthentication=no")
    argv += ["-f"] if kept else []
    for option in (*OURS, *lasting, *said_of(options)):
        argv += ["-o", option]
    address = there.said
    argv += ["-l", address.user] if address.user else []
    argv += ["-p", str(address.port)] if address.port else []
    return [*argv, "--", address.host]


def configured(there: Destination, options: SftpOptions, project: Path) -> Sequence[str]:
    """The lines that configure an ssh which does what a target asks, and beyond that what the user's own says."""
    lines = ["Host *", *ALWAYS, f"ConnectTimeout {max(1, round(there.timeout))}"]
    if options.known_hosts:
        lines += [f"UserKnownHostsFile {quoted(there.known_hosts[0])}", "GlobalKnownHostsFile /dev/null"]
    if there.credentials.key:
        lines += [f"IdentityFile {quoted(there.credentials.key)}", "IdentitiesOnly yes"]
    if not options.agent:
        lines.append("IdentityAgent none")
    files = (project / options.ssh_config.expanduser(),) if options.ssh_config else (USUAL.expanduser(), SYSTEM)
    # Everybody may write to /dev/null, which ssh does not like of a file that it includes; there is nothing in it.
    lines += [f"Include {quoted(file)}" for file in files if file.is_file()]
    # What follows is so where nothing else was said.
    lines += ["Host *", f"ServerAliveInterval {there.keepalive}"]
    if account_home() != Path.home():
        # ssh goes by the account, and not by HOME.
        known = " ".join(quoted(file) for file in there.known_hosts)
        lines += [f"UserKnownHostsFile {known or 'none'}"]
        lines += [f"IdentityFile {quoted(file)}" for file in there.credentials.keys if file.exists()]
    return lines


def check_readable(file: Path) -> None:
    """Raise `TargetError` unless a key can be read."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise TargetError(f"the key {file} cannot be read: {error.strerror or error}") from error


def said_of(options: SftpOptions) -> Sequence[str]:
    """The options of ssh that a target's own are, for the connection to it alone."""
    found = ["PasswordAuthentication=yes", "KbdInteractiveAuthentication=yes"] if options.password else []
    if options.jump.lower() == "none":
        return [*found, "ProxyJump=none", "ProxyCommand=none"]
    return [*found, f"ProxyJump={options.jump}"] if options.jump else found


def obstacle(options: SftpOptions, there: Destination, hop_of: Hop) -> str:
    """Why ssh cannot do what a target asks; empty when it can. Raises `TargetError` when nobody can."""
    for each in (there, *way(there, hop_of)):
        if each.loops:
            # It would start itself over and over.
            return f"ssh's configuration leads to {each.said.host} through {each.said.host} itself (ProxyJump)"
    if options.host_key:
        return "ssh knows no fingerprints of hosts (`host_key`)"
    if options.password and there.command:
        return "what the ProxyCommand starts would be told the `password` as well"
    files = (*there.known_hosts, there.credentials.key or Path(), options.ssh_config or Path())
    strange = [file for file in files if re.search(r'["\\$\n\r]', str(file))]
    return f"ssh takes no such path in its configuration: {strange[0]}" if strange else ""


def quoted(file: Path) -> str:
    """``file`` for a configuration of ssh."""
    return '"{}"'.format(str(file.absolute()).replace("%", "%%"))
