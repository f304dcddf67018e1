"""Imports go down the layers only, and plugins import the public names only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import pushkit

PAGE = Path(__file__).parents[2] / "docs/architecture.md"
# The lowest layer first. A module may import from layers below its own, and from its own layer.
ROWS = re.findall(r"^\|[^|]*\|((?: `\w+`,?)+) \|$", PAGE.read_text(), re.MULTILINE)
LAYERS = [set(re.findall(r"`(\w+)`", row)) for row in reversed(ROWS)]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
PACKAGE = Path(pushkit.__file__).parent
PUBLIC = {"pushkit", "pushkit.files", "pushkit.fleet", "pushkit.testing"}
PLUGINS = ("pushkit_aws", "pushkit_dir", "pushkit_ftp", "pushkit_http", "pushkit_script", "pushkit_sftp")


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
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return  # the public names; it imports them when they are used
    assert own in RANK, f"{own} has no layer: give it one in docs/architecture.md"
    for line, module in imported(path):
        parts = module.split(".")
        if parts[0] == "pushkit" and len(parts) > 1 and parts[1] in RANK:
            assert RANK[parts[1]] <= RANK[own], f"{path}:{line}: {own} is below {parts[1]} and may not import it"
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


def test_every_public_name_is_there_and_documented() -> None:
    for name in pushkit.__all__:
        thing = getattr(pushkit, name)
        if name not in {"__version__", "hookimpl"}:
            assert thing.__doc__, f"{name} has no docstring"


def test_every_layer_of_the_page_is_there() -> None:
    assert len(LAYERS) > 10
    there = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(RANK) == there - {"__init__"}
