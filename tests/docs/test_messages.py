"""The page of error messages has every error that the code makes, with the exit code that it has at run time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import messages
from pushkit import PushkitError

TOP = Path(__file__).parents[2]
MADE = messages.messages()


@pytest.fixture(scope="module")
def kinds() -> set[type[PushkitError]]:
    """The classes of errors as Python has them, once every module is imported."""
    for file in messages.sources():
        parts = file.relative_to(TOP).with_suffix("").parts
        name = ".".join(parts[1:] if parts[0] == "plugins" else parts)
        if not name.endswith("__main__"):
            import_module(name.removesuffix(".__init__"))
    return {each for each in descendants(PushkitError) if not each.__module__.startswith("pushkit.testing")}


def descendants(kind: type[PushkitError]) -> Iterator[type[PushkitError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from descendants(each)


def test_every_error_that_is_raised_has_its_row(kinds: set[type[PushkitError]]) -> None:
    listed = {(each.file, each.line, each.kind) for each in MADE}
    names = {each.__name__ for each in kinds}
    raised = 0
    for file in messages.sources():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                kind = ast.unparse(node.exc.func).rpartition(".")[2]
                if kind in names:
                    raised += 1
                    assert (str(file.relative_to(TOP)), node.exc.lineno, kind) in listed
    assert raised > 500


def test_each_row_has_the_exit_code_that_its_error_has(kinds: set[type[PushkitError]]) -> None:
    code_of = {(each.__module__.partition(".")[0], each.__name__): each.exit_code for each in kinds}
    rows = [each for each in MADE if each.kind != messages.PROBLEM]
    assert rows
    for each in rows:
        kept = [code_of.get((package, each.kind)) for package in (messages.package(each.file), "pushkit")]
        assert each.exit_code == next(code for code in kept if code is not None), each


def test_the_page_has_each_message_as_the_code_has_it() -> None:
    page = messages.page()
    assert all(f"`{each.kind}`, `{each.file}`" in page for each in MADE)
    assert "| `{path} is there already` | `it is never overwritten; edit it, or move it away first` |" in page
    assert [int(code) for code in re.findall(r"^## Exit code (\d+)$", page, re.MULTILINE)] == sorted(
        {each.exit_code for each in MADE}
    )


@pytest.mark.parametrize("text", ["message", "hint"])
def test_messages_speak_with_one_voice(text: str) -> None:
    """Small letters and no full stop, since `push` says where it was before and a hint follows; no shouting."""
    for each in MADE:
        said = each.text if text == "message" else each.hint
        where = f"{each.file}:{each.line}: {said}"
        assert not re.search(r"(?<!\.)[.!]$", said), where
        assert not re.match(r"(?:The|A|An|It|This|There|Cannot|Could|Failed|Error|Please)\b", said), where
        assert not re.search(r"\b(?:[Ee]rror|[Ff]ailed to|[Ii]nvalid|[Uu]nable|[Oo]ops|[Ss]orry)\b(?![^{]*})", said), (
            where
        )
