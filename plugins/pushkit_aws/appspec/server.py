"""The AppSpec of a server: files, permissions and scripts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pushkit_aws.appspec.events import SCRIPTED, WITHOUT_SCRIPTS
from pushkit_aws.appspec.load import check_version
from pushkit_aws.appspec.model import AppSpec, Behavior, File, Hook
from pushkit_aws.appspec.nodes import Node, number
from pushkit_aws.appspec.permissions import read_permissions
from pushkit_aws.appspec.report import Report, dotted, kind, meant

_KEYS = ("version", "os", "files", "file_exists_behavior", "permissions", "hooks")
_FILE_KEYS = ("source", "destination")
_HOOK_KEYS = ("location", "timeout", "runas", "sudo")

#: Seconds that all scripts of one lifecycle event have together on EC2.
MOST_SECONDS = 3600


def read_server(root: Node, name: str, report: Report, events: Collection[str]) -> AppSpec:
    """The AppSpec of the platform ``server`` in ``root``."""
    values = report.mapping(root, "", _KEYS)
    check_version(root, values.get("version"), report)
    system = _system(root, values, report)
    files = tuple(_files(values.get("files"), system, report))
    hooks = _hooks(values.get("hooks"), system, report, events)
    permissions = tuple(read_permissions(values.get("permissions"), report))
    if permissions and system == "windows":
        report.problem(values["permissions"], "permissions", "are of Linux, and os is windows", "leave them out")
    behavior = _behavior(root, values, report)
    if not files and not any(hooks.values()) and not report.problems:
        report.warning(root, "", "it copies no files and runs no scripts")
    return AppSpec(name, "server", system, files, hooks, permissions, behavior, warnings=tuple(sorted(report.warnings)))


def _system(root: Node, values: Mapping[str, Node], report: Report) -> str:
    found = report.text(root, values, "os", "")
    if found and found not in {"linux", "windows"}:
        lower = found.lower()
        hint = f"write it in lower case: {lower}" if lower in {"linux", "windows"} else 'it is "linux" or "windows"'
        report.problem(values["os"], "os", f"is {found!r}", hint)
    return found


def _behavior(root: Node, values: Mapping[str, Node], report: Report) -> Behavior | None:
    found = report.text(root, values, "file_exists_behavior", "", required=False)
    if found in {"", *Behavior}:
        return Behavior(found) if found else None
    upper = found.upper()
    hint = f"write it in upper case: {upper}" if upper in {*Behavior} else f"it is one of {', '.join(Behavior)}"
    report.problem(values["file_exists_behavior"], "file_exists_behavior", f"is {found!r}", hint)
    return None


def _files(node: Node | None, system: str, report: Report) -> Iterator[File]:
    for path, item in report.sequence(node, "files"):
        values = report.mapping(item, path, _FILE_KEYS)
        source = report.text(item, values, "source", path)
        destination = report.text(item, values, "destination", path)
        if source and leads_out(source):
            report.problem(values["source"], dotted(path, "source"), f"{source!r} leads out of the bundle")
        if destination and system == "linux" and not destination.startswith("/"):
            hint = "begin it with a slash"
            report.warning(values["destination"], dotted(path, "destination"), f"{destination!r} is relative", hint)
        yield File(source, destination, item.line)


def _hooks(node: Node | None, system: str, report: Report, events: Collection[str]) -> Mapping[str, tuple[Hook, ...]]:
    known = (*SCRIPTED["server"], *events)
    found = {}
    for event, scripts in report.mapping(node, "hooks").items() if node else ():
        path = dotted("hooks", event)
        if event in WITHOUT_SCRIPTS["server"]:
            report.problem(scripts, path, "is an event that takes no scripts", f"those that do: {', '.join(known)}")
        elif event not in known:
            hint = meant(event, known) or f"they are: {', '.join(known)}"
            report.problem(scripts, path, "is no lifecycle event", hint)
        hooks = tuple(_hook(item, each, system, report) for each, item in report.sequence(scripts, path))
        told = sum(
            hook.timeout
            for hook, (_, item) in zip(hooks, report.sequence(scripts, path), strict=False)
            if isinstance(item.value, dict) and "timeout" in item.value
        )
        if told > MOST_SECONDS:
            report.warning(scripts, path, f"its timeouts are {told} seconds together, and EC2 allows {MOST_SECONDS}")
        if hooks:
            found[event] = hooks
    return found


def _hook(item: Node, path: str, system: str, report: Report) -> Hook:
    values = report.mapping(item, path, _HOOK_KEYS)
    location = report.text(item, values, "location", path)
    runas = report.text(item, values, "runas", path, required=False)
    if location and leads_out(location):
        report.problem(values["location"], dotted(path, "location"), f"{location!r} leads out of the bundle")
    if " " in location:
        hint = "a script gets no arguments: write one that calls it with them"
        report.warning(values["location"], dotted(path, "location"), f"{location!r} is taken as one path", hint)
    if runas and system == "windows":
        report.warning(values["runas"], dotted(path, "runas"), "is of Linux, and os is windows")
    if runas.startswith("-"):
        report.problem(values["runas"], dotted(path, "runas"), f"{runas!r} is no name of a user")
    return Hook(location, _timeout(values.get("timeout"), dotted(path, "timeout"), report), runas, item.line)


def _timeout(node: Node | None, path: str, report: Report) -> int:
    if node is None or node.value is None:
        return MOST_SECONDS
    value = number(node.value)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        report.problem(node, path, f"is {kind(node)}", "whole seconds over 0 are expected")
        return MOST_SECONDS
    if node.plain and str(value) != node.raw.lstrip("+"):
        report.warning(node, path, f"{node.raw} is read as {value} seconds", f"write {value}, or quotes around it")
    return value


def leads_out(path: str) -> bool:
    """Whether a path of a bundle, with slashes of either kind, goes above the bundle's top on its way."""
    return ".." in path.replace("\\", "/").split("/")
