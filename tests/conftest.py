"""After a run of all tests: is there a message that none of them has reached?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pushkit import errors
from reached import unreached
from recorder import sitecustomize

PATH = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Let this process, and those that the tests start, write down which messages they reach."""
    sitecustomize.watch(errors)
    if sitecustomize.FILE not in os.environ:
        directory = tempfile.TemporaryDirectory(prefix="pushkit-reached-")
        config.add_cleanup(directory.cleanup)
        os.environ[sitecustomize.FILE] = str(Path(directory.name, "places"))
        here = str(Path(sitecustomize.__file__).parent)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))
