"""The page of error messages: every place of the code that makes a `PushkitError`, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_text import code, table

TOP = Path(__file__).parents[2]
#: The class that every error of pushkit descends from.
ROOT = "PushkitError"
#: Not an error, but what the errors of a Pushfile list, each with a message and a hint of its own.
PROBLEM = "Problem"
#: What stands where the code computes a whole text.
COMPUTED = "…"


@dataclass(frozen=True)
class Message:
    """One place that makes an error; what the code puts into its texts stands in braces."""

    file: str
    line: int
    kind: str
    exit_code: int
    text: str
    hint: str


def page() -> str:
    """The page of messages, one table for each exit code."""
    made = messages()
    parts = [
        (
            "# Error messages\n\nEvery message that a command can end with, as the code has it: braces hold what is "
            f"put in, and {COMPUTED} stands for a text that is computed, mostly what a server or the system said. The "
            "second column is the line that `push` adds. [Exit codes](exit-codes.md) says what each code means."
        ),
    ]
    for exit_code in sorted({each.exit_code for each in made}):
        rows = [
            (shown(each.text), shown(each.hint), f"{code(each.kind)}, {code(each.file)}")
            for each in made
            if each.exit_code == exit_code
        ]
        parts.append(f"## Exit code {exit_code}\n\n{table(('message', 'what to do', 'where'), sorted(set(rows)))}")
    return "\n\n".join(parts) + "\n"


def shown(text: str) -> str:
    """A text as it is typed, or nothing."""
    return code(" ".join(text.split())) if text else ""


def messages() -> Sequence[Message]:
    """Every place that makes an error, by file and line."""
    trees = {str(file.relative_to(TOP)): ast.parse(file.read_text()) for file in sources()}
    known = exit_codes(trees)
    found: list[Message] = []
    for file, tree in trees.items():
        codes = known[package(file)]
        for call in calls(tree):
            kind = named(call.func)
            if kind in codes:
                text, hint = texts(kind, call)
                found.append(Message(file, call.lineno, kind, codes[kind], text, hint))
    return found


def texts(kind: str, call: ast.Call) -> tuple[str, str]:
    """The message and the hint that a call gives. What is wrong with a Pushfile is told by each `Problem` of it."""
    given = {each.arg or "": told(each.value) for each in call.keywords}
    if kind == PROBLEM:
        named_in_order: tuple[str, ...] = ("line", "path", "message", "hint")
    elif kind == "PushfileError":
        return "{file}: {count} problems", ""
    else:
        named_in_order = ("message",)
    given |= dict(zip(named_in_order, map(told, call.args), strict=False))
    return given.get("message", COMPUTED), given.get("hint", "")


def sources() -> Iterator[Path]:
    """The modules that people install, less those that only tests run."""
    for file in sorted([*TOP.glob("pushkit/**/*.py"), *TOP.glob("plugins/**/*.py")]):
        if "testing" not in file.parts:
            yield file


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Every call of a module, in the order of its lines."""
    yield from sorted((node for node in ast.walk(tree) if isinstance(node, ast.Call)), key=lambda call: call.lineno)


def package(file: str) -> str:
    """The import package that a file is of."""
    return file.removeprefix("plugins/").partition("/")[0]


def exit_codes(trees: Mapping[str, ast.Module]) -> Mapping[str, Mapping[str, int]]:
    """For each import package, the classes of errors that it may name, and the exit code of each.

    Two packages may each have a class of one name: its own goes before that of ``pushkit``, and that before others'.
    """
    own: dict[str, dict[str, ast.ClassDef]] = {}
    for file, tree in trees.items():
        classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        own.setdefault(package(file), {}).update(classes)
    found: dict[str, dict[str, int]] = {}
    for each, classes in own.items():
        others = {name: kind for other in own.values() for name, kind in other.items()}
        seen = others | own["pushkit"] | classes
        codes = {name: number for name in seen if (number := code_of(name, seen)) is not None}
        found[each] = codes | {PROBLEM: codes["PushfileError"]}
    return found


def code_of(name: str, classes: Mapping[str, ast.ClassDef]) -> int | None:
    """The exit code of a class, its own or that of what it descends from; None for what is no error of pushkit."""
    kind = classes.get(name)
    if kind is None:
        return None
    bases = (code_of(base, classes) for base in map(named, kind.bases) if base != name)
    inherited = 1 if name == ROOT else next(filter(None, bases), None)
    for line in kind.body:
        if inherited and isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(line.value, ast.Constant):
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            if "exit_code" in map(named, targets):
                return int(str(line.value.value))
    return inherited


def named(node: ast.expr) -> str:
    """The last name of ``a.b.Name`` or ``Name[T]``."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Subscript():
            return named(node.value)
        case _:
            return ""


def told(node: ast.expr | None) -> str:
    """A text of the code, what it puts in within braces."""
    match node:
        case None:
            return ""
        case ast.Constant():
            return str(node.value)
        case ast.JoinedStr():
            return "".join(
                "{" + ast.unparse(part.value) + "}" if isinstance(part, ast.FormattedValue) else told(part)
                for part in node.values
            )
        case ast.BinOp(op=ast.Add()):
            return told(node.left) + told(node.right)
        case ast.IfExp():
            return f"{told(node.body)} / {told(node.orelse)}"
        case _:
            return COMPUTED
