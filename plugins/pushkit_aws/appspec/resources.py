"""The AppSpec of Lambda and of ECS: one resource, and functions that validate the deployment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pushkit_aws.appspec.events import SCRIPTED, WITHOUT_SCRIPTS
from pushkit_aws.appspec.load import check_version
from pushkit_aws.appspec.model import AppSpec, Function, Platform, Resource
from pushkit_aws.appspec.nodes import Node, number
from pushkit_aws.appspec.report import Report, dotted, kind, meant

_TYPES = {"lambda": "AWS::Lambda::Function", "ecs": "AWS::ECS::Service"}
_LAMBDA = ("Name", "Alias", "CurrentVersion", "TargetVersion")
_ECS = ("TaskDefinition", "LoadBalancerInfo", "PlatformVersion", "NetworkConfiguration", "CapacityProviderStrategy")
_NETWORK = ("Subnets", "SecurityGroups", "AssignPublicIp")
_CAPACITY = ("CapacityProvider", "Base", "Weight")


def read_resources(root: Node, name: str, report: Report, platform: Platform) -> AppSpec:
    """The AppSpec of the platform ``lambda`` or ``ecs`` in ``root``."""
    values = named(report, root, "", ("version", "Resources", "Hooks"))
    check_version(root, values.get("version"), report)
    resource = _resource(root, values.get("Resources"), report, platform)
    functions = tuple(_functions(values.get("Hooks"), report, platform))
    warnings = tuple(sorted(report.warnings))
    return AppSpec(name, platform, resource=resource, functions=functions, warnings=warnings)


def named(report: Report, node: Node, path: str, known: Collection[str]) -> Mapping[str, Node]:
    """The nodes of a mapping by their documented names: CodeDeploy takes them in any case."""
    names = {each.lower(): each for each in known}
    found = {}
    for key, value in report.mapping(node, path).items():
        if key.lower() in names:
            found[names[key.lower()]] = value
        else:
            report.warning(value, dotted(path, key), "is nothing that CodeDeploy knows", meant(key, known))
    return found


def _resource(root: Node, node: Node | None, report: Report, platform: Platform) -> Resource | None:
    items = list(report.sequence(node, "Resources"))
    if len(items) != 1 or not isinstance(items[0][1].value, dict) or len(items[0][1].value) != 1:
        if node is None or node.value is None or isinstance(node.value, list):
            report.problem(node or root, "Resources", "holds exactly one resource, a mapping with its name as only key")
        return None
    path, item = items[0]
    ((name, body),) = item.value.items()
    path = dotted(path, name)
    values = named(report, body, path, ("Type", "Properties"))
    found = report.text(body, values, "Type", path)
    expected = _TYPES[platform]
    if found and found != expected:
        report.problem(values["Type"], dotted(path, "Type"), f"is {found!r}", f"of this platform it is {expected}")
    properties = values.get("Properties")
    if properties is None or properties.value is None:
        report.problem(properties or body, dotted(path, "Properties"), "is missing")
        return None
    read = _lambda if platform == "lambda" else _ecs
    return Resource(name, expected, read(properties, dotted(path, "Properties"), report), item.line)


def _lambda(node: Node, path: str, report: Report) -> Mapping[str, Any]:
    values = named(report, node, path, _LAMBDA)
    found = {key: report.text(node, values, key, path) for key in _LAMBDA}
    for key in ("CurrentVersion", "TargetVersion"):
        if found[key] and not (found[key].isascii() and found[key].isdigit()):
            report.problem(values[key], dotted(path, key), f"is {found[key]!r}", "a published version is a number")
    return found


def _ecs(node: Node, path: str, report: Report) -> Mapping[str, Any]:
    values = named(report, node, path, _ECS)
    found: dict[str, Any] = {"TaskDefinition": report.text(node, values, "TaskDefinition", path)}
    found["LoadBalancerInfo"] = _load_balancer(node, values.get("LoadBalancerInfo"), dotted(path, _ECS[1]), report)
    if version := report.text(node, values, "PlatformVersion", path, required=False):
        found["PlatformVersion"] = version
    parts: tuple[tuple[str, Callable[[Node, str, Report], Any]], ...] = (
        ("NetworkConfiguration", _network),
        ("CapacityProviderStrategy", _capacity),
    )
    for key, read in parts:
        if key in values and values[key].value is not None:
            found[key] = read(values[key], dotted(path, key), report)
    return found


def _load_balancer(within: Node, node: Node | None, path: str, report: Report) -> Mapping[str, Any]:
    if node is None or node.value is None:
        report.problem(node or within, path, "is missing: it holds ContainerName and ContainerPort")
        return {}
    values = named(report, node, path, ("ContainerName", "ContainerPort"))
    found: dict[str, Any] = {"ContainerName": report.text(node, values, "ContainerName", path)}
    if report.text(node, values, "ContainerPort", path):
        found["ContainerPort"] = whole(report, values["ContainerPort"], dotted(path, "ContainerPort"), 1, 65535)
    return found


def whole(report: Report, node: Node, path: str, least: int, most: int) -> int:
    """A whole number, also one in quotes; a problem and ``least`` where it is none or out of its bounds."""
    value = number(node.value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        report.problem(node, path, f"is {kind(node)}", f"a whole number from {least} to {most} is expected")
        return least
    return value


def _network(node: Node, path: str, report: Report) -> Mapping[str, Any]:
    inner = named(report, node, path, ("AwsvpcConfiguration",)).get("AwsvpcConfiguration")
    path = dotted(path, "AwsvpcConfiguration")
    if inner is None or inner.value is None:
        report.problem(inner or node, path, "is missing")
        return {}
    values = named(report, inner, path, _NETWORK)
    for key in _NETWORK:
        if key not in values or values[key].value in (None, []):
            hint = "Subnets, SecurityGroups and AssignPublicIp go together, all or none"
            report.problem(values.get(key, inner), dotted(path, key), "is missing", hint)
    public = report.text(inner, values, "AssignPublicIp", path, required=False)
    if public not in {"", "ENABLED", "DISABLED"}:
        report.problem(
            values["AssignPublicIp"], dotted(path, "AssignPublicIp"), f"is {public!r}", "ENABLED or DISABLED"
        )
    lists = {key: list(_texts(values.get(key), dotted(path, key), report)) for key in _NETWORK[:2]}
    return {"AwsvpcConfiguration": {**lists, "AssignPublicIp": public}}


def _texts(node: Node | None, path: str, report: Report) -> Iterator[str]:
    for each, item in report.sequence(node, path):
        yield report.text(item, {"": item}, "", each)


def _capacity(node: Node, path: str, report: Report) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for each, item in report.sequence(node, path):
        values = named(report, item, each, _CAPACITY)
        one: dict[str, Any] = {"CapacityProvider": report.text(item, values, "CapacityProvider", each)}
        for key, most in (("Base", 100_000), ("Weight", 1000)):
            if key in values and values[key].value is not None:
                one[key] = whole(report, values[key], dotted(each, key), 0, most)
        found.append(one)
    return found


def _functions(node: Node | None, report: Report, platform: Platform) -> Iterator[Function]:
    known = SCRIPTED[platform]
    for path, item in report.sequence(node, "Hooks"):
        if item.value is None:
            continue
        if not isinstance(item.value, dict) or len(item.value) != 1:
            report.problem(
                item, path, "is no mapping with one event as its only key", "such as - BeforeAllowTraffic: NAME"
            )
            continue
        ((event, value),) = item.value.items()
        if event in WITHOUT_SCRIPTS[platform]:
            report.problem(
                item, dotted(path, event), "is an event that takes no function", f"those that do: {', '.join(known)}"
            )
        elif event not in known:
            report.problem(
                item,
                dotted(path, event),
                "is no lifecycle event",
                meant(event, known) or f"they are: {', '.join(known)}",
            )
        if value.value is not None:
            yield Function(event, report.text(item, {event: value}, event, path), item.line)
