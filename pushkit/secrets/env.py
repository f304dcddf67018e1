"""The secret source ``env``: ``${env:NAME}`` is the environment variable ``NAME``."""

from __future__ import annotations

import os
from pathlib import Path

from pushkit.errors import PushkitError
from pushkit.hookspecs import hookimpl
from pushkit.secrets.source import SecretSource


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that reads the environment."""
    return read


def read(argument: str, root: Path) -> str:
    """The value of the environment variable ``argument``. Raises `PushkitError` when it is not set."""
    try:
        return os.environ[argument]
    except KeyError:
        raise PushkitError(
            f"the environment variable {argument} is not set", hint=f"export {argument}=... before the push"
        ) from None
