"""`ShareShift`: moving the traffic share by share, with a check after each, without CodeDeploy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushkit import Finding, HostChanged, Interrupted, LogEntry, PushFailed, PushRefused, Run, Severity, TargetError
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.function.alias import Alias, described, told
from pushkit_aws.function.check import Check
from pushkit_aws.function.function import Function
from pushkit_aws.function.version import entry


class ShareShift:
    """By the weights of the alias."""

    def __init__(self, run: Run, options: CodeDeployOptions, clients: Clients, function: Function) -> None:
        self._run = run
        self._options = options
        self._function = function
        self._check = Check(options.check, run, clients) if options.check else None

    def connect(self) -> None:
        """Nothing: the function is all that it needs."""

    def to(self, live: Alias, version: str, words: str) -> None:
        """Each share in turn, then all. When a check fails, nothing is left on ``version``."""
        now = live
        try:
            for share in self._options.shares:
                now = self._function.route(now, live.version, live.description, {version: share})
                self._tell(version, share)
                self._look(version, share)
            now = self._function.route(now, version, described(words, live, version), {})
            self._tell(version, 100)
            self._ask(version, 100)
        except Interrupted:
            if self._options.on_interrupt == "leave" and now is not live:
                share = now.shares.get(version, 100)
                self._run.warn(f"version {version} keeps {share:g}% of the traffic; go back: push rollback")
            else:
                self._run.warn(self._undone(live, version))
            raise
        except (TargetError, PushRefused) as error:
            raise PushFailed(f"{error.message}; {self._undone(live, version)}", hint=error.hint) from error
        except Exception:
            # Of a bug it is not known what it did; what has no check behind it gets no traffic.
            self._run.warn(self._undone(live, version))
            raise

    def back(self, live: Alias, version: str, words: str) -> None:
        """All at once."""
        self._function.route(live, version, described(words, live, version), {})
        self._tell(version, 100)

    def before(self, live: Alias) -> Sequence[str]:
        """What the alias itself remembers."""
        return live.before

    def log(self, live: Alias | None, versions: Sequence[Mapping[str, Any]]) -> Sequence[LogEntry]:
        """The versions as they were published, and which of them have been live."""
        outcomes = dict.fromkeys(live.before, "was live") | {live.version: "live"} if live else {}
        return [entry(int(each["Version"]), each, outcomes.get(str(each["Version"]), "published")) for each in versions]

    def check(self) -> Sequence[Finding]:
        """Whether no alarm is on already."""
        if self._check is None or not self._check.alarms:
            return []
        try:
            self._check.look_at_alarms()
        except TargetError as error:
            return [Finding(Severity.ERROR, "check", error.message, error.hint)]
        return [Finding(Severity.OK, "check", "no alarm is on")]

    def _look(self, version: str, share: float) -> None:
        if self._check:
            self._check.watch(self._options.pause, self._options.every)
        else:
            self._run.sleep(self._options.pause)
        self._ask(version, share)

    def _ask(self, version: str, share: float) -> None:
        if self._check:
            options = self._options
            self._check.ask(
                {"function": options.function, "alias": options.alias, "version": version, "share": f"{share:g}"}
            )

    def _undone(self, live: Alias, version: str) -> str:
        """Give all the traffic back to what was live before ``version``; what became of that, in words.

        The alias is looked at anew: an answer that was lost may have changed it.
        """
        try:
            now = self._function.alias(finish=True)
            if now is None or (now.version == live.version and not now.shares):
                return f"version {live.version} is live, as before"
            if now.version not in {live.version, version} or now.shares.keys() - {version, *live.shares}:
                return "somebody else changed the alias: " + "; ".join(
                    filter(None, (f"version {now.version} is live", told(now.shares)))
                )
            self._function.route(now, live.version, live.description, {}, finish=True)
        except (TargetError, PushRefused) as error:
            return f"and it could not be taken back: {error.message}"
        self._tell(live.version, 100)
        return f"all the traffic is back on version {live.version}"

    def _tell(self, version: str, share: float) -> None:
        name = f"{self._options.function}:{self._options.alias}"
        self._run.tell(HostChanged(self._run.target.name, name, f"{share:g}% on version {version}", "", ""))
