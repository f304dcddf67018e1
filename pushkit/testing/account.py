"""A throw-away system user, for servers that run as root."""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pushkit.errors import TargetError
from pushkit.testing.processes import find_program, processes_of_user


def can_make_accounts() -> bool:
    """Whether this process may add system users and has the programs for it."""
    return os.geteuid() == 0 and find_program("useradd") is not None


class Account:
    """A system user of its own name with a password and a home directory; all of it goes with `remove`.

    With ``jail`` the home belongs to root and so does every directory above it, as sshd's ``ChrootDirectory``
    wants it, and the user may write in ``files``, the directory ``www`` below it. Without, ``files`` is the
    home. ``shell`` is what a login runs, and each command is given to. Needs root.
    """

    def __init__(self, *, jail: bool = False, shell: str = "/bin/sh") -> None:
        self.user = f"pushkit-{secrets.token_hex(4)}"
        self.password = secrets.token_urlsafe(12)
        # /tmp is writable by everybody, which sshd refuses anywhere above a jail.
        self.home = Path(tempfile.mkdtemp(prefix="pushkit-home-", dir="/var/lib" if jail else None))
        self.files = self.home / "www" if jail else self.home
        try:
            with account_lock():
                # Without --no-log-init a high uid makes lastlog a sparse file of gigabytes.
                call("useradd", "--no-create-home", "--no-log-init", "--shell", shell,
                     "--home-dir", str(self.home), self.user)  # fmt: skip
                call("chpasswd", stdin=f"{self.user}:{self.password}\n")
            self.uid = pwd.getpwnam(self.user).pw_uid
            self.home.chmod(0o755)
            self.files.mkdir(exist_ok=True)
            self.own(self.files)
        except BaseException:
            self.remove()
            raise

    def own(self, path: Path) -> None:
        """Give one file or directory to the user."""
        entry = pwd.getpwnam(self.user)
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)

    def authorize(self, public: str) -> None:
        """Let the owner of the key ``public`` in."""
        directory = self.home / ".ssh"
        directory.mkdir(mode=0o755)
        (directory / "authorized_keys").write_text(public + "\n")

    def remove(self) -> None:
        """End what the user still runs, and remove the user and the home directory."""
        with suppress(KeyError):
            for process in processes_of_user(pwd.getpwnam(self.user).pw_uid):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            with account_lock():
                call("userdel", "--force", self.user)
        shutil.rmtree(self.home, ignore_errors=True)


def call(program: str, *arguments: str, stdin: str = "") -> None:
    """Run one of the programs that change system users. Raises `TargetError` with what it printed."""
    found = find_program(program)
    if found is None:
        raise TargetError(f"{program} is not installed, so no throw-away user can be made")
    done = subprocess.run(
        [found, *arguments], input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        raise TargetError(f"{program} failed: {done.stdout.strip()}")


@contextmanager
def account_lock() -> Iterator[None]:
    """Only one process of a parallel test run changes /etc/passwd at a time: useradd fails where it had to wait.

    The lock is on the directory: the file is replaced by each change, and a lock on it with it.
    """
    directory = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)
