"""The secret source ``aws-sm``: ``${aws-sm:prod/ftp#password}`` is a key of a secret of AWS Secrets Manager."""

from __future__ import annotations

from typing import Any

from pushkit import Lookup, SecretError, SecretSource, hookimpl
from pushkit_aws.clients import Clients
from pushkit_aws.secret import Secret, read, value

SERVICE = "secretsmanager"


@hookimpl
def pushkit_secret_source() -> SecretSource:
    """The function that asks."""
    return secret


def secret(argument: str, lookup: Lookup) -> str:
    """A secret by its name or ARN; ``?stage=AWSPREVIOUS`` is the version before. Raises `SecretError`."""
    wanted = read("aws-sm", argument, ("stage",))
    return value(wanted, lookup, lambda clients: text(wanted, clients))


def text(wanted: Secret, clients: Clients) -> str:
    """The text of a secret. Raises `SecretError` for bytes that are none."""
    stage = {"VersionStage": wanted.words["stage"]} if "stage" in wanted.words else {}
    found: dict[str, Any] = clients.call(SERVICE, "get_secret_value", SecretId=wanted.name, **stage)
    if "SecretString" in found:
        return str(found["SecretString"])
    try:
        return bytes(found.get("SecretBinary", b"")).decode()
    except UnicodeDecodeError:
        raise SecretError(f"{wanted} is not UTF-8 text") from None
