"""The secret source ``file``: ``${file:PATH}`` is the text of a file, without the line end it closes with."""

from __future__ import annotations

from pathlib import Path

from pushkit.errors import SecretError
from pushkit.hookspecs import hookimpl
from pushkit.secrets.source import Lookup, SecretSource


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that reads a file."""
    return read


def read(argument: str, lookup: Lookup) -> str:
    """The text of the file ``argument``, relative to the Pushfile's directory, ``~`` being the home directory.

    Raises `SecretError` when it cannot be read as UTF-8.
    """
    try:
        text = (lookup.root / Path(argument).expanduser()).read_text(encoding="utf-8")
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SecretError(
            f"the file {argument} cannot be read: {reason}", hint="a path is relative to the Pushfile"
        ) from error
    except ValueError:
        # The decoder's error carries the bytes, and a chained one would be shown with a traceback.
        raise SecretError(f"the file {argument} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
