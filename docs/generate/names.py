"""The public names of a package, read from its source: what stands there for people is all that is told."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from markdown_text import documented, prose, table

PACKAGES = ("pushkit", "pushkit.files", "pushkit.fleet", "pushkit.testing")


@dataclass(frozen=True)
class Definition:
    """A public name: the statement that defines it, and what stands below it where it is a constant."""

    name: str
    module: str
    node: ast.stmt
    words: str


def defined(module: str, name: str) -> Definition:
    """The definition of ``name`` in ``module``, or in the module that it is imported from."""
    file = inspect.getsourcefile(import_module(module))
    assert file, module
    return definition(ast.parse(Path(file).read_text()), module, name)


def definition(tree: ast.Module, module: str, name: str) -> Definition:
    """The definition of ``name`` in ``tree``. Raises `UndocumentedError` when it has no words."""
    body = [*tree.body, *(inner for each in tree.body if isinstance(each, ast.If) for inner in each.body)]
    for at, node in enumerate(body):
        if isinstance(node, ast.ImportFrom) and name in {each.name for each in node.names}:
            return defined(node.module or "", name)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return Definition(name, module, node, documented(ast.get_docstring(node), f"{module}.{name}"))
        if name in assigned(node):
            below = body[at + 1] if at + 1 < len(body) else None
            return Definition(name, module, node, documented(text_of(below), f"{module}.{name}"))
    raise AssertionError(f"{module} defines no {name}")


def assigned(node: ast.stmt) -> set[str]:
    """The names that a statement assigns to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {each.id for each in targets if isinstance(each, ast.Name)}


def text_of(node: ast.stmt | None) -> str:
    """The text that a statement is, empty for any other."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


def page() -> str:
    """The page of all public names."""
    parts = [
        "# Python names",
        (
            "The public names of pushkit, all of them: what a plugin or a test may import. Anything else may change "
            "without notice. [The plugin contract](../plugins.md) and [Write a strategy](../writing-a-strategy.md) "
            "show them at work."
        ),
    ]
    for package in PACKAGES:
        parts.append(f"## {package}")
        public = sorted(import_module(package).__all__, key=str.lower)
        parts += [section(package, defined(package, name)) for name in public]
    return "\n\n".join(parts) + "\n"


def section(package: str, found: Definition) -> str:
    """One name: how it is called, what it is, and what it has."""
    head = f"### `{found.name}` {{ #{package}.{found.name} }}"
    parts = [head, f"```py\n{signature(found.node)}\n```", prose(found.words)]
    if isinstance(found.node, ast.ClassDef) and (rows := list(methods(found, found.node))):
        parts.append(table(("method", "does"), rows))
    return "\n\n".join(parts)


def signature(node: ast.stmt) -> str:
    """A definition without what it does: of a class its fields, of a function its arguments."""
    if isinstance(node, ast.ClassDef):
        bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
        own = [f"    {ast.unparse(each)}" for each in node.body if is_field(each)]
        return "\n".join([f"class {node.name}{bases}{':' * bool(own)}", *own])
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"def {node.name}({ast.unparse(node.args)}){returns}"
    return ast.unparse(node)


def is_field(node: ast.stmt) -> bool:
    """Whether a statement of a class is a field or a constant that is for everybody."""
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name) and not node.target.id.startswith("_")
    return any(not name.startswith("_") for name in assigned(node))


def methods(found: Definition, kind: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The methods of a class that are for everybody, each with its words."""
    for node in kind.body:
        # What a contract tests has its promise for a name.
        if not isinstance(node, ast.FunctionDef) or node.name.startswith(("_", "test_")):
            continue
        if {ast.unparse(each) for each in node.decorator_list} & {"pytest.fixture", "overload"}:
            continue
        words = ast.get_docstring(node) or inherited(found, node.name)
        yield call(node), prose(documented(words, f"{found.module}.{found.name}.{node.name}")).partition("\n\n")[0]


def inherited(found: Definition, method: str) -> str:
    """What the classes that a class is made of say of a method."""
    kind = getattr(import_module(found.module), found.name)
    return inspect.getdoc(getattr(kind, method)) or ""


def call(node: ast.FunctionDef) -> str:
    """How a method is called, or a property read."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if any(ast.unparse(each).endswith("property") for each in node.decorator_list):
        return f"`{node.name}{returns.replace(' -> ', ': ')}`"
    arguments = ast.unparse(node.args)
    for own in ("self", "cls", "/"):
        arguments = arguments.removeprefix(own).removeprefix(", ")
    return f"`{node.name}({arguments}){returns}`"
