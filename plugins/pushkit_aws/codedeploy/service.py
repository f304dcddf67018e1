"""CodeDeploy itself: what is asked of one deployment group, each answer as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushkit import Busy, Interrupted, Run
from pushkit_aws.clients import Clients
from pushkit_aws.codedeploy.options import CodeDeployOptions
from pushkit_aws.codedeploy.revision import Content, Revised, of_deployment
from pushkit_aws.words import AwsError

SERVICE = "codedeploy"
#: As many targets and deployments may be asked for at once (API reference, BatchGet...).
BATCH = 25
#: A group that is deployed to, or an account that deploys too much at once.
FULL = {"DeploymentLimitExceededException"}
#: Statuses of a deployment that is over.
OVER = {"Succeeded", "Failed", "Stopped"}
#: Seconds between two tries to begin.
PAUSE = 5.0


class Service:
    """The deployment group of a target."""

    def __init__(self, run: Run, options: CodeDeployOptions, clients: Clients) -> None:
        self._run = run
        self._options = options
        self._clients = clients
        self._group = {"applicationName": options.application, "deploymentGroupName": options.deployment_group}

    def group(self) -> Mapping[str, Any]:
        """The deployment group. Raises `TargetError` when there is none."""
        application, name = self._group.values()
        found = self._ask("get_deployment_group", applicationName=application, deploymentGroupName=name)
        return dict(found["deploymentGroupInfo"])

    def deployment(self, deployment: str) -> Mapping[str, Any]:
        """A deployment by its id."""
        return dict(self._ask("get_deployment", deploymentId=deployment)["deploymentInfo"])

    def deployments(self, limit: int) -> list[Mapping[str, Any]]:
        """The group's last deployments, the newest first."""
        ids = self._ask("list_deployments", **self._group).get("deployments", [])[:limit]
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(ids), BATCH):
            found += self._ask("batch_get_deployments", deploymentIds=ids[start : start + BATCH])["deploymentsInfo"]
        return sorted(found, key=lambda info: info.get("createTime") or 0, reverse=True)

    def targets(self, deployment: str) -> Sequence[Mapping[str, Any]]:
        """The targets of a deployment, each with its lifecycle events."""
        ids: list[str] = []
        token: dict[str, str] = {}
        while True:
            found = self._ask("list_deployment_targets", deploymentId=deployment, **token)
            ids += found.get("targetIds", [])
            if not found.get("nextToken"):
                break
            token = {"nextToken": found["nextToken"]}
        targets: list[Mapping[str, Any]] = []
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            targets += self._ask("batch_get_deployment_targets", deploymentId=deployment, targetIds=batch)[
                "deploymentTargets"
            ]
        return targets

    def content(self, revision: Content) -> Content:
        """The same AppSpec with its text, which answers about deployments leave out."""
        if revision.text:
            return revision
        found = self._ask(
            "get_application_revision", applicationName=self._options.application, revision=revision.location
        )
        known = of_deployment(found)
        return known if isinstance(known, Content) else revision

    def register(self, revision: Revised, description: str) -> None:
        """Tell the application of a revision."""
        self._ask(
            "register_application_revision",
            applicationName=self._options.application,
            description=description,
            revision=revision.location,
        )

    def deploy(self, revision: Revised, description: str, config: str = "") -> str:
        """Begin a deployment; its id. ``config`` is another deployment configuration than that of the target.

        Waits as long as the run may when another is under way, else raises `Busy`.
        """
        options = self._options
        asked: dict[str, Any] = {**self._group, "revision": revision.location, "description": description}
        if config or options.deployment_config:
            asked["deploymentConfigName"] = config or options.deployment_config
        if options.file_exists:
            asked["fileExistsBehavior"] = options.file_exists
        if options.ignore_stop_failures:
            asked["ignoreApplicationStopFailures"] = True
        if options.auto_rollback:
            events = ["DEPLOYMENT_FAILURE", *(["DEPLOYMENT_STOP_ON_ALARM"] if options.alarms else [])]
            asked["autoRollbackConfiguration"] = {"enabled": True, "events": events}
        if options.alarms:
            alarms = [{"name": name} for name in options.alarms]
            asked["overrideAlarmConfiguration"] = {"enabled": True, "alarms": alarms}
        if options.replacement_tags or options.replacement_groups:
            asked["targetInstances"] = replacement(options)
        left, told = self._run.wait, False
        while True:
            try:
                return str(self._ask("create_deployment", **asked)["deploymentId"])
            except Interrupted:
                # Its answer is not waited for, and with it the id of what would be stopped.
                self._run.warn("a deployment may have begun all the same; look at it: push status, or the console")
                raise
            except AwsError as error:
                if error.code not in FULL:
                    raise
                if left <= 0:
                    raise Busy(
                        f"another deployment is under way: {self._ahead() or error.message}; nothing was changed",
                        hint="wait for it: push --wait SECONDS; what was sent is not sent again",
                    ) from error
            if not told:
                self._run.note(f"waits for {self._ahead() or 'another deployment'}")
                told = True
            pause = min(PAUSE, left, self._options.every)
            self._run.sleep(pause)
            left -= pause

    def go_on(self, deployment: str) -> None:
        """Move the traffic to servers that are ready."""
        self._ask("continue_deployment", deploymentId=deployment, deploymentWaitType="READY_WAIT")

    def stop(self, deployment: str) -> None:
        """Stop a deployment. Heard also once the user asked to stop.

        Servers are rolled back where the target says so; traffic that was shifted always goes back.
        """
        rollback = self._options.auto_rollback or self._options.platform != "server"
        self._clients.finish(SERVICE, "stop_deployment", deploymentId=deployment, autoRollbackEnabled=rollback)

    def _ahead(self) -> str:
        """The deployment that is under way, in words."""
        under_way = [each for each in self.deployments(BATCH) if each.get("status") not in OVER]
        if not under_way:
            return ""
        first = under_way[-1]
        said = str(first.get("description") or first.get("creator") or "")
        return f"{first.get('deploymentId')}" + f" ({said})" * bool(said)

    def _ask(self, operation: str, **parameters: Any) -> Any:
        return self._clients.call(SERVICE, operation, **parameters)


def replacement(options: CodeDeployOptions) -> dict[str, Any]:
    """The servers that are to get the traffic: those with all the tags, and those of the groups."""
    tags = [[{"Key": key, "Value": value, "Type": "KEY_AND_VALUE"}] for key, value in options.replacement_tags.items()]
    found: dict[str, Any] = {"ec2TagSet": {"ec2TagSetList": tags}} if tags else {}
    if options.replacement_groups:
        found["autoScalingGroups"] = list(options.replacement_groups)
    return found
