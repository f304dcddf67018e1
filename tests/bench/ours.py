"""`Push`: the whole command ``push``, from the start of the interpreter to a live release."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from meter import Cost, measure
from server import MATCHED, Login

PUSH = str(Path(sys.executable).with_name("push"))
#: What a target says of its transport; a name that is not here is one. KEPT: as a person at a terminal pushes again.
KEPT = "kept"
TRANSPORTS = {"": "", KEPT: 'transport = "openssh"\nkeep_connection = 60'}


class Push:
    """Pushes the directory ``top`` to ``login``. What it needs for that lies in ``directory``, beside ``top``."""

    def __init__(
        self,
        directory: Path,
        login: Login,
        top: Path,
        *,
        transport: str = "",
        layout: str = "releases",
        matched: bool = False,
    ) -> None:
        self._directory = directory
        self._login = login
        self._top = top
        self._transport = transport
        self._layout = layout
        self._matched = matched
        self._name = f"{transport or 'usual'}-{'matched' if matched else 'defaults'}"

    def run(self, target: Path, *, cold: bool = False) -> Cost:
        """Push it; ``cold`` is the first time, with no file known yet."""
        cache = self._directory / f"cache-{self._name}"
        if cold:
            shutil.rmtree(cache, ignore_errors=True)
        if self._layout == "mirror":
            target.mkdir(exist_ok=True)
        return measure([PUSH, "-q", "-f", self._pushfile(target)], environment={"XDG_CACHE_HOME": str(cache)})

    def arrived(self, target: Path) -> Path:
        """Where the files are that a push to ``target`` put there."""
        return target if self._layout == "mirror" else target / "current"

    def _pushfile(self, target: Path) -> Path:
        login = self._login
        configuration = self._directory / f"ssh-{self._name}"
        lines = MATCHED if self._matched else ()
        if not configuration.exists():
            # Another file, be it the same text, is another login.
            configuration.write_text("".join(f"{each.replace('=', ' ')}\n" for each in lines))
        pushfile = self._directory / f"Pushfile-{self._name}"
        # Old releases are removed in each push, as they are in the long run.
        layout = 'layout = "mirror"' if self._layout == "mirror" else "keep = 2"
        transport = TRANSPORTS.get(self._transport, f'transport = "{self._transport}"')
        pushfile.write_text(
            f'[project]\nsource = "{self._top.name}"\n[target.bench]\nstrategy = "sftp"\nhost = "{login.host}"\n'
            f'port = {login.port}\nuser = "{login.user}"\nkey = "{login.key}"\nagent = false\n'
            f'ssh_config = "{configuration}"\nknown_hosts = "{login.known_hosts}"\npath = "{target}"\n'
            f"{layout}\n{transport}\n"
        )
        return pushfile
