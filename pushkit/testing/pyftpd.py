"""A real pyftpdlib, which needs neither a program nor root."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pushkit.testing.ftp import FtpServer

PROGRAM = """
import json, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

given = json.load(open(sys.argv[1]))
authorizer = DummyAuthorizer()
authorizer.add_user(given["user"], given["password"], given["home"], perm="elradfmwMT")
handler = type("Handler", (TLS_FTPHandler if given["certificate"] else FTPHandler,), {"authorizer": authorizer})
if given["certificate"]:
    handler.certfile = given["certificate"]
    handler.tls_control_required = handler.tls_data_required = True
# It has a wrong password wait for three seconds.
handler.auth_failed_timeout = 0.1
settings = given["settings"]
without = settings.get("without", "").split()
handler.proto_cmds = {key: value for key, value in handler.proto_cmds.items() if key not in without}
handler.masquerade_address = settings.get("masquerade_address")
FTPServer((given["host"], int(sys.argv[2])), handler).serve_forever()
"""


class PyFtpd(FtpServer):
    """pyftpdlib, for the user of this process with a password of its own, their directory being ``/``.

    Of ``settings`` it knows ``masquerade_address``, and ``without``, commands that it is not to know.
    """

    program = sys.executable

    @classmethod
    def installed(cls) -> bool:
        """Whether the library is."""
        return find_spec("pyftpdlib") is not None

    def _configure(self) -> None:
        given = {
            "user": self.user,
            "password": self.password,
            "host": self.host,
            "home": str(self.files),
            "certificate": str(self._certificate or ""),
            "settings": self._settings,
        }
        file = self._directory / "config"
        file.touch(0o600)
        file.write_text(json.dumps(given))

    def _command(self, program: str) -> Sequence[str]:
        return [program, "-W", "ignore", "-c", PROGRAM, str(self._directory / "config"), str(self.port)]

    def path_of(self, local: Path) -> str:
        """What those who log in call the file ``local`` of this machine."""
        return f"/{local.relative_to(self.files)}"
