"""The host source `ec2` and the secret sources `aws-sm` and `aws-ssm`, against moto."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from cli.project import PUSH
from plugins.lambda_target import KEYS, client
from pushkit import Interrupted, Lookup, Project, Run, SecretError, Target, TargetError
from pushkit.fleet import Host
from pushkit.registry import host_source, secret_source
from pushkit.secrets.redaction import Redactor
from pushkit.testing import CodeDeployServer, HttpsServer, Reply

IMAGE = "ami-12c6146b"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As they stand in the environment of who pushes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_access_key"])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_PROFILE", raising=False)


# ---- hosts


class Cloud:
    """EC2 with instances of a role that no other test has."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.role = f"web-{secrets.token_hex(4)}"
        self.ec2 = client("ec2", url)

    def run(self, **tags: str) -> Any:
        """A new instance, as EC2 describes it."""
        named = [{"Key": key, "Value": value} for key, value in {"Role": self.role, **tags}.items()]
        (made,) = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, TagSpecifications=[{"ResourceType": "instance", "Tags": named}]
        )["Instances"]
        found = self.ec2.describe_instances(InstanceIds=[made["InstanceId"]])
        return found["Reservations"][0]["Instances"][0]

    def hosts(self, words: str) -> list[Host]:
        here = Path()
        run = Run(
            project=Project("p", here, here, ".", (), "", {}), target=Target("fleet", "sftp"), emit=lambda event: None,
            cancelled=threading.Event(), scratch=here, person="", redact=Redactor(), environment={},
        )  # fmt: skip
        return list(host_source("ec2")(f"{words},region=us-east-1,endpoint={self.url}", run))


@pytest.fixture
def cloud(moto: str) -> Cloud:
    return Cloud(moto)


def test_hosts_are_the_running_instances_with_all_the_tags(cloud: Cloud) -> None:
    one, two = cloud.run(Pool="a"), cloud.run(Pool="b")
    gone = cloud.run()
    cloud.ec2.terminate_instances(InstanceIds=[gone["InstanceId"]])
    stopped = cloud.run()
    cloud.ec2.stop_instances(InstanceIds=[stopped["InstanceId"]])
    found = cloud.hosts(f"tag:Role={cloud.role},user=deploy,port=2222,pool=Pool")
    zone = one["Placement"]["AvailabilityZone"]
    assert found == [
        Host(one["PrivateIpAddress"], "deploy", 2222, "a", zone),
        Host(two["PrivateIpAddress"], "deploy", 2222, "b", zone),
    ]
    assert [host.name for host in cloud.hosts(f"tag:Role={cloud.role},tag:Pool=b")] == [two["PrivateIpAddress"]]
    assert len(cloud.hosts(f"tag:Role={cloud.role[:-2]}*")) == 2


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("private", "PrivateIpAddress"),
        ("public", "PublicIpAddress"),
        ("private-dns", "PrivateDnsName"),
        ("public-dns", "PublicDnsName"),
    ],
)
def test_the_address_is_the_one_that_is_asked_for(cloud: Cloud, kind: str, key: str) -> None:
    made = cloud.run()
    assert [host.name for host in cloud.hosts(f"tag:Role={cloud.role},address={kind}")] == [made[key]]


def test_an_instance_without_that_address_is_told(cloud: Cloud) -> None:
    made = cloud.run()
    with pytest.raises(TargetError, match=f"{made['InstanceId']} has no ipv6 address"):
        cloud.hosts(f"tag:Role={cloud.role},address=ipv6")


def test_a_group_gives_what_is_in_service_and_healthy(cloud: Cloud) -> None:
    scaling = client("autoscaling", cloud.url)
    scaling.create_launch_configuration(LaunchConfigurationName=cloud.role, ImageId=IMAGE, InstanceType="t2.micro")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=cloud.role, LaunchConfigurationName=cloud.role, MinSize=2, MaxSize=2,
        AvailabilityZones=["us-east-1a"], Tags=[{"Key": "Role", "Value": cloud.role, "PropagateAtLaunch": True}],
    )  # fmt: skip
    outside = cloud.run()
    found = cloud.hosts(f"group={cloud.role}")
    assert len(found) == 2
    assert outside["PrivateIpAddress"] not in {host.name for host in found}
    assert len(cloud.hosts(f"tag:Role={cloud.role}")) == 3
    assert len(cloud.hosts(f"group={cloud.role},healthy=yes,tag:Role={cloud.role}")) == 2
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[cloud.role])["AutoScalingGroups"]
    scaling.set_instance_health(InstanceId=group["Instances"][0]["InstanceId"], HealthStatus="Unhealthy")
    assert len(cloud.hosts(f"group={cloud.role}")) == 2
    assert len(cloud.hosts(f"group={cloud.role},healthy=yes")) == 1
    with pytest.raises(TargetError, match="there is no Auto Scaling group none"):
        cloud.hosts("group=none")


def test_more_instances_than_may_be_asked_for_at_once_are_asked_for_in_parts(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {cloud.run()["PrivateIpAddress"] for _ in range(3)}
    monkeypatch.setattr("pushkit_aws.ec2.BATCH", 2)
    assert {host.name for host in cloud.hosts(f"tag:Role={cloud.role},healthy=yes")} == made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tag:Role=none-at-all", "no running instance is ec2:tag:Role=none-at-all"),
        ("web", "'web' is no NAME=VALUE"),
        ("tag:Role=", "'tag:Role=' is no NAME=VALUE"),
        ("tags=web", "'tags' is no word that is known"),
        ("healthy=yes", "it names neither a tag nor a group"),
        ("tag:Role=x,healthy=maybe", "healthy is yes or no"),
        ("tag:Role=x,address=home", "address is one of private, public"),
        ("tag:Role=x,port=ssh", "'ssh' is no port"),
    ],
)
def test_what_names_no_host_is_told(cloud: Cloud, words: str, said: str) -> None:
    with pytest.raises(TargetError) as caught:
        cloud.hosts(words)
    assert said in caught.value.message


def test_what_is_no_service_of_aws_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushkit_aws.clients.ATTEMPTS", 1)
    with HttpsServer(host="127.0.0.1", respond=lambda _: Reply(200, {}, b"<html>hello")) as server:
        cloud.url = server.url
        with pytest.raises(TargetError, match=r"^ec2 cannot be used: Unable to parse response") as caught:
            cloud.hosts("tag:Role=web")
    assert caught.value.hint == "is endpoint_url right?"


def test_push_hosts_lists_instances(cloud: Cloud, tmp_path: Path) -> None:
    made = cloud.run()
    (tmp_path / "Pushfile").write_text(
        '[target.fleet]\nstrategy = "sftp"\npath = "/srv/blog"\nlock_host = "web1"\n'
        f'hosts = ["ec2:tag:Role={cloud.role},user=deploy,region=us-east-1,endpoint={cloud.url}"]\n'
    )
    done = subprocess.run([PUSH, "hosts"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"deploy@{made['PrivateIpAddress']}" in done.stdout


# ---- secrets


class Vault:
    """The two sources, asked as a Pushfile's reference asks them."""

    def __init__(self, url: str) -> None:
        self.where = f"?region=us-east-1&endpoint={url}"
        self.url = url
        self.lookup = Lookup(Path())
        self.name = f"prod/{secrets.token_hex(4)}"

    def ask(self, source: str, argument: str) -> str:
        sign = "&" if "?" in argument else "?"
        return secret_source(source)(f"{argument}{sign}{self.where[1:]}", self.lookup)


@pytest.fixture
def vault(moto: str) -> Vault:
    return Vault(moto)


def test_a_secret_of_secrets_manager_is_text_or_a_key_of_it_and_asked_for_once(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = client("secretsmanager", vault.url)
    text = json.dumps({"user": "ann", "password": "s3cret of ann", "port": 2121})
    made = manager.create_secret(Name=vault.name, SecretString=text)
    assert vault.ask("aws-sm", vault.name) == text
    manager.put_secret_value(SecretId=vault.name, SecretString='{"password": "another"}')
    # One command has one answer, whatever refers to it, and whatever happens meanwhile.
    assert vault.ask("aws-sm", f"{vault.name}#password") == "s3cret of ann"
    assert vault.ask("aws-sm", f"{vault.name}#port") == "2121"
    vault.lookup = Lookup(Path())
    assert vault.ask("aws-sm", f"{made['ARN']}#password") == "another"
    assert vault.ask("aws-sm", f"{vault.name}#password?stage=AWSPREVIOUS") == "s3cret of ann"
    manager.create_secret(Name=f"{vault.name}/bytes", SecretBinary="ü".encode())
    assert vault.ask("aws-sm", f"{vault.name}/bytes") == "ü"
    manager.create_secret(Name=f"{vault.name}/no-text", SecretBinary=b"\xff")
    with pytest.raises(SecretError, match="is not UTF-8 text"):
        vault.ask("aws-sm", f"{vault.name}/no-text")


def test_a_parameter_is_decrypted_by_name_version_and_label(vault: Vault) -> None:
    store = client("ssm", vault.url)
    name = f"/{vault.name}/password"
    store.put_parameter(Name=name, Value="one s3cret", Type="SecureString")
    store.put_parameter(Name=name, Value='{"ftp": "two s3crets"}', Type="SecureString", Overwrite=True)
    assert vault.ask("aws-ssm", f"{name}#ftp") == "two s3crets"
    assert vault.ask("aws-ssm", f"{name}:1") == "one s3cret"


@pytest.mark.parametrize(
    ("source", "argument", "said"),
    [
        ("aws-sm", "none", "${aws-sm:none} is not there"),
        ("aws-ssm", "/none", "${aws-ssm:/none} is not there"),
        ("aws-sm", "#key", "names no secret"),
        ("aws-sm", "text#key", "${aws-sm:text#key}: the secret is no JSON object"),
        ("aws-sm", "json#none", "${aws-sm:json#none}: there is no text or number of that key"),
        ("aws-sm", "json#list", "${aws-sm:json#list}: there is no text or number of that key"),
        ("aws-sm", "json?stag=x", "there is no word stag"),
        ("aws-ssm", "json?stage=x", "there is no word stage"),
    ],
)
def test_what_is_no_secret_is_told_and_no_value(vault: Vault, source: str, argument: str, said: str) -> None:
    manager = client("secretsmanager", vault.url)
    for name, text in (("text", "s3cret text"), ("json", '{"list": ["s3cret"]}')):
        try:
            manager.create_secret(Name=name, SecretString=text)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId=name, SecretString=text)
    with pytest.raises(SecretError) as caught:
        vault.ask(source, argument)
    assert said in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_who_cannot_be_asked_is_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushkit_aws.clients.ATTEMPTS", 1)
    ask = secret_source("aws-sm")
    with pytest.raises(SecretError, match="cannot be reached"):
        ask("x?region=us-east-1&endpoint=http://127.0.0.1:1", vault.lookup)
    with pytest.raises(SecretError, match="no TLS"):
        ask("x?region=us-east-1&endpoint=http://aws.example.com", vault.lookup)
    with pytest.raises(SecretError, match="there is no profile nobody"):
        ask("x?region=us-east-1&profile=nobody", vault.lookup)
    vault.lookup.cancelled.set()
    with pytest.raises(Interrupted):
        vault.ask("aws-sm", vault.name)


def test_a_secret_that_is_denied_is_told_with_the_right_that_is_missing(vault: Vault) -> None:
    with CodeDeployServer(rest=vault.url) as service:
        denied = {"__type": "AccessDeniedException", "Message": "no"}
        service.instead = lambda method, path, body: (400, denied)
        with pytest.raises(SecretError) as caught:
            secret_source("aws-ssm")(f"/{vault.name}?region=us-east-1&endpoint={service.url}", vault.lookup)
    assert caught.value.message == f"${{aws-ssm:/{vault.name}}} cannot be had: ssm denies ssm:GetParameter"
    assert caught.value.hint.startswith("grant ssm:GetParameter to who pushes")


def test_a_push_has_the_secrets_and_shows_none(vault: Vault, tmp_path: Path) -> None:
    client("secretsmanager", vault.url).create_secret(Name=vault.name, SecretString='{"token": "t0ken of ann"}')
    client("ssm", vault.url).put_parameter(Name=f"/{vault.name}", Value="w0rd of ann", Type="SecureString")
    (tmp_path / "Pushfile").write_text(
        '[target.x]\nstrategy = "script"\nrun = "./run"\n'
        f'environment = {{ A = "${{aws-sm:{vault.name}#token{vault.where}}}", '
        f'B = "${{aws-ssm:/{vault.name}{vault.where}}}" }}\n'
    )
    (tmp_path / "run").write_text(f'#!/bin/sh\necho "$A,$B"; echo "$A,$B" >{tmp_path}/got\n')
    (tmp_path / "run").chmod(0o755)
    done = subprocess.run([PUSH], cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got").read_text() == "t0ken of ann,w0rd of ann\n"
    assert "of ann" not in done.stdout + done.stderr
    assert "[secret:" in done.stderr
