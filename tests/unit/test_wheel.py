"""What is installed: the wheel, whole, and not the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pushkit
import pushkit_aws
import pushkit_dir
import pushkit_ftp
import pushkit_http
import pushkit_script
import pushkit_sftp

PACKAGE = Path(pushkit.__file__).parent
BIN = Path(sys.executable).parent


def test_the_tests_run_against_the_wheel_where_they_are_asked_to() -> None:
    if os.environ.get("PUSHKIT_TESTS_WHEEL"):
        for package in (pushkit, pushkit_aws, pushkit_dir, pushkit_ftp, pushkit_http, pushkit_script, pushkit_sftp):
            assert Path(str(package.__file__)).is_relative_to(sys.prefix)
    assert metadata.version("pushkit") == pushkit.__version__


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_push_and_its_twin_are_the_same_command() -> None:
    said = {
        subprocess.run([BIN / name, "--version"], capture_output=True, text=True, check=True).stdout.removeprefix(name)
        for name in ("push", "pushkit")
    }
    assert said == {f" {pushkit.__version__}\n"}


def test_push_init_finds_its_example() -> None:
    done = subprocess.run([BIN / "push", "init", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    example = (PACKAGE / "Pushfile.example", PACKAGE.parent / "Pushfile.example")
    assert any(path.is_file() for path in example)
