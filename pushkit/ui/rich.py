"""The reporter for a terminal: the lines of the plain one, and under them a bar, or many hosts, for how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from pushkit.amount import amount
from pushkit.events import Event, HostChanged, PushFinished, StepsPassed, StepStarted
from pushkit.ui.grid import Grid
from pushkit.ui.plain import Plain, Tone
from pushkit.ui.text import duration, visible

_STYLES = {Tone.PLAIN: "", Tone.QUIET: "dim", Tone.GOOD: "green", Tone.WARNING: "yellow", Tone.BAD: "bold red"}

# Seconds between two states of the bar; files may come by the thousand.
INTERVAL = 0.1


class Rich:
    """Tells the events of pushes on a terminal. `close` gives the terminal back."""

    many = True

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._plain = Plain(self._write, verbose=verbose, interval=0.0, hosts=False)
        self._bars: Bars | None = None
        self._grid = Grid()
        self._hosts: Live | None = None
        self._updated = 0.0
        self._aside = False
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        """Tell ``event``."""
        with self._lock:
            if isinstance(event, PushFinished):
                self.close()
            self._plain(event)
            if isinstance(event, HostChanged):
                self._grid.take(event)
                self._show_hosts()
            elif self._hosts is not None:
                return
            elif isinstance(event, (StepStarted, StepsPassed)) and self._bars is None and self._unfinished():
                # Not with the plan already: a person may be asked whether to go on with it.
                self._show(event.target)
            elif self._bars is not None and time.monotonic() - self._updated >= INTERVAL:
                self._update(self._bars)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take what is shown away, and tell nothing; then it comes back, under what there was to tell meanwhile."""
        with self._lock:
            self._aside = True
            for shown in (self._bars, self._hosts):
                if shown is not None:
                    shown.stop()
        try:
            with self._plain.aside():
                yield
        finally:
            with self._lock:
                self._aside = False
                for shown in (self._bars, self._hosts):
                    if shown is not None:
                        shown.start()

    def close(self) -> None:
        """Take the bar or the hosts away."""
        with self._lock:
            bars, self._bars = self._bars, None
            if bars is not None:
                self._update(bars)
                bars.stop()
            hosts, self._hosts = self._hosts, None
            if hosts is not None:
                hosts.stop()
                self._grid = Grid()

    def _unfinished(self) -> bool:
        progress = self._plain.progress
        return progress.files < progress.total_files

    def _write(self, line: str, tone: Tone) -> None:
        self._console.print(Text(line, style=_STYLES[tone]))

    def _show_hosts(self) -> None:
        if self._hosts is None:
            self._hosts = Live(
                self._grid, console=self._console, transient=True, refresh_per_second=1 / INTERVAL,
                redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
            )  # fmt: skip
            if not self._aside:
                self._hosts.start()

    def _show(self, target: str) -> None:
        self.close()
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=1 / INTERVAL,
            # Data goes to stdout whatever is on the terminal.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bars.add_task(visible(target), total=1.0, detail="")
        if not self._aside:
            self._bars.start()
        self._update(self._bars)

    def _update(self, bars: Bars) -> None:
        self._updated = time.monotonic()
        progress = self._plain.progress
        detail = (
            f"{progress.files:,}/{progress.total_files:,} files  "
            f"{amount(progress.size)}/{amount(progress.total_size)}  {amount(progress.rate)}/s"
        )
        left = progress.left
        if left is not None:
            detail += f"  {duration(left)} left"
        bars.update(bars.task_ids[0], completed=progress.share, detail=detail)
