"""`GitOptions`: what a target with the strategy ``git`` may say."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Literal

from msgspec import Meta

from pushkit import Options, Secret, checks, public
from pushkit_git.address import parse
from pushkit_git.message import FIELDS, check_fields

# git-check-ref-format(1); `@{`, `..` and the rest are looked for apart.
BRANCH = re.compile(r"(?!-)[^\s\0-\x20\x7f~^:?*\[\\]+")
URL = public("the address without it, and `token` for a credential")


class GitOptions(Options):
    """Options of the strategy ``git``."""

    remote: Annotated[
        str,
        URL,
        Meta(
            description="The repository: a URL, `user@host:path`, a path, or the name of a remote of the project's own."
        ),
    ]
    branch: Annotated[str, Meta(description="The branch that is pushed to; it is made when it is not there.")] = "main"
    what: Annotated[
        Literal["snapshot", "commit"],
        Meta(
            description="`snapshot` pushes a commit made of the snapshot, with the branch's history before it; "
            "`commit` the commit that the project is at."
        ),
    ] = "snapshot"
    dir: Annotated[str, Meta(description="A directory of the snapshot that is pushed as if it were all of it.")] = ""
    allow_dirty: Annotated[
        bool, Meta(description="Push the commit although files differ from it; they do not travel.")
    ] = False
    force: Annotated[
        bool, Meta(description="Replace the branch's history, as long as the branch is still what push looked at.")
    ] = False
    message: Annotated[
        str,
        Meta(
            description="The message of a commit that is made of a snapshot, with fields: "
            + ", ".join(f"{{{each}}}" for each in FIELDS)
            + "."
        ),
    ] = "{project} {revision}"
    author: Annotated[
        str,
        Meta(description='Who such a commit is by, "Name <address>"; by default who git says you are, or who pushes.'),
    ] = ""
    user: Annotated[str, Meta(description="The user of `token`; most servers take any.")] = ""
    token: Annotated[Secret | None, Meta(description="A token or password for an `https://` address.")] = None
    auth: Annotated[
        Literal["basic", "bearer"],
        Meta(description="How `token` is sent: as a password, or as `Authorization: Bearer TOKEN`."),
    ] = "basic"
    key: Annotated[
        str, Meta(description="A private key for SSH; a relative path starts at the Pushfile's directory.")
    ] = ""
    known_hosts: Annotated[str, Meta(description="The file of known host keys; by default those of ssh.")] = ""
    tls: Annotated[
        Literal["verified", "none"], Meta(description="`none` allows an address with `http://` or `git://`.")
    ] = "verified"
    ca_file: Annotated[str, Meta(description="Certificates of authorities to trust, instead of the system's.")] = ""
    timeout: Annotated[float, Meta(gt=0, description="Seconds that a push may take, with what the server runs.")] = 3600

    @checks("branch")
    @classmethod
    def _branch(cls, value: str) -> str:
        parts = value.removeprefix("refs/heads/").split("/")
        odd = any(not part or part.startswith(".") or part.endswith((".lock", ".")) for part in parts)
        if not BRANCH.fullmatch(value) or odd or ".." in value or "@{" in value or value == "@":
            raise ValueError("git has no branch of such a name")
        return value.removeprefix("refs/heads/")

    @checks("dir")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = posixpath.normpath(value) if value else ""
        if path.startswith(("/", "../")) or path == "..":
            raise ValueError("expected a directory of the project")
        return "" if path == "." else path

    @checks("message")
    @classmethod
    def _message(cls, value: str) -> str:
        check_fields(value)
        return value

    @checks("author")
    @classmethod
    def _author(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^<>\n\0]*[^<>\s\0] <[^<>\s\0]*>", value):
            raise ValueError('expected "Name <address>"')
        return value

    @checks("user")
    @classmethod
    def _user(cls, value: str) -> str:
        # The lines of gitcredentials(7).
        if any(character in value for character in ":\r\n\0"):
            raise ValueError("it cannot hold a colon or a line end")
        return value

    @checks("token")
    @classmethod
    def _token(cls, value: Secret | None) -> Secret | None:
        if value is not None and any(character in value.reveal() for character in "\r\n\0"):
            raise ValueError("it has a line end; is there one at the end of a file?")
        return value

    @checks()
    def _together(self) -> None:
        try:
            address = parse(self.remote)
        except ValueError as error:
            raise ValueError(f"`remote`: {error}") from None
        if address.clear and self.tls != "none":
            raise ValueError(f'`remote`: {address.scheme}:// is clear text; write https://, or tls = "none"')
        if self.token and address.scheme and not address.web:
            raise ValueError("`token` is for an address with https://; ssh takes `key`")
        if self.user and not self.token:
            raise ValueError("`user` is the user of `token`, which is missing")
        if (self.key or self.known_hosts) and address.scheme and not address.ssh:
            raise ValueError("`key` and `known_hosts` are for an address of SSH")
        if self.what == "commit" and self.dir:
            raise ValueError('`dir` is for `what = "snapshot"`: a commit travels whole')
        if self.what == "snapshot" and self.allow_dirty:
            raise ValueError('`allow_dirty` is for `what = "commit"`: a snapshot holds what differs')
