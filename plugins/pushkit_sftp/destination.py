"""`Destination`: a server, the way to it, and who logs in; the Pushfile and ssh's configuration taken together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from pushkit import TargetError
from pushkit_sftp.options import Address, SftpOptions, parse_host
from pushkit_sftp.ssh_config import Configuration, configuration

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
USER_FILES = ("~/.ssh/known_hosts",)
SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts",)
#: Servers that may lead to one.
HOPS = 8
# Seconds between two signs of life where nothing else is configured.
KEEPALIVE = 15
# Seconds that a step of connecting may take where nothing else is configured.
PATIENCE = 15.0
#: The variable that names the socket of the agent where nothing else does; `IdentityAgent` may say so, too.
AGENT = "SSH_AUTH_SOCK"
# What a shell would not take for a part of a word, and the beginning of an option.
ACTIVE = re.compile(r"""^-|['`"$\\;&<>|(){}*?\[\]!\s]""")


class Credentials(Struct, frozen=True):
    """What a login may use.

    ``key`` is that of the Pushfile, ``keys`` are those of ssh, tried where they exist, and ``certificates`` go with
    them. Of the ``agent`` at a socket, empty for none, only ``keys`` are used when it is to be ``only`` them.
    """

    user: str
    key: Path | None = None
    passphrase: str = ""
    password: str = ""
    agent: str = ""
    keys: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    only: bool = False


class Destination(Struct, frozen=True):
    """A server. ``name`` is what known_hosts files call it, ``known_hosts`` are those files, ``pin`` a fingerprint.

    It is reached through the servers ``jumps``, the last of which is next to it, or through what ``command`` prints
    and reads; by itself where both are empty. ``hop`` says that it is only passed. ``said`` is the address before ssh's
    configuration was asked, which ``loops`` when it leads to the server through itself. Times are in seconds.
    """

    said: Address
    address: Address
    name: str
    known_hosts: tuple[Path, ...]
    pin: str
    credentials: Credentials
    jumps: tuple[str, ...] = ()
    command: str = ""
    timeout: float = 15.0
    keepalive: int = KEEPALIVE
    hashes: bool = False
    hop: bool = False
    loops: bool = False

    @property
    def host_name(self) -> str:
        """What known_hosts files call the server on every port."""
        return self.name[1:].rpartition("]:")[0] if self.name.startswith("[") else self.name

    @property
    def where(self) -> str:
        """The server, for messages."""
        return f"{self.address.host}:{self.address.port}"


#: From what a configuration calls a server on the way, and those before it, to that server.
Hop = Callable[[str, tuple[str, ...]], Destination]


def destination(options: SftpOptions, project: Path, local_user: str) -> Destination:
    """The server of a target. Relative paths start at ``project``. Raises `TargetError`."""
    said = parse_host(options.host)
    address = Address(said.user or options.user, said.host, said.port or options.port or 0)
    return resolved(address, options, project, local_user)


def hop(text: str, before: tuple[str, ...], options: SftpOptions, project: Path, local_user: str) -> Destination:
    """A server ``text`` on the way, which the servers ``before`` lead to. It is shown no password."""
    try:
        address = parse_host(text.removeprefix("ssh://"))
    except ValueError as error:
        raise TargetError(f"{text!r} is no host to jump through: {error}") from error
    return resolved(address, options, project, local_user, before=before, passed=True)


def hops(options: SftpOptions, project: Path, local_user: str) -> Hop:
    """How the servers on the way to a target are found."""

    def hop_of(text: str, before: tuple[str, ...]) -> Destination:
        return hop(text, before, options, project, local_user)

    return hop_of


def way(there: Destination, hop_of: Hop, left: int = HOPS) -> list[Destination]:
    """The servers that lead to one, the last of them first. Raises `TargetError` when they are more than ``left``."""
    if not there.jumps:
        return []
    check_left(there, left)
    last = hop_of(there.jumps[-1], there.jumps[:-1])
    return [last, *way(last, hop_of, left - 1)]


def check_left(there: Destination, left: int) -> None:
    """Raise `TargetError` when no more servers may lead to one."""
    if not left:
        raise TargetError(f"{there.where}: over {HOPS} servers lead to it", hint="does a `ProxyJump` lead to itself?")


def resolved(
    address: Address,
    options: SftpOptions,
    project: Path,
    local_user: str,
    *,
    before: tuple[str, ...] = (),
    passed: bool = False,
) -> Destination:
    """A server as the options and ssh's configuration have it; the options go first."""
    file = project / home_of(options.ssh_config) if options.ssh_config else None
    found = configuration(address, file)

    def one(keyword: str) -> str:
        value = found.get(keyword, [""])[0]
        return "" if value.lower() == "none" else value

    user = address.user or one("user") or local_user
    port = address.port or number(found, "port") or 22
    host = one("hostname") or address.host
    alias = one("hostkeyalias")
    tokens = {
        "%": "%", "h": host, "n": address.host, "p": str(port), "r": user, "u": local_user, "k": alias or address.host,
        "d": str(Path.home()), "i": str(os.getuid()),
    }  # fmt: skip

    def files(keyword: str, usual: tuple[str, ...], *, listed: bool = False) -> tuple[Path, ...]:
        texts = found.get(keyword, usual)
        parts = [part for text in texts for part in (text.split() if listed else [text.strip('"')])]
        return tuple(home_of(Path(expanded(part, tokens))) for part in parts if part.lower() != "none")

    jumps = options.jump if options.jump and not passed else one("proxyjump")
    ways = before or tuple(part.strip() for part in jumps.split(",") if part.strip() and jumps.lower() != "none")
    # A `Host *` means the server on the way too.
    loops = bool(ways) and not before and not options.jump and ways[-1] == written(address)
    if loops:
        ways = ()
    command = "" if ways or (options.jump and not passed) else one("proxycommand")
    for word in (address.host, host, user, alias) if command else ():
        if active := ACTIVE.search(word):
            raise TargetError(f"{word}: {active[0]!r} in a host's or user's name is not given to a ProxyCommand")
    known = (project / home_of(options.known_hosts),) if options.known_hosts else ()
    credentials = Credentials(
        user=user,
        key=project / home_of(options.key) if options.key else None,
        passphrase=options.passphrase.reveal() if options.passphrase else "",
        password=options.password.reveal() if options.password and not passed else "",
        agent=agent_of(found.get("identityagent", [AGENT])[0].strip('"'), tokens) if options.agent else "",
        keys=files("identityfile", tuple(f"~/.ssh/{name}" for name in DEFAULT_KEYS)),
        certificates=files("certificatefile", ()),
        only=one("identitiesonly") == "yes",
    )
    patience = one("connecttimeout")
    return Destination(
        said=address,
        address=Address(user, host, port),
        name=(alias or host).lower() if alias or port == 22 else f"[{host.lower()}]:{port}",
        known_hosts=known
        or (
            *files("userknownhostsfile", USER_FILES, listed=True),
            *files("globalknownhostsfile", SYSTEM_FILES, listed=True),
        ),
        pin="" if passed else options.host_key,
        credentials=credentials,
        jumps=ways,
        command=expanded(command, tokens),
        timeout=options.connect_timeout or (float(patience) if patience.isdecimal() else 0) or PATIENCE,
        keepalive=number(found, "serveraliveinterval") or KEEPALIVE,
        hashes=one("hashknownhosts") == "yes",
        hop=passed,
        loops=loops,
    )


def agent_of(value: str, tokens: dict[str, str]) -> str:
    """The socket of the agent that an `IdentityAgent` names, empty where there is none."""
    if value.lower() == "none":
        return ""
    if value == AGENT:
        return os.environ.get(AGENT, "")
    if value.startswith("$") and not value.startswith("${"):
        return os.environ.get(value[1:], "")
    text = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), expanded(value, tokens))
    return str(home_of(Path(text))) if text else ""


def written(address: Address) -> str:
    """A server as a `ProxyJump` has it."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return (f"{address.user}@" if address.user else "") + host + (f":{address.port}" if address.port else "")


def home_of(file: Path) -> Path:
    """``file`` with the home directory that its ``~`` means."""
    try:
        return file.expanduser()
    except RuntimeError as error:
        raise TargetError(f"{file}: there is no such user", hint="write the path out") from error


def number(found: Configuration, keyword: str) -> int:
    """The number that a keyword has, 0 where it has none."""
    value = found.get(keyword, ["0"])[0]
    return int(value) if value.isdecimal() else 0


def expanded(text: str, tokens: dict[str, str]) -> str:
    """``text`` with the tokens of ssh_config(5) in their places; one that is not known stays."""
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)
