"""`open_remote`: from the options of a target to a connected remote."""

from __future__ import annotations

import threading
from pathlib import Path

from pushkit.files import Remote, foreseen, probing, shell_of
from pushkit_sftp.channel import probe
from pushkit_sftp.connection import dial, hang_up
from pushkit_sftp.host_keys import SYSTEM_FILE, USER_FILE, HostKeys
from pushkit_sftp.login import Credentials, log_in
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.remote import SftpRemote, from_home
from pushkit_sftp.shell_remote import SftpShellRemote


def open_remote(
    options: SftpOptions, project: Path, local_user: str, cancelled: threading.Event, opening: str = ""
) -> Remote:
    """Connect, check the host key, log in, and look whether there is a shell; run the script ``opening`` in it.

    Relative paths of files on this machine start at ``project``. ``cancelled`` is set when the user asks to stop.
    Raises `TargetError`.
    """
    address = options.address
    where = f"{address.host}:{address.port}"
    files = (
        [project / options.known_hosts.expanduser()] if options.known_hosts else [USER_FILE.expanduser(), SYSTEM_FILE]
    )
    transport = dial(address, HostKeys(address, files, options.host_key), options.connect_timeout)
    try:
        log_in(transport, credentials_of(options, project, local_user), where, options.connect_timeout)
        path = from_home(options.path)
        result = probe(transport, where, probing(path, opening), options.connect_timeout)
        shell = shell_of(result) if result else None
        if result is None or shell is None:
            return SftpRemote(transport, where, path, cancelled)
        remote = SftpShellRemote(transport, where, path, shell, cancelled)
        remote.round_trips = 1  # the probe
        if (output := foreseen(result)) is not None:
            remote.foresee(opening, output)
        return remote
    except BaseException:
        hang_up(transport)
        raise


def credentials_of(options: SftpOptions, project: Path, local_user: str) -> Credentials:
    """What the options say of who logs in and how."""
    return Credentials(
        user=options.address.user or local_user,
        key=project / options.key.expanduser() if options.key else None,
        passphrase=options.passphrase.get_secret_value() if options.passphrase else "",
        password=options.password.get_secret_value() if options.password else "",
        agent=options.agent,
    )
