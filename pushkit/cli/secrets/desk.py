"""`Desk`: what the commands about secrets work with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from pushkit import pushfile
from pushkit.cli.context import conversation, target_names
from pushkit.cli.core_files import leave_none
from pushkit.cli.settings import EVERYWHERE, Settings, common
from pushkit.cli.stdout import say
from pushkit.errors import UsageError
from pushkit.questions import Questions
from pushkit.secrets.envelope import Envelope
from pushkit.secrets.identity import Identities
from pushkit.secrets.name import Name
from pushkit.secrets.redaction import Redactor
from pushkit.secrets.secrets_file import SecretsFile
from pushkit.secrets.source import Lookup
from pushkit.suggestion import did_you_mean
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.reporter import Lines
from pushkit.ui.text import visible

options = common("pushfile", "json", *EVERYWHERE)
"""The options of every command about secrets."""

for_target = click.option(
    "-t", "--target", default="", metavar="TARGET", help="The secret of this target alone, not everybody's."
)


class Desk(Struct, frozen=True):
    """The secrets file of the project in the directory ``root``, who is asked, and how it is told.

    ``confirm`` asks for a yes, and raises `PushRefused` when there is nobody to give it.
    """

    settings: Settings
    root: Path
    lookup: Lookup
    confirm: Callable[[str], bool]

    def file(self) -> SecretsFile:
        """What the file says. Raises `SecretError`, `PushfileError`."""
        return SecretsFile.read(self.root)

    def identities(self, file: SecretsFile) -> Identities:
        """What decrypts it here."""
        return Identities(self.lookup, {each.key for each in file.recipients.values()})

    def open(self, file: SecretsFile, name: Name) -> Envelope:
        """The secret ``name``, decrypted, and hidden from now on. Raises `SecretError`."""
        opened = file.open(name, self.identities(file))
        self.lookup.hide(str(name), opened.value)
        return opened

    def name(self, text: str, target: str) -> Name:
        """The secret that a command line names. Raises `UsageError`."""
        try:
            name = Name.parse(f"{target}/{text}" if target else text)
        except ValueError as error:
            raise UsageError(f"{text!r} is no name: {error}") from None
        if name.target:
            self.target(name.target)
        return name

    def target(self, name: str) -> None:
        """Raise `UsageError` when the Pushfile has no target ``name``."""
        names = target_names(self.settings)
        if name not in names:
            raise UsageError(f'there is no target "{name}"', hint=did_you_mean(name, names) or ", ".join(names))

    def tell(self, text: str, event: str, **values: object) -> None:
        """Say what was done: to people on stderr, to a program as the ``event`` on stdout."""
        if self.settings.json:
            say(json_line(event, **values))
        elif not self.settings.quiet:
            Lines(sys.stderr)(visible(text))


@contextmanager
def desk(settings: Settings) -> Iterator[Desk]:
    """A desk for one command. No core file is left, and what is decrypted is hidden in what is told of a failure."""
    leave_none()
    root = pushfile.find(settings.pushfile).parent
    redactor = Redactor()
    settings.redact = redactor
    with conversation(settings) as talk:
        asked = Questions(talk.ask, redactor)
        yield Desk(settings, root, Lookup(root, "", asked, redactor.add, cancelled=talk.cancelled), talk.confirm)
