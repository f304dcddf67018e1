"""``push trust``: show a server's host key, ask, and remember it."""

from __future__ import annotations

import getpass
import sys
from contextlib import suppress
from pathlib import Path

import click

from pushkit import PushkitError, PushRefused, TargetError, UsageError, command_target, hookimpl
from pushkit_sftp.options import SftpOptions, parse_host


@click.command()
@click.argument("host", metavar="[USER@]HOST[:PORT]")
@click.option("--known-hosts", type=click.Path(path_type=Path), help="The file to write to; by default that of ssh.")
@click.option("--jump", default="", help="Servers to go through: HOST,HOST.")
@click.option("--ssh-config", type=click.Path(path_type=Path), help="The configuration of ssh; by default the usual.")
@click.option("--fingerprint", default="", metavar="SHA256:...", help="Trust this key and no other, without asking.")
def command(host: str, known_hosts: Path | None, jump: str, ssh_config: Path | None, fingerprint: str) -> None:
    """Show the host key of an SSH server, ask whether it is the right one, and write it to the known hosts.

    Compare the fingerprint with what the server's owner gives you. Nobody logs in on HOST. Its fingerprint is the one
    line of stdout.
    """
    # paramiko takes a quarter of a second to import, and a line of help needs none of it.
    from pushkit_sftp.connection import hang_up  # noqa: PLC0415
    from pushkit_sftp.destination import destination  # noqa: PLC0415
    from pushkit_sftp.host_keys import HostKey, HostKeys, UnknownHostKey, remember  # noqa: PLC0415
    from pushkit_sftp.paramiko_transport import meet  # noqa: PLC0415

    try:
        parse_host(host)
    except ValueError as error:
        raise UsageError(f"{host!r}: {error}") from error
    options = SftpOptions(host=host, path=".", known_hosts=known_hosts, jump=jump, ssh_config=ssh_config)
    here, user = Path.cwd(), getpass.getuser()
    there = destination(options, here, user)
    shown: list[HostKey] = []
    try:
        hang_up(meet(there, options, here, user, shown.append))
    except TargetError as error:
        raise TargetError(error.message, hint=host_of_target(host) or error.hint) from error
    key = shown[0]
    expect(key.fingerprint, fingerprint)
    try:
        HostKeys(there).check(key)
    except UnknownHostKey:
        click.echo(f"{there.where} shows the host key {key.type} {key.fingerprint}", err=True)
        if not fingerprint:
            ask()
        file = remember(there, key)
        click.echo(f"{there.where}: {key.type} is trusted, and written to {file}", err=True)
    else:
        click.echo(f"{there.where}: {key.type} is known already", err=True)
    click.echo(key.fingerprint)


def host_of_target(word: str) -> str:
    """What to type in place of ``word``, which is a target and no host; empty for one that is no target with a host."""
    with suppress(PushkitError):
        _, target = command_target(word)
        host = target.table.get("host")
        if isinstance(host, str) and host != word:
            return f"{word} is a target of the Pushfile, and its host is what to trust: push trust {host}"
    return ""


def expect(shown: str, expected: str) -> None:
    """Raise `PushRefused` for a fingerprint that is not ``expected``, where one is."""
    if expected and expected.rstrip("=") != shown:
        raise PushRefused(
            f"the server shows {shown}, and that is not {expected}; nothing was written",
            hint="somebody may be between you and the server: find out before you trust it",
        )


def ask() -> None:
    """Raise `PushRefused` unless a person says that it is the right key."""
    if not sys.stdin.isatty():
        raise PushRefused(
            "nobody is there to say whether it is the right one; nothing was written",
            hint="give the fingerprint that it must have: --fingerprint SHA256:...",
        )
    if not click.confirm("Is it the one that the server's owner gave you?", err=True):
        raise PushRefused("it is not trusted; nothing was written")


@hookimpl
def pushkit_command() -> click.Command:
    """The command."""
    return command
