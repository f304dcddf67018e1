"""The secret source ``env``: ``${env:NAME}`` is the environment variable ``NAME``."""

from __future__ import annotations

import os

from pushkit.errors import SecretError
from pushkit.hookspecs import hookimpl
from pushkit.secrets.source import Lookup, SecretSource


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that reads the environment."""
    return read


def read(argument: str, lookup: Lookup) -> str:
    """The value of the environment variable ``argument``. Raises `SecretError` when it is not set."""
    try:
        return os.environ[argument]
    except KeyError:
        raise SecretError(
            f"the environment variable {argument} is not set", hint=f"export {argument}=... before the push"
        ) from None
