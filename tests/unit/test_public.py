"""Options that others can see: no reference travels in one, and the strategy's author says what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from distributions import importable, install, strategy
from pushkit import expectation, registry
from pushkit.errors import Problem, PushfileError
from pushkit.options import schema_of
from pushkit.pushfile import parse

MODULE = """
from typing import Annotated
from pushkit import public

ARGV = public("write it to a file")


class Hook(__import__("pushkit").Options):
    argv: Annotated[list[str], ARGV] = []
    token: str = ""

"""
OPTIONS = """
    title: Annotated[str, public("name it here")] = ""
    flags: Annotated[dict[str, str], ARGV] = {}
    hooks: list[Hook] = []
    token: str = ""
"""


@pytest.fixture(autouse=True)
def _site(tmp_path: Path) -> Iterator[None]:
    with importable(tmp_path / "site") as site:
        install(site, "acme-tell", {"acme_tell": MODULE + strategy("tell", OPTIONS)}, {"strategies:tell": "acme_tell"})
        yield


def problems(options: str, tmp_path: Path) -> list[Problem]:
    try:
        parse(f'[target.t]\nstrategy = "tell"\n{options}\n', tmp_path / "Pushfile")
    except PushfileError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize(
    ("options", "path", "instead"),
    [
        ('title = "a ${env:X}"', "title", "name it here"),
        ('flags = { a = "b", c = "${command:x}" }', "flags.c", "write it to a file"),
        ('hooks = [{ argv = ["a"] }, { argv = ["a", "${file:b}"] }]', "hooks[1].argv[1]", "write it to a file"),
    ],
)
def test_a_reference_in_a_public_option_is_told_at_any_depth(
    options: str, path: str, instead: str, tmp_path: Path
) -> None:
    (problem,) = problems(options, tmp_path)
    assert (problem.line, problem.path) == (3, f"target.t.{path}")
    assert (problem.message, problem.hint) == ("no reference is allowed here: others can see the value", instead)


@pytest.mark.parametrize(
    "options", ['title = "a $${env:X}"', 'token = "${env:X}"', 'hooks = [{ argv = ["a"], token = "${env:X}" }]']
)
def test_other_options_take_references_and_public_ones_take_text(options: str, tmp_path: Path) -> None:
    assert problems(options, tmp_path) == []


def test_that_no_reference_is_allowed_is_part_of_what_is_explained() -> None:
    schema = schema_of(registry.strategy("tell").Options)
    assert expectation.expected(schema["properties"]["title"], schema) == "text, no references"
    assert expectation.expected(schema["properties"]["token"], schema) == "text"
