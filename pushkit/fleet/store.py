"""From where hosts fetch what they lack: what a Pushfile says of it, and the store that keeps it for a rollout."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

from msgspec import Meta

from pushkit import registry
from pushkit.amount import amount
from pushkit.errors import PushkitError
from pushkit.files.supply import Parcel, Supply
from pushkit.model import Action, Step
from pushkit.options import Options
from pushkit.store import Store
from pushkit.strategy import Run, one_line
from pushkit.validation import validate

URL = re.compile(r"([a-z][a-z0-9_-]*)://(.*)", re.DOTALL)
#: Seconds that what a host is given lets it begin to fetch, and after which hosts are given another.
LASTS, RENEWED = 3600, 900


#: What stands in the Pushfile: the options are those of a plugin, which is not known before.
STORE = Meta(extra_json_schema={"anyOf": [{"type": "string"}, {"type": "object", "required": ["url"]}]})


class StoreOptions(Options):
    """A store: ``url``, and the ``options`` that its plugin has, which stand beside that in the Pushfile."""

    url: str
    options: Options

    @classmethod
    def of_option(cls, given: Any) -> StoreOptions:
        """The store that a Pushfile's ``given`` is, its ``url`` or a table. Raises ValueError."""
        if isinstance(given, StoreOptions):
            return given
        if isinstance(given, str):
            given = {"url": given}
        if not isinstance(given, Mapping) or not isinstance(url := given.get("url"), str):
            raise ValueError('expected "s3://BUCKET/PREFIX", or a table with that as `url`')
        found = URL.fullmatch(url)
        if not found:
            raise ValueError('`url`: expected "s3://BUCKET/PREFIX"')
        kind = registry.store(found[1])
        if problem := kind.problem(found[2]):
            raise ValueError(f"`url`: {problem}")
        rest = {key: value for key, value in given.items() if key != "url"}
        options, faults = validate(kind.Options, rest, rest)
        if options is None:
            told = (
                f"`{'.'.join(map(str, each.path))}`: {each.message}" if each.path else each.message for each in faults
            )
            raise ValueError("; ".join(told))
        return cls(url=url, options=options)

    def opened(self, run: Run) -> Store[Any]:
        """The store. Raises `PluginError` where it lacks something."""
        name, _, where = self.url.partition("://")
        return registry.store(name)(where, self.options, run)


class Stored(Supply):
    """What hosts get is kept in a store, from which they fetch it. It is removed when the rollout is over."""

    fetched = True

    def __init__(self, place: Path, options: StoreOptions, run: Run) -> None:
        super().__init__(place)
        self._options = options
        self._run = run
        self._lock = threading.Lock()
        #: What may be there, and whether it surely is.
        self._kept: dict[str, bool] = {}
        self._urls: dict[str, tuple[float, str]] = {}
        self._store: Store[Any] | None = None

    @property
    def store(self) -> Store[Any]:
        """The store, opened when it is used. Raises `PluginError`."""
        with self._lock:
            if self._store is None:
                self._store = self._options.opened(self._run)
            return self._store

    @property
    def step(self) -> Step:
        """The step that fills it."""
        return Step(Action.PREPARE, self._options.url, "what hosts lack, for all of them to fetch")

    def url(self, parcel: Parcel) -> str:
        """Where hosts fetch it, after it was put there. Raises `TargetError`."""
        # Another rollout may keep the same, and remove it before this one is over.
        name = f"{parcel.sha256}-{self.token}"
        self.once(("put", parcel.sha256), lambda: self._put(name, parcel))
        with self._lock:
            since, url = self._urls.get(name, (0.0, ""))
            if not url or time.monotonic() - since > RENEWED:
                assert self._store
                url = self._store.url(name, LASTS)
                # Whoever has it can read the release.
                self._run.hide("the URL in the store", url)
                self._urls[name] = (time.monotonic(), url)
            return url

    def close(self) -> None:
        """Remove what was put there, also when somebody asked to stop."""
        store, self._store = self._store, None
        if store is None:
            return
        with suppress(PushkitError):
            store.close()
        if not self._kept:
            return
        patient = copy(self._run)
        patient.cancelled = threading.Event()
        again = self._options.opened(patient)
        for name, sure in self._kept.items():
            try:
                again.remove(name)
            except PushkitError as error:
                if sure:
                    self._run.warn(f"{self._options.url}: {name} stays there: {one_line(error)}")
        with suppress(PushkitError):
            again.close()

    def _put(self, name: str, parcel: Parcel) -> None:
        store = self.store
        # What was stopped in the middle may be there all the same.
        self._kept[name] = False
        with self._run.step(self.step):
            store.put(self.step, name, parcel.path)
        self._kept[name] = True
        self._run.note(f"{amount(parcel.size)} lie in {self._options.url}, for hosts to fetch")
