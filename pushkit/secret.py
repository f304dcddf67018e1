"""`Secret`: a text that shows itself to nobody by accident."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: What a secret shows of itself, however long it is.
MASK = "**********"


class Secret:
    """A text that others must not see: neither ``str`` nor ``repr`` shows it. Equal to a secret of the same text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def of_option(cls, value: object) -> Secret:
        """The secret that a Pushfile's ``value`` is. Raises TypeError when it is no text."""
        if not isinstance(value, str):
            raise TypeError("not text")
        return cls(value)

    @staticmethod
    def option_schema() -> Mapping[str, Any]:
        """The JSON Schema of an option that is one."""
        return {"type": "string", "format": "password", "writeOnly": True}

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __str__(self) -> str:
        return MASK if self else ""

    def __len__(self) -> int:
        return len(self.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())


class Lazy(Secret):
    """A secret that is resolved when its text is asked for. What it shows of itself does not ask."""

    __slots__ = ("_resolve",)

    def __init__(self, resolve: Callable[[], str]) -> None:
        super().__init__("")
        self._resolve = resolve

    def reveal(self) -> str:
        """The text. Raises what resolving it raises."""
        return self._resolve()

    def __bool__(self) -> bool:
        # That there is one is known: an empty one is refused when it is resolved.
        return True
