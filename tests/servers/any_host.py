"""One SSH server that is many hosts: one for each address of the loopback network, each with what a test gives it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pushkit.testing import Account, Sshd

#: The internal one cannot be forced into a directory.
SFTP = "/usr/lib/openssh/sftp-server"
PLACES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")


class AnyHost(Sshd):
    """OpenSSH on every address; its commands run in a home of the address's own, with the programs there, if any."""

    def __init__(self, directory: Path, account: Account) -> None:
        super().__init__(directory, account, host="0.0.0.0")
        account.home.chmod(0o755)

    def _configuration(self) -> list[str]:
        enter = self.files / "enter"
        # SSH_CONNECTION: the client's address and port, the server's address and port (ssh(1)).
        enter.write_text(
            f'#!/bin/sh\nset -- $SSH_CONNECTION\nHOME={self.files}/$3\ncd "$HOME" || exit\n'
            'if [ -d "$HOME/bin" ]; then PATH=$HOME/bin; fi\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        enter.chmod(0o755)
        lines = [line for line in super()._configuration() if not line.startswith("Subsystem")]
        return [*lines, f"Subsystem sftp {SFTP}", f"ForceCommand {enter}"]

    def add(self, host: str, **programs: str) -> Path:
        """A new host at that address: its home. Beside all others it has ``programs``, each a path or none."""
        assert self._account
        home = self.files / host
        home.mkdir()
        self._account.own(home)
        if programs:
            (home / "bin").mkdir()
            for place in PLACES:
                for program in Path(place).iterdir():
                    link(home / "bin" / program.name, str(program), programs)
            for name, path in programs.items():
                if path:
                    (home / "bin" / name).symlink_to(path)
        return home


def link(name: Path, to: str, but: Collection[str]) -> None:
    """Make a program known, but those that are to be others."""
    if name.name not in but and not name.is_symlink():
        name.symlink_to(to)
