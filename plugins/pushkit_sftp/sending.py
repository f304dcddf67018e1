"""`send`: many entries by the primitives of a remote, several at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pushkit import Entry, Interrupted, Kind
from pushkit.files import Remote, RemoteExists, Transfer, pieces
from pushkit_sftp.sessions import MOST


def send(remote: Remote, directory: str, transfer: Transfer) -> None:
    """Make the entries of ``transfer`` below ``directory``: directories first, then the rest in `MOST` threads.

    After a failure nothing new is begun. Raises the failure, or an `ExceptionGroup` of all when there are several.
    """
    directories = [entry for entry in transfer.entries if entry.kind is Kind.DIRECTORY]
    rest = iter([entry for entry in transfer.entries if entry.kind is not Kind.DIRECTORY])
    lock = threading.Lock()
    stop = threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        while not stop.is_set():
            with lock:
                entry = next(rest, None)
            if entry is None:
                break
            try:
                with transfer.step(entry):
                    send_one(remote, f"{directory}/{entry.path}", entry, transfer)
            except Exception as error:  # all of them are raised in the end
                failures.append(error)
                stop.set()

    for entry in directories:
        with transfer.step(entry), suppress(RemoteExists):
            remote.make_directory(f"{directory}/{entry.path}", entry.mode)
    with ThreadPoolExecutor(MOST, thread_name_prefix="sftp") as pool:
        try:
            for worker in [pool.submit(work) for _ in range(MOST)]:
                worker.result()
        finally:
            stop.set()
    # That somebody asked to stop is said once, and not beside what failed.
    told = [error for error in failures if not isinstance(error, Interrupted)] or failures[:1]
    if len(told) > 1:
        raise ExceptionGroup(f"{len(told)} failed", told)
    for error in told:
        raise error


def send_one(remote: Remote, path: str, entry: Entry, transfer: Transfer) -> None:
    """Make a file or a symlink."""
    if entry.kind is Kind.SYMLINK:
        remote.make_symlink(entry.link, path)
    else:
        with transfer.open(entry) as stream:
            remote.write(path, pieces(stream), entry.mode)
