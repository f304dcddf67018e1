"""A real nginx: it takes files by PUT, from who has the password."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pushkit.testing.account import Account
from pushkit.testing.server import Server, own_name


class Nginx(Server):
    """nginx with its DAV module, over TLS when it has a ``certificate``, a file with its key. ``limit`` is of a body.

    What is put lies in ``files``. The user is ``ann``, the password ``password``.
    """

    program = "nginx"

    def __init__(
        self,
        directory: Path,
        account: Account | None = None,
        *,
        host: str = "localhost",
        certificate: Path | None = None,
        limit: str = "100m",
    ) -> None:
        super().__init__(directory, account, host=host)
        self.user, self.password = "ann", "pass-w0rd-of-ann"
        self._certificate = certificate
        self._limit = limit

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"{'https' if self._certificate else 'http'}://{self.host}:{self.port}"

    def _configure(self) -> None:
        """See `_command`: its port is in the configuration."""

    def _command(self, program: str) -> Sequence[str]:
        at = self._directory
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {at}/temporary-{name};\n" for name in names)
        # Only root can be somebody else.
        user = f"user {own_name()};" if os.geteuid() == 0 else ""
        (at / "nginx.conf").write_text(
            f"""{user}
daemon off;
worker_processes 1;
pid {at}/nginx.pid;
error_log {self._log} info;
events {{ worker_connections 64; }}
http {{
    {temporary}
    access_log {at}/access;
{self._servers()}
}}
"""
        )
        return [program, "-p", str(at), "-e", str(self._log), "-c", str(at / "nginx.conf")]

    def _servers(self) -> str:
        """What is served: the text of nginx's ``server`` blocks."""
        at = self._directory
        (at / "passwords").write_text(f"{self.user}:{{PLAIN}}{self.password}\n")
        tls = (
            f"ssl_certificate {self._certificate}; ssl_certificate_key {self._certificate};"
            if self._certificate
            else ""
        )
        return f"""    server {{
        listen {self.host}:{self.port}{" ssl" if self._certificate else ""};
        {tls}
        root {self.files};
        client_max_body_size {self._limit};
        dav_methods PUT;
        create_full_put_path on;
        auth_basic "files";
        auth_basic_user_file {at}/passwords;
    }}"""
