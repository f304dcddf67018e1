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

from docs.blocks import add_dependencies

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
        timeout=300,
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
        for arguments in (("shelf",), ("webdav",), ("vault", "--remote")):
            run(self.bin / "push", "plugins", "new", *arguments, cwd=base, environment=self.environment)
        dav = base / "pushkit-webdav"
        strategy, contract, command = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        (dav / "pushkit_webdav/strategy.py").write_text(strategy)
        (dav / "tests/test_contract.py").write_text(contract)
        (dav / "tests/test_command.py").write_text(command)
        add_dependencies(dav / "pyproject.toml")
        self.install(*(wheel(base / f"pushkit-{name}", wheels) for name in ("shelf", "webdav", "vault")))

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
    strategy, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = [line for line in strategy.splitlines() if line.strip() and not line.strip().startswith(('"""', "#"))]
    assert len(code) < 80
    for name, passed in (("shelf", "2[0-9]"), ("webdav", "2[0-9]"), ("vault", "[56][0-9]")):
        assert re.search(rf"^{passed} passed", elsewhere.pytest(f"pushkit-{name}"), re.MULTILINE), name
    for name in ("shelf", "vault"):
        project = elsewhere.base / f"pushkit-{name}"
        for check in (("ruff", "check"), ("ruff", "format", "--check"), ("mypy", "--cache-dir", os.devnull)):
            run(sys.executable, "-m", *check, cwd=project, environment={**elsewhere.environment, "MYPYPATH": "."})
    found_and_used(elsewhere, tmp_path)


def found_and_used(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """``push`` finds all, says where they come from, and pushes with them."""
    push = elsewhere.bin / "push"
    listed = run(push, "plugins", cwd=tmp_path, environment=elsewhere.environment).stdout
    lines = [line.split() for line in listed.splitlines()]
    site = str(elsewhere.base / "venv")
    for name, version, distribution in (
        ("webdav", "0.1.0", "pushkit-webdav"), ("shelf", "0.1.0", "pushkit-shelf"),
        ("vault", "0.1.0", "pushkit-vault"), ("sftp", "0.1.0", "pushkit"),
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
    assert "to t: 1 file, 1 B in " in done.stderr
    done = run(push, cwd=tmp_path / "project", environment=elsewhere.environment)
    assert "nothing to do" in done.stderr
    assert done.stdout == "", "what is live is not known"
    # By a dozen primitives: releases, and all that push can do with them.
    (tmp_path / "project/Pushfile").write_text(f'[target.t]\nstrategy = "vault"\npath = "{tmp_path}/vault"\n')
    first = run(push, cwd=tmp_path / "project", environment=elsewhere.environment).stdout.strip()
    (tmp_path / "project/a.txt").write_text("b")
    run(push, cwd=tmp_path / "project", environment=elsewhere.environment)
    assert (tmp_path / "vault/current/a.txt").read_text() == "b"
    back = run(push, "rollback", cwd=tmp_path / "project", environment=elsewhere.environment).stdout.strip()
    assert (back, (tmp_path / "vault/current/a.txt").read_text()) == (first, "a")
