"""What a strategy's author needs for tests: real servers, as classes and as pytest fixtures.

In the ``conftest.py`` of the tests::

    pytest_plugins = ["pushkit.testing.plugin"]

and then, in a test, by the name of a fixture::

    def test_a_push_arrives(ssh_server, ssh_directory):
        # ssh_server: host, port, user, key, password, known_hosts, host_key, log
        # ssh_directory: path (what the server calls it), local (the same directory on this machine)

``ssh_server`` is OpenSSH, ``sftp_only_server`` is OpenSSH with SFTP and nothing else, ``dropbear_server`` is
Dropbear, ``proftpd_server`` is ProFTPD with SFTP and nothing else, on which a rename replaces nothing; each has a
``..._directory``, fresh for every test. So have the FTP servers ``vsftpd_server``, ``proftpd_ftp_server``,
``pureftpd_server`` and ``pyftpd_server``, which demand TLS. ``embedded_ssh`` is a server in the test's own process:
it needs neither a program nor root, and is the one that works everywhere. ``fault_proxy(host, port)`` is a relay to
any of them that can be told to be slow, to cut connections or to fall silent. `Person` answers what a strategy asks.
`HttpsServer` keeps what it is sent by HTTP, and answers as it is told; `GitHttpServer` serves git repositories,
`HerokuServer` is Heroku's API. `Nginx` takes files by PUT, `SeaweedFs` is an
S3 server. Without pytest each server is a context manager::

    with EmbeddedSsh(Path("somewhere")) as server:
        print(server.host, server.port, server.key, server.known_hosts)

Only ``pushkit.testing.plugin`` imports pytest.
"""

from __future__ import annotations

from pushkit.testing.account import Account, can_make_accounts
from pushkit.testing.certificate import CertificateAuthority
from pushkit.testing.codedeploy import CodeDeployServer
from pushkit.testing.dropbear import Dropbear
from pushkit.testing.embedded import EmbeddedSsh
from pushkit.testing.ftp import FtpServer
from pushkit.testing.git_http import GitHttpServer
from pushkit.testing.heroku import HerokuServer, Making
from pushkit.testing.https import HttpsServer, Received, Reply
from pushkit.testing.keypair import KeyPair, known_host
from pushkit.testing.nginx import Nginx
from pushkit.testing.person import Person
from pushkit.testing.proftpd import ProFtpd
from pushkit.testing.proftpd_ftp import ProFtpdFtp
from pushkit.testing.proxy import Fault, FaultProxy, Way
from pushkit.testing.pureftpd import PureFtpd
from pushkit.testing.pyftpd import PyFtpd
from pushkit.testing.seaweedfs import SeaweedFs
from pushkit.testing.server import Server, ServerDirectory, SshServer
from pushkit.testing.sshd import Sshd
from pushkit.testing.vsftpd import VsFtpd

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
    "HerokuServer",
    "HttpsServer",
    "KeyPair",
    "Making",
    "Nginx",
    "Person",
    "ProFtpd",
    "ProFtpdFtp",
    "PureFtpd",
    "PyFtpd",
    "Received",
    "Reply",
    "SeaweedFs",
    "Server",
    "ServerDirectory",
    "SshServer",
    "Sshd",
    "VsFtpd",
    "Way",
    "can_make_accounts",
    "known_host",
]
