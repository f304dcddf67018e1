"""Imports go down the layers only, and plugins import the public names only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType

import pytest

import pushkit

PAGE = Path(__file__).parents[2] / "docs/architecture.md"
TEXT = PAGE.read_text()


def table(heading: str) -> dict[str, int]:
    """The modules in the table below ``heading``, each with the number of its row. The lowest row is 0."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\|[^|]*\|((?: `\w+`,?)+) \|$", section, re.MULTILINE)
    listed = [(name, rank) for rank, row in enumerate(reversed(rows)) for name in re.findall(r"`(\w+)`", row)]
    assert len(rows) > 5
    assert len(dict(listed)) == len(listed), "a module stands in one row"
    return dict(listed)


# A module may import from rows below its own, and from its own.
RANK = table("The layers")
WITHIN = {"files": table("Inside `files`")}
PACKAGE = Path(pushkit.__file__).parent
PUBLIC = {"pushkit", "pushkit.files", "pushkit.fleet", "pushkit.testing"}
PLUGINS = tuple(sorted(path.name for path in (Path(__file__).parents[2] / "plugins").glob("pushkit_*")))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, with its line; the names of ``from pushkit import name`` too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def files(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


@pytest.mark.parametrize("path", files(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_to_lower_layers_only(path: Path) -> None:
    where = [part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts]
    own = where[0]
    if own == "__init__":
        return  # the public names; it imports them when they are used
    assert own in RANK, f"{own} has no layer: give it one in docs/architecture.md"
    for line, module in imported(path):
        parts = module.split(".")
        if parts[0] == "pushkit" and len(parts) > 1 and parts[1] in RANK:
            assert RANK[parts[1]] <= RANK[own], f"{path}:{line}: {own} is below {parts[1]} and may not import it"
        rank = WITHIN.get(own, {})
        if parts[:2] == ["pushkit", own] and len(parts) > 2 and parts[2] in rank and where[1] in rank:
            assert rank[parts[2]] <= rank[where[1]], f"{path}:{line}: {where[1]} is below {parts[2]}"
        assert not parts[0].startswith("pushkit_"), f"{path}:{line}: the core knows no plugin"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_import_public_names_only(plugin: str) -> None:
    spec = find_spec(plugin)
    assert spec
    assert spec.origin
    for path in files(Path(spec.origin).parent):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pushkit":
                assert node.module in PUBLIC, f"{path}:{node.lineno}: {node.module} is private"
                public = set(__import__(node.module, fromlist=["__all__"]).__all__)
                private = {name.name for name in node.names} - public
                assert not private, f"{path}:{node.lineno}: {private} are not in {node.module}.__all__"
            elif isinstance(node, ast.Import):
                used = {name.name for name in node.names if name.name.split(".")[0] == "pushkit"}
                assert used <= {"pushkit"}, f"{path}:{node.lineno}: {used} are private"


def test_the_check_sees_a_forbidden_import(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def late():\n    from pushkit.engine import Engine\n")
    assert (2, "pushkit.engine") in set(imported(bad))


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_every_public_name_is_there_and_documented(package: str) -> None:
    assert len(named(package)) == len(set(named(package)))
    for name in named(package):
        thing = getattr(import_module(package), name)
        # What stands below a constant or an alias, its source alone knows: the reference is made from that.
        if isinstance(thing, (type, FunctionType)):
            assert thing.__doc__, f"{package}.{name} has no docstring"


def words(annotation: object) -> set[str]:
    return set(re.findall(r"\w+", str(annotation)))


def said_by(thing: object) -> set[str]:
    """The names in what ``thing`` says of the types of its fields, its methods' arguments and their results."""
    members = [thing, *vars(thing).values()] if isinstance(thing, type) else [thing]
    functions = [getattr(each, "fget", None) or getattr(each, "__func__", each) for each in members]
    notes = [note for each in functions for note in getattr(each, "__annotations__", {}).values()]
    bases = [base.__name__ for base in getattr(thing, "__mro__", ())]
    return {*bases, *(word for note in notes for word in words(note))}


def test_every_public_name_is_needed() -> None:
    """By a built-in plugin, by a test's author, by what another public name says; or a page tells what it is for."""
    roots = (PAGE.parents[1] / "plugins", PAGE.parents[1] / "tests")
    used = {
        (node.module, name.name)
        for root in roots
        for path in files(root)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module in PUBLIC and path != Path(__file__)
        for name in node.names
        if root.name == "plugins" or node.module == "pushkit.testing"
    }
    things = {(package, name): getattr(import_module(package), name) for package in PUBLIC for name in named(package)}
    said = {word for thing in things.values() for word in said_by(thing)}
    told = {word for page in PAGE.parent.rglob("*.md") for word in re.findall(r"`[^`\n]*`", page.read_text())}
    explained = {word for each in told for word in words(each)}
    unneeded = {
        f"{package}.{name}"
        for (package, name), thing in things.items()
        if (package, name) not in used and name not in said | explained and not is_event(thing)
    }
    assert unneeded <= {"pushkit.__version__"}, unneeded


def named(package: str) -> list[str]:
    return list(import_module(package).__all__)


def is_event(thing: object) -> bool:
    """Whether observers and reporters are told of it."""
    return isinstance(thing, type) and issubclass(thing, pushkit.Event)


@pytest.mark.parametrize("package", sorted(WITHIN))
def test_every_module_of_a_package_has_its_row(package: str) -> None:
    there = {path.stem for path in (PACKAGE / package).glob("*.py")} - {"__init__"}
    assert set(WITHIN[package]) == there


FILES = sorted(set(re.findall(r"`((?:\w+/)*\w+\.(?:py|yml))`", TEXT)))
NAMES = sorted(set(re.findall(r"`([a-z]\w*(?:\.\w+)+)`", TEXT)) - set(FILES))


@pytest.mark.parametrize("file", FILES)
def test_every_file_of_the_page_is_there(file: str) -> None:
    root = PAGE.parents[1]
    assert any((each / file).is_file() for each in (PACKAGE, PACKAGE / "files", root)), f"there is no {file}"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_page_is_there(name: str) -> None:
    module, *parts = name.removeprefix("pushkit.").split(".")
    thing: object = import_module(f"pushkit.{module}")
    for part in parts:
        thing = getattr(thing, part)


def test_every_layer_of_the_page_is_there() -> None:
    there = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(RANK) == there - {"__init__"}
