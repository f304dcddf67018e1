"""`open_remote`: from the options of a target to a connected remote."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pushkit import TargetError
from pushkit_sftp.destination import Destination, destination, hops
from pushkit_sftp.kept_login import kept_login
from pushkit_sftp.openssh_transport import OpensshTransport
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.ssh_program import obstacle
from pushkit_sftp.transport import Transport

if TYPE_CHECKING:
    from pushkit.files import Remote


def open_remote(
    options: SftpOptions,
    project: Path,
    local_user: str,
    cancelled: threading.Event,
    opening: Callable[[], str] = str,
    *,
    ask: Callable[[str], str] | None = None,
    ahead: bool = True,
    kept: int = 0,
    runtime: str = "",
) -> Remote:
    """Connect, check the host key, log in, and look whether there is a shell; run in it what ``opening`` gives.

    Relative paths of files on this machine start at ``project``. ``cancelled`` is set when the user asks to stop.
    ``ask`` asks them for a secret. A program is started ``ahead`` of its use where nothing is done meanwhile: of many
    hosts each waits for others. A connection of ssh is ``kept`` for so many seconds after it was used, in the directory
    ``runtime`` where there is one. Raises `TargetError`.
    """
    there = destination(options, project, local_user)
    connect = partial(connected, there, options, project, local_user, ask, kept=kept, runtime=runtime)
    # What is done with a connection is imported while it is made; hosts of a fleet share what is.
    with ThreadPoolExecutor(1, thread_name_prefix="import") if ahead else nullcontext() as pool:
        ready = pool.submit(opening) if pool else None
        if pool:
            pool.submit(import_module, "pushkit_sftp.shell_remote")
        transport = connect()
        transport.ahead = ahead
    try:
        from pushkit.files import foreseen, probing, shell_of  # noqa: PLC0415
        from pushkit_sftp.channel import WAITING, probe, refusal  # noqa: PLC0415
        from pushkit_sftp.remote import SftpRemote, from_home  # noqa: PLC0415
        from pushkit_sftp.shell_remote import SftpShellRemote  # noqa: PLC0415

        path = from_home(options.path)
        first = ready.result() if ready else opening()
        result = probe(transport, probing(path, first), there.timeout)
        shell = shell_of(result) if result else None
        if result is None or shell is None:
            return SftpRemote(transport, connect, path, cancelled, said=refusal(result) if result else "")
        transport.prepare(WAITING)
        remote = SftpShellRemote(transport, connect, path, shell, cancelled)
        remote.round_trips = 1  # the probe
        output = foreseen(result)
        # It may be long, and grows by what is made of it.
        del result
        if output is not None:
            remote.foresee(first, output)
        return remote
    except BaseException:
        transport.close()
        raise


def connected(
    there: Destination,
    options: SftpOptions,
    project: Path,
    local_user: str,
    ask: Callable[[str], str] | None = None,
    *,
    kept: int = 0,
    runtime: str = "",
) -> Transport:
    """A connection to ``there`` in which somebody is logged in, made by what the target asks for."""
    program = shutil.which("ssh") if options.transport != "paramiko" else None
    hop_of = hops(options, project, local_user)
    why = obstacle(options, there, hop_of) if program else "there is no ssh program on this machine"
    if options.transport == "openssh" and why:
        raise TargetError(f'{there.where}: transport = "openssh" cannot be: {why}', hint='set transport = "auto"')
    if program and not why:
        login = kept_login(program, there, options, project, seconds=kept, runtime=runtime)
        return OpensshTransport(program, there, options, project, local_user, ask=ask, kept=login)
    # paramiko takes a quarter of a second to import.
    from pushkit_sftp.paramiko_transport import logged_in  # noqa: PLC0415

    return logged_in(there, options, project, local_user, ask)
