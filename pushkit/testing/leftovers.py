"""What is left of a strategy when it is closed: threads, open files and connections."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: How many seconds what was closed may take to end.
PATIENCE = 2.0


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """No thread, and no more open files than before, once what goes on in here has had a moment to end."""
    threads, files = set(threading.enumerate()), open_files()
    try:
        yield
    finally:
        end = time.monotonic() + PATIENCE
        while (set(threading.enumerate()) - threads or open_files() > files) and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
    assert not set(threading.enumerate()) - threads, "a thread goes on after close"
    assert open_files() <= files, "a file or a connection is open after close"


def open_files() -> int:
    """How many files and connections this process has open; 0 where the system does not say."""
    here = Path("/proc/self/fd")
    return len(os.listdir(here)) if here.is_dir() else 0
