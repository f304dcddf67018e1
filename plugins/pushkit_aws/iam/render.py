"""Policies as JSON, for the console and the command line of AWS, and as Terraform, with their reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pushkit_aws.iam.policies import Policy, Statement

VERSION = "2012-10-17"


def document(policy: Policy) -> dict[str, Any]:
    """The policy document."""
    statements = [
        {"Sid": each.sid, "Effect": "Allow", "Action": list(each.actions), "Resource": list(each.resources)}
        for each in policy.statements
    ]
    return {"Version": VERSION, "Statement": statements}


def trust(policy: Policy) -> dict[str, Any]:
    """The document that lets a service take the role."""
    allowed = {"Effect": "Allow", "Principal": {"Service": policy.trusts}, "Action": "sts:AssumeRole"}
    return {"Version": VERSION, "Statement": [allowed]}


def as_json(policies: Sequence[Policy]) -> str:
    """All policies by name, each with its document, its trust, what AWS has of it, and the reasons by statement."""
    found: dict[str, Any] = {}
    for policy in policies:
        one: dict[str, Any] = {"about": policy.about}
        if policy.statements:
            one["policy"] = document(policy)
            one["reasons"] = {each.sid: each.reason for each in policy.statements}
        if policy.managed:
            one["managed"] = list(policy.managed)
        if policy.trusts:
            one["trust"] = trust(policy)
        found[policy.name] = one
    return json.dumps(found, indent=2)


def as_terraform(policies: Sequence[Policy]) -> str:
    """All policies as ``aws_iam_policy_document`` data, to be named in resources of one's own."""
    return "\n".join(line for policy in policies for line in terraform(policy))


def terraform(policy: Policy) -> Iterator[str]:
    """One policy, line by line, formatted as ``terraform fmt`` has it."""
    yield f"# {policy.about}"
    yield from (f"# attach {arn}" for arn in policy.managed)
    if policy.trusts:
        yield f'data "aws_iam_policy_document" "{policy.name}_trust" {{'
        yield "  statement {"
        yield '    actions = ["sts:AssumeRole"]'
        yield ""
        yield "    principals {"
        yield '      type        = "Service"'
        yield f"      identifiers = [{quoted(policy.trusts)}]"
        yield "    }"
        yield "  }"
        yield "}"
        yield ""
    if policy.statements:
        yield f'data "aws_iam_policy_document" "{policy.name}" {{'
        for number, statement in enumerate(policy.statements):
            yield from [""] * bool(number)
            yield from _block(statement)
        yield "}"
        yield ""


def _block(statement: Statement) -> Iterator[str]:
    yield f"  # {statement.reason}"
    yield "  statement {"
    yield f"    sid       = {quoted(statement.sid)}"
    yield f"    actions   = [{', '.join(map(quoted, statement.actions))}]"
    yield f"    resources = [{', '.join(map(quoted, statement.resources))}]"
    yield "  }"


def quoted(text: str) -> str:
    """``text`` as a string of HCL, in which ``${`` and ``%{`` are templates unless doubled."""
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")
