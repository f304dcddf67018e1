"""The observer ``log``: a line of JSON for each message, at the end of a file."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from pushkit import Observer, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import Notifier, NotifierOptions


class LogOptions(NotifierOptions):
    """The table of a ``log``."""

    file: Annotated[
        Path, Meta(description="The file, made when it is not there; relative to the Pushfile, `~` is your home.")
    ]


class Log(Notifier[LogOptions]):
    """Keeps an audit log in a file."""

    name: ClassVar[str] = "log"
    Options = LogOptions

    def send(self, message: Message) -> None:
        """Append one line, whole."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds")} | message.document())
        path = self.project.root / self.options.file.expanduser()
        # One write at the end of the file: lines of several pushes do not mix (open(2), O_APPEND).
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)


@hookimpl
def pushkit_observer() -> type[Observer[LogOptions]]:
    """The observer."""
    return Log
