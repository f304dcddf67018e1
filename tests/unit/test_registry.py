"""Plugins as real distributions, and every way in which one can be broken."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from distributions import forget, importable, install, install_strategy, strategy
from pushkit import plugin_api, registry
from pushkit.errors import PluginError
from pushkit.options import defaults_of
from pushkit.secrets.source import Lookup
from pushkit.strategy import Strategy

SOURCE = """
from pushkit import hookimpl
@hookimpl
def pushkit_secret_source():
    return lambda argument, root: argument.upper()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    with importable(tmp_path / "site") as directory:
        yield directory


def refused(group: str, name: str) -> PluginError:
    get = {"strategies": registry.strategy, "secret_sources": registry.secret_source}.get(group, registry.command)
    with pytest.raises(PluginError) as caught:
        get(name)
    return caught.value


def test_the_built_ins_are_listed_with_their_distribution() -> None:
    listed = {plugin.name: plugin for plugin in registry.names("strategies")}
    assert {"dir", "sftp", "script"} <= set(listed)
    assert listed["dir"].distribution == "pushkit"
    assert listed["dir"].module == "pushkit_dir"
    assert {"env", "file", "command"} <= {plugin.name for plugin in registry.names("secret_sources")}


def test_listing_imports_no_plugin(site: Path) -> None:
    install(site, "acme-boom", {"acme_boom": "raise SystemExit(9)"}, {"strategies:boom": "acme_boom"})
    code = (
        "import sys; from pushkit import registry\n"
        "assert 'boom' in {plugin.name for plugin in registry.names('strategies')}\n"
        "assert not {'acme_boom', 'pushkit_dir', 'pushkit.options', 'paramiko'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(site)}, check=False)
    assert done.returncode == 0


def test_a_strategy_of_anybody_is_loaded(site: Path) -> None:
    install_strategy(site, "ship", "port: int = 22")
    loaded = registry.strategy("ship")
    assert issubclass(loaded, Strategy)
    assert defaults_of(loaded.Options) == {"port": 22}
    assert registry.strategy("ship") is loaded


def test_of_several_loaded_plugins_each_gives_its_own(site: Path) -> None:
    for name in ("one", "two", "three"):
        install_strategy(site, name)
    assert [registry.strategy(name).name for name in ("one", "two", "three", "one")] == ["one", "two", "three", "one"]


def test_two_distributions_with_one_name_are_refused_by_name(site: Path) -> None:
    install(site, "acme-a", {"acme_a": strategy("ship")}, {"strategies:ship": "acme_a"}, version="1.2")
    install(site, "acme-b", {"acme_b": strategy("ship")}, {"strategies:ship": "acme_b"}, version="3.4")
    error = refused("strategies", "ship")
    assert error.message == 'the strategy "ship" is claimed by acme-a 1.2 and acme-b 3.4'
    assert "uninstall" in error.hint
    assert not {"acme_a", "acme_b"} & set(sys.modules)


def test_one_name_in_two_groups_is_two_plugins(site: Path) -> None:
    modules = {"acme_s": strategy("vault"), "acme_v": SOURCE}
    install(site, "acme", modules, {"strategies:vault": "acme_s", "secret_sources:vault": "acme_v"})
    assert registry.strategy("vault").name == "vault"
    assert registry.secret_source("vault")("x", Lookup(site)) == "X"


def test_one_module_behind_two_names_is_refused(site: Path) -> None:
    install(site, "acme", {"acme_v": SOURCE}, {"secret_sources:vault": "acme_v", "secret_sources:safe": "acme_v"})
    assert registry.secret_source("vault")("x", Lookup(site)) == "X"
    error = refused("secret_sources", "safe")
    assert 'secret source "safe" (acme 1.0) is the same module as secret source "vault"' in error.message
    assert "acme_v" in error.message
    assert registry.secret_source("vault")("y", Lookup(site)) == "Y"


def test_a_strategy_with_an_alias_still_works_under_its_own_name(site: Path) -> None:
    install(site, "acme", {"acme_s": strategy("ship")}, {"strategies:ship": "acme_s", "strategies:alias": "acme_s"})
    assert "calls itself 'ship'" in refused("strategies", "alias").message
    assert registry.strategy("ship").name == "ship"


def test_a_mistyped_hook_is_refused(site: Path) -> None:
    source = strategy("ship").replace("def pushkit_strategy", "def pushkit_stratgy")
    install(site, "acme", {"acme_s": source}, {"strategies:ship": "acme_s"})
    error = refused("strategies", "ship")
    assert error.message == 'strategy "ship" (acme 1.0) implements pushkit_stratgy, which is no hook of a strategy'
    assert error.hint == 'did you mean "pushkit_strategy"?'
    assert registry.strategy("dir").name == "dir", "a broken plugin must not break the others"


def test_a_hook_with_unknown_arguments_is_refused(site: Path) -> None:
    source = strategy("ship").replace("pushkit_strategy()", "pushkit_strategy(config)")
    install(site, "acme", {"acme_s": source}, {"strategies:ship": "acme_s"})
    assert "config" in refused("strategies", "ship").message


def test_a_module_without_a_hook_is_refused(site: Path) -> None:
    install(site, "acme", {"acme_s": ""}, {"strategies:ship": "acme_s"})
    assert refused("strategies", "ship").message == 'strategy "ship" (acme 1.0) does not implement pushkit_strategy'


def test_a_missing_dependency_is_named_with_the_distribution(site: Path) -> None:
    install(site, "acme", {"acme_s": "import nothing_like_this"}, {"strategies:ship": "acme_s"}, version="2.5")
    error = refused("strategies", "ship")
    assert error.message == ("strategy \"ship\" (acme 2.5) cannot be imported: No module named 'nothing_like_this'")
    assert "acme" in error.hint
    assert isinstance(error.__cause__, ImportError)


@pytest.mark.parametrize("statement", ["raise RuntimeError('no licence')", "raise SystemExit('no licence')", "1 +"])
def test_whatever_an_import_raises_is_attributed(site: Path, statement: str) -> None:
    install(site, "acme", {"acme_s": statement}, {"strategies:ship": "acme_s"}, version="2.5")
    error = refused("strategies", "ship")
    assert error.message.startswith('strategy "ship" (acme 2.5) cannot be imported: ')
    assert error.exit_code == 4


def test_what_pytest_loads_in_every_environment_imports_little() -> None:
    code = (
        "import sys, pushkit.testing.plugin\n"
        "heavy = {'pushkit.options', 'paramiko', 'boto3', 'cryptography', 'pushkit.strategy', 'pushkit.testing.sshd'}\n"
        "assert not heavy & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_that_this_pushkit_has_not_is_a_matter_of_versions(site: Path) -> None:
    install(site, "acme", {"acme_s": "from pushkit import Teleport"}, {"strategies:ship": "acme_s"}, version="2.5")
    error = refused("strategies", "ship")
    assert "(acme 2.5) cannot be imported: cannot import name 'Teleport'" in error.message
    assert "another version of pushkit" in error.hint


@pytest.mark.parametrize(
    ("says", "message", "hint"),
    [
        ("pushkit_api = 4", "is written for version 4 of the plugin API; pushkit .* has 2 to 3", "update pushkit"),
        ("pushkit_api = 1", "is written for version 1 of the plugin API; pushkit .* has 2 to 3", "update acme"),
        ("", "is written for version 1 of the plugin API", "update acme"),
        ("pushkit_api = '2'", "says pushkit_api = '2', where a number", "this is for the authors of acme"),
    ],
)
def test_a_plugin_for_another_version_of_the_api_is_refused(
    site: Path, monkeypatch: pytest.MonkeyPatch, says: str, message: str, hint: str
) -> None:
    monkeypatch.setattr(plugin_api, "CURRENT", 3)
    monkeypatch.setattr(plugin_api, "OLDEST", 2)
    install(site, "acme", {"acme_s": strategy("ship") + says}, {"strategies:ship": "acme_s"}, version="2.5")
    error = refused("strategies", "ship")
    assert re.match(rf'strategy "ship" \(acme 2.5\) {message}', error.message)
    assert error.hint == hint


def test_a_version_of_the_api_that_will_go_is_announced_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_api, "CURRENT", 2)
    monkeypatch.setattr(plugin_api, "DEPRECATED", {1: "0.9"})
    for name, version in (("old", 1), ("new", 2)):
        source = strategy(name) + f"pushkit_api = {version}"
        install(site, f"acme-{name}", {f"acme_{name}": source}, {f"strategies:{name}": f"acme_{name}"})
    forget()
    registry.strategy("old")
    registry.strategy("new")
    (told,) = registry.notices()
    assert told == (
        'strategy "old" (acme-old 1.0) is written for version 1 of the plugin API, which goes with pushkit 0.9: '
        "update acme-old, or tell its authors"
    )
    registry.strategy("old")
    assert registry.notices() == []


@pytest.mark.parametrize("module", ["pushkit", "pushkit.files", "pushkit.fleet"])
def test_a_public_name_that_will_go_is_there_and_is_announced_to_who_writes_and_to_who_uses(
    site: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    leaving = plugin_api.Leaving("0.9", "pushkit.Step", "pushkit.model:Step")
    monkeypatch.setattr(plugin_api, "LEAVING", {f"{module}.Deed": leaving})
    source = f"from {module} import Deed\n" + strategy("ship")
    install(site, "acme", {"acme_s": source}, {"strategies:ship": "acme_s"})
    forget()
    with pytest.warns(DeprecationWarning, match=rf"^{module}.Deed goes with pushkit 0.9: use pushkit.Step$") as heard:
        registry.strategy("ship")
    assert {Path(each.filename).name for each in heard} == {"acme_s.py"}, "the line that asks for it"
    assert registry.notices() == [
        f'strategy "ship" (acme 1.0) uses what will go: {module}.Deed goes with pushkit 0.9: use pushkit.Step'
    ]
    with pytest.raises(ImportError, match="Nothing"):
        exec(f"from {module} import Nothing")


def test_a_hook_that_raises_is_attributed(site: Path) -> None:
    source = "from pushkit import hookimpl\n@hookimpl\ndef pushkit_strategy():\n    return 1 / 0\n"
    install(site, "acme", {"acme_s": source}, {"strategies:ship": "acme_s"})
    assert "(acme 1.0) failed in pushkit_strategy: ZeroDivisionError" in refused("strategies", "ship").message


def test_an_unknown_name_gets_a_suggestion_or_the_list(site: Path) -> None:
    assert refused("strategies", "sfpt").hint == 'did you mean "sftp"?'
    error = refused("strategies", "zzzzzz")
    assert error.message == 'there is no strategy "zzzzzz"'
    assert "dir" in error.hint
    assert "sftp" in error.hint


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("return shipStrategy", "return 5"), "gives a int where a subclass of Strategy"),
        (("return shipStrategy", "return str"), "gives the class str where a subclass of Strategy"),
        (('name = "ship"', 'name = "boat"'), "calls itself 'boat'"),
        (('name = "ship"', ""), "calls itself None"),
        (("Options = shipOptions", ""), "has no `Options`"),
        (("Options = shipOptions", "Options = dict"), "has no `Options`"),
        (("def plan", "def paln"), "does not define plan"),
    ],
)
def test_a_result_that_is_no_strategy_is_refused(site: Path, change: tuple[str, str], says: str) -> None:
    install(site, "acme", {"acme_s": strategy("ship").replace(*change)}, {"strategies:ship": "acme_s"})
    assert f'strategy "ship" (acme 1.0) {says}' in refused("strategies", "ship").message


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("client: Callable[[], int]", "`client`: collections.abc.Callable has no option_schema"),
        ("client: Fleet | None = None", "`client`: acme_s.Fleet has no option_schema"),
        ("client: dict[str, Inner] = {}", "`client`: acme_s.Fleet has no option_schema"),
        ("client: Moody | None = None", "`client`: not today"),
        ("client: 'Unknown'", "`shipOptions`: name 'Unknown' is not defined"),
    ],
)
def test_an_option_that_cannot_be_explained_is_refused_by_name(site: Path, field: str, says: str) -> None:
    types = """
from collections.abc import Callable
class Fleet: pass
class Inner(Options):
    fleet: Fleet
class Moody:
    @classmethod
    def of_option(cls, value): return cls()
    @staticmethod
    def option_schema(): raise RuntimeError("not today")
class shipOptions(Options):
    port: int = 22"""
    source = strategy("ship", field).replace("\n\nclass shipOptions(Options):", types)
    install(site, "acme", {"acme_s": source}, {"strategies:ship": "acme_s"}, version="2.5")
    assert registry.strategy("ship").name == "ship"
    with pytest.raises(PluginError) as raised:
        registry.load(registry.find("strategies", "ship"))
    error = raised.value
    assert error.message.startswith(f'strategy "ship" (acme 2.5) has an option that nothing can explain, {says}')
    assert error.hint == "this is for the authors of acme"
    assert registry.strategy("dir").name == "dir"


def test_an_option_that_nothing_can_be_is_refused_where_it_is_used(site: Path) -> None:
    install_strategy(site, "ship", "client: 'Unknown'")
    with pytest.raises(PluginError) as raised:
        registry.strategy("ship").Options.of({"client": 1})
    assert raised.value.message == "acme_ship has an option that nothing can be: name 'Unknown' is not defined"
    assert raised.value.hint == "this is for its authors: push plugins --check"


def test_a_source_that_is_no_function_is_refused(site: Path) -> None:
    source = SOURCE.replace("lambda argument, root: argument.upper()", "'text'")
    install(site, "acme", {"acme_v": source}, {"secret_sources:vault": "acme_v"})
    assert "gives a str where a function is expected" in refused("secret_sources", "vault").message


def test_commands_and_observers_come_through_the_same_door(site: Path) -> None:
    modules = {
        "acme_c": "import click\nfrom pushkit import hookimpl\n@hookimpl\ndef pushkit_command():\n"
        "    return click.Command('hello')\n",
        "acme_o": "from pushkit import Observer, Options, hookimpl\n"
        "class Chat(Observer):\n    name = 'chat'\n    Options = Options\n    def hear(self, event): pass\n"
        "@hookimpl\ndef pushkit_observer():\n    return Chat\n",
        "acme_n": "from pushkit import hookimpl\n@hookimpl\ndef pushkit_command():\n    return print\n",
    }
    points = {"commands:hello": "acme_c", "observers:chat": "acme_o", "commands:bad": "acme_n"}
    install(site, "acme", modules, points)
    assert isinstance(registry.command("hello"), click.Command)
    assert registry.observer("chat").name == "chat"
    assert "where a click command is expected" in refused("commands", "bad").message


def test_a_repaired_plugin_is_loaded_by_the_next_look(site: Path) -> None:
    install(site, "acme", {"acme_s": "import nothing_like_this"}, {"strategies:ship": "acme_s"})
    refused("strategies", "ship")
    (site / "acme_s.py").write_text(strategy("ship"))
    forget()
    assert registry.strategy("ship").name == "ship"
