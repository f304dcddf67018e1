"""`Function`: a function of Lambda, each call about it, each answer as data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pushkit import Busy, PushRefused, Run, TargetError
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.function.alias import Alias, of_answer
from pushkit_aws.words import AwsError

SERVICE = "lambda"
LATEST = "$LATEST"
#: Seconds between two looks at an update, or two tries to begin one.
PAUSE = 1.0
ResultT = TypeVar("ResultT")


class Function:
    """The function of a target, and its alias."""

    def __init__(self, run: Run, options: CodeDeployOptions, clients: Clients) -> None:
        self._run = run
        self._options = options
        self._clients = clients
        self._name = options.function

    def configuration(self, version: str = LATEST) -> Mapping[str, Any]:
        """What a version is. Raises `TargetError` when there is no such function."""
        try:
            return dict(self._ask("get_function_configuration", Qualifier=version))
        except AwsError as error:
            if not error.missing:
                raise
            raise TargetError(
                f"there is no function {self._name}" + f" of version {version}" * (version != LATEST),
                hint="correct `function`, or make it: push makes none",
            ) from error

    def code(self, content: Mapping[str, Any]) -> None:
        """Give it new code, and wait until Lambda has taken it. Raises `Busy` when another update is under way."""
        self._patiently(lambda: self._ask("update_function_code", **content))
        self._settled(LATEST, "LastUpdateStatus", "Successful", "LastUpdateStatusReason")

    def publish(self, digest: str, description: str) -> str:
        """The number of the version that the code with ``digest``, as Lambda has it, was published as."""
        found = self._patiently(lambda: self._ask("publish_version", CodeSha256=digest, Description=description))
        version = str(found["Version"])
        self._settled(version, "State", "Active", "StateReason")
        return version

    def versions(self) -> list[Mapping[str, Any]]:
        """The published versions, the oldest first."""
        found: list[Mapping[str, Any]] = []
        marker: dict[str, str] = {}
        while True:
            answer = self._ask("list_versions_by_function", **marker)
            found += [each for each in answer.get("Versions", ()) if each.get("Version") != LATEST]
            if not answer.get("NextMarker"):
                return sorted(found, key=lambda each: int(each["Version"]))
            marker = {"Marker": answer["NextMarker"]}

    def alias(self, *, finish: bool = False) -> Alias | None:
        """The alias; None when there is none yet. With ``finish`` also once the user asked to stop."""
        ask = self._clients.finish if finish else self._clients.call
        try:
            return of_answer(ask(SERVICE, "get_alias", FunctionName=self._name, Name=self._options.alias))
        except AwsError as error:
            if error.missing:
                return None
            raise

    def create_alias(self, version: str, description: str) -> None:
        """Make the alias, with all the traffic on ``version``."""
        self._ask("create_alias", Name=self._options.alias, FunctionVersion=version, Description=description)

    def route(
        self, alias: Alias, version: str, description: str, shares: Mapping[str, float], *, finish: bool = False
    ) -> Alias:
        """Give the alias to ``version``, but the ``shares`` in percent to others. Raises `PushRefused` when it is not
        ``alias`` any more. With ``finish`` also once the user asked to stop; it is waited for in any case."""
        if not finish:
            self._run.check()
        weights = {each: round(share / 100, 6) for each, share in shares.items()}
        try:
            found = self._clients.finish(
                SERVICE,
                "update_alias",
                FunctionName=self._name,
                Name=self._options.alias,
                FunctionVersion=version,
                Description=description,
                RoutingConfig={"AdditionalVersionWeights": weights},
                RevisionId=alias.revision,
            )
        except AwsError as error:
            if error.code != "PreconditionFailedException":
                raise
            raise PushRefused(
                f"somebody else changed the alias {self._options.alias} meanwhile", hint="see what is live: push status"
            ) from error
        return of_answer(found)

    def _settled(self, version: str, key: str, wanted: str, reason: str) -> None:
        """Wait until a version is what it is to become. Raises `TargetError` when it is not to be, or not in time."""
        end = time.monotonic() + self._options.within
        while True:
            found = self.configuration(version)
            state = str(found.get(key) or wanted)
            if state == wanted:
                return
            if state == "Failed":
                raise TargetError(
                    f"Lambda could not take the code of {self._name}: {found.get(reason) or 'it does not say why'}"
                )
            if time.monotonic() > end:
                raise TargetError(
                    f"Lambda has not taken the code of {self._name} after {self._options.within:g} seconds: {state}",
                    hint="push again: what it has taken is not sent again; for more time: within = 7200",
                )
            self._run.sleep(min(PAUSE, self._options.every))

    def _patiently(self, act: Callable[[], ResultT]) -> ResultT:
        """Do ``act``, waiting as long as the run may while another update is under way."""
        left, told = self._run.wait, False
        while True:
            try:
                return act()
            except AwsError as error:
                if error.code != "ResourceConflictException":
                    raise
                if left <= 0:
                    raise Busy(
                        f"another update of {self._name} is under way: {error.message}",
                        hint="wait for it: push --wait SECONDS",
                    ) from error
            if not told:
                self._run.note(f"waits for another update of {self._name}")
                told = True
            pause = min(PAUSE, left, self._options.every)
            self._run.sleep(pause)
            left -= pause

    def _ask(self, operation: str, **parameters: Any) -> Any:
        return self._clients.call(SERVICE, operation, FunctionName=self._name, **parameters)
