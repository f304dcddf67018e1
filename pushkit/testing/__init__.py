"""What a strategy's author needs for tests: real servers, as classes and as pytest fixtures.

pytest finds the fixtures by itself wherever pushkit is installed. In a test, by the name of a fixture::

    def test_a_push_arrives(ssh_server, ssh_directory):
        # ssh_server: host, port, user, key, password, known_hosts, host_key, log
        # ssh_directory: path (what the server calls it), local (the same directory on this machine)

``ssh_server`` is OpenSSH, ``sftp_only_server`` is OpenSSH with SFTP and nothing else, ``dropbear_server`` is
Dropbear, ``proftpd_server`` is ProFTPD with SFTP and nothing else, on which a rename replaces nothing; each has a
``..._directory``, fresh for every test. So have the FTP servers ``vsftpd_server``, ``proftpd_ftp_server``,
``pureftpd_server`` and ``pyftpd_server``, which demand TLS. ``embedded_ssh`` is a server in the test's own process:
it needs neither a program nor root, and is the one that works everywhere. ``git_server`` and ``s3_server`` are what
they say. ``fault_proxy(host, port)`` is a relay to
any of them that can be told to be slow, to cut connections or to fall silent. `Person` answers what a strategy asks.
`StrategyContract` and `RemoteContract` are what every strategy and every remote promise, as tests to subclass.
`HttpsServer` keeps what it is sent by HTTP, and answers as it is told; `GitHttpServer` serves git repositories,
`HerokuServer` is Heroku's API. `Nginx` takes files by PUT, `SeaweedFs` is an
S3 server. Without pytest each server is a context manager::

    with EmbeddedSsh(Path("somewhere")) as server:
        print(server.host, server.port, server.key, server.known_hosts)

Only ``pushkit.testing.plugin`` and the contracts import pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushkit.testing.account import Account, can_make_accounts
    from pushkit.testing.certificate import CertificateAuthority
    from pushkit.testing.codedeploy import CodeDeployServer
    from pushkit.testing.contract import StrategyContract
    from pushkit.testing.dropbear import Dropbear
    from pushkit.testing.embedded import EmbeddedSsh
    from pushkit.testing.ftp import FtpServer
    from pushkit.testing.git_http import GitHttpServer
    from pushkit.testing.given import Given
    from pushkit.testing.heroku import HerokuServer, Making
    from pushkit.testing.https import HttpsServer, Received, Reply
    from pushkit.testing.keypair import KeyPair, known_host
    from pushkit.testing.nginx import Nginx
    from pushkit.testing.person import Person
    from pushkit.testing.primitives_contract import PrimitivesContract, RemoteSpecimen
    from pushkit.testing.proftpd import ProFtpd
    from pushkit.testing.proftpd_ftp import ProFtpdFtp
    from pushkit.testing.proxy import Fault, FaultProxy, Way
    from pushkit.testing.pureftpd import PureFtpd
    from pushkit.testing.pusher import Pusher
    from pushkit.testing.pyftpd import PyFtpd
    from pushkit.testing.remote_contract import RemoteContract
    from pushkit.testing.seaweedfs import SeaweedFs
    from pushkit.testing.server import Server, ServerDirectory, SshServer
    from pushkit.testing.specimen import Specimen
    from pushkit.testing.sshd import Sshd
    from pushkit.testing.vsftpd import VsFtpd

_MODULES = {
    "account": (
        "Account",
        "can_make_accounts",
    ),
    "certificate": ("CertificateAuthority",),
    "codedeploy": ("CodeDeployServer",),
    "contract": ("StrategyContract",),
    "dropbear": ("Dropbear",),
    "embedded": ("EmbeddedSsh",),
    "ftp": ("FtpServer",),
    "given": ("Given",),
    "git_http": ("GitHttpServer",),
    "heroku": (
        "HerokuServer",
        "Making",
    ),
    "https": (
        "HttpsServer",
        "Received",
        "Reply",
    ),
    "keypair": (
        "KeyPair",
        "known_host",
    ),
    "nginx": ("Nginx",),
    "person": ("Person",),
    "primitives_contract": ("PrimitivesContract", "RemoteSpecimen"),
    "proftpd": ("ProFtpd",),
    "proftpd_ftp": ("ProFtpdFtp",),
    "proxy": (
        "Fault",
        "FaultProxy",
        "Way",
    ),
    "pureftpd": ("PureFtpd",),
    "pusher": ("Pusher",),
    "pyftpd": ("PyFtpd",),
    "remote_contract": ("RemoteContract",),
    "seaweedfs": ("SeaweedFs",),
    "server": (
        "Server",
        "ServerDirectory",
        "SshServer",
    ),
    "specimen": ("Specimen",),
    "sshd": ("Sshd",),
    "vsftpd": ("VsFtpd",),
}

__all__ = [
    "Account",
    "CertificateAuthority",
    "CodeDeployServer",
    "Dropbear",
    "EmbeddedSsh",
    "Fault",
    "FaultProxy",
    "FtpServer",
    "GitHttpServer",
    "Given",
    "HerokuServer",
    "HttpsServer",
    "KeyPair",
    "Making",
    "Nginx",
    "Person",
    "PrimitivesContract",
    "ProFtpd",
    "ProFtpdFtp",
    "PureFtpd",
    "Pusher",
    "PyFtpd",
    "Received",
    "RemoteContract",
    "RemoteSpecimen",
    "Reply",
    "SeaweedFs",
    "Server",
    "ServerDirectory",
    "Specimen",
    "SshServer",
    "Sshd",
    "StrategyContract",
    "VsFtpd",
    "Way",
    "can_make_accounts",
    "known_host",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415  (only when a name is used)

            return getattr(import_module(f"pushkit.testing.{module}"), name)
    raise AttributeError(f"module 'pushkit.testing' has no attribute {name!r}")
