"""After a run of all tests: are there messages that none of them has reached?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from messages import Message
from pushkit import errors
from reached import unreached
from recorder import sitecustomize

LEFT = pytest.StashKey[Sequence[Message]]()


def pytest_configure(config: pytest.Config) -> None:
    """Let this process, and those that the tests start, write down which messages they reach."""
    sitecustomize.watch(errors)
    if sitecustomize.FILE not in os.environ:
        directory = tempfile.TemporaryDirectory(prefix="pushkit-reached-")
        config.add_cleanup(directory.cleanup)
        places = Path(directory.name, "places")
        places.touch()
        # Some tests are another user for a while.
        places.parent.chmod(0o711)
        places.chmod(0o666)
        os.environ[sitecustomize.FILE] = str(places)
        here = str(Path(sitecustomize.__file__).parent)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run of all tests that leaves a message unreached has failed, unless one was skipped, which might reach it."""
    config = session.config
    chosen = (
        config.option.keyword or config.option.markexpr or config.option.collectonly or config.getoption("lf", False)
    )
    if (
        hasattr(config, "workerinput")
        or exitstatus != pytest.ExitCode.OK
        or chosen
        or config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    ):
        return
    config.stash[LEFT] = unreached(Path(os.environ[sitecustomize.FILE]))
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if config.stash[LEFT] and reporter is not None and not reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the messages that were not reached."""
    left = terminalreporter.config.stash.get(LEFT, ())
    if left:
        terminalreporter.section(f"{len(left)} messages were reached by no test")
    for each in left:
        terminalreporter.line(f"{each.file}:{each.line}: {each.kind}: {each.text}")
