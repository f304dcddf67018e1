"""``push secrets init``: make the secrets file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pushkit.cli.context import user
from pushkit.cli.secrets.desk import Desk, desk, options
from pushkit.cli.secrets.recipients import parsed
from pushkit.cli.settings import Settings
from pushkit.errors import PushRefused, SecretError, SnapshotError
from pushkit.git import git
from pushkit.secrets import age
from pushkit.secrets.identity import own_file, public_key, ssh_keys
from pushkit.secrets.recipient import Recipient, parse
from pushkit.secrets.secrets_file import FILE, SecretsFile, locked
from pushkit.secrets.variables import KEY

# What lets git keep the lines of both sides where two people added a secret at the same place.
ATTRIBUTE = f"{FILE} merge=union"


@click.command()
@click.option("--name", default="", metavar="NAME", help="What to call the first recipient; who runs this by default.")
@click.option("--key", default="", metavar="KEY", help="The public key of the first recipient, or a .pub file.")
@options
@click.pass_obj
def command(settings: Settings, name: str, key: str) -> None:
    """Make push.secrets.toml beside the Pushfile, with you as the only recipient.

    Your key is that of PUSH_AGE_KEY, of your configuration, or ~/.ssh/id_ed25519; where there is none one is made.
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
    path = own_file()
    try:
        if key := os.environ.get(KEY, "").strip():
            return parse(name, age.public(key))
        if path and path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            return parse(name, age.public(next(line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-"))))
        for each in ssh_keys():
            if public := public_key(each, each.read_text(encoding="utf-8")):
                return parse(name, public)
    except (ValueError, OSError, StopIteration) as error:
        raise SecretError(f"your key cannot be used: {error}", hint="name another one: --key age1...") from None
    if path is None:
        raise SecretError("you have no home directory for a key", hint="name a public key: --key age1...")
    secret, public = age.generate()
    at.lookup.hide("identity", secret)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(f"# {name}: {public}\n{secret}\n")
    except OSError as error:
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
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text(
        before + ("\n" if before and not before.endswith("\n") else "") + ATTRIBUTE + "\n", encoding="utf-8"
    )
    return True
