"""Policies for CodeDeploy: what is in them, what is never, and comparing them with what somebody has."""

# ruff: noqa: E501  (policies, a statement a line)

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from cli.project import PUSH
from pushkit import UsageError
from pushkit_aws.iam import Facts, as_json, as_terraform, compare, instance, policies, pusher, read_policy, service

SERVER = Facts("server", "eu-west-1", "111122223333", "blog", "prod", config="Half", bucket="bundles", prefix="blog/")
SERVICE = Facts(
    "ecs",
    "eu-west-1",
    "111122223333",
    "web",
    "prod",
    hooks=("look",),
    family="web",
    roles=("arn:aws:iam::111122223333:role/web",),
)
LAMBDA = Facts("lambda", "eu-west-1", "111122223333", "hello", "prod", function="hello", hooks=("look",))

SITE = Facts("server", "eu-west-1", "111122223333", "", "", bucket="www", mode="site", distribution="E2EXAMPLE")

# The only actions that AWS lets be limited to no resource.
WITHOUT_RESOURCE = {
    "codedeploy:BatchGetDeploymentTargets",
    "codedeploy:ContinueDeployment",
    "codedeploy:ListDeploymentTargets",
    "codedeploy:StopDeployment",
    "cloudwatch:DescribeAlarms",
    "ecs:DescribeTaskDefinition",
    "ecs:RegisterTaskDefinition",
}


def test_who_pushes_may_upload_and_deploy_to_this_group_and_nothing_else() -> None:
    rights = {action: each.resources for each in pusher(SERVER).statements for action in each.actions}
    assert rights["s3:PutObject"] == ("arn:aws:s3:::bundles/blog/*",)
    assert rights["codedeploy:CreateDeployment"] == (
        "arn:aws:codedeploy:eu-west-1:111122223333:deploymentgroup:blog/prod",
    )
    assert rights["codedeploy:RegisterApplicationRevision"] == (
        "arn:aws:codedeploy:eu-west-1:111122223333:application:blog",
    )
    assert rights["codedeploy:GetDeploymentConfig"] == (
        "arn:aws:codedeploy:eu-west-1:111122223333:deploymentconfig:Half",
    )
    assert "s3:GetObjectVersion" not in rights
    assert not any(action.startswith("s3:Delete") for action in rights)
    assert not any(action.startswith("lambda:") for action in rights)


def test_a_function_and_a_pipeline_add_their_own() -> None:
    made = pusher(replace(LAMBDA, pipeline="line", starts=True, partition="aws-cn"))
    rights = {action: each.resources for each in made.statements for action in each.actions}
    assert rights["lambda:UpdateFunctionCode"][0] == "arn:aws-cn:lambda:eu-west-1:111122223333:function:hello"
    assert rights["codepipeline:StartPipelineExecution"] == ("arn:aws-cn:codepipeline:eu-west-1:111122223333:line",)


def test_instances_may_read_bundles_and_decrypt_them_where_there_is_a_key() -> None:
    made = instance(replace(SERVER, kms_key="arn:aws:kms:eu-west-1:111122223333:key/k"))
    actions = [action for each in made.statements for action in each.actions]
    assert actions == ["s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"]
    assert made.trusts == "ec2.amazonaws.com"


def test_the_service_role_for_ecs_is_awss_own_and_what_that_leaves_out() -> None:
    made = service(SERVICE)
    assert made.managed == ("arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited",)
    assert {action: each.resources for each in made.statements for action in each.actions} == {
        "iam:PassRole": SERVICE.roles,
        "lambda:InvokeFunction": ("arn:aws:lambda:eu-west-1:111122223333:function:look",),
    }
    assert service(replace(SERVICE, hooks=(), roles=())).statements == ()


def test_who_pushes_a_task_definition_may_tag_those_of_its_family_and_pass_its_roles() -> None:
    rights = {action: each.resources for each in pusher(SERVICE).statements for action in each.actions}
    assert rights["ecs:TagResource"] == ("arn:aws:ecs:eu-west-1:111122223333:task-definition/web:*",)
    assert rights["iam:PassRole"] == SERVICE.roles
    assert rights["codedeploy:GetDeploymentConfig"] == ("arn:aws:codedeploy:eu-west-1:111122223333:deploymentconfig:*",)


def test_the_service_role_is_awss_own_for_servers_and_narrow_for_lambda() -> None:
    assert service(SERVER).managed == ("arn:aws:iam::aws:policy/service-role/AWSCodeDeployRole",)
    assert service(SERVER).statements == ()
    made = service(LAMBDA)
    assert made.managed == ()
    assert {action for each in made.statements for action in each.actions} >= {
        "lambda:UpdateAlias",
        "lambda:InvokeFunction",
    }
    assert [policy.name for policy in policies(LAMBDA)] == ["pusher", "service"]
    assert [policy.name for policy in policies(replace(LAMBDA, application=""))] == ["pusher"]
    assert [policy.name for policy in policies(SITE)] == ["pusher"]


@pytest.mark.parametrize("facts", [SERVER, LAMBDA, SERVICE, replace(SERVER, platform="ecs", pipeline="line"), SITE])
def test_every_statement_has_a_reason_no_action_a_star_and_no_resource_is_everything_that_need_not_be(
    facts: Facts,
) -> None:
    for policy in policies(facts):
        for statement in policy.statements:
            assert statement.reason
            assert not any("*" in action for action in statement.actions)
            if "*" in statement.resources:
                assert set(statement.actions) <= WITHOUT_RESOURCE


def test_json_has_documents_trust_and_reasons() -> None:
    made = json.loads(as_json(policies(SERVER)))
    assert list(made) == ["pusher", "service", "instance"]
    statement = made["instance"]["policy"]["Statement"][0]
    assert statement == {
        "Sid": "ReadBundles",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": ["arn:aws:s3:::bundles/blog/*"],
    }
    assert made["instance"]["reasons"]["ReadBundles"] == "the agent downloads bundles"
    assert made["service"]["trust"]["Statement"][0]["Principal"] == {"Service": "codedeploy.amazonaws.com"}


def test_terraform_has_every_statement_with_its_reason_and_no_template_of_its_own() -> None:
    made = as_terraform(policies(replace(SERVER, prefix='${evil}%{x}"')))
    assert made.count("{\n") + made.count("{}") == made.count("}\n") + made.count("{}")
    assert 'data "aws_iam_policy_document" "instance_trust" {' in made
    assert '  # the agent downloads bundles\n  statement {\n    sid       = "ReadBundles"' in made
    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", made)
    assert '\\"*"' in made


def given(*statements: object) -> bytes:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).encode()


def test_the_policy_itself_is_neither_too_little_nor_too_much() -> None:
    document = json.loads(as_json([pusher(SERVER)]))["pusher"]["policy"]
    found = compare(pusher(SERVER), read_policy(json.dumps(document).encode(), "p.json"))
    assert (found.missing, found.too_much, found.unclear) == ((), (), ())


def test_what_is_missing_and_what_is_too_much_is_told_by_action_and_resource() -> None:
    content = given(
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": ["codedeploy:createdeployment"], "Resource": "arn:aws:codedeploy:*:*:deploymentgroup:blog/*"},
    )  # fmt: skip
    found = compare(pusher(SERVER), read_policy(content, "p.json"))
    missing = {action for action, _ in found.missing}
    assert "s3:PutObject" not in missing
    assert "codedeploy:CreateDeployment" not in missing
    assert "codedeploy:RegisterApplicationRevision" in missing
    assert ("s3:*", "*") in found.too_much
    assert ("codedeploy:createdeployment", "arn:aws:codedeploy:*:*:deploymentgroup:blog/*") in found.too_much


def test_what_is_denied_is_missing_and_conditions_are_told() -> None:
    content = given(
        {"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"x": "true"}}},
        {"Effect": "Deny", "Action": "s3:Put*", "Resource": "arn:aws:s3:::bundles/*"},
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
    )
    found = compare(pusher(SERVER), read_policy(content, "p.json"))
    assert found.missing == (("s3:PutObject", "arn:aws:s3:::bundles/blog/*"),)
    assert found.unclear[0].startswith("statement A: it has a condition")
    assert found.unclear[1].startswith("statement 3: NotAction")


def test_a_narrower_resource_than_needed_is_not_enough() -> None:
    content = given({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bundles/blog/?"})
    found = compare(pusher(SERVER), read_policy(content, "p.json"))
    assert ("s3:PutObject", "arn:aws:s3:::bundles/blog/*") in found.missing
    assert found.too_much == ()


@pytest.mark.parametrize(
    "content", [b"", b"[", b"[]", b"null", b'{"Statement": 1}', b'{"Statement": [1]}', b"[" * 100_000]
)
def test_what_is_no_policy_is_an_error(content: bytes) -> None:
    with pytest.raises(UsageError):
        read_policy(content, "p.json")


def test_the_answer_of_get_policy_version_is_understood() -> None:
    content = json.dumps(
        {"PolicyVersion": {"Document": json.loads(given({"Effect": "Allow", "Action": "a:b", "Resource": "*"}))}}
    )
    assert read_policy(content.encode(), "p.json").allowed == (("a:b", "*"),)


def test_the_command_prints_what_a_target_needs_and_what_a_policy_lacks(tmp_path: Path) -> None:
    (tmp_path / "Pushfile").write_text(
        '[project]\nname = "blog"\n[target.live]\nstrategy = "codedeploy"\napplication = "blog"\n'
        'deployment_group = "prod"\nbucket = "bundles"\nregion = "eu-west-1"\n'
    )

    def iam(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [PUSH, "codedeploy", "iam", "--account", "111122223333", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    done = iam("live")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["pusher"]["policy"]["Statement"][0]["Resource"] == ["arn:aws:s3:::bundles/blog/*"]
    assert 'data "aws_iam_policy_document" "pusher"' in iam("--terraform").stdout
    mine = found["pusher"]["policy"]
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    assert iam("--check", "mine.json").returncode == 0
    mine["Statement"][0]["Action"].remove("s3:PutObject")
    mine["Statement"].append({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::other/*"})
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    done = iam("--check", "mine.json")
    assert done.returncode == 6, done.stderr
    assert "missing   s3:PutObject  arn:aws:s3:::bundles/blog/*" in done.stdout
    assert "too much  s3:*  arn:aws:s3:::other/*" in done.stdout
    assert iam("--check", "none.json").returncode == 2
    done = iam("--account", "12345")
    assert (done.returncode, "12345 is no account" in done.stderr) == (2, True)
    assert iam("other").returncode == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "mine.json is no JSON"),
        (b"\xff", "mine.json is no JSON"),
        (b"[]", "mine.json is no policy document"),
        (b'{"Policy": {}}', "mine.json is no policy document"),
        (b'{"Statement": 1}', "mine.json is no policy document"),
        (b'{"PolicyVersion": {"Document": {"Statement": ["Allow"]}}}', "mine.json is no policy document"),
        (b'{"Document": {"Document": null}}', "mine.json is no policy document"),
    ],
)
def test_what_is_no_policy_is_told(content: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_policy(content, "mine.json")
