"""Which right a request to AWS takes, and on what: the action and the resource of a policy.

Of the services that a push asks: CodeDeploy, Lambda, ECS, CloudWatch, CloudFront, CodePipeline (Service Authorization
Reference).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ACCOUNT = "123456789012"
REGION = "us-east-1"
Right = tuple[str, str]
#: Operations of CodeDeploy that AWS lets be limited to no resource, and those about the application.
WITHOUT_RESOURCE = {"BatchGetDeploymentTargets", "ContinueDeployment", "ListDeploymentTargets", "StopDeployment"}
#: The configuration that the group has.
OF_GROUP = "CodeDeployDefault.AllAtOnce"
INVALIDATION = re.compile(r"/2020-05-31/distribution/([^/]+)/invalidation")
OF_APPLICATION = {"RegisterApplicationRevision", "GetApplicationRevision"}


def of_codedeploy(operation: str, asked: Mapping[str, Any]) -> Iterator[Right]:
    """The rights of an operation of CodeDeploy."""
    names = [operation]
    if operation == "CreateDeployment":
        # It is done in the name of the caller, who has to be allowed what it takes.
        names += ["GetApplicationRevision", "GetDeploymentConfig"]
        # A revision that comes with the request is registered by it.
        names += ["RegisterApplicationRevision"] * ("appSpecContent" in asked["revision"])
    for name in names:
        kind = "deploymentgroup:blog/prod"
        if name in OF_APPLICATION:
            kind = "application:blog"
        elif name == "GetDeploymentConfig":
            kind = f"deploymentconfig:{asked.get('deploymentConfigName', OF_GROUP)}"
        yield f"codedeploy:{name}", "*" if name in WITHOUT_RESOURCE else f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:{kind}"


def of_request(method: str, path: str, target: str, body: bytes) -> Iterator[Right]:
    """The rights of a request to another service; ``target`` is its header X-Amz-Target."""
    service, _, operation = target.rpartition(".")
    if service.startswith("AmazonEC2ContainerService"):
        yield f"ecs:{operation}", "*"
        asked = json.loads(body or b"{}")
        if operation == "RegisterTaskDefinition":
            if asked.get("tags"):
                yield "ecs:TagResource", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{asked['family']}:1"
            for key in ("executionRoleArn", "taskRoleArn"):
                if key in asked:
                    yield "iam:PassRole", asked[key]
    elif service.startswith("CodePipeline"):
        asked = json.loads(body)
        name = asked.get("pipelineName") or asked["name"]
        yield f"codepipeline:{operation}", f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:{name}"
    elif found := INVALIDATION.fullmatch(path):
        yield "cloudfront:CreateInvalidation", f"arn:aws:cloudfront::{ACCOUNT}:distribution/{found[1]}"
    elif service:
        yield f"cloudwatch:{operation}", "*"
    elif path.startswith("/service/"):
        # CBOR: the operation is the last word of the path.
        yield f"cloudwatch:{path.rpartition('/')[2]}", "*"
    elif path == "/":
        yield f"cloudwatch:{parse_qs(body.decode())['Action'][0]}", "*"
    else:
        yield of_lambda(method, path)


def of_lambda(method: str, path: str) -> Right:
    """The right of a request to Lambda, which is REST."""
    parts = urlsplit(path)
    for name, verb, pattern in operations():
        found = pattern.fullmatch(unquote(parts.path))
        if found and verb == method:
            qualifier = parse_qs(parts.query).get("Qualifier", [""])[0]
            of = f":{qualifier}" if qualifier and qualifier != "$LATEST" else ""
            return f"lambda:{name}", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{found['FunctionName']}{of}"
    raise ValueError(f"{method} {path} is no request to Lambda")


@cache
def operations() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """The operations of Lambda about a function: name, method, path."""
    from botocore.loaders import create_loader  # noqa: PLC0415  (only who asks needs it)

    found = create_loader().load_service_model("lambda", "service-2")["operations"]
    made = []
    for name, each in found.items():
        path = each["http"]["requestUri"].partition("?")[0].rstrip("/")
        if "{FunctionName}" in path:
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
            made.append((name, each["http"]["method"], re.compile(pattern)))
    return tuple(made)


def refusal(action: str, resource: str) -> str:
    """What AWS says to who lacks a right."""
    return f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: {action} on resource: {resource}"
