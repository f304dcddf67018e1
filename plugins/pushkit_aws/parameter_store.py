"""The secret source ``aws-ssm``: ``${aws-ssm:/prod/ftp/password}`` is a parameter of AWS Systems Manager."""

from __future__ import annotations

from pushkit import Lookup, SecretSource, hookimpl
from pushkit_aws.secret import read, value


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that asks."""
    return parameter


def parameter(argument: str, lookup: Lookup) -> str:
    """A parameter by its name, decrypted; behind a colon stands a version or a label. Raises `SecretError`."""
    wanted = read("aws-ssm", argument)
    return value(
        wanted,
        lookup,
        lambda clients: clients.call("ssm", "get_parameter", Name=wanted.name, WithDecryption=True)["Parameter"][
            "Value"
        ],
    )
