"""The mutants of a module, each against the tests that reach its line, in a copy of the tree."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from mutation.mutant import Mutant
from mutation.reach import Reached, Session, environment, killer_in, reached_in

#: What of a directory is no part of the tree.
LEFT = (".git", ".venv", "build", "dist", ".*_cache", ".hypothesis", "__pycache__")
#: How much slower a test may be than it was, and how many seconds it has beside that.
SLOWER, PATIENCE = 5, 20.0
#: What killed a mutant that no test could import.
IMPORT = "its import"


class Copy:
    """A copy of the tree, in which one mutant at a time lives."""

    def __init__(self, tree: Path, top: Path, module: str) -> None:
        self._tree = top / "tree"
        self._module = self._tree / module
        self._session = top / "session"
        (top / "tmp").mkdir(parents=True)
        shutil.copytree(tree, self._tree, ignore=shutil.ignore_patterns(*LEFT), symlinks=True)
        paths = [self._tree, self._tree / "plugins", self._tree / "tests"]
        self._environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONPYCACHEPREFIX": str(top / "bytecode"),
            "TMPDIR": str(top / "tmp"),
        }
        self._changes = 0

    def reached(self, tests: Sequence[str]) -> dict[str, Reached]:
        """What each test reaches of the module. Raises SystemExit when one fails."""
        if self._run(Session(module=str(self._module)), tests):
            raise SystemExit("the tests fail without any mutant; mend them first")
        return reached_in(self._session)

    def killer(self, mutant: Mutant, patience: dict[str, float]) -> str:
        """The first of the tests that notices the mutant, each of which has so many seconds; empty when none does."""
        whole = self._module.read_text()
        try:
            self._write(mutant.source)
            failed = self._run(Session(patience=patience), list(dict.fromkeys(map(file_of, patience))))
            return (killer_in(self._session) or IMPORT) if failed else ""
        finally:
            self._write(whole)

    def _write(self, source: str) -> None:
        self._module.write_text(source)
        # Bytecode is told to be old by the whole seconds of the source's time.
        self._changes += 1
        os.utime(self._module, (self._changes, self._changes))

    def _run(self, session: Session, tests: Sequence[str]) -> int:
        """Run a session of tests, quietly; its exit code."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "mutation.reach", *tests]
        variables = self._environment | environment(self._session, session)
        process = subprocess.Popen(
            command,
            cwd=self._tree,
            env=variables,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return process.wait()
        finally:
            # A mutant may have left processes, and may be in one.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Campaign:
    """The mutants of a ``module`` of a ``tree`` against some files of ``tests``, on so many ``workers``.

    A test that takes `SLOWER` times as long as it did, and ``patience`` seconds more, does not end.
    """

    def __init__(self, tree: Path, module: str, tests: Sequence[str], workers: int, patience: float = PATIENCE) -> None:
        self._tree = tree
        self._module = module
        self._tests = tests
        self._workers = workers
        self._patience = patience
        self._reached: dict[str, Reached] = {}
        self._killers: Counter[str] = Counter()

    def run(self, mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, str]]:
        """Each mutant with the test that killed it, or why it lives on, empty when it was killed.

        Raises SystemExit when a test fails without any mutant.
        """
        with tempfile.TemporaryDirectory(prefix="pushkit-mutants-", ignore_cleanup_errors=True) as directory:
            copies: SimpleQueue[Copy] = SimpleQueue()
            for number in range(self._workers):
                copies.put(Copy(self._tree, Path(directory, str(number)), self._module))
            copy = copies.get()
            self._reached = copy.reached(self._tests)
            copies.put(copy)

            def life(mutant: Mutant) -> str:
                copy = copies.get()
                try:
                    return self._life(mutant, copy)
                finally:
                    copies.put(copy)

            with ThreadPoolExecutor(self._workers) as pool:
                yield from zip(mutants, pool.map(life, mutants), strict=True)

    def _life(self, mutant: Mutant, copy: Copy) -> str:
        """Why a mutant lives on, empty when it does not."""
        tests = self._meeting(mutant)
        if not tests:
            return "no test reaches it"
        killer = copy.killer(mutant, tests)
        self._killers[killer] += 1
        return "" if killer else "no test notices it"

    def _meeting(self, mutant: Mutant) -> dict[str, float]:
        """The tests that reach a mutant, killers first and slow ones last; the seconds that each may take."""
        lines = set(range(mutant.first, mutant.last + 1))
        those = [test for test, each in self._reached.items() if mutant.imported or not lines.isdisjoint(each.lines)]
        those.sort(key=lambda test: (-self._killers[test], self._reached[test].seconds))
        return {test: self._reached[test].seconds * SLOWER + self._patience for test in those}


def file_of(test: str) -> str:
    """The file that a test is in."""
    return test.partition("::")[0]
