"""`Definition`: a task definition as it is registered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from pushkit import Problem, PushfileError, PushRefused, excerpt

#: What `aws ecs describe-task-definition` tells and RegisterTaskDefinition does not take.
RETURNED = (
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities"),
    *("registeredAt", "registeredBy", "deregisteredAt", "deleteRequestedAt"),
)
#: A definition that is registered already, by its ARN or by family and number.
REGISTERED = re.compile(r"arn:.+|[\w-]+:\d+", re.ASCII)
DIGEST = "push-digest"


class DefinitionError(PushfileError):
    """Every problem of a task definition. Exit code 3, like a Pushfile's."""


class Definition(Struct, frozen=True):
    """``request`` is what RegisterTaskDefinition takes, valid by the service's own model."""

    request: Mapping[str, Any]

    @property
    def family(self) -> str:
        """Its name, which all its revisions have."""
        return str(self.request["family"])

    @property
    def digest(self) -> str:
        """The sha256 of all of it, in hex."""
        return hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()

    @property
    def tagged(self) -> dict[str, Any]:
        """The request, with the digest as one of its tags."""
        tags = [each for each in self.request.get("tags", ()) if each.get("key") != DIGEST]
        return {**self.request, "tags": [*tags, {"key": DIGEST, "value": self.digest}]}

    @property
    def ports(self) -> list[tuple[str, int]]:
        """Every port of every container."""
        return [
            (str(container["name"]), int(mapping["containerPort"]))
            for container in self.request["containerDefinitions"]
            for mapping in container.get("portMappings", ())
            if "containerPort" in mapping
        ]

    def with_images(self, images: Mapping[str, str]) -> Definition:
        """The definition with other images, by container. Raises `PushRefused` for a container that it has not."""
        containers = self.request["containerDefinitions"]
        names = [str(each.get("name")) for each in containers]
        if strange := sorted(set(images) - set(names)):
            raise PushRefused(
                f"the task definition has no container {strange[0]}", hint=f"`images` is about: {', '.join(names)}"
            )
        changed = [{**each, "image": images.get(str(each.get("name")), each.get("image"))} for each in containers]
        return Definition({**self.request, "containerDefinitions": changed})


def read_definition(content: bytes, name: str, shape: Any) -> Definition:
    """The task definition in ``content``, of the file ``name``; ``shape`` is that of the request, as botocore has it.

    Raises `DefinitionError` with every problem.
    """
    from botocore.validate import ParamValidator  # noqa: PLC0415  (with boto3)

    try:
        found = json.loads(content)
    except json.JSONDecodeError as error:
        raise DefinitionError(name, [Problem(error.lineno, "", f"it is no JSON: {error.msg}")]) from error
    except (ValueError, RecursionError) as error:
        raise DefinitionError(name, [Problem(0, "", f"it is no JSON: {excerpt(str(error), 100)}")]) from error
    if isinstance(found, dict) and isinstance(found.get("taskDefinition"), dict):
        found = found["taskDefinition"]
    if not isinstance(found, dict):
        raise DefinitionError(name, [Problem(0, "", "it is no task definition", "it is an object with `family`")])
    request = {key: value for key, value in found.items() if key not in RETURNED}
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        lines = report.generate_report().splitlines()
        raise DefinitionError(name, [Problem(0, "", excerpt(line, 200)) for line in lines])
    return Definition(request)
