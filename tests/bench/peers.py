"""The other ways to get a tree to a server by SSH, each with the options that its users would give it."""

from __future__ import annotations

from pathlib import Path
from shlex import join, quote

import vagrant
from meter import Cost, measure
from server import Login

#: What they are beside OpenSSH.
PROGRAMS = ("rsync", "lftp", "rclone", "vagrant")


def program_of(peer: str) -> str:
    """The program that a peer is."""
    return peer.split(maxsplit=1)[0]


def chooses(peer: str) -> bool:
    """Whether a peer takes the algorithms that it is told, since it runs the ssh program."""
    return program_of(peer) not in {"rclone", "vagrant"}


class Peers:
    """The peers, which send the directory ``top`` to ``login``. ``directory`` is for what they need."""

    def __init__(self, directory: Path, login: Login, top: Path) -> None:
        self._directory = directory
        self._login = login
        self._top = top

    def run(self, name: str, target: Path, *, matched: bool = False, before: Path | None = None) -> Cost:
        """Send it by the peer with that name. ``before`` is the release before, for those that link to it."""
        login = self._login
        ssh = login.options(matched=matched)
        where = f"{login.user}@{login.host}"
        top = self._top
        if name.startswith("rsync"):
            more = {"rsync -a": [], "rsync -a --delete": ["--delete"]}.get(name, [f"--link-dest={before}"])
            shell = join(["ssh", "-p", str(login.port), *ssh])
            return measure(["rsync", "-a", *more, "-e", shell, f"{top}/", f"{where}:{target}/"])
        if name == "scp -r":
            return measure(["scp", "-q", "-r", "-P", str(login.port), *ssh, str(top), f"{where}:{target}"])
        target.mkdir()
        if name.startswith("sftp put"):
            command = ["sftp", "-q", *ssh, "-P", str(login.port), "-b", "-", where]
            return measure(command, stdin=f"put -r {quote(str(top))}/. {quote(str(target))}\n".encode())
        if name == "lftp mirror -R -P8":
            script = (
                f"set sftp:connect-program {quote(join(['ssh', '-a', '-x', *ssh]))}; "
                f"open -u {login.user},none sftp://{login.host}:{login.port}; "
                f"mirror -R -P8 {quote(str(top))} {quote(str(target))}"
            )
            return measure(["lftp", "-c", script])
        if name == "rclone":
            return self._rclone(target)
        assert name == "vagrant push"
        return self._vagrant(target)

    def log_in(self, *, matched: bool = False) -> Cost:
        """Only log in, and run nothing: what nobody who starts the ssh program can be faster than."""
        login = self._login
        where = f"{login.user}@{login.host}"
        return measure(["ssh", "-p", str(login.port), *login.options(matched=matched), where, "true"])

    def _rclone(self, target: Path) -> Cost:
        login = self._login
        options = {
            "config": "/dev/null",
            "sftp-host": login.host,
            "sftp-port": login.port,
            "sftp-user": login.user,
            "sftp-key-file": login.key,
            "sftp-known-hosts-file": login.known_hosts,
            "sftp-disable-hashcheck": "true",
            "transfers": 32,
            "checkers": 32,
        }
        said = [f"--{option}={value}" for option, value in options.items()]
        return measure(["rclone", "copy", *said, str(self._top), f":sftp:{target}"])

    def _vagrant(self, target: Path) -> Cost:
        login = self._login
        home = self._directory / "vagrant"
        (home / ".ssh").mkdir(parents=True, exist_ok=True)
        (home / ".ssh" / "config").write_text(
            f"Host {login.host}\nIdentityFile {login.key}\nUserKnownHostsFile {login.known_hosts}\n"
        )
        known = {"host": login.host, "port": login.port, "user": login.user, "password": "unused"}
        return vagrant.push(home, **known, target=target, top=self._top, secure="true")
