"""An IRC network on which people log in to accounts: InspIRCd, and Atheme, whose SaslServ knows the passwords."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme

from pushkit.testing.processes import find_program

IRCD = """<config format="xml">
<server name="irc.local" description="-" network="Test" id="00A">
<admin name="-" nick="-" email="a@example.com">
<bind address="127.0.0.1" port="{port}" type="clients" ssl="gnutls">
<bind address="127.0.0.1" port="{plain}" type="clients">
<bind address="127.0.0.1" port="{link}" type="servers">
<connect allow="*" timeout="60" resolvehostnames="no" useident="no" threshold="100">
<module name="cap"><module name="sasl"><module name="services_account"><module name="spanningtree">
<module name="ssl_gnutls"><gnutls certfile="{here}/cert.pem" keyfile="{here}/key.pem">
<sasl target="services.local"><uline server="services.local" silent="yes">
<link name="services.local" ipaddr="127.0.0.1" port="{link}" allowmask="127.0.0.1/32" sendpass="link" recvpass="link">
<path configdir="{here}" datadir="{here}" logdir="{here}" moduledir="{modules}">
<performance somaxconn="128" softlimit="100">
"""
SERVICES = """serverinfo {{ name = "services.local"; desc = "-"; numeric = "00S"; recontime = 1; netname = "Test";
  adminname = "-"; adminemail = "a@example.com"; registeremail = "a@example.com"; auth = none; casemapping = rfc1459;
  maxlogins = 5; maxusers = 0; }};
uplink "irc.local" {{ host = "127.0.0.1"; port = {link}; send_password = "link"; receive_password = "link"; }};
nickserv {{ nick = "NickServ"; user = "-"; host = "services.local"; real = "-"; }};
saslserv {{ nick = "SaslServ"; user = "-"; host = "services.local"; real = "-"; }};
general {{ loglevel = {{ all; }}; }};
"""
# Each after those that it needs, which it would look for where Debian installs them.
MODULES = (
    *("protocol/base36uid", "transport/rfc1459", "backend/corestorage", "protocol/inspircd", "backend/opensex"),
    *("crypto/pbkdf2v2", "nickserv/main", "nickserv/register", "saslserv/main", "saslserv/plain"),
)


def installed() -> bool:
    """Whether both programs are here."""
    program = find_program("inspircd")
    return bool(program and services(program).exists())


def services(ircd: str) -> Path:
    """Where Atheme is: below the same directory, be that of the system or one that it was unpacked in."""
    return Path(ircd).resolve().parents[1] / "bin/atheme-services"


@contextmanager
def irc_network(here: Path, authority: trustme.CA, account: str, password: str) -> Iterator[tuple[int, int]]:
    """The network, with one account; its port with TLS, and the one without."""
    ircd = find_program("inspircd")
    assert ircd
    libraries = next(services(ircd).parents[1].glob("lib/*/atheme")).parent
    port, plain, link = (free_port() for _ in range(3))
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(here / "key.pem")
    issued.cert_chain_pems[0].write_to_path(here / "cert.pem")
    modules = Path(ircd).resolve().parents[1] / "lib/inspircd/modules"
    (here / "ircd.conf").write_text(IRCD.format(port=port, plain=plain, link=link, here=here, modules=modules))
    loaded = "".join(f'loadmodule "{libraries}/atheme/modules/{name}";\n' for name in MODULES)
    (here / "services.conf").write_text(loaded + SERVICES.format(link=link))
    (here / "services.db").touch()
    root = ("--runasroot",) * (os.geteuid() == 0)
    with ExitStack() as running:
        run(running, ircd, "--config", str(here / "ircd.conf"), "--nofork", "--nopid", *root)
        wait_for(plain)
        flags: tuple[str, ...] = ("-n", "-c", "services.conf", "-D", ".", "-l", "services.log", "-p", "services.pid")
        flags = tuple(str(here / flag) if "." in flag else flag for flag in flags)
        run(running, str(services(ircd)), *flags, LD_LIBRARY_PATH=str(libraries))
        register(plain, account, password)
        yield port, plain


def run(running: ExitStack, *argv: str, **environment: str) -> None:
    """Run a server until the end."""
    process = subprocess.Popen(
        argv, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running.enter_context(process)
    running.callback(process.kill)


def register(port: int, account: str, password: str) -> None:
    """Make an account, as soon as the services are there to make it."""
    end = time.monotonic() + 60
    heard = ""
    with socket.create_connection(("127.0.0.1", port)) as person:
        person.sendall(f"NICK {account}\r\nUSER {account} 0 * :-\r\n".encode())
        person.settimeout(0.5)
        while "is now registered" not in heard and "you are now logged in" not in heard:
            assert time.monotonic() < end, heard
            if " 422 " in heard:
                person.sendall(f"PRIVMSG NickServ :REGISTER {password} a@example.com\r\n".encode())
            try:
                heard += person.recv(65536).decode()
            except TimeoutError:
                continue


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port
