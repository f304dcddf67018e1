"""Comparing a policy that somebody has with the one that is needed: what is missing, and what is too much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from pushkit import UsageError
from pushkit_aws.iam.policies import Policy

Right = tuple[str, str]


class Comparison(Struct, frozen=True):
    """``missing`` are actions with resources that are needed and not allowed; ``too_much`` what is allowed and not
    needed; ``unclear`` what cannot be judged, in words."""

    missing: tuple[Right, ...]
    too_much: tuple[Right, ...]
    unclear: tuple[str, ...]


class Given(Struct, frozen=True):
    """What a policy document allows and denies, as pairs of an action and a resource; patterns with ``*`` and ``?``."""

    allowed: tuple[Right, ...]
    denied: tuple[Right, ...]
    unclear: tuple[str, ...]


def compare(needed: Policy, given: Given) -> Comparison:
    """Compare ``given`` with the statements of ``needed``."""
    rights = [
        (action, resource) for each in needed.statements for action in each.actions for resource in each.resources
    ]
    missing = tuple(
        right
        for right in rights
        if not any(covers(each, right) for each in given.allowed) or any(covers(each, right) for each in given.denied)
    )
    too_much = tuple(each for each in given.allowed if not any(covers(right, each) for right in rights))
    return Comparison(missing, too_much, given.unclear)


def covers(wide: Right, narrow: Right) -> bool:
    """Whether all that ``narrow`` is for, ``wide`` is for too. Actions are the same in any case, resources are not."""
    return pattern(wide[0].lower(), narrow[0].lower()) and pattern(wide[1], narrow[1])


def pattern(wide: str, narrow: str) -> bool:
    """Whether the pattern ``wide`` matches all that the pattern ``narrow`` does: only a star matches a star."""
    parts = {"*": ".*", "?": "[^*]"}
    return bool(re.fullmatch("".join(parts.get(char, re.escape(char)) for char in wide), narrow, re.DOTALL))


def read_policy(content: bytes, name: str) -> Given:
    """The policy document in ``content``, of the file ``name``. Raises `UsageError`."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is no JSON: {error}") from error
    # `aws iam get-policy-version` wraps the document, and a role's trust stands beside it.
    while isinstance(document, dict) and "Statement" not in document:
        inner = next(
            (document[key] for key in ("PolicyVersion", "Document", "PolicyDocument", "policy") if key in document),
            None,
        )
        document = inner
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        raise UsageError(f"{name} is no policy document", hint='it has a list "Statement"')
    allowed: list[Right] = []
    denied: list[Right] = []
    unclear: list[str] = []
    for number, statement in enumerate(statements):
        label = f"statement {statement.get('Sid') or number + 1}"
        unclear += (f"{label}: {why}" for why in _unclear(statement))
        into = allowed if statement.get("Effect") == "Allow" else denied
        into += (
            (action, resource) for action in texts(statement, "Action") for resource in texts(statement, "Resource")
        )
    return Given(tuple(allowed), tuple(denied), tuple(unclear))


def _unclear(statement: dict[str, Any]) -> Iterator[str]:
    if statement.get("Effect") not in {"Allow", "Deny"}:
        yield "it neither allows nor denies"
    for key in ("NotAction", "NotResource"):
        if key in statement:
            yield f"{key} allows or denies all but something, which is hardly little"
    if statement.get("Condition"):
        yield "it has a condition, and is taken as if it had none"


def texts(statement: dict[str, Any], key: str) -> Iterator[str]:
    """The texts of a key, of which there may be one or a list."""
    value = statement.get(key)
    yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
