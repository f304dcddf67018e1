"""The secret source ``secret``: ``${secret:NAME}`` is a value of the project's secrets file, decrypted."""

from __future__ import annotations

from pushkit.errors import SecretError
from pushkit.hookspecs import hookimpl
from pushkit.secrets.identity import Identities
from pushkit.secrets.secrets_file import SecretsFile
from pushkit.secrets.source import Lookup, SecretSource


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that reads the secrets file."""
    return value


def value(argument: str, lookup: Lookup) -> str:
    """The value of the secret ``argument``: the target's own, or the one that is everybody's.

    Raises `SecretError` when there is none, it was damaged or put in another's place, or no identity can read it.
    """
    if "/" in argument:
        raise SecretError(
            f"a reference names no target: {argument}",
            hint=f"write ${{secret:{argument.rpartition('/')[2]}}}; each target finds its own",
        )
    file = lookup.once("secrets file", lambda: SecretsFile.read(lookup.root))
    identities = Identities(lookup, {each.key for each in file.recipients.values()})
    return file.open(file.find(argument, lookup.target), identities).value
