"""`TaskStrategy`: a task definition of the snapshot, registered and deployed to a service of ECS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from pushkit import (
    Action,
    Entry,
    Kind,
    Plan,
    PushRefused,
    Release,
    Snapshot,
    Step,
    TargetError,
)
from pushkit_aws.appspec import AppSpec, Function, Resource, emit, load
from pushkit_aws.codedeploy.group import described
from pushkit_aws.codedeploy.group_strategy import GroupStrategy
from pushkit_aws.codedeploy.revision import Content, of_deployment, of_text
from pushkit_aws.tasks.definition import DIGEST, REGISTERED, Definition, DefinitionError, read_definition
from pushkit_aws.words import AwsError

SERVICE = "ecs"


class TaskPlan(Plan, frozen=True):
    """``arn`` is the definition's where it is registered already; ``spec`` the AppSpec of its deployment."""

    arn: str = ""
    spec: AppSpec | None = None
    definition: Definition | None = None


class TaskStrategy(GroupStrategy):
    """A task definition, deployed by AWS CodeDeploy to a service of ECS."""

    def plan(self, snapshot: Snapshot) -> Plan:
        """Validate the definition and the AppSpec, and compare them with what was deployed last.

        Raises `DefinitionError` and `AppSpecError` with every problem, `PushRefused`, `TargetError`.
        """
        definition, arn = self._definition(snapshot)
        spec = self._appspec(snapshot, definition.ports)
        live = self._group.last
        live_id = str(live["deploymentId"]) if live else ""
        warnings = tuple(f"{spec.name}: {each.message}" for each in spec.warnings)
        name = self.run.target.name
        same = bool(arn and live) and of_deployment(live or {}) == revision(spec, arn)
        if same and not self.run.repair:
            return TaskPlan(name, (), kept=snapshot.files, live=live_id, warnings=warnings)
        steps = []
        if not arn:
            steps.append(Step(Action.ADD, f"task definition {definition.family}", "it is registered"))
        reason = f"from {live_id}" if live_id else "the first"
        steps.append(Step(Action.SWITCH, self.options.deployment_group, reason))
        return TaskPlan(name, tuple(steps), live=live_id, warnings=warnings, arn=arn, spec=spec, definition=definition)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Register the definition, deploy it, and follow the deployment to its end."""
        assert isinstance(plan, TaskPlan)
        assert plan.spec
        arn = plan.arn
        for step in plan.steps:
            with self.run.step(step):
                if step.action is Action.ADD and plan.definition:
                    found = self._clients.call(SERVICE, "register_task_definition", **plan.definition.tagged)
                    arn = str(found["taskDefinition"]["taskDefinitionArn"])
                    self.run.note(f"{arn.rpartition('/')[2]} was registered")
                else:
                    words = described(self.run, snapshot.revision)
                    deployment = self._group.deploy(revision(plan.spec, arn), words)
        return Release(deployment, snapshot.revision, datetime.now(UTC), self.run.person)

    def _definition(self, snapshot: Snapshot) -> tuple[Definition, str]:
        """The definition and, where it is registered already, its ARN."""
        options = self.options
        if REGISTERED.fullmatch(options.task_definition):
            if options.images:
                raise PushRefused("`images` is about a task definition that is a file")
            found = self._described(options.task_definition)
            if not found:
                raise TargetError(f"there is no task definition {options.task_definition}")
            there = found["taskDefinition"]
            if there.get("status", "ACTIVE") != "ACTIVE":
                raise TargetError(
                    f"the task definition {options.task_definition} was deregistered", hint="name another, or a file"
                )
            return Definition(there), str(there["taskDefinitionArn"])
        entry = entry_of(snapshot, options.task_definition)
        if entry is None:
            raise PushRefused(
                f"there is no {options.task_definition} in what is pushed", hint="see what travels: push files"
            )
        shape = self._clients.client(SERVICE).meta.service_model.operation_model("RegisterTaskDefinition").input_shape
        definition = read_definition(snapshot.read(entry), options.task_definition, shape)
        definition = definition.with_images(self._images(snapshot))
        if definition.problems:
            raise DefinitionError(options.task_definition, definition.problems)
        known = self._described(definition.family)
        tags = {str(each.get("key")): each.get("value") for each in known.get("tags", ())}
        same = tags.get(DIGEST) == definition.digest
        return definition, str(known["taskDefinition"]["taskDefinitionArn"]) if same else ""

    def _described(self, name: str) -> dict[str, Any]:
        """A registered definition with its tags, of a family the last one; empty when there is none."""
        try:
            return dict(self._clients.call(SERVICE, "describe_task_definition", taskDefinition=name, include=["TAGS"]))
        except AwsError as error:
            # ECS has no code of its own for what is not there.
            if error.code == "ClientException":
                return {}
            raise

    def _images(self, snapshot: Snapshot) -> dict[str, str]:
        words = {
            "project": self.run.project.name,
            "revision": snapshot.revision.short,
            "commit": snapshot.revision.commit,
        }
        images = {}
        for container, image in self.options.images.items():
            for field, value in words.items():
                if f"{{{field}}}" in image and not value:
                    raise PushRefused(f"the image of {container} names a {field}, and there is none: {image}")
                image = image.replace(f"{{{field}}}", value)  # noqa: PLW2901  (one field after the other)
            images[container] = image
        return images

    def _appspec(self, snapshot: Snapshot, ports: Sequence[tuple[str, int]]) -> AppSpec:
        """The AppSpec of the project, or one that is made of the definition; its definition is still to be named."""
        options = self.options
        entry = entry_of(snapshot, options.appspec_path)
        functions = {event: Function(event, name) for event, name in options.hooks.items()}
        if entry is None:
            if options.appspec:
                raise PushRefused(
                    f"there is no {options.appspec} in what is pushed", hint="see what travels: push files"
                )
            balancer = self._balancer("", None, ports)
            resource = Resource("TargetService", "AWS::ECS::Service", {"LoadBalancerInfo": balancer})
            return AppSpec(options.task_definition, "ecs", resource=resource, functions=tuple(functions.values()))
        spec = load(snapshot.read(entry), options.appspec_path, "ecs")
        assert spec.resource
        said = spec.resource.properties["LoadBalancerInfo"]
        balancer = self._balancer(said["ContainerName"], said["ContainerPort"], ports)
        resource = replace(spec.resource, properties={**spec.resource.properties, "LoadBalancerInfo": balancer})
        given = {each.event: each for each in spec.functions}
        return replace(spec, resource=resource, functions=tuple((given | functions).values()))

    def _balancer(self, container: str, port: int | None, ports: Sequence[tuple[str, int]]) -> dict[str, Any]:
        """The container and the port that get the traffic: the target says them, else they are as given, else the sole.

        Raises `PushRefused` for what the definition does not have: the service would fail to be updated.
        """
        container, port = self.options.container or container, self.options.port or port
        found = [each for each in ports if container in {"", each[0]} and port in {None, each[1]}]
        if len(found) != 1:
            has = "; ".join(f"{name}, {number}" for name, number in ports)
            wanted = ", ".join(filter(None, (container, str(port or ""))))
            raise PushRefused(
                f"the task definition has no container and port {wanted}; it has: {has or 'none'}"
                if wanted and not found
                else f"which container and port get the traffic? {has or 'none is known'}",
                hint="set `container` and `port`, or add an appspec.yml",
            )
        return {"ContainerName": found[0][0], "ContainerPort": found[0][1]}


def revision(spec: AppSpec, arn: str) -> Content:
    """The revision that deploys the definition with that ARN."""
    assert spec.resource
    properties = {**spec.resource.properties, "TaskDefinition": arn}
    return of_text(emit(replace(spec, resource=replace(spec.resource, properties=properties))))


def entry_of(snapshot: Snapshot, path: str) -> Entry | None:
    """The file at ``path`` of the snapshot; None when there is none."""
    found = next((each for each in snapshot.entries if each.path == path), None)
    return found if found and found.kind is Kind.FILE else None
