"""`open_remote`: from the options of a target to a connected remote."""

from __future__ import annotations

import threading
from pathlib import Path

from pushkit.files import Remote, foreseen, probing, shell_of
from pushkit_sftp.channel import probe
from pushkit_sftp.connection import Check, hang_up, known, reach
from pushkit_sftp.destination import Destination, destination, hop
from pushkit_sftp.library import paramiko
from pushkit_sftp.login import log_in
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.paramiko_transport import ParamikoTransport
from pushkit_sftp.remote import SftpRemote, from_home
from pushkit_sftp.shell_remote import SftpShellRemote
from pushkit_sftp.transport import Transport


def open_remote(
    options: SftpOptions, project: Path, local_user: str, cancelled: threading.Event, opening: str = ""
) -> Remote:
    """Connect, check the host key, log in, and look whether there is a shell; run the script ``opening`` in it.

    Relative paths of files on this machine start at ``project``. ``cancelled`` is set when the user asks to stop.
    Raises `TargetError`.
    """
    there = destination(options, project, local_user)
    transport = connected(there, options, project, local_user)
    try:
        path = from_home(options.path)
        result = probe(transport, probing(path, opening), there.timeout)
        shell = shell_of(result) if result else None
        if result is None or shell is None:
            return SftpRemote(transport, path, cancelled)
        remote = SftpShellRemote(transport, path, shell, cancelled)
        remote.round_trips = 1  # the probe
        if (output := foreseen(result)) is not None:
            remote.foresee(opening, output)
        return remote
    except BaseException:
        transport.close()
        raise


def connected(there: Destination, options: SftpOptions, project: Path, local_user: str) -> Transport:
    """A connection to ``there`` in which somebody is logged in."""
    connection = meet(there, options, project, local_user, known(there))
    try:
        log_in(connection, there)
    except BaseException:
        hang_up(connection)
        raise
    return ParamikoTransport(connection, there.where)


def meet(there: Destination, options: SftpOptions, project: Path, local_user: str, check: Check) -> paramiko.Transport:
    """A connection to a server, nobody logged in; its host key is what ``check`` raises nothing for."""

    def hop_of(text: str, before: tuple[str, ...]) -> Destination:
        return hop(text, before, options, project, local_user)

    return reach(there, hop_of, log_in, check)
