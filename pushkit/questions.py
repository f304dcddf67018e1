"""`Questions`: the secrets that a person is asked for during one command, each of them once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn

from pushkit.errors import PushRefused
from pushkit.secrets.redaction import Redactor

#: Asks a person for a secret. Raises `PushRefused` when there is nobody, or no answer.
Ask = Callable[[str], str]


class Questions:
    """Puts questions to a person through ``ask``, one at a time whatever thread they come from; remembers the answers.

    An answer is hidden by ``redactor`` before anybody gets it. An empty one is none: it raises `PushRefused`, and is
    remembered too.
    """

    def __init__(self, ask: Ask, redactor: Redactor) -> None:
        self._ask = ask
        self._redactor = redactor
        self._lock = threading.Lock()
        self._answers: dict[str, str] = {}

    def is_open(self) -> bool:
        """Whether a person is asked something just now."""
        return self._lock.locked()

    def __call__(self, question: str) -> str:
        """The answer to ``question``, asked unless it was asked before."""
        with self._lock:
            if question not in self._answers:
                answer = self._ask(question)
                self._redactor.add(question, answer)
                self._answers[question] = answer
            if answer := self._answers[question]:
                return answer
        raise PushRefused(f"this was asked, and nothing was given: {question}")


def nobody(question: str) -> NoReturn:
    """Ask nobody: raises `PushRefused`."""
    raise PushRefused(
        f"there is nobody to ask: {question}",
        hint="push from a terminal, or give it beforehand by an option of the target: push explain STRATEGY lists them",
    )
