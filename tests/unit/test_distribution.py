"""What is published: the same bytes each time, with a manual page, completions and a bill of materials; as one file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import click
import pytest
from packaging.requirements import Requirement

import pushkit
from pushkit import errors
from pushkit.cli import manual
from pushkit.cli.group import COMMANDS, group
from pushkit.errors import PushkitError

TOP = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path = TOP, **environment: str) -> str:
    """Run a command, which has to end well; what it prints."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(tree: Path, kind: str, directory: Path, **environment: str) -> Path:
    """Build a distribution of ``tree``; no network is needed."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", directory, cwd=tree, **environment)
    (made,) = directory.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return build(TOP, "wheel", tmp_path_factory.mktemp("wheel"))


@dataclass(frozen=True)
class Place:
    """An environment with the wheel; what it needs is that of the tests. ``share`` is what it brings for others."""

    base: Path

    @property
    def bin(self) -> Path:
        return self.base / "bin"

    @property
    def share(self) -> Path:
        return self.base / "share"


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where the wheel is installed."""
    base = tmp_path_factory.mktemp("place") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", base)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(base)}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", base / "bin/python")
    run(*pip, "install", "-q", "--no-index", "--no-deps", "--ignore-installed", wheel)
    return Place(base)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two targets."""
    (tmp_path / "Pushfile").write_text(
        '[target.production]\nstrategy = "dir"\npath = "live"\n[target.staging]\nstrategy = "dir"\npath = "next"\n'
    )
    (tmp_path / "index.html").write_text("one")
    return tmp_path


def test_a_wheel_is_the_same_bytes_whenever_and_wherever_it_is_built(wheel: Path, tmp_path: Path) -> None:
    source = build(TOP, "sdist", tmp_path / "source")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.glob("pushkit-*")
    for path in tree.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(path.stat().st_mode & 0o700)
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "COLUMNS": "40", "HOME": str(tmp_path)}
    again = build(tree, "wheel", tmp_path / "again", **elsewhere)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_the_bill_of_materials_is_valid_and_names_what_the_wheel_needs(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if "/sboms/" in each)
        text = archive.read(name).decode()
        (about,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        needed = re.findall(r"^Requires-Dist: (.*)$", archive.read(about).decode(), re.MULTILINE)
    assert name == f"pushkit-{pushkit.__version__}.dist-info/sboms/pushkit.cdx.json"
    # What these import takes seconds: whoever collects the tests does not wait for it.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    record = json.loads(text)
    assert record["metadata"]["component"]["purl"] == f"pkg:pypi/pushkit@{pushkit.__version__}"
    wanted = {Requirement(each).name.lower(): "extra ==" in each for each in needed if "'dev'" not in each}
    assert {each["name"]: each["scope"] == "optional" for each in record["components"]} == wanted
    assert {"click", "boto3"} <= set(wanted)


def commands(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner
            yield from commands(inner, context)


def test_the_manual_page_is_sound_and_names_every_command_option_and_exit_code(place: Place) -> None:
    page = place.share / "man/man1/push.1"
    assert (place.share / "man/man1/pushkit.1").read_text() == ".so man1/push.1\n"
    mandoc = shutil.which("mandoc")
    assert mandoc, "not installed: .ci/machine servers"
    done = subprocess.run([mandoc, "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    # A date would be another with each build.
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []
    text = re.sub(r".\x08", "", run(mandoc, "-T", "utf8", "-O", "width=200", page))
    assert "push - get a project from a directory to the place where it runs" in text
    for name in COMMANDS:
        assert re.search(rf"^ +push {name}\b", text, re.MULTILINE), name
    for command in commands(group, click.Context(group)):
        for each in command.params:
            if isinstance(each, click.Option):
                assert all(word in text for word in each.opts), each.opts
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, PushkitError)]
    assert {int(code) for code in manual.EXIT_STATUS} == {kind.exit_code for kind in kinds} | {0, 141}
    assert all(said in text for said in manual.EXIT_STATUS.values())


def test_what_a_page_says_is_neither_a_request_nor_an_escape() -> None:
    assert manual.roff(".so /etc/passwd") == r"\&.so /etc/passwd"
    assert manual.roff(r"a\fBb 'c' -d") == r"a\efBb \(aqc\(aq \-d"


SHELLS = {
    "bash": """
        source {share}/bash-completion/completions/push
        COMP_WORDS=(push sta) COMP_CWORD=1
        "$(complete -p push | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" push sta push
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    # What the shell would show is printed. That it is found by its place is what compinit says.
    "zsh": """
        fpath=({share}/zsh/site-functions $fpath)
        autoload -Uz compinit && compinit -u -D
        [[ $_comps[push] == _push ]] || exit 1
        _describe() {{ print -rl -- ${{${{(P)3}}%%:*}} }}
        compadd() {{ print -rl -- ${{(P)@[-1]}} }}
        words=(push sta) CURRENT=2
        _push
    """,
    "fish": "complete -C 'push sta'",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_finds_what_completes_push_where_the_wheel_puts_it(place: Place, project: Path, shell: str) -> None:
    program = shutil.which(shell)
    assert program, "not installed: .ci/machine servers"
    environment = {
        "PATH": f"{place.bin}:{os.environ['PATH']}",
        "HOME": str(project),
        "XDG_DATA_DIRS": str(place.share),
        "LC_ALL": "C.UTF-8",
    }
    said = run(program, "-c", SHELLS[shell].format(share=place.share), cwd=project, **environment)
    assert sorted(line.split("\t")[0] for line in said.splitlines()) == ["staging", "status"]


def test_it_is_a_module_too(place: Place) -> None:
    said = run(place.bin / "python", "-I", "-m", "pushkit", "--version", cwd=place.base)
    assert said.split() == ["push", pushkit.__version__]


def closure(name: str, found: dict[str, metadata.Distribution]) -> Mapping[str, metadata.Distribution]:
    """The installed distributions that ``name`` needs, itself among them, added to ``found``."""
    if name not in found:
        found[name] = metadata.distribution(name)
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                closure(requirement.name, found)
    return found


def test_it_may_be_one_file_that_pushes(place: Place, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("one")
    site = base / "site"
    for name, found in closure("pushkit", {}).items():
        # The wheel itself; all that it needs is there already.
        files = [] if name == "pushkit" else found.files or []
        for file in files:
            if ".." not in file.parts and file.suffix != ".pyc":
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), site / file)
    installed = Path(sysconfig.get_path("purelib", vars={"base": str(place.base)}))
    shutil.copytree(installed, site, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pth", "__pycache__"))
    shutil.copytree(place.bin, site / "bin", symlinks=True)
    one = base / "push.pyz"
    run(sys.executable, "-m", "shiv.cli", "-c", "push", "-o", one, "--site-packages", site, "--python", sys.executable)
    environment = {"HOME": str(base), "SHIV_ROOT": str(base / "unpacked")}
    release = run(one, "production", cwd=project, **environment).strip()
    assert (project / "live/current").readlink() == Path("releases") / release
    assert f"{release} is live" in run(one, "status", "production", cwd=project, **environment)
    # It starts push again and again, which is found in the file only.
    run(one, "demo", "-q", cwd=base, **environment)
