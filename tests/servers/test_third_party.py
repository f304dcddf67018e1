"""A plugin of somebody else: begun with ``push plugins new``, its own wheel, installed beside ours, pushing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/writing-a-strategy.md").read_text()


def run(
    *command: str | Path, cwd: Path, code: int = 0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, which has to end with ``code``."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


def wheel(project: Path, directory: Path) -> Path:
    """The project's wheel; no network is needed."""
    before = set(directory.glob("*.whl"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory, cwd=project)
    (made,) = set(directory.glob("*.whl")) - before
    return made


class Elsewhere:
    """An environment of its own, with our wheel and two of others; what they depend on is that of the tests."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(base), "LC_ALL": "C.UTF-8"}
        run(sys.executable, "-m", "venv", "--without-pip", base / "venv", cwd=base)
        self.bin = base / "venv/bin"
        site = Path(sysconfig.get_path("purelib", vars={"base": str(base / "venv")}))
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        wheels = base / "wheels"
        wheels.mkdir()
        self.install(wheel(TOP, wheels))
        for name in ("shelf", "webdav"):
            run(self.bin / "push", "plugins", "new", name, cwd=base, environment=self.environment)
        dav = base / "pushkit-webdav"
        strategy, contract = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        (dav / "pushkit_webdav/strategy.py").write_text(strategy)
        (dav / "tests/test_contract.py").write_text(contract)
        self.install(*(wheel(each, wheels) for each in (base / "pushkit-shelf", dav)))

    def install(self, *wheels: Path) -> None:
        """Install wheels, without a network."""
        pip = (sys.executable, "-m", "pip", "--python", self.bin / "python")
        run(*pip, "install", "-q", "--no-index", "--no-deps", "--ignore-installed", *wheels, cwd=self.base)

    def pytest(self, project: str) -> str:
        """Run the tests of a project, which have to pass."""
        return run(
            self.bin / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider",
            cwd=self.base / project, environment=self.environment,
        ).stdout  # fmt: skip


def test_a_new_plugin_and_the_one_of_the_page_pass_their_tests_and_push(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    # One test, so that two workers do not both make the environment.
    elsewhere = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    strategy, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = [line for line in strategy.splitlines() if line.strip() and not line.strip().startswith(('"""', "#"))]
    assert len(code) < 80
    assert re.search(r"^1[0-9] passed", elsewhere.pytest("pushkit-shelf"), re.MULTILINE)
    assert re.search(r"^1[0-9] passed", elsewhere.pytest("pushkit-webdav"), re.MULTILINE), "on a real WebDAV server"
    found_and_used(elsewhere, tmp_path)


def found_and_used(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """``push`` finds both, says where they come from, and pushes with one."""
    push = elsewhere.bin / "push"
    listed = run(push, "plugins", cwd=tmp_path, environment=elsewhere.environment).stdout
    lines = [line.split() for line in listed.splitlines()]
    site = str(elsewhere.base / "venv")
    for name, version, distribution in (
        ("webdav", "0.1.0", "pushkit-webdav"), ("shelf", "0.1.0", "pushkit-shelf"), ("sftp", "0.1.0", "pushkit")
    ):  # fmt: skip
        (found,) = (line for line in lines if line[:2] == ["strategy", name])
        assert found[2:4] == [version, distribution]
        assert found[4].startswith(site), "ours is the wheel, not the checkout"
    (tmp_path / "site").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project/a.txt").write_text("a")
    (tmp_path / "project/Pushfile").write_text(f'[target.t]\nstrategy = "shelf"\npath = "{tmp_path}/site"\n')
    done = run(push, cwd=tmp_path / "project", environment=elsewhere.environment)
    assert (tmp_path / "site/a.txt").read_text() == "a"
    assert "push" not in done.stdout
    done = run(push, cwd=tmp_path / "project", environment=elsewhere.environment)
    assert "nothing to do" in done.stderr
