"""Reading an AppSpec: every problem at once, each with its line."""

from __future__ import annotations

from collections.abc import Collection

from pushkit import Problem, PushfileError
from pushkit_aws.appspec.model import AppSpec, Platform
from pushkit_aws.appspec.nodes import Node, UnreadableError, parse
from pushkit_aws.appspec.report import Report, kind


class AppSpecError(PushfileError):
    """Every problem of an AppSpec, in the order of its lines. Exit code 3, like a Pushfile's."""


def load(content: bytes, name: str, platform: Platform, *, events: Collection[str] = ()) -> AppSpec:
    """The AppSpec in ``content``, YAML or JSON, of the file ``name``.

    ``events`` are lifecycle events of one's own that hooks of the platform ``server`` may be for. Raises
    `AppSpecError` with every problem.
    """
    from pushkit_aws.appspec.resources import read_resources  # noqa: PLC0415  (one of the two is needed)
    from pushkit_aws.appspec.server import read_server  # noqa: PLC0415

    try:
        root = parse(content)
    except UnreadableError as error:
        raise AppSpecError(name, [error.problem]) from error
    if root is None or root.value is None:
        raise AppSpecError(name, [Problem(0, "", "it is empty", "begin it with: version: 0.0")])
    if not isinstance(root.value, dict):
        raise AppSpecError(name, [Problem(root.line, "", f"a mapping is expected, not {kind(root)}")])
    report = Report()
    if platform == "server":
        spec = read_server(root, name, report, events)
    else:
        spec = read_resources(root, name, report, platform)
    if report.problems:
        raise AppSpecError(name, report.problems)
    return spec


def check_version(root: Node, node: Node | None, report: Report) -> None:
    """The version is the number 0.0, and there is no other."""
    if node is None:
        report.problem(root, "version", "is missing", "the only version there is: version: 0.0")
    elif isinstance(node.value, str):
        report.problem(node, "version", f"is the text {node.raw!r}", "write it without quotes: version: 0.0")
    elif isinstance(node.value, bool) or not isinstance(node.value, (int, float)) or node.value != 0:
        report.problem(node, "version", f"is {kind(node)}", "the only version there is: version: 0.0")
