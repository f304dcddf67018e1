"""`Prompts`: what an ssh process asks of a person, answered by this one.

ssh runs a program to ask (``SSH_ASKPASS``). Ours passes the question on through a pipe that has a name, and the answer
back through another, so that no secret is in an argument, in the environment or on a disk.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

PROGRAM = """#!/bin/sh
# Passes a question of ssh on, and the answer back.
here=${0%/*}
printf '%s\\n%s\\0' "$SSH_ASKPASS_PROMPT" "$1" >"$here/question"
IFS= read -r answer <"$here/answer"
case $answer in 1*) printf '%s\\n' "${answer#1}" ;; *) exit 1 ;; esac
"""
#: How often a passphrase may be given, as ssh has it.
TRIES = 3
ENDS = ("", " (that was wrong)", " (that was wrong too)")
#: Given the question and whether it is one, and not a word to a person: the answer, None when there is none.
Answer = Callable[[str, bool], str | None]


class Prompts:
    """Answers what is asked by processes that have `environment`, until it is closed. ``directory`` is private."""

    def __init__(self, directory: Path, answer: Answer) -> None:
        self._answer = answer
        self._program = directory / "ask"
        self._program.write_text(PROGRAM)
        self._program.chmod(0o700)
        #: Whether somebody is being asked.
        self.asking = threading.Event()
        ends = []
        for name in ("question", "answer"):
            os.mkfifo(directory / name, 0o600)
            # Both ends, so that opening one never waits for the other, and the pipe does not end with who writes.
            ends.append(os.open(directory / name, os.O_RDWR | os.O_CLOEXEC))
        self._questions, self._answers = ends
        self._thread = threading.Thread(target=self._listen, name="prompts", daemon=True)
        self._thread.start()

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes ssh ask here."""
        # Before 8.4 ssh asks so when it has a display and no terminal.
        display = os.environ.get("DISPLAY") or "none"
        return {"SSH_ASKPASS": str(self._program), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": display}

    def close(self) -> None:
        """End, unless that was done."""
        if not self._thread.is_alive():
            return
        with suppress(OSError):
            os.write(self._questions, b"\0\0")
        self._thread.join()
        os.close(self._questions)
        os.close(self._answers)

    def _listen(self) -> None:
        heard = b""
        while True:
            heard += os.read(self._questions, 4096)
            while b"\0" in heard:
                question, _, heard = heard.partition(b"\0")
                if not question:
                    return
                self._hear(question.decode("utf-8", "replace"))

    def _hear(self, question: str) -> None:
        kind, _, text = question.partition("\n")
        self.asking.set()
        try:
            answer = self._answer(text, kind != "none")
        except Exception:
            answer = None
        finally:
            self.asking.clear()
        os.write(self._answers, b"0\n" if answer is None else f"1{answer}\n".encode("utf-8", "surrogateescape"))


def passphrase_question(file: Path | str, tries: int) -> str:
    """What a person is asked for the passphrase of a key, when so many were wrong. No two questions are alike."""
    return f"passphrase of the key {file}{ENDS[tries]}"
