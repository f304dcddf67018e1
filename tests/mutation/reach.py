"""A plugin of pytest: which test reaches which lines of a module, or, of some tests, which is the first to fail.

A session is told by ``SESSION`` in its environment, the path of a `Session` as JSON, and says what it found in a file
of that name and ``.found``.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

SESSION = "PUSHKIT_MUTATION"


@dataclass(frozen=True)
class Session:
    """What a session is to do.

    ``module`` is the file whose lines are looked for, none where ``patience`` says which tests run, in that order,
    and how many seconds each has: then the process ends.
    """

    module: str = ""
    patience: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reached:
    """The lines that a test reached, and the seconds it took."""

    lines: list[int]
    seconds: float


def environment(file: Path, session: Session) -> dict[str, str]:
    """Write down a session; the variable that leads to it."""
    file.write_text(json.dumps(asdict(session)))
    found_in(file).unlink(missing_ok=True)
    return {SESSION: str(file)}


def found_in(file: Path) -> Path:
    """Where a session says what it found."""
    return file.with_name(f"{file.name}.found")


def reached_in(file: Path) -> dict[str, Reached]:
    """What each test of a session reached."""
    return {test: Reached(**each) for test, each in json.loads(found_in(file).read_text()).items()}


def killer_in(file: Path) -> str:
    """The test of a session that failed or did not end, empty when all was well."""
    return found_in(file).read_text() if found_in(file).exists() else ""


class Reach:
    """Follows the lines of a module from test to test."""

    def __init__(self, module: str, file: Path) -> None:
        self._module = module
        self._file = file
        self._lines: set[int] = set()
        self._reached: dict[str, Reached] = {}

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != self._module:
            return None
        return self._step(frame, event, argument)

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._lines.add(frame.f_lineno)
        return self._step

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines = set()
        start = time.monotonic()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            self._reached[item.nodeid] = Reached(sorted(self._lines), time.monotonic() - start)

    def pytest_sessionfinish(self) -> None:
        found_in(self._file).write_text(json.dumps({test: asdict(each) for test, each in self._reached.items()}))


class Kill:
    """Runs some tests in their order, until one fails or does not end."""

    def __init__(self, patience: Mapping[str, float], file: Path) -> None:
        self._patience = patience
        self._file = file

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        places = {test: place for place, test in enumerate(self._patience)}
        items[:] = sorted((item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        found_in(self._file).write_text(item.nodeid)
        faulthandler.dump_traceback_later(self._patience[item.nodeid], exit=True)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            found_in(self._file).unlink(missing_ok=True)


def pytest_configure(config: pytest.Config) -> None:
    """Do what the session says, if it is one."""
    if SESSION in os.environ:
        file = Path(os.environ[SESSION])
        session = Session(**json.loads(file.read_text()))
        config.pluginmanager.register(Reach(session.module, file) if session.module else Kill(session.patience, file))
