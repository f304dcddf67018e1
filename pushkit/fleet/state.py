"""What a host of a rollout may be in."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of one host."""

    PENDING = "pending"
    CONNECTED = "connected"
    PREPARED = "prepared"
    SWITCHED = "switched"
    VERIFIED = "verified"
    DONE = "done"
    UNREACHABLE = "unreachable"
    GONE = "gone"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "unknown"


#: Those that count as a failure.
BAD = {State.UNREACHABLE, State.FAILED, State.UNKNOWN}
#: Those in which a host is out of the rollout.
OUT = {*BAD, State.GONE, State.ROLLED_BACK}
