"""The reporter for a program: one JSON object a line, each with a ``version`` and the name of its ``event``."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from pushkit.events import Event, StepFinished, StepProgress
from pushkit.model import Plan, Step

# The version of the lines' format. A field may be added within a version; none is renamed or removed.
VERSION = 1

# Seconds between two lines on the bytes of one step.
INTERVAL = 1.0


class JsonLines:
    """Writes every event through ``write(line)``; the bytes of a step at most once a second, summed up."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._travelled: dict[Step, tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        """Write ``event``."""
        if isinstance(event, StepProgress):
            now = self._clock()
            told, size = self._travelled.get(event.step, (now, 0))
            size += event.size
            if now - told < INTERVAL:
                self._travelled[event.step] = (told, size)
                return
            self._travelled[event.step] = (now, 0)
            event = StepProgress(event.target, event.step, size)
        elif isinstance(event, StepFinished):
            self._travelled.pop(event.step, None)
        values = asdict(event)
        self._write(line(event_name(type(event)), **values))

    def aside(self) -> AbstractContextManager[None]:
        """A program's lines are on nobody's way."""
        return nullcontext()

    def close(self) -> None:
        """Nothing is held."""


def line(event: str, **values: Any) -> str:
    """One line of the format, without its end. Pure ASCII, whatever the values hold, which are not ``version``."""
    return json.dumps(plain(values) | {"version": VERSION, "event": event}, separators=(",", ":"))


def event_name(kind: type) -> str:
    """The name of an event's class as it stands in a line: ``StepFinished`` is ``step-finished``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def plain(value: Any) -> Any:  # noqa: PLR0911  (one a kind)
    """``value`` as JSON knows it. Times are ISO 8601, bytes are hex. Of a plan, what every plan has."""
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Struct):
        # A strategy keeps what its own push needs in a plan of its own class: that is nobody else's.
        shown = Plan if isinstance(value, Plan) else value
        return {name: plain(getattr(value, name)) for name in shown.__struct_fields__}
    return str(value)
