"""The three policies of a deployment, with the reason for each statement."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from pushkit_aws.iam.facts import Facts


class Statement(Struct, frozen=True):
    """What is allowed on what, and why."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str


class Policy(Struct, frozen=True):
    """A policy. ``trusts`` is the service that may take its role, empty for a user's. ``managed`` are policies of AWS's
    own that the role has instead of or beside its statements, by ARN."""

    name: str
    about: str
    statements: tuple[Statement, ...]
    trusts: str = ""
    managed: tuple[str, ...] = ()


def policies(facts: Facts) -> tuple[Policy, ...]:
    """All that a target needs. Lambda and ECS have no instances; where CodeDeploy is not asked, it needs no role."""
    if not facts.application:
        return (pusher(facts),)
    found = (pusher(facts), service(facts))
    return (*found, instance(facts)) if facts.platform == "server" else found


def pusher(facts: Facts) -> Policy:
    """What the user of ``push`` may, who is mostly a CI job."""
    return Policy("pusher", "who pushes, such as a CI job", tuple(_pusher(facts)))


def _pusher(facts: Facts) -> Iterator[Statement]:
    if facts.bucket:
        yield from _upload(facts)
    if facts.mode == "bundle":
        yield from _go_back(facts)
    if facts.distribution:
        arn = f"arn:{facts.partition}:cloudfront::{facts.account}:distribution/{facts.distribution}"
        yield Statement("Invalidate", ("cloudfront:CreateInvalidation",), (arn,), "to tell CloudFront what changed")
    if facts.platform == "lambda":
        yield from _publish(facts)
    if facts.platform == "ecs":
        yield from _register(facts)
    if facts.application:
        yield from _deploy(facts)
    if facts.pipeline:
        yield from _follow(facts)


def _upload(facts: Facts) -> Iterator[Statement]:
    what = "files" if facts.mode == "site" else "bundles"
    yield Statement(
        f"Upload{what.title()}",
        (
            "s3:AbortMultipartUpload",
            *["s3:DeleteObject"] * (facts.mode == "site"),
            "s3:GetObject",
            "s3:PutObject",
        ),
        (facts.objects,),
        f"to upload {what}, and see which are there already; nothing else of the bucket",
    )
    missing = "to see what is there" if facts.mode == "site" else "without it, S3 says of what is not there: denied"
    yield Statement(f"List{what.title()}", ("s3:ListBucket",), (facts.store,), missing)
    if facts.kms_key:
        yield Statement(
            f"Encrypt{what.title()}",
            ("kms:Decrypt", "kms:GenerateDataKey"),
            (facts.kms_key,),
            "the bucket is encrypted with this key",
        )


def _go_back(facts: Facts) -> Iterator[Statement]:
    yield Statement("ReadVersions", ("s3:GetObjectVersion",), (facts.objects,), "to go back to an older bundle")
    yield Statement("ListVersions", ("s3:ListBucketVersions",), (facts.store,), "to see which there are")


def _follow(facts: Facts) -> Iterator[Statement]:
    pipeline = f"arn:{facts.partition}:codepipeline:{facts.region}:{facts.account}:{facts.pipeline}"
    yield Statement(
        "FollowPipeline",
        (
            "codepipeline:GetPipelineExecution",
            "codepipeline:ListActionExecutions",
            "codepipeline:StartPipelineExecution" if facts.starts else "codepipeline:ListPipelineExecutions",
        ),
        (pipeline,),
        "to start the pipeline, and see how it goes" if facts.starts else "to see how the pipeline goes",
    )


def _deploy(facts: Facts) -> Iterator[Statement]:
    known = ("codedeploy:GetApplicationRevision", "codedeploy:RegisterApplicationRevision")
    yield Statement(
        "RegisterRevisions",
        known if facts.platform == "server" else known[:1],
        (facts.codedeploy("application", facts.application),),
        "to make a bundle known as a revision" if facts.platform == "server" else "to see what was deployed before",
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
        (facts.codedeploy("deploymentgroup", f"{facts.application}/{facts.group}"),),
        "to deploy to this group, and see how it goes and went",
    )
    # A function goes back all at once.
    configs = {facts.config, "CodeDeployDefault.LambdaAllAtOnce" if facts.platform == "lambda" else ""} - {""}
    if configs:
        yield Statement(
            "ReadConfig",
            ("codedeploy:GetDeploymentConfig",),
            tuple(facts.codedeploy("deploymentconfig", name) for name in sorted(configs)),
            "CreateDeployment reads the configuration in the name of its caller",
        )
    yield Statement(
        "FollowDeployments",
        (
            "codedeploy:BatchGetDeploymentTargets",
            *["codedeploy:ContinueDeployment"] * (facts.platform != "lambda"),
            "codedeploy:ListDeploymentTargets",
            "codedeploy:StopDeployment",
        ),
        ("*",),
        "AWS lets these be limited to no resource",
    )


def _publish(facts: Facts) -> Iterator[Statement]:
    function = facts.lambda_function(facts.function)
    yield Statement(
        "PublishVersions",
        (
            "lambda:CreateAlias",
            "lambda:GetAlias",
            "lambda:GetFunctionConfiguration",
            "lambda:ListVersionsByFunction",
            "lambda:PublishVersion",
            "lambda:UpdateFunctionCode",
        ),
        (function, f"{function}:*"),
        "to upload the code, publish it as a version, and see which version the alias has",
    )
    if not facts.application:
        yield Statement(
            "ShiftTraffic",
            ("lambda:UpdateAlias",),
            (function, f"{function}:*"),
            "push itself moves the alias from one version to the next",
        )
    if facts.alarms and not facts.application:
        yield Statement(
            "WatchAlarms", ("cloudwatch:DescribeAlarms",), ("*",), "to go back when an alarm of the target goes off"
        )


def _register(facts: Facts) -> Iterator[Statement]:
    yield Statement(
        "RegisterDefinitions",
        ("ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"),
        ("*",),
        "AWS lets these be limited to no resource",
    )
    yield Statement(
        "TagDefinitions",
        ("ecs:TagResource",),
        (f"arn:{facts.partition}:ecs:{facts.region}:{facts.account}:task-definition/*",),
        "a tag says which definition is registered already",
    )
    if facts.roles:
        yield Statement("PassRoles", ("iam:PassRole",), facts.roles, "the task definition names these roles")


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
