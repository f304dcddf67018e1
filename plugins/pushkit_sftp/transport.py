"""`Transport`: a connection to a server in which somebody is logged in, and the `Channel`s that it carries."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pushkit.files import RemoteLost
from pushkit_sftp.pace import Pace
from pushkit_sftp.spare import Spare

#: Seconds between two looks at whether somebody wants to stop; and for the answer to one request.
TICK, PATIENCE = 0.2, 60.0
#: Seconds between two looks at whether a connection is there, and for one that is lost to be seen as that.
LOOK, MOMENT = 0.004, 0.5
#: Seconds that a server may take to end what was started ahead.
ENDING = 5.0


class Channel(ABC):
    """A program on the server: what it is given, what it prints, and how it ended.

    What waits does so for `TICK`, and then raises `TimeoutError`. `OSError` and `EOFError` say that the connection
    failed. ``pace`` is how fast it may send; None for any.
    """

    pace: Pace | None = None

    def send(self, data: bytes | memoryview, /) -> int:
        """Send some of ``data``; how many bytes; 0 when the program does not take any more."""
        if self.pace is None:
            return self._send(data)
        allowed = self.pace.take(len(data), TICK)
        sent = 0
        try:
            sent = self._send(memoryview(data)[:allowed])
        finally:
            self.pace.give_back(allowed - sent)
        return sent

    @abstractmethod
    def _send(self, data: bytes | memoryview, /) -> int:
        """As `send`, at any pace."""

    @abstractmethod
    def recv(self, size: int, /) -> bytes:
        """What it printed, at most ``size`` bytes; empty at the end."""

    @abstractmethod
    def recv_there(self, size: int, /) -> tuple[bytes, bytes]:
        """What is there already of what it printed and of what it wrote to standard error, at most ``size`` bytes each.

        Does not wait.
        """

    @abstractmethod
    def finish(self) -> None:
        """End its standard input. Never raises."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether it is known how it ended."""

    @abstractmethod
    def exit_code(self) -> int:
        """How it ended; -1 when a signal ended it, or nobody says. Raises `EOFError` when the connection is lost."""

    @abstractmethod
    def close(self) -> None:
        """End it. Never raises."""


class Transport(ABC):
    """A connection to the server ``where``, which is a name for messages.

    ``round_trip`` is the shortest time, in seconds, that the server took to answer; 0 before it did. All its channels
    together send at most ``rate`` bytes a second; None for any number.
    """

    def __init__(self, where: str, rate: int | None = None) -> None:
        self.where = where
        self.pace = Pace(rate) if rate else None
        self.round_trip = 0.0
        #: Whether programs are started ahead of their use.
        self.ahead = True
        self._spares: dict[bytes, list[Spare]] = {}
        self._lock = threading.Lock()
        #: Whether a channel was opened at all, and whether the server has had room for each.
        self._carried, self._roomy = False, True

    def open(self, command: bytes, within: float = PATIENCE, *, subsystem: bool = False) -> Channel:
        """Start a program on the server by its ``command``, or by the name of a ``subsystem``.

        Raises `RemoteLost` when the server does not start it, or does not answer within so many seconds.
        """
        start, patience = time.monotonic(), MOMENT
        while True:
            try:
                channel = self._opened(command, within, subsystem=subsystem)
            except RemoteLost:
                # There may be no room beside what was started ahead, or beside what has not ended yet.
                if self._give_up_spares():
                    self._roomy, patience = False, ENDING
                if not self._carried or not self.active or time.monotonic() - start > patience:
                    raise
                time.sleep(LOOK)
            else:
                self._carried = True
                return channel

    def _opened(self, command: bytes, within: float, *, subsystem: bool = False) -> Channel:
        with connection_told(self.where):
            channel = self._open(command, within, subsystem=subsystem)
            channel.pace = self.pace
            return channel

    def prepare(self, command: bytes, count: int = 1) -> None:
        """Begin to start a program that `take` will ask for, ``count`` times: it takes the server a round trip or two.

        Those that were prepared before are among them.
        """
        # Dropbear now and then ends a session that begins while another one ends.
        with self._lock:
            if self.ahead and self._roomy and "OpenSSH" in self.greeting:
                spares = self._spares.setdefault(command, [])
                for _ in range(count - len(spares)):
                    spares.append(Spare(lambda: self._opened(command, PATIENCE)))

    def take(self, command: bytes, within: float = PATIENCE) -> Channel:
        """A program, as `open`: the one that `prepare` has started, where it is there."""
        with self._lock:
            spares = self._spares.get(command)
            spare = spares.pop(0) if spares else None
        return (spare and spare.take()) or self.open(command, within)

    def close(self) -> None:
        """Hang up. Never raises."""
        spares = self._give_up_spares()
        self._close()
        for spare in spares:
            spare.wait(MOMENT)

    def _give_up_spares(self) -> list[Spare]:
        with self._lock:
            spares, self._spares = [spare for some in self._spares.values() for spare in some], {}
        for spare in spares:
            spare.give_up()
        return spares

    @property
    @abstractmethod
    def active(self) -> bool:
        """Whether it lasts."""

    def lost(self) -> bool:
        """Whether it is at its end. Channels hear of that a moment before, which is waited for."""
        end = time.monotonic() + MOMENT
        while self.active and time.monotonic() < end:
            time.sleep(LOOK)
        return not self.active

    @property
    @abstractmethod
    def greeting(self) -> str:
        """Who answered: software, and the fingerprint of the host key."""

    @property
    def weaknesses(self) -> Sequence[str]:
        """What of it is weaker than it need be."""
        return ()

    @property
    def twins(self) -> Sequence[str]:
        """Other machines that are known to have its host key, each with where that is said."""
        return ()

    @abstractmethod
    def _close(self) -> None:
        """As `close`."""

    @abstractmethod
    def _open(self, command: bytes, within: float, *, subsystem: bool) -> Channel:
        """As `open`; the connection's errors as they are."""

    @contextmanager
    def _round_trip(self) -> Iterator[None]:
        """What happens in here takes one round trip, and hardly more."""
        start = time.monotonic()
        yield
        took = time.monotonic() - start
        self.round_trip = min(took, self.round_trip or took)


@contextmanager
def connection_told(where: str) -> Iterator[None]:
    """Turn what is raised when the connection fails into a `RemoteLost`."""
    try:
        yield
    except TimeoutError as error:
        raise RemoteLost(f"{where}: no answer in time", hint="push again") from error
    except (EOFError, OSError) as error:
        raise RemoteLost(
            f"{where}: the connection was lost: {str(error) or type(error).__name__}",
            hint="push again",
        ) from error
