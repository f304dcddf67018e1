"""``push secrets init``: make the secrets file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from pushkit.cli.context import user
from pushkit.cli.secrets.desk import Desk, desk, options
from pushkit.cli.secrets.recipients import parsed
from pushkit.cli.settings import Settings
from pushkit.errors import PushRefused, SecretError, SnapshotError
from pushkit.git import git
from pushkit.secrets import age
from pushkit.secrets.identity import Identities, own_file
from pushkit.secrets.recipient import Recipient, parse
from pushkit.secrets.secrets_file import FILE, SecretsFile, locked

# What lets git keep the lines of both sides where two people added a secret at the same place.
ATTRIBUTE = f"{FILE} merge=union"


@click.command()
@click.option("--name", default="", metavar="NAME", help="What to call the first recipient; who runs this by default.")
@click.option("--key", default="", metavar="KEY", help="The public key of the first recipient, or a .pub file.")
@options
@click.pass_obj
def command(settings: Settings, name: str, key: str) -> None:
    """Make push.secrets.toml beside the Pushfile, with you as the only recipient.

    Your key is the first that is found where push looks for one: PUSH_AGE_KEY, PUSH_AGE_KEY_FILE, PUSH_AGE_KEY_COMMAND,
    your configuration, ~/.ssh/id_ed25519. Where there is none one is made.
    """
    with desk(settings) as at, locked(at.root):
        if (at.root / FILE).exists():
            raise PushRefused(f"{FILE} is there already", hint="push secrets recipients add NAME KEY lets others read")
        name = name or user()
        recipient = parsed(name, key) if key else own(at, name)
        SecretsFile(at.root / FILE).with_recipient(recipient).write()
        at.tell(f"{FILE} is there, for {name}: {recipient.key}", "secrets-file", name=name, key=recipient.key)
        if merging(at.root) and not settings.json:
            at.tell(f".gitattributes says that git keeps both sides' lines of {FILE}", "")


def own(at: Desk, name: str) -> Recipient:
    """The public key of who runs push, made when there is none. Raises `SecretError`."""
    try:
        if public := Identities(at.lookup, ()).public():
            return parse(name, public)
    except ValueError as error:
        raise SecretError(f"your key cannot be used: {error}", hint="name another one: --key age1...") from None
    path = own_file()
    if path is None:
        raise SecretError("you have no home directory for a key", hint="name a public key: --key age1...")
    secret, public = age.generate()
    at.lookup.hide("identity", secret)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(f"# {name}: {public}\n{secret}\n")
            out.flush()
            # What is encrypted for a key that a power cut took away can be read by nobody.
            os.fsync(out.fileno())
    except OSError as error:
        if not isinstance(error, FileExistsError):
            with suppress(OSError):
                path.unlink()
        raise SecretError(f"{path} cannot be written: {error.strerror}", hint="name a public key: --key") from None
    if not at.settings.json:
        at.tell(f"{path} is your new private key: keep a copy where only you can read it", "")
    return parse(name, public)


def merging(root: Path) -> bool:
    """Whether git has just been told how to merge the file. Nothing is done outside of a work tree."""
    try:
        if git(str(root), "check-attr", "merge", "--", FILE).decode().rstrip().endswith(": union"):
            return False
    except SnapshotError:  # no git, or no work tree
        return False
    file = root / ".gitattributes"
    try:
        before = file.read_bytes() if file.exists() else b""
        with file.open("ab") as out:
            out.write(b"\n" * (bool(before) and not before.endswith(b"\n")) + f"{ATTRIBUTE}\n".encode())
    except OSError as error:
        raise SecretError(
            f"{file} cannot be written: {error.strerror}; {FILE} is there", hint=f"add this line to it: {ATTRIBUTE}"
        ) from None
    return True
