"""``push explain``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from distributions import forget, importable, install_strategy
from pushkit import registry
from pushkit.cli.explain import complete_strategy
from pushkit.cli.group import group
from pushkit.cli.settings import Settings
from pushkit.errors import PluginError

OPTIONS = """
    port: Annotated[int, Meta(ge=1, le=65535, description="The port.")] = 22
    host: Annotated[str, Meta(description="Where it goes.")]
    ratio: Annotated[float, Meta(gt=0, description="A share.")] | None = None
    layout: Annotated[__import__("typing").Literal["releases", "mirror"], Meta(description="How it lies.")] = "releases"
    password: Annotated[Secret | None, Meta(description="The password.")] = None
    hosts: Annotated[tuple[str, ...], Meta(description="Many.")] = ()
    pair: Annotated[tuple[int, str], Meta(description="Two.")] = (1, "a")
    labels: Annotated[dict[str, str], Meta(description="Names.")] = {}
    key: Annotated[__import__("pathlib").Path | None, Meta(description="A file.")] = None
    code: Annotated[str, Meta(pattern="^x", max_length=3, description="A code.")] = ""
    health: Annotated[Health | None, Meta(description="A check.")] = None
    tags: Annotated[tuple, Meta(min_length=1, description="Tags.")] = ()
"""
HEALTH = """
class Health(Options):
    url: Annotated[str, Meta(min_length=1, description="What is asked.")]
    within: Annotated[float, Meta(description="Seconds.")] = 30
"""


@pytest.fixture(autouse=True)
def _site(tmp_path: Path) -> Iterator[None]:
    with importable(tmp_path / "site") as site:
        install_strategy(site, "ship", OPTIONS)
        module = site / "acme_ship.py"
        module.write_text(module.read_text().replace("class shipOptions", f"{HEALTH}\nclass shipOptions"))
        forget()
        yield


def run(*arguments: str) -> str:
    result = CliRunner().invoke(group, ["explain", *arguments], obj=Settings(), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_options_are_explained_in_plain_words_those_required_first() -> None:
    text = run("ship")
    headings = [line for line in text.splitlines() if line.endswith(")")]
    assert headings == [
        "host  (text; required)",
        "port  (a whole number from 1 to 65535; default 22)",
        "ratio  (a number above 0)",
        'layout  ("mirror" or "releases"; default "releases")',
        "password  (secret text)",
        "hosts  (a list, each item text)",
        'pair  (a list of 2 items: a whole number, text; default [1, "a"])',
        "labels  (a table, each value text)",
        "key  (a path)",
        "code  (text of at most 3 characters that matches ^x)",
        "health  (a table)",
        "health.url  (text that is not empty; required)",
        "health.within  (a number; default 30)",
        "tags  (a list, not empty)",
    ]
    assert "\n    Where it goes.\n" in text


def test_options_as_json() -> None:
    (line,) = run("ship", "--json").splitlines()
    values = json.loads(line)
    assert (values["event"], values["name"]) == ("strategy", "ship")
    assert values["options"][1] == {
        "name": "port",
        "type": "a whole number from 1 to 65535",
        "required": False,
        "default": 22,
        "help": "The port.",
    }


@pytest.mark.parametrize("name", [p.name for p in registry.names("strategies") if p.distribution == "pushkit"])
def test_every_option_of_a_built_in_has_a_type_and_help(name: str) -> None:
    options = json.loads(run(name, "--json"))["options"]
    assert {option["name"].partition(".")[0] for option in options} == set(
        registry.strategy(name).Options.__struct_encode_fields__
    )
    for option in options:
        assert option["help"], option["name"]
        assert option["type"] != "a value", option["name"]


def test_an_unknown_strategy_is_a_plugin_error() -> None:
    with pytest.raises(PluginError) as caught:
        CliRunner().invoke(group, ["explain", "sfpt"], obj=Settings(), catch_exceptions=False, standalone_mode=False)
    assert caught.value.hint == 'did you mean "sftp"?'


def test_a_shell_completes_strategies() -> None:
    assert complete_strategy("s") == ["s3", "script", "sftp", "ship"]
