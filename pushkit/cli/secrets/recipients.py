"""``push secrets recipients``: who can read the secrets."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pushkit.cli.columns import columns
from pushkit.cli.secrets.desk import desk, options
from pushkit.cli.secrets.rekey import rekeyed
from pushkit.cli.settings import Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import PushRefused, SecretError, UsageError
from pushkit.secrets import age
from pushkit.secrets.recipient import Recipient, parse
from pushkit.secrets.secrets_file import FILE, locked
from pushkit.suggestion import did_you_mean
from pushkit.ui.jsonl import line as json_line


@click.group(no_args_is_help=False)
def command() -> None:
    """Say who can read the secrets: people, and machines such as CI."""


@command.command("list")
@options
@click.pass_obj
def list_(settings: Settings) -> None:
    """List each recipient and the public key."""
    with desk(settings) as at:
        found = sorted(at.file().recipients.values(), key=lambda each: each.name)
    if settings.json:
        for each in found:
            say(json_line("recipient", name=each.name, key=each.key))
    elif found:
        for line in columns([(each.name, each.key) for each in found]):
            say(line)


@command.command()
@click.argument("name")
@click.argument("key", nargs=-1)
@click.option("--new", is_flag=True, help="Make a key for NAME, and write the private one to stdout, and nowhere else.")
@options
@click.pass_obj
def add(settings: Settings, name: str, key: tuple[str, ...], new: bool) -> None:
    """Let NAME read every secret, who has the private key to KEY: age1..., ssh-ed25519 or ssh-rsa, or a .pub file.

    Every secret is encrypted anew, which takes an identity that can read it.
    """
    if new == bool(key):
        raise UsageError("which key?", hint="give the public key of an existing one, or --new for a machine such as CI")
    private, public = age.generate() if new else ("", " ".join(key))
    recipient = parsed(name, public)
    with desk(settings) as at, locked(at.root):
        at.lookup.hide("identity", private)
        file = at.file()
        for each in file.recipients.values():
            if each.name == name and each.key != recipient.key:
                raise UsageError(
                    f"{name} is a recipient already, with another key",
                    hint=f"call this one otherwise, or first: push secrets recipients rm {name}",
                )
            if each.key == recipient.key and each.name != name:
                raise UsageError(f"this key is {each.name}'s already")
        file, _ = rekeyed(at, file.with_recipient(recipient))
        file.write()
        at.tell(f"{name} can read every secret", "recipient-added", name=name, key=recipient.key, identity=private)
        if new and not settings.json:
            say(private)


@command.command()
@click.argument("name")
@common("yes")
@options
@click.pass_obj
def rm(settings: Settings, name: str) -> None:
    """Let NAME read no secret that is set from now on. What NAME could read until now has to be changed."""
    with desk(settings) as at, locked(at.root):
        file = at.file()
        if name not in file.recipients:
            hint = did_you_mean(name, file.recipients) or f"recipients: {', '.join(sorted(file.recipients))}"
            raise UsageError(f"{name} is no recipient", hint=hint)
        if len(file.recipients) == 1:
            raise PushRefused(f"{name} is the last recipient: nobody could read {FILE} any more; nothing changed")
        file, _ = rekeyed(at, file.without_recipient(name))
        file.write()
        known = [str(each) for each in sorted(file.secrets)]
        at.tell(f"{name} is no recipient any more", "recipient-removed", name=name, rotate=known)
        if known and not settings.json:
            at.tell(f"change where they are used, for {name} knows them: {', '.join(known)}", "")


def parsed(name: str, key: str) -> Recipient:
    """The recipient of a command line, whose ``key`` may be the path of a file, or ``-``. Raises `UsageError`."""
    text = key
    try:
        if key == "-":
            text = sys.stdin.read()
        elif not key.startswith(("age1", "ssh-")):
            text = Path(key).expanduser().read_text(encoding="utf-8")
        recipient = parse(name, text)
        # A mistyped one has the form of a key, and only age sees that it is none.
        age.encrypt(b"", [recipient.key])
        return recipient
    except SecretError as error:
        raise UsageError(f"{name}: {error.message}") from None
    except OSError as error:
        raise UsageError(
            f"{key} is neither a public key nor a file that can be read: {error.strerror}",
            hint="give age1..., a line of ssh-ed25519 or ssh-rsa in quotes, or a .pub file",
        ) from None
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
