"""What may go wrong between a push and S3, told in plain words: rights, secrets, buckets, endpoints, boto3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from plugins.s3_target import Bucket, Pusher
from pushkit import Action, Severity, TargetError, excerpt
from pushkit.testing import HttpsServer, Reply, SeaweedFs
from pushkit_aws.words import refused


@pytest.fixture(scope="session")
def bucket(seaweedfs: SeaweedFs) -> Bucket:
    return Bucket(seaweedfs, "rights")


@pytest.fixture
def pusher(tmp_path: Path, bucket: Bucket) -> Pusher:
    made = Pusher(tmp_path, bucket, mode="site", prefix=tmp_path.name.strip("_"))
    made.write(index_html="one", old_html="old")
    return made


def test_reading_writing_and_listing_are_all_the_rights_that_a_site_needs(pusher: Pusher, bucket: Bucket) -> None:
    pusher.options |= bucket.server.keys_of("pusher")
    pusher.push()
    (pusher.root / "old.html").unlink()
    pusher.push()
    assert {key.rpartition("/")[2] for key in bucket.holds() if key.startswith(pusher.options["prefix"])} == {
        "index.html"
    }


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("no-list", "s3 denies s3:ListBucket on arn:aws:s3:::rights"),
        ("no-write", "s3 denies s3:PutObject on arn:aws:s3:::rights/{prefix}/.push/pending.json"),
        ("no-read", "s3 denies s3:GetObject on arn:aws:s3:::rights/{prefix}/.push/site.json"),
    ],
)
def test_one_right_fewer_is_told_by_its_name_and_changes_nothing(
    pusher: Pusher, bucket: Bucket, account: str, said: str
) -> None:
    pusher.push()
    pusher.write(index_html="two")
    pusher.options |= bucket.server.keys_of(account)
    with pytest.raises(TargetError) as caught:
        pusher.push()
    assert caught.value.message == said.format(prefix=pusher.options["prefix"])
    assert caught.value.hint.startswith(f"grant {caught.value.message.removeprefix('s3 denies ')} to who pushes")
    assert bucket.read(f"{pusher.options['prefix']}/index.html") == b"one"


def test_a_wrong_secret_is_told_and_not_shown(pusher: Pusher) -> None:
    pusher.options["secret_access_key"] = "not the secret"
    with pytest.raises(TargetError, match="does not accept the signature") as caught:
        pusher.push()
    assert "not the secret" not in caught.value.message + caught.value.hint
    assert "clock" in caught.value.hint


def test_an_unknown_access_key_is_told(pusher: Pusher) -> None:
    pusher.options["access_key_id"] = "stranger"
    with pytest.raises(TargetError, match="does not know the access key"):
        pusher.push()


def test_a_bucket_that_is_not_there_is_told(pusher: Pusher) -> None:
    pusher.options["bucket"] = "nothing-here"
    with pytest.raises(TargetError, match="there is no bucket nothing-here"):
        pusher.push()
    (finding,) = pusher.check()
    assert (finding.severity, finding.message) == (Severity.ERROR, "there is no bucket nothing-here")


def test_a_missing_bucket_is_told_for_a_bundle_too(tmp_path: Path, bucket: Bucket) -> None:
    pusher = Pusher(tmp_path, bucket)
    pusher.write(index_html="one")
    pusher.options["bucket"] = "nothing-here"
    with pytest.raises(TargetError, match="there is no bucket nothing-here"):
        pusher.push()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"endpoint_url": "http://127.0.0.1:1"}, "127.0.0.1:1 cannot be reached"),
        ({"access_key_id": "", "secret_access_key": None}, "there are no credentials of AWS"),
        ({"access_key_id": "", "secret_access_key": None, "profile": "nobody"}, "there is no profile nobody"),
        ({"ca_file": "nothing.pem", "endpoint_url": "https://127.0.0.1:1"}, "nothing.pem cannot be read"),
    ],
)
def test_what_stands_in_the_way_is_told(
    pusher: Pusher, change: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkit_aws.clients.ATTEMPTS", 1)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(pusher.scratch))
    pusher.options |= change
    with pytest.raises(TargetError, match=said):
        pusher.push()


def test_a_configuration_that_cannot_be_read_is_told(
    pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("no section\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    pusher.options |= {"access_key_id": "", "secret_access_key": None, "profile": "ann"}
    with pytest.raises(TargetError, match=r"s3 cannot be used: Unable to parse config file: \S+/config") as caught:
        pusher.push()
    assert caught.value.hint == "correct the target's options, or ~/.aws/config"


@pytest.mark.parametrize("content", [b"<html>hello", b"\xff\x00", b"", b"<ListBucketResult></ListBucketResult>"])
def test_a_server_that_does_not_speak_s3_is_told(
    pusher: Pusher, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkit_aws.clients.ATTEMPTS", 1)
    prefix = f"{pusher.options['prefix']}%2F"
    with HttpsServer(host="127.0.0.1") as server:
        for query in (
            "encoding-type=url&list-type=2&max-keys=1000&prefix={}",
            "list-type=2&prefix={}&max-keys=1000&encoding-type=url",
        ):
            server.reply("GET", f"/rights?{query.format(prefix)}", *[Reply(200, {}, content)] * 5)
        pusher.options["endpoint_url"] = server.url
        if b"ListBucketResult" in content:
            assert pusher.plan().count(Action.ADD) == 3
        else:
            with pytest.raises(TargetError, match=r"^s3 (cannot be used|refused)"):
                pusher.plan()


@pytest.mark.parametrize(
    ("code", "text", "message", "hint"),
    [
        ("ExpiredToken", "", "the credentials have expired", "log in again"),
        ("RequestTimeTooSkewed", "", "the clock of this machine and that of s3 differ too much", "set the clock"),
        ("PermanentRedirect", "use eu", "arn:aws:s3:::b/k is in another region", "set `region`; s3 says: use eu"),
        ("SlowDown", "", "s3 is asked too often", "push again"),
        ("AccessDenied", "", "s3 denies s3:PutObject on arn:aws:s3:::b/k", "grant s3:PutObject"),
        (
            "AccessDenied",
            "User: ann is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:k",
            "s3 denies kms:GenerateDataKey on arn:aws:kms:k",
            "grant kms:GenerateDataKey on arn:aws:kms:k",
        ),
        ("Odd", "some\n thing", "s3 refused put_object of arn:aws:s3:::b/k: Odd some thing", ""),
        ("Brace", "{0} {of}", "s3 refused put_object of arn:aws:s3:::b/k: Brace {0} {of}", ""),
    ],
)
def test_what_aws_refuses_is_told_in_plain_words(code: str, text: str, message: str, hint: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": text}}, "PutObject")
    told = refused(error, "s3", "put_object", {"Bucket": "b", "Key": "k"}, excerpt)
    assert told.message.startswith(message)
    assert told.hint.startswith(hint)


def test_without_boto3_push_says_how_to_install_it_and_works_otherwise(tmp_path: Path) -> None:
    top = tmp_path / "blog"
    top.mkdir()
    (top / "Pushfile").write_text(
        '[target.cloud]\nstrategy = "s3"\nbucket = "bucket"\n[target.here]\nstrategy = "dir"\npath = "../live"\n'
    )
    (top / "index.html").write_text("x")
    # What is None there cannot be imported, and is not found.
    block = (
        "import sys\nsys.modules.update(boto3=None, botocore=None)\nfrom pushkit.cli import main\nsys.exit(main())\n"
    )

    def push(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", block, *arguments]
        return subprocess.run(command, cwd=top, capture_output=True, text=True, check=False)

    done = push("plan", "cloud")
    assert (done.returncode, done.stderr) == (
        4,
        "push: the strategy \"s3\" needs boto3, which is not installed\n  hint: pip install 'pushkit[aws]'\n",
    )
    assert push("plan", "here").returncode == 0
    for strategy in ("s3", "codedeploy"):
        assert push("explain", strategy).returncode == 0


@pytest.mark.parametrize(
    ("target", "who"),
    [
        ('strategy = "codedeploy"\napplication = "a"\ndeployment_group = "g"\nbucket = "bundles"', "strategy"),
        ('strategy = "codedeploy"\nplatform = "lambda"\nfunction = "f"', "strategy"),
        (
            'strategy = "codedeploy"\nplatform = "ecs"\napplication = "a"\ndeployment_group="a"\ntask_definition = "t"',
            "strategy",
        ),
        ('strategy = "sftp"\npath = "/srv"\nlock_host = "h"\nhosts = ["ec2:tag:Role=web"]', "host source"),
        ('strategy = "script"\nrun = "./x"\nenvironment = { A = "${aws-sm:a}" }', "secret source"),
        ('strategy = "script"\nrun = "./x"\nenvironment = { A = "${aws-ssm:/a}" }', "secret source"),
    ],
)
def test_without_boto3_all_that_asks_aws_says_how_to_install_it(tmp_path: Path, target: str, who: str) -> None:
    (tmp_path / "Pushfile").write_text(f"[target.cloud]\n{target}\n")
    (tmp_path / "x").touch(0o755)
    block = (
        "import sys\nsys.modules.update(boto3=None, botocore=None)\nfrom pushkit.cli import main\nsys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert f'the {who} "' in done.stderr
    assert "needs boto3, which is not installed" in done.stderr
    assert "hint: pip install 'pushkit[aws]'" in done.stderr
