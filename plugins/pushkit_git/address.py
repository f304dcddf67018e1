"""Where a git repository is: what a Pushfile says, and what git makes of it (git-push(1), GIT URLS)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://\S+")
HELPER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*::\S+")
#: The scp-like form: a colon before the first slash.
SCP = re.compile(r"(?:[^\s/:@]+@)?(?P<host>\[[^\]\s]+\]|[^\s/:@]+):(?P<path>\S+)")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
SSH = {"ssh", "git+ssh", "ssh+git"}
WEB = {"http", "https"}


class Address(Struct, frozen=True):
    """A repository. ``scheme`` is of its URL, ``file`` for a path, empty for the name of a remote of the project's own.

    ``url`` is what git is told. ``host`` and ``port`` (0: the usual one) are empty where no host is known.
    """

    scheme: str
    url: str
    host: str = ""
    port: int = 0

    @property
    def web(self) -> bool:
        """Whether it is spoken to by HTTP."""
        return self.scheme in WEB

    @property
    def ssh(self) -> bool:
        """Whether it is spoken to by SSH."""
        return self.scheme == "ssh"

    @property
    def clear(self) -> bool:
        """Whether everything travels in clear text."""
        return self.scheme in {"http", "git", "ftp"}

    @property
    def origin(self) -> str:
        """Scheme, host and port of a URL, to which alone a credential may go."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")


def parse(text: str) -> Address:
    """What ``text`` names: a URL, ``user@host:path``, a path, or a remote of the project's repository.

    Raises `ValueError` when git could not use it, or it holds a credential.
    """
    if not text or text.startswith("-") or any(ord(character) < 33 for character in text):
        raise ValueError('expected a URL such as "https://git.example.com/blog.git", a path, or the name of a remote')
    if HELPER.fullmatch(text):
        if text.startswith("ext::"):
            raise ValueError("`ext::` hides a command in an address; the strategy `script` runs one openly")
        return Address("helper", text)
    found = URL.fullmatch(text)
    if found:
        return of_url(text, found["scheme"].lower())
    # A path has a slash before a colon, if it has a colon at all.
    found = SCP.fullmatch(text)
    if found:
        return Address("ssh", text, found["host"].strip("[]"))
    if NAME.fullmatch(text):
        return Address("", text)
    return Address("file", text)


def of_url(text: str, scheme: str) -> Address:
    """The address that a URL is."""
    try:
        parts = urlsplit(text)
        port = parts.port or 0
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if parts.password is not None or (parts.username and scheme in WEB):
        raise ValueError("it holds a user or a password, which everybody can see; write them as `user` and `token`")
    if scheme in {*WEB, *SSH, "git"} and not parts.hostname:
        raise ValueError("the URL names no host")
    return Address("ssh" if scheme in SSH else scheme, text, parts.hostname or "", port)


def located(address: Address, root: Path) -> Address:
    """The same with a path made absolute: a relative one starts at ``root``."""
    if address.scheme != "file" or "://" in address.url:
        return address
    return Address("file", os.path.normpath(root / Path(address.url).expanduser()))
