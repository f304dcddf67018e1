"""`KeptLogin`: a connection of the ssh program that outlasts a push, so that the next one need not log in.

::

    BASE/                      mode 0700, of who pushes
      NAME -> login-k3j9x2ab   the connection that was made last by all that NAME stands for
      login-k3j9x2ab/          config, log, and the socket s, as `OpensshLogin` makes them

A link is put in its place by one rename, and a connection is used by one push at a time: who finds it in use logs in.
ssh ends it, and takes its socket away, when nobody has used it for a while.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from msgspec.structs import astuple

from pushkit_sftp.destination import Destination
from pushkit_sftp.multiplexing import CLOSED, HELLO, VERSION, Control
from pushkit_sftp.openssh_login import OpensshLogin
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.ssh_config import SYSTEM, USUAL
from pushkit_sftp.ssh_program import configured, invocation

ALIVE_CHECK, ALIVE = 0x10000004, 0x80000005
PREFIX = "login-"
#: Seconds for an ssh of this machine to answer, and after which what is left of one that was killed is removed.
MOMENT, OLD = 2.0, 3600.0
#: Bytes of the name of a directory in which a socket has a name that every system takes.
SHORT = 60


class Held:
    """The connection in ``directory``, which does not end as long as this is open. Raises `OSError` or `EOFError`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = str(directory / "s")
        self._lock = os.open(directory / "held", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._control = Control(self.socket)
        except BaseException:
            os.close(self._lock)
            raise
        try:
            self._control.say(HELLO, struct.pack(">I", VERSION))
            self._control.say(ALIVE_CHECK, struct.pack(">I", 0))
            kinds = [self._control.hear_within(MOMENT).kind for _ in range(2)]
            if kinds != [HELLO, ALIVE]:
                raise EOFError("ssh says what cannot be understood")
        except BaseException:
            self.close()
            raise

    @property
    def active(self) -> bool:
        """Whether it lasts."""
        # A master says no more to this, but that it ends.
        return not self._control.has_more

    def said(self) -> str:
        """What ssh wrote up to now."""
        return (self.directory / "log").read_bytes().decode("utf-8", "replace")

    def close(self) -> None:
        """Let go of it. Never raises."""
        self._control.close()
        if self._lock != CLOSED:
            os.close(self._lock)
            self._lock = CLOSED


class KeptLogin:
    """The connection in ``base`` that is found as ``name``, where there is one. It is kept for so many ``seconds``."""

    def __init__(self, base: Path, name: str, seconds: int) -> None:
        self.seconds = seconds
        self._base = base
        self._link = base / name

    def find(self) -> Held | None:
        """The connection, if it is there, and nobody uses it."""
        try:
            return Held(self._base / os.readlink(self._link))
        except (OSError, EOFError):
            return None

    def made(self, log_in: Callable[[Path, int], OpensshLogin]) -> Held:
        """A new one, which ``log_in`` makes in a directory, to go on for so many seconds. It is what is found then.

        Raises what ``log_in`` raises, and `OSError` or `EOFError` when it cannot be kept. What is left of those that
        were killed is removed.
        """
        for dead in self._dead():
            shutil.rmtree(dead, ignore_errors=True)
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._base))
        try:
            with closing(log_in(directory, self.seconds)):
                held = Held(directory)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        link = directory / "link"
        with suppress(OSError):  # then it is not found, and ends all the same
            link.symlink_to(directory.name)
            link.replace(self._link)
        return held

    def _dead(self) -> Iterator[Path]:
        """Directories in which nothing has lived for long."""
        for directory in self._base.glob(f"{PREFIX}*"):
            with suppress(FileNotFoundError):
                if time.time() - directory.stat().st_mtime < OLD:
                    continue
                try:
                    Held(directory).close()
                except BlockingIOError:
                    continue  # somebody uses it
                except (OSError, EOFError):
                    yield directory


def kept_login(
    program: str, there: Destination, options: SftpOptions, project: Path, *, seconds: int, runtime: str
) -> KeptLogin | None:
    """What keeps connections to ``there`` for so many ``seconds``; None where none may be, or can be, kept.

    ``runtime`` is the directory for what lasts as long as a person is logged in on this machine, where it has one. A
    password stands for one push: who changes it finds no connection of before.
    """
    if not seconds or options.password:
        return None
    base = private(Path(runtime, "pushkit")) if os.path.isabs(runtime) else None
    base = base or private(Path(tempfile.gettempdir(), f"pushkit-{os.getuid()}"))
    return KeptLogin(base, name_of(program, there, options, project), seconds) if base else None


def private(directory: Path) -> Path | None:
    """``directory``, made where it is not there; None unless it is this user's alone and its name is short."""
    if len(os.fsencode(directory)) > SHORT:
        return None
    try:
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        found = directory.lstat()
    except OSError:
        return None
    its_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return directory if its_own else None


def name_of(program: str, there: Destination, options: SftpOptions, project: Path) -> str:
    """A name for a login: another one when anything changed that decides who is reached, trusted, and logs in."""
    credentials = there.credentials
    usual = (options.ssh_config,) if options.ssh_config else (USUAL, SYSTEM)
    configurations = [project / file.expanduser() for file in usual if file]
    keys = [credentials.key] if credentials.key else [*credentials.keys, *credentials.certificates]
    parts = [
        *invocation(program, there, options, Path()),
        *configured(there, options, project),
        *(str(each) for each in astuple(there) if each is not credentials),
        *(str(each) for each in (credentials.user, credentials.agent, *keys)),
        *(version(file) for file in (*there.known_hosts, *configurations, *keys)),
    ]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def version(file: Path) -> str:
    """What is another text when ``file`` was changed."""
    try:
        found = file.stat()
    except OSError:
        return "none"
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
