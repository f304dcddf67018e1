"""`SftpOptions`: what a Pushfile may say of a target with the strategy ``sftp``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from pushkit import Secret, checks
from pushkit.fleet import FleetOptions, Host, Hosts, RolloutOptions, filled
from pushkit_sftp.pace import Rate

HOST = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<address>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^:@\[\]/\s]+))(?::(?P<port>\d+))?"
)


class Address(NamedTuple):
    """Where a server is, and who logs in there. ``user`` is empty and ``port`` 0 where nothing was said."""

    user: str
    host: str
    port: int


def parse_host(text: str) -> Address:
    """``[USER@]HOST[:PORT]``, an IPv6 address with a port in brackets. Raises `ValueError`."""
    if "\0" in text:
        raise ValueError("there is no host with a NUL in its name")
    if text.count(":") > 1 and "[" not in text:
        user, _at, address = text.rpartition("@")
        return Address(user, address, 0)
    found = HOST.fullmatch(text)
    if not found or not 0 <= int(found["port"] or 0) <= 65535:
        raise ValueError('expected a host such as "web1.example.com", "deploy@web1.example.com:2222" or "[::1]:22"')
    return Address(found["user"] or "", found["address"] or found["name"], int(found["port"] or 0))


class SftpOptions(FleetOptions):
    """Options of the strategy ``sftp``. A relative ``path`` starts at the directory that the login starts in."""

    host: Annotated[
        str,
        Meta(
            description="The server, or a `Host` of ssh's configuration: HOST, USER@HOST, HOST:PORT; "
            "an IPv6 address with a port in brackets."
        ),
    ] = ""
    user: Annotated[str, Meta(description="Who logs in; by default `User` of ssh, or the local user.")] = ""
    port: (
        Annotated[int, Meta(ge=1, le=65535, description="The port of the SSH server; by default `Port` of ssh, or 22.")]
        | None
    ) = None
    key: Annotated[
        Path | None,
        Meta(
            description="A private key; a relative path starts at the Pushfile's directory. "
            "By default those of ssh are tried: `IdentityFile`, or ~/.ssh/id_ed25519, id_ecdsa and id_rsa."
        ),
    ] = None
    passphrase: Annotated[Secret | None, Meta(description="What the private key is encrypted with.")] = None
    password: Annotated[Secret | None, Meta(description="The password of the user on the server.")] = None
    agent: Annotated[bool, Meta(description="Whether the keys of the SSH agent are tried.")] = True
    known_hosts: Annotated[Path | None, Meta(description="The file of known host keys; by default those of ssh.")] = (
        None
    )
    jump: Annotated[
        str, Meta(description='Servers to go through, "HOST,HOST", as `ProxyJump` of ssh has them; "none" for none.')
    ] = ""
    ssh_config: Annotated[
        Path | None,
        Meta(
            description="The configuration of ssh; by default ~/.ssh/config and that of the system, /dev/null for none."
        ),
    ] = None
    host_key: Annotated[
        str,
        Meta(
            pattern=r"^(SHA256:[A-Za-z0-9+/]{43}=?)?$",
            description='The fingerprint of the server\'s host key, "SHA256:..."; then known_hosts is not asked.',
        ),
    ] = ""
    transport: Annotated[
        Literal["auto", "paramiko", "openssh"],
        Meta(
            description="What connects: the ssh program of this machine (openssh), or a library that is always there "
            "(paramiko). auto takes ssh where it is found and can do what the target asks."
        ),
    ] = "auto"
    rate_limit: Annotated[
        Rate | None,
        Meta(description='Bytes a second that are sent at most, such as 500000 or "2 MB"; by default any.'),
    ] = None
    connect_timeout: (
        Annotated[
            float,
            Meta(
                gt=0,
                description="Seconds that each of connecting, key exchange and a login may take; by default "
                "`ConnectTimeout` of ssh, or 15.",
            ),
        ]
        | None
    ) = None

    keep_connection: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=3600,
                description="Seconds that ssh keeps its connection for the next push (`ControlPersist`); by default 60 "
                "for who pushes at a terminal, else 0: not at all. One that a password opened is never kept.",
            ),
        ]
        | None
    ) = None

    @checks("host")
    @classmethod
    def _host_is_one(cls, host: str) -> str:
        if host:
            parse_host(host)
        return host

    @checks()
    def _said_once(self) -> None:
        if bool(self.host) == self.many:
            raise ValueError("expected either `host` or `hosts`" + (", found both" if self.host else ""))
        if self.many:
            self._of_many()
            return
        if self.lock_host or self.health or self.store or self.rollout != RolloutOptions():
            raise ValueError("`lock_host`, `rollout`, `health` and `store` are for many servers: hosts = [...]")
        address = parse_host(self.host)
        if address.user and self.user and address.user != self.user:
            raise ValueError(f'`host` says the user is "{address.user}" and `user` says "{self.user}"')
        if address.port and self.port and address.port != self.port:
            raise ValueError(f"`host` says the port is {address.port} and `port` says {self.port}")

    def _of_many(self) -> None:
        if self.layout != "releases":
            raise ValueError('`hosts` is for layout = "releases": a mirror changes file by file')
        if self.host_key:
            raise ValueError("`host_key` is the key of one server; with `hosts`, name them in `known_hosts`")

    def for_host(self, host: Host) -> SftpOptions:
        """The options of one of many hosts. The library serves many: the ssh program is a process for each."""
        address = {"host": host.in_url, "user": host.user or self.user, "port": host.port or self.port}
        transport = "paramiko" if self.transport == "auto" else self.transport
        commands = {
            name: tuple(filled(each, host) for each in ((said,) if isinstance(said, str) else said))
            for name, said in (("before_switch", self.before_switch), ("after_switch", self.after_switch))
        }
        return self.changed(
            **address,
            **commands,
            hosts=Hosts(),
            pools={},
            traffic=None,
            health=None,
            via="direct",
            store=None,
            transport=transport,
            keep_connection=0,
        )
