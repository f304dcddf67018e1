"""The three policies of a deployment, with the reason for each statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pushkit_aws.iam.facts import Facts


@dataclass(frozen=True, slots=True)
class Statement:
    """What is allowed on what, and why."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. ``trusts`` is the service that may take its role, empty for a user's. ``managed`` are policies of AWS's
    own that the role has instead of or beside its statements, by ARN."""

    name: str
    about: str
    statements: tuple[Statement, ...]
    trusts: str = ""
    managed: tuple[str, ...] = ()


def policies(facts: Facts) -> tuple[Policy, ...]:
    """All that a target needs. Lambda and ECS have no instances."""
    found = (pusher(facts), service(facts))
    return (*found, instance(facts)) if facts.platform == "server" else found


def pusher(facts: Facts) -> Policy:
    """What the user of ``push`` may, who is mostly a CI job."""
    return Policy("pusher", "who pushes, such as a CI job", tuple(_pusher(facts)))


def _pusher(facts: Facts) -> Iterator[Statement]:
    application = facts.codedeploy("application", facts.application)
    group = facts.codedeploy("deploymentgroup", f"{facts.application}/{facts.group}")
    if facts.bucket:
        yield Statement(
            "UploadBundles",
            ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
            (facts.objects,),
            "to upload bundles, and see which are there already; nothing else of the bucket",
        )
        if facts.kms_key:
            yield Statement(
                "EncryptBundles",
                ("kms:Decrypt", "kms:GenerateDataKey"),
                (facts.kms_key,),
                "the bucket is encrypted with this key",
            )
    yield Statement(
        "RegisterRevisions",
        ("codedeploy:GetApplicationRevision", "codedeploy:RegisterApplicationRevision"),
        (application,),
        "to make a bundle known as a revision",
    )
    yield Statement(
        "Deploy",
        (
            "codedeploy:BatchGetDeployments",
            "codedeploy:CreateDeployment",
            "codedeploy:GetDeployment",
            "codedeploy:GetDeploymentGroup",
            "codedeploy:ListDeployments",
        ),
        (group,),
        "to deploy to this group, and see how it goes and went",
    )
    if facts.config:
        yield Statement(
            "ReadConfig",
            ("codedeploy:GetDeploymentConfig",),
            (facts.codedeploy("deploymentconfig", facts.config),),
            "CreateDeployment reads the configuration in the name of its caller",
        )
    yield Statement(
        "FollowDeployments",
        (
            "codedeploy:BatchGetDeploymentTargets",
            "codedeploy:ContinueDeployment",
            "codedeploy:ListDeploymentTargets",
            "codedeploy:StopDeployment",
        ),
        ("*",),
        "AWS lets these be limited to no resource",
    )
    if facts.function:
        function = facts.lambda_function(facts.function)
        yield Statement(
            "PublishVersions",
            (
                "lambda:GetAlias",
                "lambda:GetFunction",
                "lambda:GetFunctionConfiguration",
                "lambda:PublishVersion",
                "lambda:UpdateFunctionCode",
            ),
            (function, f"{function}:*"),
            "to upload the code, publish it as a version, and see which version the alias has",
        )
    if facts.pipeline:
        pipeline = f"arn:{facts.partition}:codepipeline:{facts.region}:{facts.account}:{facts.pipeline}"
        yield Statement("StartPipeline", ("codepipeline:StartPipelineExecution",), (pipeline,), "to start the pipeline")


_MANAGED = {"server": "AWSCodeDeployRole", "ecs": "AWSCodeDeployRoleForECSLimited"}


def service(facts: Facts) -> Policy:
    """What CodeDeploy itself may. For servers and ECS that is a policy of AWS's, for Lambda one that is narrower."""
    about = "CodeDeploy itself: the service role of the deployment group"
    trusts = "codedeploy.amazonaws.com"
    managed = _MANAGED.get(facts.platform)
    arns = (f"arn:{facts.partition}:iam::aws:policy/{'service-role/' * (facts.platform == 'server')}{managed}",)
    return Policy("service", about, tuple(_service(facts)), trusts, arns if managed else ())


def _service(facts: Facts) -> Iterator[Statement]:
    if facts.platform != "lambda":
        return
    function = facts.lambda_function(facts.function or "*")
    yield Statement(
        "ShiftTraffic",
        ("lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"),
        (function, f"{function}:*"),
        "to move the alias from one version to the next",
    )
    yield Statement(
        "WatchAlarms", ("cloudwatch:DescribeAlarms",), ("*",), "to stop when an alarm of the group goes off"
    )
    if facts.bucket:
        yield Statement(
            "ReadAppSpecs",
            ("s3:GetObject", "s3:GetObjectVersion"),
            (facts.objects,),
            "to read AppSpecs that lie in the bucket",
        )
    if facts.hooks:
        hooks = tuple(facts.lambda_function(name) for name in facts.hooks)
        yield Statement(
            "RunHooks", ("lambda:InvokeFunction",), hooks, "to call the functions that validate a deployment"
        )


def instance(facts: Facts) -> Policy:
    """What the agent on an instance may: read bundles."""
    statements = []
    if facts.bucket:
        statements.append(
            Statement(
                "ReadBundles", ("s3:GetObject", "s3:GetObjectVersion"), (facts.objects,), "the agent downloads bundles"
            )
        )
        if facts.kms_key:
            statements.append(
                Statement("DecryptBundles", ("kms:Decrypt",), (facts.kms_key,), "the bucket is encrypted with this key")
            )
    return Policy("instance", "the agent on the instances: their role", tuple(statements), "ec2.amazonaws.com")
