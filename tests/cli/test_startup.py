"""What a start of ``push`` imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Runs the real entry function, then says what was imported on the way.
PROBE = """
import sys
from pushkit.cli import main
code = main()
print("\\n".join(sorted(sys.modules)), file=sys.stderr)
sys.exit(code)
"""

HEAVY = {"msgspec", "dataclasses", "rich", "paramiko", "pluggy", "pathspec", "importlib.metadata", "asyncio"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"], ["-v", "--version"]], ids=" ".join)
def test_help_and_version_import_nothing_heavy_and_no_plugin(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert "push" in done.stdout
    assert "pushkit.cli" in modules
    assert not modules & HEAVY
    assert not {name for name in modules if name.startswith("pushkit_")}


def test_help_imports_no_command_module() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, "--help"], capture_output=True, text=True, check=True)
    ours = {name for name in done.stderr.split() if name.startswith("pushkit.")}
    assert ours <= {
        "pushkit.cli",
        "pushkit.cli.group",
        "pushkit.cli.settings",
        "pushkit.cli.stdout",
        "pushkit.errors",
    }


def test_the_bare_version_needs_not_even_click() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, "--version"], capture_output=True, text=True, check=True)
    assert "click" not in done.stderr.split()
