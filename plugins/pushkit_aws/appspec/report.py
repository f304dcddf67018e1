"""What is wrong with an AppSpec, collected while it is read; and reading a value that has to be of some kind."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from pushkit import Problem
from pushkit_aws.appspec.nodes import Node


class Report:
    """The problems and the warnings so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def problem(self, node: Node, path: str, message: str, hint: str = "") -> None:
        """Something that fails a deployment."""
        self.problems.append(Problem(node.line, path, message, hint))

    def warning(self, node: Node, path: str, message: str, hint: str = "") -> None:
        """Something that fails none, and is probably not meant."""
        self.warnings.append(Problem(node.line, path, message, hint))

    def mapping(self, node: Node, path: str, known: Collection[str] = ()) -> Mapping[str, Node]:
        """The nodes of a mapping by key, null for none. With ``known`` keys, any other is warned of."""
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.problem(node, path, f"a mapping is expected here, not {kind(node)}")
            return {}
        for key, line in node.twice:
            self.warnings.append(Problem(line, dotted(path, key), "is there twice", "the last one counts"))
        for key, value in node.value.items():
            if known and key not in known:
                self.warning(value, dotted(path, key), "is nothing that CodeDeploy knows", meant(key, known))
        return node.value

    def sequence(self, node: Node | None, path: str) -> Iterator[tuple[str, Node]]:
        """The items of a list, null or absent for none, each with its path."""
        if node is None or node.value is None:
            return
        if not isinstance(node.value, list):
            self.problem(node, path, f"a list is expected here, not {kind(node)}", 'begin each item with "- "')
            return
        for number, item in enumerate(node.value):
            yield f"{path}[{number}]", item

    def text(self, within: Node, values: Mapping[str, Node], key: str, path: str, *, required: bool = True) -> str:
        """The text of a key, without space around it; a problem and empty where it is required and not there."""
        node = values.get(key)
        if node is None or node.value is None or node.value == "":
            if required:
                self.problem(node or within, dotted(path, key), "is missing")
            return ""
        if isinstance(node.value, (dict, list)):
            self.problem(node, dotted(path, key), f"text is expected here, not {kind(node)}")
            return ""
        # A word such as `yes` and a number such as 1.0 are meant as they are written.
        found = (node.raw if isinstance(node.value, (bool, float)) else str(node.value)).strip()
        if "\0" in found or "\n" in found:
            self.problem(node, dotted(path, key), "is more than one line")
            return ""
        if required and not found:
            self.problem(node, dotted(path, key), "is empty")
        return found


def dotted(path: str, key: str) -> str:
    """The path of ``key`` below ``path``."""
    return f"{path}.{key}" if path else key


def kind(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    return "nothing" if node.value is None else f"{node.raw!r}"


def meant(word: str, known: Collection[str]) -> str:
    """Which of ``known`` was probably meant; empty when none is near."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(word.lower(), by_lower, n=1)
    return f'did you mean "{by_lower[close[0]]}"?' if close else ""
