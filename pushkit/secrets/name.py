"""`Name`: what a secret is called, and whose it is."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Name(NamedTuple):
    """A secret's ``name`` within its scope: one target's, or, with an empty ``target``, everybody's."""

    target: str
    name: str

    def __str__(self) -> str:
        """As the secrets file has it: ``ftp.password``, ``production/ftp.password``."""
        return f"{self.target}/{self.name}" if self.target else self.name

    @classmethod
    def parse(cls, text: str) -> Self:
        """The name that ``text`` is. Raises ValueError."""
        target, slash, name = text.rpartition("/")
        if not _NAME.fullmatch(name) or (slash and not _TARGET.fullmatch(target)):
            raise ValueError(
                "a secret's name has letters, digits, dots, dashes and underscores; TARGET/ may stand before it"
            )
        return cls(target, name)
