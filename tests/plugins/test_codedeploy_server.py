"""The tests' own CodeDeploy is as strict as the service's model: else what is pushed to it would show nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pushkit.testing import CodeDeployServer

GROUP = {"applicationName": "blog", "deploymentGroupName": "prod"}
LOCATION = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "zip"}}


def ask(service: CodeDeployServer, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The answer to a request that no botocore has looked at."""
    headers = {"X-Amz-Target": f"CodeDeploy_20141006.{operation}"}
    try:
        with urlopen(Request(service.url, json.dumps(asked).encode(), headers)) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("operation", "asked", "said"),
    [
        ("CreateDeployment", {**GROUP, "revison": LOCATION}, "revison"),
        ("CreateDeployment", {"deploymentGroupName": "prod"}, "applicationName"),
        ("CreateDeployment", {**GROUP, "autoRollbackConfiguration": {"enabled": "yes"}}, "enabled"),
        ("BatchGetDeploymentTargets", {"deploymentId": "d-000000001"}, "targetIds"),
        ("StopDeployment", {"deploymentId": 7}, "deploymentId"),
    ],
)
def test_a_request_that_the_model_does_not_allow_is_refused(operation: str, asked: dict[str, Any], said: str) -> None:
    with CodeDeployServer() as service:
        status, answer = ask(service, operation, asked)
        assert (status, answer["__type"]) == (400, "ValidationException")
        assert said in answer["message"]
        assert service.requests == []


def test_an_answer_that_the_model_does_not_allow_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with CodeDeployServer() as service:
        assert ask(service, "GetDeploymentGroup", GROUP)[0] == 200
        wrong = {"deploymentGroupInfo": {"deploymentGroupName": 7, "computePlatfrom": "Server"}}
        monkeypatch.setattr(service, "_GetDeploymentGroup", lambda asked: wrong)
        status, answer = ask(service, "GetDeploymentGroup", GROUP)
        assert (status, answer["__type"]) == (400, "ValidationException")
        assert "deploymentGroupName" in answer["message"]
        assert "computePlatfrom" in answer["message"]
