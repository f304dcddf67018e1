"""No fenced block of the documentation escapes: each is run, or parsed and validated, or is here with a reason."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
import yaml

import options
from cli.project import PUSH
from docs.blocks import PAGES, TOP, Block, blocks
from docs.command_line import scripts, unknown_options, validate, validate_script
from pushkit import pushfile, registry
from pushkit.errors import PushkitError
from pushkit.testing import Nginx
from pushkit.testing.plugin import require

STRATEGIES = {plugin.name for plugin in registry.names("strategies") if plugin.distribution == "pushkit"}

#: Blocks that a test runs from the page itself, by page and language: the test.
RUN = {
    ("docs/codedeploy-local.md", "console"): "tests/docs/test_codedeploy_local.py",
    ("docs/codedeploy-local.md", "yaml"): "tests/docs/test_codedeploy_local.py",
    ("docs/how-to/blue-green.md", "nginx"): "tests/servers/front.py",
    ("docs/how-to/blue-green.md", "sh"): "tests/servers/front.py",
    ("docs/how-to/from-git-ftp.md", "console"): "tests/docs/test_how_to.py",
    ("docs/how-to/from-vagrant.md", "ruby"): "tests/docs/test_blocks.py",
    ("docs/how-to/look.md", "console"): "tests/docs/test_how_to.py",
    ("docs/how-to/look.md", "sh"): "tests/docs/test_how_to.py",
    ("docs/make.md", "make"): "tests/docs/test_make.py",
    ("docs/notify.md", "py"): "tests/cli/test_observers.py",
    ("docs/plugins.md", "py"): "tests/docs/test_plugin_command.py",
    ("docs/plugins.md", "python"): "tests/docs/test_docs.py",
    ("docs/tutorial.md", "console"): "tests/docs/test_stranger.py",
    ("docs/writing-a-strategy.md", "console"): "tests/docs/test_stranger.py",
    ("docs/writing-a-strategy.md", "python"): "tests/servers/test_third_party.py",
}

#: Blocks that are neither run nor validated, by page, language and number: why.
LEFT = {
    ("docs/plugins.md", "toml", 1): "a part of a pyproject.toml, which tests/docs/test_docs.py installs",
    ("docs/plugins.md", "toml", 2): "a Pushfile for the plugin of the page, pushed by tests/docs/test_docs.py",
    ("docs/plugins.md", "toml", 3): "a part of a pyproject.toml, which tests/docs/test_docs.py installs",
    ("docs/plugins.md", "toml", 4): "a part of a pyproject.toml, which tests/docs/test_docs.py installs",
    ("docs/plugins.md", "toml", 5): "a Pushfile for the plugin of the page, pushed by tests/docs/test_docs.py",
    ("docs/writing-a-strategy.md", "toml", 1): "a part of a pyproject.toml, which tests/docs/test_stranger.py installs",
}


def test_every_block_says_what_it_is_and_is_seen_to() -> None:
    seen_to = {"toml", "console", "sh", "make", "yaml", "json", "nginx", "text"}
    escaped = [
        str(each)
        for each in blocks()
        if each.language not in seen_to
        and (each.page, each.language) not in RUN
        and (each.page, each.language, each.number) not in LEFT
    ]
    assert escaped == []


def test_what_runs_a_block_names_its_page_and_every_exception_is_still_there() -> None:
    there = {(each.page, each.language) for each in blocks()}
    for (page, language), test in RUN.items():
        assert (page, language) in there, f"{page} has no {language}"
        assert Path(page).name in (TOP / test).read_text(), f"{test} does not read {page}"
    assert set(LEFT) <= {(each.page, each.language, each.number) for each in blocks()}


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_every_pushfile_is_valid_to_its_last_option(block: Block, tmp_path: Path) -> None:
    if (block.page, block.language, block.number) in LEFT:
        return
    tables = tomllib.loads(block.text)
    assert {table["strategy"] for table in tables["target"].values()} <= STRATEGIES
    text = block.text if "project" in tables else f'[project]\nname = "blog"\n\n{block.text}'
    file = tmp_path / "Pushfile"
    file.write_text(text)
    project = pushfile.load(file, select=list(tables["target"]))
    assert set(project.targets) == set(tables["target"])


@pytest.mark.parametrize(
    "block", [each for each in blocks("toml") if re.search(r"^# ?\w+ = ", each.text, re.MULTILINE)], ids=str
)
def test_every_option_in_a_comment_is_one(block: Block) -> None:
    """The pages of strategies show most options behind ``#``, which a parser passes over."""
    known: set[str] = set()
    table = ""
    for line in block.text.splitlines():
        if found := re.match(r'strategy = "(\w+)"', line):
            known = set(options.options(registry.strategy(found[1]).Options)) | {"ignore", "include"}
        elif found := re.match(r"\[target\.[^.\]]+\.?(.*)\]", line):
            table = f"{found[1]}." * bool(found[1])
        elif found := re.match(r"# ?(\w+) = ", line):
            # A table whose options are those of another plugin's class has none here.
            own = {name for name in known if name.startswith(table)}
            assert f"{table}{found[1]}" in known or (table and not own), f"{block}: there is no option {found[1]}"


@pytest.mark.parametrize(
    "line",
    [
        "push --dry-runn",
        "push rollbak",
        "push nowhere",
        "push secrets recipients remove bob",
        "push join",
        "push --wait soon",
        "push demo now",
        "pip install 'pushkit[everything]'",
        "rsync -a . web1:/srv/blog",
    ],
)
def test_a_command_that_is_none_is_noticed(line: str, tmp_path: Path) -> None:
    with pytest.raises((PushkitError, click.ClickException, AssertionError)):
        validate(line, "docs/tutorial.md", tmp_path)


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_every_command_of_a_console_is_one(block: Block, tmp_path: Path) -> None:
    assert block.commands, "a console without a command"
    assert block.text.startswith("$ ")
    (tmp_path / "appspec.yml").touch()
    for line, _ in block.commands:
        validate(line, block.page, tmp_path)


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_every_script_is_one_and_so_is_each_push_in_it(block: Block, tmp_path: Path) -> None:
    if (block.page, "sh") not in RUN:
        validate_script(block.text, block.page, tmp_path)


@pytest.mark.parametrize("block", blocks("make"), ids=str)
def test_every_recipe_of_a_makefile_is_a_push(block: Block, tmp_path: Path) -> None:
    lines = [line.strip().lstrip("@") for line in block.text.splitlines() if line.startswith("\t")]
    assert lines
    for line in lines:
        validate(line.replace("$(PUSH)", "push").replace("$(TARGET)", "production"), block.page, tmp_path)
    (tmp_path / "Makefile").write_text(block.text)
    names = re.findall(r"^(\w+):", block.text, re.MULTILINE)
    subprocess.run(["make", "-n", "-C", tmp_path, *names], check=True, capture_output=True)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_every_pipeline_runs_what_there_is(block: Block, tmp_path: Path) -> None:
    document = yaml.safe_load(block.text)
    if (block.page, "yaml") in RUN:
        return
    found = list(scripts(document))
    assert any("push --yes" in each for each in found)
    for script in found:
        validate_script(script, block.page, tmp_path)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_every_document_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("text"), ids=str)
def test_plain_text_hides_no_command(block: Block) -> None:
    assert not re.search(r"^(\$ |push |pip )", block.text, re.MULTILINE), "write it as a console"


@pytest.mark.parametrize("block", [each for each in blocks("nginx") if each.page == "docs/how-to/vps.md"], ids=str)
def test_the_configuration_of_nginx_serves_what_is_live(block: Block, tmp_path: Path) -> None:
    live = tmp_path / "current"
    live.mkdir(mode=0o755)
    (live / "index.html").write_text("hello")

    class Site(Nginx):
        def _servers(self) -> str:
            return block.text.replace("listen 80", f"listen 127.0.0.1:{self.port}").replace(
                "/srv/blog/current", str(live)
            )

    require(Nginx)
    with Site(tmp_path, host="127.0.0.1") as site:
        request = urllib.request.Request(site.url, headers={"Host": "blog.example.com"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read() == b"hello"


def test_the_vagrantfile_becomes_the_pushfile_beside_it(tmp_path: Path) -> None:
    page = [each for each in blocks() if each.page == "docs/how-to/from-vagrant.md"]
    (vagrantfile,) = (each.text for each in page if each.language == "ruby")
    (shown,) = (each.text for each in page if each.language == "toml")
    project = tmp_path / "blog"
    project.mkdir()
    (project / "Vagrantfile").write_text(vagrantfile)
    subprocess.run([PUSH, "init", "--from", "Vagrantfile"], cwd=project, check=True, capture_output=True)
    assert tomllib.loads((project / "Pushfile").read_text()) == tomllib.loads(shown)


INLINE = re.compile(r"`push( [^`]+)`")


def inline() -> Sequence[tuple[str, str]]:
    """What pages tell to type, within their text: tables of commands, most of all."""
    found = {}
    for page in PAGES:
        for text in INLINE.findall(re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)):
            found[f"push{text}"] = str(page.relative_to(TOP))
    return sorted(found.items())


@pytest.mark.parametrize(("typed", "page"), inline())
def test_every_command_within_a_text_has_the_options_it_is_told_with(typed: str, page: str) -> None:
    words = [word.strip("[]") for word in re.sub(r" [<>] .*", "", typed).split()[1:]]
    assert unknown_options(words) == set(), page
