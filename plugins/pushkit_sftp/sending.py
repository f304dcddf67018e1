"""`send`: many entries by the primitives of a remote, several at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress

from pushkit import Entry, Kind
from pushkit.files import Remote, RemoteExists, Transfer, pieces
from pushkit_sftp.sessions import MOST


def send(remote: Remote, directory: str, transfer: Transfer) -> None:
    """Make the entries of ``transfer`` below ``directory``: directories first, then the rest in `MOST` threads.

    After a failure nothing new is begun. The steps tell of every failure; the first one is raised.
    """
    directories = [entry for entry in transfer.entries if entry.kind is Kind.DIRECTORY]
    rest = iter([entry for entry in transfer.entries if entry.kind is not Kind.DIRECTORY])
    lock = threading.Lock()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with lock:
                entry = next(rest, None)
            if entry is None:
                break
            with transfer.step(entry):
                send_one(remote, f"{directory}/{entry.path}", entry, transfer)

    for entry in directories:
        with transfer.step(entry), suppress(RemoteExists):
            # One that is closed has to be filled first.
            remote.make_directory(f"{directory}/{entry.path}", entry.mode | 0o700)
    with ThreadPoolExecutor(MOST, thread_name_prefix="sftp") as pool:
        try:
            for worker in as_completed([pool.submit(work) for _ in range(MOST)]):
                worker.result()
        finally:
            stop.set()
    # The deepest first: below a directory that is closed nothing can be set any more.
    for entry in reversed(directories):
        if entry.mode & 0o700 != 0o700:
            remote.set_mode(f"{directory}/{entry.path}", entry.mode)


def send_one(remote: Remote, path: str, entry: Entry, transfer: Transfer) -> None:
    """Make a file or a symlink."""
    if entry.kind is Kind.SYMLINK:
        remote.make_symlink(entry.link, path)
    else:
        with transfer.open(entry) as stream:
            remote.write(path, pieces(stream), entry.mode)
