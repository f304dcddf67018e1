"""A secret of AWS by its reference: ``NAME#KEY?region=REGION``, where ``KEY`` and what follows may be missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from pushkit import Interrupted, Lookup, SecretError, TargetError, excerpt
from pushkit_aws.clients import Caller, Clients
from pushkit_aws.source import WORDS, options_of
from pushkit_aws.words import AwsError

#: Codes of a service that has no such secret, or no such version of it.
MISSING = {"ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound", "InvalidParameterException"}


class Secret(Struct, frozen=True):
    """``source`` is the name of the secret source, ``key`` that of a JSON object, empty for all of its text.

    ``words`` are what follows the question mark. Neither ``#`` nor ``?`` can be in a name.
    """

    source: str
    name: str
    key: str
    words: Mapping[str, str]

    def __str__(self) -> str:
        return f"${{{self.source}:{self.name}{'#' * bool(self.key)}{self.key}}}"


def read(source: str, argument: str, more: tuple[str, ...] = ()) -> Secret:
    """The reference ``argument``, which may have the words ``more``. Raises `SecretError`."""
    place, _, query = argument.partition("?")
    name, _, key = place.partition("#")
    words = dict(parse_qsl(query, keep_blank_values=True))
    if not name:
        raise SecretError(f"${{{source}:{argument}}} names no secret", hint=f"write ${{{source}:NAME}}")
    if strange := sorted(set(words) - {*WORDS, *more}):
        known = ", ".join((*WORDS, *more))
        raise SecretError(f"${{{source}:{argument}}}: there is no word {strange[0]}", hint=f"the words are: {known}")
    return Secret(source, name, key, words)


def value(secret: Secret, lookup: Lookup, ask: Callable[[Clients], Any]) -> str:
    """The value of ``secret``, whose text ``ask`` gets; each is asked for once, whatever keys of it are wanted.

    Raises `SecretError`, which names the reference and never a value, `PluginError` without boto3, `Interrupted`.
    """

    def check() -> None:
        if lookup.cancelled.is_set():
            raise Interrupted("stopped")

    def asked() -> str:
        try:
            options = options_of(secret.words)
        except ValueError as error:
            raise SecretError(f"{secret}: {error}") from None
        clients = Clients(Caller(f'the secret source "{secret.source}"', lookup.root, check, excerpt), options)
        try:
            return str(ask(clients))
        except AwsError as error:
            if error.code in MISSING:
                raise SecretError(
                    f"{secret} is not there", hint="look at its name, its version, and the region"
                ) from error
            raise SecretError(f"{secret} cannot be had: {error.message}", hint=error.hint) from error
        except TargetError as error:
            raise SecretError(f"{secret} cannot be had: {error.message}", hint=error.hint) from error
        finally:
            clients.close()

    text: str = lookup.once((secret.source, secret.name, tuple(sorted(secret.words.items()))), asked)
    return of_key(secret, text) if secret.key else text


def of_key(secret: Secret, text: str) -> str:
    """The value of a key of the JSON object ``text``. Raises `SecretError`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise SecretError(f"{secret}: the secret is no JSON object", hint="without #KEY, all of its text is meant")
    found = document.get(secret.key)
    if found is None or isinstance(found, (dict, list)):
        raise SecretError(f"{secret}: there is no text or number of that key")
    return found if isinstance(found, str) else json.dumps(found)
