"""What has to be well while the traffic moves: a command, a URL, alarms of CloudWatch."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from pushkit import Command, Options, Run, TargetError, checks, public
from pushkit_aws.clients import Clients, heard

ONLY_HERE = public("let the command read it itself")
#: CloudWatch describes as many alarms at once (API reference, DescribeAlarms).
MOST_ALARMS = 100


class CheckOptions(Options):
    """What is asked after each share of the traffic: all that is given has to be well."""

    command: Annotated[
        str,
        ONLY_HERE,
        Meta(
            description="A command on this machine, without a shell, that has to end with 0; `{function}`, `{alias}`, "
            "`{version}` and `{share}` stand in it."
        ),
    ] = ""
    url: Annotated[str, Meta(description="What has to answer with a status of 2xx.")] = ""
    alarms: Annotated[
        tuple[str, ...], Meta(max_length=MOST_ALARMS, description="Alarms of CloudWatch, none of which may go off.")
    ] = ()
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds that the command or the URL may take.")] = 60

    @checks()
    def _something(self) -> None:
        if not (self.command or self.url or self.alarms):
            raise ValueError("expected `command`, `url` or `alarms`")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("`url`: expected http:// or https://")
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise ValueError(f"`command` cannot be split into words: {error}") from None


class Check:
    """Asks all that is given. ``words`` are what stands for the fields of a command, by their names."""

    def __init__(self, options: CheckOptions, run: Run, clients: Clients) -> None:
        self._options = options
        self._run = run
        self._clients = clients

    @property
    def alarms(self) -> tuple[str, ...]:
        """The alarms that are looked at."""
        return self._options.alarms

    def watch(self, seconds: float, every: float) -> None:
        """Look at the alarms for so many seconds. Raises `TargetError` when one goes off, or cannot be looked at."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.look_at_alarms()
            self._run.sleep(min(left, every))

    def ask(self, words: Mapping[str, str]) -> None:
        """Ask everything once. Raises `TargetError` with the first that is not well."""
        self.look_at_alarms()
        if self._options.url:
            self._look_at_url()
        if self._options.command:
            self._execute(words)

    def look_at_alarms(self) -> None:
        """Raises `TargetError` when an alarm is on, or is not there."""
        if not self._options.alarms:
            return
        found = self._clients.call("cloudwatch", "describe_alarms", AlarmNames=list(self._options.alarms))
        alarms = {
            str(each["AlarmName"]): each for each in (*found.get("MetricAlarms", ()), *found.get("CompositeAlarms", ()))
        }
        if missing := [name for name in self._options.alarms if name not in alarms]:
            raise TargetError(f"there is no alarm {missing[0]}", hint="correct `alarms`")
        for name, alarm in alarms.items():
            if alarm.get("StateValue") == "ALARM":
                why = " ".join(str(alarm.get("StateReason") or "").split())
                raise TargetError(f"the alarm {name} went off" + f": {why}" * bool(why))

    def _look_at_url(self) -> None:
        import urllib.error  # noqa: PLC0415  (only who asks needs it)
        import urllib.request  # noqa: PLC0415
        from http.client import HTTPException  # noqa: PLC0415

        options = self._options
        end = time.monotonic() + options.timeout
        request = urllib.request.Request(options.url, headers={"User-Agent": "pushkit"})  # noqa: S310  (see the options)

        def look() -> None:
            with urllib.request.urlopen(request, timeout=options.timeout):  # noqa: S310
                pass

        def check() -> None:
            self._run.check()
            if time.monotonic() > end:
                # What comes byte by byte is never silent as long.
                raise TimeoutError(f"it has not come to an end after {options.timeout:g} seconds")

        try:
            heard(check, look)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            raise TargetError(f"{options.url} answers with status {error.code}") from error
        except (OSError, ValueError, HTTPException) as error:
            why = self._run.excerpt(str(getattr(error, "reason", None) or error), 200)
            raise TargetError(f"{options.url} does not answer: {why}") from error

    def _execute(self, words: Mapping[str, str]) -> None:
        argv = []
        for word in shlex.split(self._options.command):
            for name, value in words.items():
                word = word.replace(f"{{{name}}}", value)  # noqa: PLW2901  (one field after the other)
            argv.append(word)
        environment = {
            **self._run.environment,
            "PUSH_TARGET": self._run.target.name,
            **{f"PUSH_{name.upper()}": value for name, value in words.items()},
        }
        command = Command(tuple(argv), self._run.project.root, environment, "check", timeout=self._options.timeout)
        code = self._run.execute(command)
        if code:
            raise TargetError(f"`{self._options.command}` ended with exit code {code}", hint="its output says why")
