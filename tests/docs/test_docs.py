"""The documentation is true: its examples run, its tables are complete."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pushkit
from cli.terminal import Terminal
from docs.blocks import PAGES
from pushkit import errors, hookspecs, registry
from pushkit.options import schema_of
from pushkit.secrets import age

TOP = Path(__file__).parents[2]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_strategy_of_the_plugin_page_pushes_and_its_observer_hears_of_it(tmp_path: Path) -> None:
    strategy, _, observer, _ = blocks(TOP / "docs/plugins.md", "python")
    points, target, _, more_points, notified = blocks(TOP / "docs/plugins.md", "toml")
    site = tmp_path / "site"
    installed(site, "flat", strategy, points)
    installed(site, "paper", observer, more_points)
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    (project / "a.txt").write_text("a")
    (project / "sub/b.txt").write_text("b")
    there = tmp_path / "there"
    there.mkdir()
    told = tmp_path / "told"
    notify = notified[notified.index("[notify") :].replace("/var/log/pushes", str(told))
    (project / "Pushfile").write_text(target.replace("/tmp/there", str(there)) + notify)
    done = subprocess.run(
        [sys.executable, "-m", "pushkit"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(site), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(there)) == ["a.txt", "b.txt"]
    assert told.read_text() == f"there done {done.stdout}"


def test_the_strategy_of_the_plugin_page_that_asks_takes_the_right_word_and_refuses_without_anybody(
    tmp_path: Path,
) -> None:
    flat, locked, *_ = blocks(TOP / "docs/plugins.md", "python")
    flat_points, target, locked_points, *_ = blocks(TOP / "docs/plugins.md", "toml")
    installed(tmp_path / "site", "flat", flat, flat_points)
    installed(tmp_path / "site", "locked", locked, locked_points)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/a.txt").write_text("a")
    (tmp_path / "there").mkdir()
    table = target.replace("/tmp/there", str(tmp_path / "there")).replace('"flat"', '"locked"')
    (tmp_path / "project/Pushfile").write_text(table)
    command = [sys.executable, "-m", "pushkit", "--no-color"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)}
    for last, code in (("nothing at all", 7), ("open sesame", 0)):
        with Terminal(command, tmp_path / "project", environment) as terminal:
            terminal.wait_for("the word: ")
            terminal.type("sesame\n")
            terminal.wait_for("the word (that was not it): ")
            terminal.type(f"{last}\n")
            assert terminal.end()[0] == code
        assert os.listdir(tmp_path / "there") == ["a.txt"] * (code == 0)
    done = subprocess.run(
        command, cwd=tmp_path / "project", env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (done.returncode, b"there is nobody to ask: the word" in done.stderr) == (6, True)


def installed(site: Path, name: str, code: str, entry_points: str) -> None:
    """Put the module ``pushkit_NAME`` of the documentation where Python finds it, with its entry points."""
    record = site / f"pushkit_{name}-1.dist-info"
    record.mkdir(parents=True)
    (site / f"pushkit_{name}.py").write_text(code)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pushkit-{name}\nVersion: 1\n")
    ((group, points),) = tomllib.loads(entry_points)["project"]["entry-points"].items()
    lines = "".join(f"{point} = {module}\n" for point, module in points.items())
    (record / "entry_points.txt").write_text(f"[{group}]\n{lines}")


def test_the_test_of_the_plugin_page_passes(tmp_path: Path) -> None:
    *_, code = blocks(TOP / "docs/plugins.md", "python")
    (tmp_path / "test_page.py").write_text(code)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_every_error_is_drawn_with_its_exit_code() -> None:
    drawn = errors.__doc__ or ""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.PushkitError):
            assert re.search(rf"{kind.__name__} +{kind.exit_code}\b", drawn), f"{kind.__name__} is not drawn"


def test_every_hook_is_documented() -> None:
    page = (TOP / "docs/plugins.md").read_text()
    groups = [value for name, value in vars(hookspecs).items() if name.endswith("Hooks")]
    assert groups
    for group in groups:
        name = re.search(r"``(pushkit\.\w+)``", group.__doc__ or "")
        assert name
        assert f"`{name[1]}`" in page
        for hook in (name for name in vars(group) if name.startswith("pushkit_")):
            assert f"`{hook}`" in page
            assert inspect.getdoc(getattr(group, hook))


def test_every_strategy_has_a_page_that_names_its_options() -> None:
    for plugin in registry.names("strategies"):
        if plugin.distribution != "pushkit":
            continue
        page = (TOP / "docs/strategies" / f"{plugin.name}.md").read_text()
        for option, part in schema_of(registry.strategy(plugin.name).Options)["properties"].items():
            assert re.search(rf"\b{option}\b", page), f"{plugin.name}: {option} is not on its page"
            assert part["description"], f"{plugin.name}: {option} has no description"


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """Those of the pages are checked when the site is built."""
    links = re.findall(r"\]\(([^)]+)\)", (TOP / "README.md").read_text())
    assert links
    for link in links:
        path, _, heading = link.partition("#")
        if "://" not in link:
            assert (TOP / path).exists(), link
            headings = re.findall(r"^#+ (.*)$", (TOP / path).read_text(), re.MULTILINE) if heading else []
            assert not heading or heading in {
                re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings
            }


def test_every_claim_about_security_names_a_test_that_is_there() -> None:
    tests = {
        name
        for file in (TOP / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    claims = re.findall(r"^- (.*?)(?=\n- |\n\n|\Z)", (TOP / "docs/security.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(claims) > 20
    for claim in claims:
        named = re.findall(r"`(test_\w+)`", claim)
        assert named, f"nothing shows that: {claim}"
        assert set(named) <= tests, f"there is no {set(named) - tests}"


def test_the_changelog_begins_with_this_version_or_what_follows_it() -> None:
    first = re.search(r"^## (?!Unreleased$)(\S+)", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first
    assert first[1] == pushkit.__version__


def test_every_public_key_of_the_pages_is_one_that_age_takes() -> None:
    keys = {key for page in PAGES for key in re.findall(r"ssh-ed25519 AAAA[A-Za-z0-9+/=]{60,}", page.read_text())}
    assert keys
    assert age.encrypt(b"x", sorted(keys)).startswith(age.BEGIN)
