"""`Pipeline`: a pipeline of CodePipeline, started or waited for, and followed to its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pushkit import PushFailed, Run, TargetError
from pushkit_aws.clients import Clients

EVERY = 3.0  # seconds between two questions
SERVICE = "codepipeline"
OVER = {"Succeeded", "Failed", "Stopped", "Cancelled", "Superseded"}


class Pipeline:
    """Follows one execution. ``within`` is how many seconds it may take."""

    def __init__(self, run: Run, clients: Clients, name: str, *, within: float, every: float = EVERY) -> None:
        self._run = run
        self._clients = clients
        self._name = name
        self._within = within
        self._every = every

    def start(self) -> str:
        """Start it; the execution's id. Raises `PushFailed`: the bundle has arrived."""
        return str(self._ask("start_pipeline_execution", name=self._name)["pipelineExecutionId"])

    def started_by(self, version: str, etag: str, known: frozenset[str]) -> str:
        """The execution that its source began for the version: its id, waited for until the deadline.

        A source without versions to tell by is taken to have begun what is not in ``known``, the executions of before.
        """
        end = time.monotonic() + self._within
        while time.monotonic() < end:
            for each in self._executions():
                revisions = {str(of.get("revisionId", "")) for of in each.get("sourceRevisions", ())}
                new = not revisions and each.get("pipelineExecutionId") not in known
                if new or revisions & {version, etag} - {""}:
                    return str(each["pipelineExecutionId"])
            self._run.sleep(min(self._every, max(0.0, end - time.monotonic())))
        raise PushFailed(
            f"the bundle is there, but {self._name} did not begin within {self._within:g} seconds",
            hint="is this its source? otherwise set pipeline_start = true",
        )

    def known(self) -> frozenset[str]:
        """The ids of the executions that there are. Raises `TargetError` when there is no such pipeline."""
        found = self._clients.call(SERVICE, "list_pipeline_executions", pipelineName=self._name)
        return frozenset(str(each["pipelineExecutionId"]) for each in found.get("pipelineExecutionSummaries", ()))

    def source(self) -> Mapping[str, str]:
        """What its source of S3 is configured to see: ``S3Bucket``, ``S3ObjectKey``; empty when it has none."""
        found = self._clients.call(SERVICE, "get_pipeline", name=self._name)["pipeline"]
        for stage in found.get("stages", ()):
            for action in stage.get("actions", ()):
                kind = action.get("actionTypeId", {})
                if (kind.get("category"), kind.get("provider")) == ("Source", "S3"):
                    return dict(action.get("configuration") or {})
        return {}

    def follow(self, execution: str) -> None:
        """Tell of the execution's actions as they move. Raises `PushFailed` unless it succeeds in time."""
        end = time.monotonic() + self._within
        said: dict[str, str] = {}
        which: Mapping[str, Any] = {"pipelineName": self._name, "pipelineExecutionId": execution}
        while True:
            found = self._ask("get_pipeline_execution", **which)["pipelineExecution"]
            status = str(found.get("status", ""))
            failures = self._tell_actions(which, said)
            if status in OVER:
                break
            if time.monotonic() > end:
                raise PushFailed(
                    f"{self._name} is not done after {self._within:g} seconds: {status}",
                    hint=f"it goes on: execution {execution}; pipeline_within says how long to wait",
                )
            self._run.sleep(self._every)
        if status != "Succeeded":
            why = "; ".join(failures) or str(found.get("statusSummary", ""))
            raise PushFailed(
                f"{self._name} ended as {status}" + f": {why}" * bool(why),
                hint=f"the bundle is in its bucket; look at execution {execution}",
            )

    def _tell_actions(self, which: Mapping[str, Any], said: dict[str, str]) -> list[str]:
        """Tell what is new of the actions; what the failed ones say."""
        failures = []
        # A right of its own, and the end of the execution does not depend on it.
        with suppress(TargetError):
            found = self._clients.call(
                SERVICE,
                "list_action_executions",
                pipelineName=which["pipelineName"],
                filter={"pipelineExecutionId": which["pipelineExecutionId"]},
            )
            for each in reversed(found.get("actionExecutionDetails", ())):
                name, status = f"{each.get('stageName')}/{each.get('actionName')}", str(each.get("status", ""))
                result = each.get("output", {}).get("executionResult", {})
                summary = " ".join(str(result.get("externalExecutionSummary") or "").split())
                if said.get(name) != status:
                    said[name] = status
                    self._run.output(self._name, f"{name}: {status}")
                if status == "Failed":
                    failures.append(f"{name} failed" + f": {summary}" * bool(summary))
        return failures

    def _executions(self) -> list[Mapping[str, Any]]:
        found = self._ask("list_pipeline_executions", pipelineName=self._name)
        return list(found.get("pipelineExecutionSummaries", ()))

    def _ask(self, operation: str, **parameters: Any) -> Any:
        try:
            return self._clients.call(SERVICE, operation, **parameters)
        except TargetError as error:
            raise PushFailed(
                f"the bundle is in its bucket, but {error.message}", hint=error.hint or "look at the pipeline"
            ) from error
