"""The site is built from the pages and the code, without a network; and nothing that users see is left out of it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from rich.style import Style

import commands
import contract
import figures
import names
import options
import pictures
from markdown_text import UndocumentedError, prose, table
from pushkit import errors, events, registry
from pushkit.cli.group import COMMANDS
from reference import PAGES

TOP = Path(__file__).parents[2]

#: mkdocs in a process that connects to nothing.
ALONE = """
import socket, sys
def refuse(*_):
    raise OSError("this build asked for the network")
socket.socket.connect = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli(sys.argv[1:])
"""


def test_the_site_is_built_strictly_without_a_network_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ALONE, "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    pages = sorted(path.relative_to(site) for path in site.rglob("*.html"))
    assert len(pages) > 50
    # What a browser loads by itself; a link waits until somebody follows it.
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]*\ssrc="(\w+:)?//|<link[^>]*\shref="(\w+:)?//|url\((\w+:)?//'
    )
    for page in [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]:
        assert not loaded.search(page.read_text()), page
    assert "rollback" in (site / "search/search_index.json").read_text()
    assert not (site / "generate").exists()


def test_a_page_that_is_wrong_ends_the_build(tmp_path: Path) -> None:
    """What "strictly" is worth: a link to nowhere, to a heading that is none, and a page that is not in the menu."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Index\n\n[a](nowhere.md) [b](#none)\n")
    (tmp_path / "docs/forgotten.md").write_text("# Forgotten\n")
    settings = (TOP / "mkdocs.yml").read_text().partition("\nnav:")[0].replace("hooks: [docs/generate/hook.py]\n", "")
    (tmp_path / "mkdocs.yml").write_text(f"{settings}\nnav: [index.md]\n")
    command = [sys.executable, "-c", ALONE, "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    for wrong in ("nowhere.md", "#none", "forgotten.md"):
        assert re.search(rf"{wrong}", done.stderr), wrong


def test_the_reference_names_everything() -> None:
    page = PAGES["reference/commands.md"]()
    for name in ("", *COMMANDS, "secrets recipients add", "codedeploy validate", "trust"):
        assert f"\n## push {name}".rstrip() in page, name
    for kind, find in (("strategies", registry.strategy), ("observers", registry.observer)):
        page = PAGES[f"reference/{kind}.md"]()
        for name in options.own(kind):
            section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
            for field in find(name).Options.__struct_encode_fields__:
                assert f"| `{field}` |" in section, f"{name}: {field}"
    page = PAGES["reference/events.md"]()
    # Who hears `StepsPassed` is no plugin, and no program.
    there = [each for each in vars(events).values() if isinstance(each, type) and issubclass(each, events.Event)]
    told = set(there) - {events.Event, events.StepsPassed}
    assert all(re.search(rf"^## {kind.__name__}\b", page, re.MULTILINE) for kind in told)
    page = PAGES["reference/hooks.md"]()
    assert all(f"\n## pushkit.{group}\n" in page for group in registry.GROUPS)
    page = PAGES["reference/exit-codes.md"]()
    codes = {int(code) for code in re.findall(r"^\| `(\d+)` \|", page, re.MULTILINE)}
    assert codes == {kind.exit_code for kind in contract.failures()} | {0, 141}
    page = PAGES["reference/api.md"]()
    for package in names.PACKAGES:
        for name in import_module(package).__all__:
            assert f"### `{name}` {{ #{package}.{name} }}" in page
    page = PAGES["reference/sources.md"]()
    for group in ("secret_sources", "host_sources"):
        assert all(f"### {name} {{" in page for name in options.own(group))
    for name in options.own("stores"):
        section = page.split(f"\n### {name}\n")[-1]
        assert all(f"| `{option}` |" in section for option in options.options(registry.store(name).Options))


def test_an_option_without_words_is_noticed() -> None:
    told = {"type": "string", "description": "Where."}
    assert "| `path` |" in options.rows("s", {"properties": {"path": told}})
    with pytest.raises(UndocumentedError, match="the option path of s"):
        options.rows("s", {"properties": {"path": {"type": "string"}}})
    within = {"properties": {"health": told | {"properties": {"url": {"type": "string"}}}}}
    with pytest.raises(UndocumentedError, match=r"health\.url"):
        options.rows("s", within)


def test_a_command_or_its_option_without_words_is_noticed() -> None:
    said = click.Option(["--all"], help="All of it.", is_flag=True)
    assert "`--all`" in commands.section("push sweep", click.Command("sweep", help="Sweep.", params=[said]))
    with pytest.raises(UndocumentedError, match="push sweep is"):
        commands.section("push sweep", click.Command("sweep"))
    silent = click.Option(["--all"])
    with pytest.raises(UndocumentedError, match="push sweep --all"):
        commands.section("push sweep", click.Command("sweep", help="Sweep.", params=[silent]))


def test_an_event_a_hook_and_an_error_without_words_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(events.Event, frozen=True):
        size: int

    class Hooks:
        """Group ``pushkit.silent``: nothing."""

        def pushkit_silent(self) -> None: ...

    class Quiet(errors.PushkitError):
        exit_code = 10

    monkeypatch.setattr(events, "Silent", Silent, raising=False)
    monkeypatch.setitem(registry.GROUPS, "silent", Hooks)
    monkeypatch.setattr(errors, "Quiet", Quiet, raising=False)
    for page, named in (
        (contract.event_page, "the event Silent"), (contract.hooks, "pushkit_silent"), (contract.exit_codes, "Quiet")
    ):  # fmt: skip
        with pytest.raises(UndocumentedError, match=named):
            page()


@pytest.mark.parametrize(
    "silent",
    ["NAME = 1", "class NAME: pass", "def NAME(): pass", 'class NAME:\n    "Words."\n    def method(self): pass'],
)
def test_a_public_name_without_words_is_noticed(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "inherited", lambda *_: "")
    with pytest.raises(UndocumentedError, match=r"acme\.NAME"):
        names.section("acme", names.definition(ast.parse(silent), "acme", "NAME"))


def test_the_figures_of_the_readme_are_those_that_were_measured() -> None:
    readme, benchmarks = (TOP / "README.md").read_text(), (TOP / "docs/benchmarks.md").read_text()
    assert figures.renewed(readme, benchmarks) == readme, "run `make figures`"
    numbers = re.findall(r"(\d+\.\d\d) times", readme)
    assert len(numbers) == len(figures.TOLD)
    assert all(number in benchmarks for number in numbers)
    with pytest.raises(LookupError, match="TOLD"):
        figures.figures(benchmarks.replace("| openssh |", "| ssh |"))


def test_the_readme_shows_a_picture_that_was_drawn() -> None:
    for page in (TOP / "README.md", TOP / "docs/index.md", TOP / "docs/tutorial.md"):
        for picture in re.findall(r"!\[[^\]]+\]\((.*?)\)", page.read_text()):
            drawn = (page.parent / picture).read_text()
            assert "$" in drawn
            assert "live&#160;again" in drawn or "pushed&#160;000001" in drawn


def test_a_picture_shows_what_a_push_says_in_its_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "HOSTS", 1)
    monkeypatch.setattr(pictures, "PICTURES", tmp_path)
    with pictures.machine() as here:
        shown = here.run()
    lines = shown.plain.splitlines()
    assert lines[0] == "$ push"
    assert re.fullmatch(r"pushed 000001-\S+ to production: 42 files, .*", lines[-2])
    assert re.fullmatch(r"000001-\S+", lines[-1])
    assert any(span.style == Style(color="green", bold=False) for span in shown.spans), "what went well is green"
    pictures.picture("one", "push", 84, [shown])
    drawn = ElementTree.parse(tmp_path / "one.svg").getroot()
    assert "verify" in "".join(drawn.itertext())


def test_words_are_shown_as_they_are_meant() -> None:
    assert prose("See ``a``::\n\n    b\n\nThen c.") == "See `a`:\n\n```text\nb\n```\n\nThen c."
    assert table(("a", "b"), [("x | y", "`p | q`")]).splitlines()[-1] == "| x \\| y | `p | q` |"
