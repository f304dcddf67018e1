"""Work on many hosts at once: what fails on one is kept with it, and stops nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from pushkit.errors import Interrupted, PushkitError
from pushkit.fleet.member import Member

Failures = dict[Member, PushkitError | ExceptionGroup[Exception]]


def together(
    members: Sequence[Member],
    work: Callable[[Member], object],
    parallel: int,
    cancelled: threading.Event,
    *,
    leave: bool = False,
) -> Failures:
    """Do ``work`` for each of ``members``, ``parallel`` at a time; what each raised that is told to users.

    Once somebody asks to stop, nothing new is started; what is under way ends, and `Interrupted` is raised. A bug is
    raised as it is, when all have ended. With ``leave``, what is under way then is left behind, and has to be such that
    it may be: a host that does not answer would be waited for.
    """
    failures: Failures = {}
    bugs: list[BaseException] = []

    def act(member: Member) -> None:
        if cancelled.is_set() or bugs:
            return
        try:
            work(member)
        except Interrupted:
            pass  # whoever asked to stop knows it
        except ExceptionGroup as error:
            (bugs.append(error) if error.split(PushkitError)[1] else failures.__setitem__(member, error))
        except PushkitError as error:
            failures[member] = error
        except BaseException as error:  # raised below
            bugs.append(error)

    pool = ThreadPoolExecutor(max(1, min(parallel, len(members))), thread_name_prefix="host")
    try:
        pending = {pool.submit(act, member) for member in members}
        while pending and not (leave and cancelled.is_set()):
            # In short waits, so that Ctrl-C is heard.
            _, pending = wait(pending, 0.2)
    finally:
        # A person may insist: what is under way then ends when its connection is closed under it.
        pool.shutdown(wait=False, cancel_futures=True)
    if bugs:
        raise bugs[0]
    if cancelled.is_set():
        raise Interrupted("stopped")
    return failures
