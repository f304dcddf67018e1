"""`TaskStrategy`: a task definition of the snapshot, registered and deployed to a service of ECS."""

from __future__ import annotations

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
from pushkit_aws.tasks.definition import DIGEST, REGISTERED, Definition, read_definition
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
        spec = self._appspec(snapshot, definition)
        live = self._group.last
        live_id = str(live["deploymentId"]) if live else ""
        warnings = tuple(f"{spec.name}: {each.message}" for each in spec.warnings)
        name = self.run.target.name
        same = bool(arn and live) and of_deployment(live or {}) == revision(spec, arn)
        if same and not self.run.repair:
            return TaskPlan(name, (), kept=snapshot.files, live=live_id, warnings=warnings)
        steps = []
        if not arn and definition:
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

    def _definition(self, snapshot: Snapshot) -> tuple[Definition | None, str]:
        """The definition of a file and, where it is registered already, its ARN."""
        options = self.options
        if REGISTERED.fullmatch(options.task_definition):
            if options.images:
                raise PushRefused("`images` is about a task definition that is a file")
            found = self._described(options.task_definition)
            if not found:
                raise TargetError(f"there is no task definition {options.task_definition}")
            return None, str(found["taskDefinition"]["taskDefinitionArn"])
        entry = entry_of(snapshot, options.task_definition)
        if entry is None:
            raise PushRefused(
                f"there is no {options.task_definition} in what is pushed", hint="see what travels: push files"
            )
        shape = self._clients.client(SERVICE).meta.service_model.operation_model("RegisterTaskDefinition").input_shape
        definition = read_definition(snapshot.read(entry), options.task_definition, shape)
        definition = definition.with_images(self._images(snapshot))
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

    def _appspec(self, snapshot: Snapshot, definition: Definition | None) -> AppSpec:
        """The AppSpec of the project, or one that is made of the definition; its definition is still to be named."""
        options = self.options
        entry = entry_of(snapshot, options.appspec)
        functions = {event: Function(event, name) for event, name in options.hooks.items()}
        if entry:
            spec = load(snapshot.read(entry), options.appspec, "ecs")
            given = {each.event: each for each in spec.functions}
            return replace(spec, functions=tuple((given | functions).values()))
        if options.is_set("appspec"):
            raise PushRefused(f"there is no {options.appspec} in what is pushed", hint="see what travels: push files")
        ports = [
            (container, port)
            for container, port in (definition.ports if definition else ())
            if options.container in {"", container} and options.port in {None, port}
        ]
        if not ports and options.container and options.port and not definition:
            ports = [(options.container, options.port)]
        if len(ports) != 1:
            found = "; ".join(f"{container}, {port}" for container, port in ports)
            raise PushRefused(
                f"which container and port get the traffic? {found or 'none is known'}",
                hint="set `container` and `port`, or add an appspec.yml",
            )
        ((container, port),) = ports
        balancer = {"ContainerName": container, "ContainerPort": port}
        resource = Resource("TargetService", "AWS::ECS::Service", {"LoadBalancerInfo": balancer})
        return AppSpec(options.task_definition, "ecs", resource=resource, functions=tuple(functions.values()))


def revision(spec: AppSpec, arn: str) -> Content:
    """The revision that deploys the definition with that ARN."""
    assert spec.resource
    properties = {**spec.resource.properties, "TaskDefinition": arn}
    return of_text(emit(replace(spec, resource=replace(spec.resource, properties=properties))))


def entry_of(snapshot: Snapshot, path: str) -> Entry | None:
    """The file at ``path`` of the snapshot; None when there is none."""
    found = next((each for each in snapshot.entries if each.path == path), None)
    return found if found and found.kind is Kind.FILE else None
