"""What a store is: a place from which hosts fetch what is pushed to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pushkit.model import Step
from pushkit.options import Options
from pushkit.strategy import Run

OptionsT = TypeVar("OptionsT", bound=Options)


class Store(ABC, Generic[OptionsT]):
    """Keeps archives for as long as a rollout takes. One instance serves one command.

    ``name`` is what ``store = "NAME://WHERE"`` of a target begins with, and the name of the entry point in the group
    ``pushkit.stores``. ``where`` is the rest of it. `Options` is the class of the other keys of a table ``store``.
    Whatever it raises is `TargetError`, or `PluginError` in the beginning.
    """

    name: ClassVar[str]
    Options: ClassVar[type[Options]]

    def __init__(self, where: str, options: OptionsT, run: Run) -> None:
        self.where = where
        self.options = options
        self.run = run

    @classmethod
    def problem(cls, where: str) -> str:
        """What is wrong with ``where``, by a look at it alone; empty when nothing is."""
        return "" if where else "expected a place behind the ://"

    @abstractmethod
    def put(self, step: Step, name: str, file: Path) -> None:
        """Keep the content of ``file`` as ``name``, letters, digits and dots. What travels is progress of ``step``."""

    @abstractmethod
    def url(self, name: str, seconds: int) -> str:
        """Where ``name`` can be fetched by GET, by who knows this and nothing else, for so many seconds: a secret."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Forget what was kept as ``name``."""

    def close(self) -> None:
        """Hang up. Always called."""
