"""A real vsftpd."""

from __future__ import annotations

from collections.abc import Sequence

from pushkit.testing.ftp import FtpServer


class VsFtpd(FtpServer):
    """vsftpd, for one `Account` with its password: it needs root. It has no MLSD, and wants TLS sessions reused."""

    program = "vsftpd"

    def _configure(self) -> None:
        """See `_command`: its port is in the configuration."""

    def _command(self, program: str) -> Sequence[str]:
        at = self._directory
        (at / "empty").mkdir(exist_ok=True)
        options = {
            "listen": "YES",
            "background": "NO",
            "listen_address": self.host,
            "listen_port": str(self.port),
            "anonymous_enable": "NO",
            "local_enable": "YES",
            "write_enable": "YES",
            "local_umask": "022",
            "chroot_local_user": "NO",
            "utf8_filesystem": "YES",
            "seccomp_sandbox": "NO",
            "secure_chroot_dir": str(at / "empty"),
            # The one that every machine has; it takes the usual passwords.
            "pam_service_name": "other",
            "xferlog_enable": "YES",
            "log_ftp_protocol": "YES",
            "vsftpd_log_file": str(self._log),
        }
        if self._certificate:
            options |= {
                "ssl_enable": "YES",
                "rsa_cert_file": str(self._certificate),
                "rsa_private_key_file": str(self._certificate),
                "force_local_logins_ssl": "YES",
                "force_local_data_ssl": "YES",
                "require_ssl_reuse": "YES",
                "ssl_ciphers": "HIGH",
                "ssl_tlsv1": "YES",
            }
        config = at / "config"
        lines = (f"{key}={value}\n" for key, value in {**options, **self._settings}.items())
        config.write_text("".join(lines))
        config.chmod(0o600)
        return [program, str(config)]
