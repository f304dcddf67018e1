"""Somebody who answers what a strategy asks."""

from __future__ import annotations

from collections.abc import Mapping

from pushkit.questions import nobody


class Person:
    """Knows these ``answers`` by their questions, and is nobody to ask anything else: ``Run(..., ask=Person({...}))``.

    ``asked`` are the questions, in their order.
    """

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def __call__(self, question: str) -> str:
        """The answer to ``question``. Raises `PushRefused` where there is none."""
        self.asked.append(question)
        return self._answers.get(question) or nobody(question)
