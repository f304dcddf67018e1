"""`Resolver`: what the references of a Pushfile stand for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pushkit import registry
from pushkit.errors import SecretError
from pushkit.once import Once
from pushkit.questions import Ask, nobody
from pushkit.secrets.redaction import Redactor
from pushkit.secrets.references import Reference
from pushkit.secrets.source import Lookup

# So many at the same time: a vault's command takes a second, most of it waiting for a network.
TOGETHER = 8


class Resolver:
    """Resolves references for one command, each once for a target, and remembers also what could not be resolved.

    ``root`` is the Pushfile's directory. Every value is known to ``redactor`` before anything else is done with it.
    ``ask`` and ``cancelled`` are for the sources that need them. Safe to use from threads.
    """

    def __init__(
        self, root: Path, redactor: Redactor, ask: Ask = nobody, cancelled: threading.Event | None = None
    ) -> None:
        self.redactor = redactor
        self._root = root
        self._ask = ask
        self._cancelled = cancelled or threading.Event()
        self._once = Once()
        self._answers: dict[tuple[str, Reference], _Answer] = {}

    def value(self, target: str, reference: Reference) -> str:
        """What ``reference`` stands for in the table of ``target``, or of an observer when that is empty.

        Raises `PluginError` for a broken source, and what the source raises.
        """
        answer = self._answers.setdefault((target, reference), _Answer())
        with answer.lock:
            if answer.failure is None and answer.text is None:
                try:
                    answer.text = self._asked(target, reference)
                except Exception as error:
                    answer.failure = error
        if answer.failure is not None:
            raise answer.failure
        assert answer.text is not None
        return answer.text

    def ahead(self, target: str, references: Iterable[Reference]) -> None:
        """Resolve ``references`` at the same time. What goes wrong is said by `value`, when it is asked."""
        pending: Sequence[Reference] = list(dict.fromkeys(references))
        if len(pending) < 2:
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (most targets refer to nothing)

        def resolve(reference: Reference) -> None:
            with suppress(Exception):
                self.value(target, reference)

        with ThreadPoolExecutor(TOGETHER, "secrets") as pool:
            list(pool.map(resolve, pending))

    def _asked(self, target: str, reference: Reference) -> str:
        source = registry.secret_source(reference.source)
        lookup = Lookup(self._root, target, self._ask, self.redactor.add, self._once, self._cancelled)
        value = source(reference.argument, lookup)
        if not isinstance(value, str):
            raise SecretError(
                f"the source of ${{{reference}}} gave a {type(value).__name__} where text is expected",
                hint="this is for its authors: push plugins",
            )
        # The project's own secrets are known by their names alone.
        self.redactor.add(reference.argument if reference.source == "secret" else str(reference), value)
        return value


class _Answer:
    """What a reference stands for, once it is known."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.text: str | None = None
        self.failure: Exception | None = None
