"""``push secrets set``: keep a secret, encrypted."""

from __future__ import annotations

import sys

import click

from pushkit.cli.context import on_terminal
from pushkit.cli.secrets.desk import desk, for_target, options
from pushkit.cli.settings import Settings
from pushkit.errors import UsageError
from pushkit.secrets.secrets_file import LONGEST, locked


@click.command()
@click.argument("name")
@click.argument("value", required=False)
@for_target
@options
@click.pass_obj
def command(settings: Settings, name: str, value: str | None, target: str) -> None:
    """Ask for the value of NAME, or read it from stdin, and keep it encrypted for every recipient.

    It takes no identity: who can read nothing can still set a secret.
    """
    if value is not None:
        raise UsageError(
            "a value on the command line can be seen by others, and stays in the shell's history",
            hint=f"leave it away and type it when asked, or give it on stdin: push secrets set {name} < FILE",
        )
    asking = on_terminal() and not settings.json
    # Before Ctrl-C is only heard between two steps: who sends it waits for nothing.
    given = "" if asking else read()
    with desk(settings) as at:
        wanted = at.name(name, target)
        if asking:
            at.file()  # before anybody types anything
            given = at.lookup.ask(f"value of {wanted}")
        at.lookup.hide(str(wanted), given)
        with locked(at.root):
            file = at.file()
            known = wanted in file.secrets
            file.with_secret(wanted, given).write()
        what = "changed" if known else "kept"
        at.tell(
            f"{wanted} is {what}, for {', '.join(sorted(file.recipients))}",
            "secret-changed",
            name=str(wanted),
            done=what,
        )


def read() -> str:
    """Standard input, without the line end it closes with. Raises `UsageError`."""
    data = sys.stdin.buffer.read(LONGEST + 2)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8 text", hint="encode it first, with base64 say") from None
    if not text:
        raise UsageError("standard input is empty: there is no value")
    return text.removesuffix("\n").removesuffix("\r")
