"""The primitives of a directory, where it changes meanwhile or takes no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pushkit.files import RemoteError, RemoteFull
from pushkit_dir.remote import LocalRemote


def test_what_goes_away_while_it_is_listed_hides_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    scan = os.scandir

    class Racing:
        """Entries, the second of which is gone when it is looked at."""

        def __init__(self, path: Any) -> None:
            self._entries = scan(path)

        def __enter__(self) -> Any:
            for number, entry in enumerate(self._entries):
                if number == 1:
                    os.remove(entry.path)
                yield entry

        def __exit__(self, *_: object) -> None:
            self._entries.close()

    monkeypatch.setattr("pushkit_dir.remote.os.scandir", Racing)
    assert len(LocalRemote(tmp_path).list("")) == 2


def test_what_bears_a_files_name_and_is_none_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RemoteError) as caught:
        LocalRemote(tmp_path).read("pipe", 10)
    assert caught.value.message == f"{tmp_path}/pipe: this is no file"


def test_half_a_line_is_not_added_to_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = LocalRemote(tmp_path)
    remote.append("log", b"one\n")
    write = os.write

    def short(file: int, data: bytes) -> int:
        return write(file, data[:2])

    with monkeypatch.context() as patch:
        patch.setattr("pushkit_dir.remote.os.write", short)
        with pytest.raises(RemoteFull, match="no space left"):
            remote.append("log", b"two\n")
    remote.append("log", b"three\n")
    assert (tmp_path / "log").read_text() == "one\nthree\n"
