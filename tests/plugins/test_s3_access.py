"""Where a bucket lies and what its requests are signed with, held against what boto3 and botocore make of the same."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from plugins.s3_target import Bucket
from pushkit import TargetError
from pushkit.testing import SeaweedFs
from pushkit_aws.clients import Caller, Clients
from pushkit_aws.s3.access import Access, plain
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.signature import Keys, signed

NOW = datetime(2026, 11, 30, 8, 5, 9, tzinfo=UTC)
PAIR = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)


@given(
    method=st.sampled_from(["GET", "PUT", "DELETE"]),
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    query=st.dictionaries(st.sampled_from(["prefix", "list-type", "start-after", "max-keys"]), st.text(max_size=20)),
    headers=st.dictionaries(st.sampled_from(["Content-Type", "Cache-Control", "x-amz-meta-push"]), HEADER),
    content=st.binary(max_size=200),
    token=st.sampled_from(["", "t/oken+=="]),
    host=st.sampled_from(["h.example", "h.example:9000", "[::1]:8333"]),
)
def test_a_signature_is_the_one_that_botocore_makes(
    *,
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    content: bytes,
    token: str,
    host: str,
) -> None:
    keys = Keys("AKIAX", "s/ecret+", token)
    parts = sorted((name, quote(value.encode(errors="replace"), safe="~")) for name, value in query.items())
    target = f"/bench/{quote(key, safe='/~')}" + ("?" + "&".join(map("=".join, parts)) if parts else "")
    ours = signed(method, target, headers, content, host=host, region="eu-west-1", keys=keys, now=NOW)

    request = AWSRequest(method, f"https://{host}{target}", headers=dict(headers), data=content)
    with patch("botocore.auth.get_current_datetime", lambda *_: NOW.replace(tzinfo=None)):
        S3SigV4Auth(Credentials(keys.id, keys.secret, token or None), "s3", "eu-west-1").add_auth(request)
    assert ours["Authorization"] == request.headers["Authorization"]
    assert "s/ecret" not in repr(keys)


def clients(options: S3Options, root: Path) -> Clients:
    return Clients(
        Caller("a test", root, lambda: None, lambda text, length: text[:length]), options, path_style=options.path_style
    )


def found(home: Path, environment: dict[str, str], **options: Any) -> Access | None:
    given = S3Options.of({"bucket": "bench", "mode": "site", **options})
    return plain(clients(given, home), given, environment, home)


@pytest.mark.parametrize("bucket", ["bench", "9-9"])
@pytest.mark.parametrize("path_style", [True, False])
@pytest.mark.parametrize(
    "where",
    [
        {"region": "eu-central-1"},
        {"region": "ap-southeast-2"},
        {"endpoint_url": "http://127.0.0.1:8333"},
        {"endpoint_url": "https://s3.example.com"},
        {"endpoint_url": "https://s3.example.com:9000/under/"},
        {"endpoint_url": "https://[::1]:99", "region": "eu-west-1"},
        {"endpoint_url": "https://s3.eu-west-1.amazonaws.com", "region": "eu-west-1"},
    ],
)
def test_objects_are_looked_for_where_boto3_sends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: dict[str, str], bucket: str, path_style: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = {"access_key_id": "AKIAX", "secret_access_key": "s3cr3t"}
    options = S3Options.of({"bucket": bucket, "mode": "site", "path_style": path_style, **where, **keys})
    client = clients(options, tmp_path).client("s3")
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=list))

    client.meta.events.register("before-send.s3.PutObject", answer)
    client.put_object(Bucket=bucket, Key="a/b", Body=b"")
    access = plain(clients(options, tmp_path), options, {}, tmp_path)
    assert access
    assert access.base + "a/b" == sent[0].url
    assert f"/{access.region}/s3/" in str(sent[0].headers["Authorization"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_PROFILE", "other"),
        ("AWS_ENDPOINT_URL_S3", "https://s3.example.com"),
        ("AWS_CONFIG_FILE", "elsewhere"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ("AWS_SECURITY_TOKEN", "older"),
        ("https_proxy", "http://proxy.example"),
        ("ALL_PROXY", "http://proxy.example"),
    ],
)
def test_any_other_variable_is_left_to_boto3(tmp_path: Path, name: str, value: str) -> None:
    assert found(tmp_path, PAIR, region="eu-west-1")
    assert found(tmp_path, {**PAIR, name: value}, region="eu-west-1") is None


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config", "[default]\nregion = eu-west-1\ns3 =\n    use_accelerate_endpoint = true\n"),
        ("config", "[default]\nrole_arn = arn:aws:iam::1:role/x\n"),
        ("config", "[profile default]\nregion = eu-west-1\n"),
        ("config", "[DEFAULT]\nendpoint_url = https://h.example\n[default]\nregion = eu-west-1\n"),
        ("config", "no section\n"),
        ("config", "[default]\nregion = \udcff\n"),
        ("credentials", "[default]\ncredential_process = /bin/keys\n"),
    ],
)
def test_any_other_setting_is_left_to_boto3(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / file).write_bytes(text.encode(errors="surrogateescape"))
    assert found(tmp_path, PAIR, region="eu-west-1") is None


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({}, {"region": "eu-west-1"}),
        ({"AWS_ACCESS_KEY_ID": "AKIAX"}, {"region": "eu-west-1"}),
        (PAIR, {}),
        (PAIR, {"region": "cn-north-1"}),
        (PAIR, {"region": "us-gov-west-1"}),
        (PAIR, {"region": "moon-1"}),
        (PAIR, {"region": "eu-west-1", "bucket": "with.dots"}),
        (PAIR, {"region": "eu-west-1", "bucket": "name--euw1-az1--x-s3"}),
        (PAIR, {"endpoint_url": "https://under_score.example"}),
        (PAIR, {"region": "eu-west-1", "profile": "work"}),
    ],
)
def test_what_is_not_plain_is_left_to_boto3(
    tmp_path: Path, environment: dict[str, str], options: dict[str, str]
) -> None:
    assert found(tmp_path, environment, **options) is None


def test_keys_are_taken_from_where_boto3_takes_them_first(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\nregion = eu-north-1\noutput = json\n[profile x]\nrole_arn = r\n")
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = STORED\naws_secret_access_key = of%file\naws_session_token = t\n[x]\nz = 1\n"
    )
    stored = found(tmp_path, {})
    assert stored
    assert (stored.keys(), stored.region) == (Keys("STORED", "of%file", "t"), "eu-north-1")
    variables = found(tmp_path, {**PAIR, "AWS_DEFAULT_REGION": "eu-west-1"})
    assert variables
    assert (variables.keys(), variables.region) == (Keys("AKIAX", "s3cr3t"), "eu-west-1")
    said = found(tmp_path, PAIR, access_key_id="OF", secret_access_key="pushfile", region="us-east-2")
    assert said
    assert (said.keys(), said.base) == (Keys("OF", "pushfile"), "https://bench.s3.us-east-2.amazonaws.com/")


@pytest.mark.parametrize(
    ("variables", "profile", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "", "eu-west-1"),
        ({"AWS_REGION": "eu-west-1"}, "eu-west-2", "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-2", "eu-west-3"),
    ],
)
def test_the_region_is_the_same_with_boto3_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], profile: str, region: str
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\nregion = {profile}\n" if profile else "")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**PAIR, **variables, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    access = found(tmp_path, {**PAIR, **variables})
    assert access
    assert access.region == region
    assert clients(S3Options.of({"bucket": "bench"}), tmp_path).region("s3") == region


def test_the_authorities_are_those_of_the_target_first(tmp_path: Path) -> None:
    (tmp_path / "ours.pem").touch()
    environment = {**PAIR, "AWS_CA_BUNDLE": "/etc/theirs.pem"}
    theirs = found(tmp_path, environment, region="eu-west-1")
    ours = found(tmp_path, environment, region="eu-west-1", ca_file="ours.pem")
    assert theirs
    assert ours
    assert (theirs.authorities, ours.authorities) == ("/etc/theirs.pem", str(tmp_path / "ours.pem"))
    with pytest.raises(TargetError, match=r"gone\.pem cannot be read"):
        found(tmp_path, environment, region="eu-west-1", ca_file="gone.pem")


LATER = """
import sys
from pushkit.cli import main
sys.argv[0] = "push"
code = main()
print("boto:", *(name for name in ("boto3", "botocore") if name in sys.modules))
sys.exit(code)
"""


@pytest.mark.parametrize("configured", ["", "[default]\ns3 =\n    addressing_style = path\n"])
def test_boto3_is_imported_where_it_has_to_be_and_pushes_the_same(
    tmp_path: Path, seaweedfs: SeaweedFs, configured: str
) -> None:
    bucket = Bucket(seaweedfs)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(configured)
    (tmp_path / "index.html").write_text("<h1>one")
    (tmp_path / "site.css").write_text("h1 {}")
    (tmp_path / "Pushfile").write_text(
        f'[project]\nignore = [".aws/", "cache/"]\n[target.live]\nstrategy = "s3"\nmode = "site"\n'
        f'bucket = "{bucket.name}"\nendpoint_url = "{seaweedfs.url}"\n'
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "AWS_ACCESS_KEY_ID": seaweedfs.key,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.secret,
    }
    expected = "boto: boto3 botocore" if configured else "boto:"
    for content in ("one", "two", "two"):
        (tmp_path / "index.html").write_text(content)
        done = subprocess.run(
            [sys.executable, "-c", LATER, "-q"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == expected
        assert bucket.read("index.html") == content.encode()
    assert bucket.holds() == {"index.html", "site.css"}
