"""``push codedeploy iam``: the policies that a target needs, or what a policy of yours lacks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

import click
from msgspec.structs import replace

from pushkit import Project, PushRefused, Target, UsageError, command_options, command_target
from pushkit_aws.appspec import Platform, load
from pushkit_aws.codedeploy.options import APPSPEC
from pushkit_aws.iam import Facts, as_json, as_terraform, compare, policies, pusher, read_policy
from pushkit_aws.tasks.definition import REGISTERED

#: Keys of bundles begin with what stands before the first field that changes.
FIELD = re.compile(r"\{(?!project\}|target\})\w*\}")


@click.command()
@click.argument("target", required=False)
@click.option("--account", required=True, metavar="ID", help="The account, twelve digits.")
@click.option("--region", metavar="NAME", help="The region; by default the target's.")
@click.option(
    "--partition",
    default="aws",
    type=click.Choice(["aws", "aws-cn", "aws-us-gov"]),
    show_default=True,
    help="The AWS partition that ARNs begin with.",
)
@click.option("--kms-key", default="", metavar="ARN", help="The key that the bucket is encrypted with.")
@click.option("--terraform", is_flag=True, help="Print Terraform, not JSON.")
@click.option("--check", "file", type=click.Path(path_type=Path, dir_okay=False), help="A policy of who pushes.")
@command_options("pushfile")
def command(
    *,
    target: str | None,
    account: str,
    region: str | None,
    partition: str,
    kms_key: str,
    terraform: bool,
    file: Path | None,
) -> None:
    """Print the policies that TARGET needs: of who pushes, of CodeDeploy itself, of its servers, each with its reasons.

    With --check, compare a policy of who pushes with the one that is needed; exit code 6 when something is missing.
    """
    if not re.fullmatch(r"[0-9]{12}", account):
        raise UsageError(f"{account} is no account", hint="it has twelve digits: aws sts get-caller-identity")
    facts = facts_of(*command_target(target), account=account, region=region, partition=partition, kms_key=kms_key)
    if file is None:
        click.echo((as_terraform if terraform else as_json)(policies(facts)))
        return
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    found = compare(pusher(facts), read_policy(content, str(file)))
    for action, resource in found.missing:
        click.echo(f"missing   {action}  {resource}")
    for action, resource in found.too_much:
        click.echo(f"too much  {action}  {resource}")
    for words in found.unclear:
        click.echo(f"unclear   {words}")
    if found.missing:
        raise PushRefused(f"{file} lacks {len(found.missing)} rights", hint="print what is needed, without --check")


def facts_of(
    project: Project, target: Target, *, account: str, region: str | None, partition: str, kms_key: str
) -> Facts:
    """What the ARNs are made of. Raises `UsageError` for a target of another strategy, or without a region."""
    table = target.table
    if target.strategy not in {"codedeploy", "s3"}:
        raise UsageError(
            f"{target.name} is a target of {target.strategy}, not of codedeploy or s3",
            hint="name another target: push targets",
        )
    where = region or str(table.get("region", ""))
    if not where:
        raise UsageError(f"the region of {target.name} is not known", hint="add --region NAME, or region to the target")
    if target.strategy == "s3":
        return of_bucket(project, target, Facts("server", where, account, "", "", kms_key=kms_key, partition=partition))
    key = str(table.get("key", "{project}/{digest}.zip"))
    prefix = FIELD.split(key)[0].replace("{target}", target.name).replace("{project}", project.name)
    platform: Platform = table.get("platform", "server")
    facts = Facts(
        platform,
        where,
        account,
        str(table.get("application", "")),
        str(table.get("deployment_group", "")),
        config=str(table.get("deployment_config", "")),
        bucket=str(table.get("bucket", "")),
        prefix=prefix,
        function=str(table.get("function", "")),
        kms_key=kms_key,
        hooks=tuple(str(name) for name in table.get("hooks", {}).values()),
        alarms=bool(table.get("check", {}).get("alarms")),
        partition=partition,
    )
    return of_service(project, target, facts) if platform == "ecs" else facts


def of_bucket(project: Project, target: Target, facts: Facts) -> Facts:
    """The facts of a target of the strategy ``s3``."""
    table = target.table
    mode: Literal["bundle", "site"] = table.get("mode", "bundle")
    key = str(table.get("key", "{project}.zip")).replace("{target}", target.name).replace("{project}", project.name)
    site = str(table.get("prefix", "")).strip("/")
    return replace(
        facts,
        mode=mode,
        bucket=str(table["bucket"]),
        prefix=(site + "/" * bool(site)) if mode == "site" else FIELD.split(key)[0],
        distribution=str(table.get("distribution", "")),
        pipeline=str(table.get("pipeline", "")),
        starts=bool(table.get("pipeline_start", False)),
    )


def of_service(project: Project, target: Target, facts: Facts) -> Facts:
    """The facts of a target that is a service of ECS: what its task definition and its AppSpec name."""
    source = project.root if project.source.startswith("git:") else project.root / project.source
    appspec = str(target.table.get("appspec") or APPSPEC)
    functions = load((source / appspec).read_bytes(), appspec, "ecs").functions if (source / appspec).is_file() else ()
    given = {each.event: each.name for each in functions} | dict(target.table.get("hooks", {}))
    facts = replace(facts, hooks=tuple(dict.fromkeys(given.values())))
    definition = str(target.table.get("task_definition", ""))
    if REGISTERED.fullmatch(definition):
        return facts
    family, roles = named_by(source / definition)
    arns = (
        name if name.startswith("arn:") else f"arn:{facts.partition}:iam::{facts.account}:role/{name}" for name in roles
    )
    return replace(facts, family=family, roles=tuple(sorted(set(arns))))


def named_by(file: Path) -> tuple[str, list[str]]:
    """The family of a task definition, and the roles that it names: ARNs, or names of this account's.

    Raises `UsageError` when it cannot be read.
    """
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{file.name} cannot be read: {getattr(error, 'strerror', None) or 'it is no JSON'}",
            hint="the roles that a task definition names have to be passed",
        ) from error
    inner = found.get("taskDefinition", found) if isinstance(found, dict) else {}
    family = inner.get("family") if isinstance(inner, dict) else None
    if not isinstance(family, str) or not family:
        raise UsageError(f"{file.name} is no task definition", hint="it is an object with `family`")
    named = (inner.get(key) for key in ("executionRoleArn", "taskRoleArn"))
    return family, [name for name in named if isinstance(name, str) and name]
