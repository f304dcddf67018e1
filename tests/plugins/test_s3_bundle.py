"""The strategy `s3` with a bundle, against a real SeaweedFS, and CodePipeline of moto."""

from __future__ import annotations

import base64
import io
import os
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from botocore.stub import Stubber

from plugins.s3_target import Bucket, Pusher
from pushkit import Action, PushFailed, PushRefused, Severity, StepFinished, TargetError
from pushkit.testing import Fault, FaultProxy, SeaweedFs, Way
from pushkit_aws.clients import Clients
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.upload import PART


@pytest.fixture
def pusher(tmp_path: Path, seaweedfs: SeaweedFs) -> Pusher:
    made = Pusher(tmp_path, Bucket(seaweedfs, versions=True))
    made.write(index_html="one", css__site_css="h1 {}")
    return made


def test_a_bundle_is_one_archive_whose_metadata_tell_what_it_is(pusher: Pusher) -> None:
    release = pusher.push()
    content, head = pusher.bucket.read("blog.zip"), pusher.bucket.head("blog.zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["css/", "css/site.css", "index.html"]
    assert release.id == f"blog.zip@{head['VersionId']}"
    assert head["Metadata"]["push-sha256"] == sha256(content).hexdigest()
    assert head["Metadata"]["push-digest"] == release.revision.digest
    assert head["ContentType"] == "application/zip"


def test_an_unchanged_bundle_is_not_sent(pusher: Pusher) -> None:
    release = pusher.push()
    plan = pusher.plan()
    assert (plan.steps, plan.live) == ((), release.id)
    pusher.flags = {"repair": True}
    assert [step.action for step in pusher.plan().steps] == [Action.REPLACE]


def test_a_large_bundle_goes_in_parts_and_is_whole(pusher: Pusher) -> None:
    (pusher.root / "noise").write_bytes(os.urandom(PART * 2))
    pusher.push()
    content = pusher.bucket.read("blog.zip")
    assert len(content) > 2 * PART
    assert sha256(content).hexdigest() == pusher.bucket.head("blog.zip")["Metadata"]["push-sha256"]
    assert pusher.plan().steps == ()


def test_a_multipart_upload_that_fails_is_ended(pusher: Pusher, seaweedfs: SeaweedFs) -> None:
    (pusher.root / "noise").write_bytes(os.urandom(PART * 2))
    with FaultProxy((seaweedfs.host, seaweedfs.port)) as proxy:
        pusher.options["endpoint_url"] = f"http://{proxy.host}:{proxy.port}"
        strategy = pusher.strategy()
        snapshot = pusher.snapshot()
        plan = strategy.plan(snapshot)

        def lose(*_: object, **__: object) -> None:
            raise TargetError("lost")

        real = strategy._clients.call

        def call(service: str, operation: str, **parameters: object) -> object:
            if parameters.get("PartNumber") == 2:
                proxy.cut(Fault.RESET, 0, Way.UP)
                proxy.heal()
                lose()
            return real(service, operation, **parameters)

        strategy._clients.call = call  # type: ignore[method-assign]
        with pytest.raises(TargetError, match="lost"):
            strategy.push(plan, snapshot)
        strategy.close()
    uploads = pusher.bucket.client.list_multipart_uploads(Bucket=pusher.bucket.name)
    assert uploads.get("Uploads", []) == []
    assert pusher.bucket.holds() == set()


def test_bytes_that_are_not_what_their_digest_says_are_refused_by_the_server(pusher: Pusher) -> None:
    clients = pusher.strategy()._clients
    wrong = base64.b64encode(bytes(32)).decode()
    with pytest.raises(TargetError, match="damaged on its way"):
        clients.call("s3", "put_object", Bucket=pusher.bucket.name, Key="k", Body=b"x", ChecksumSHA256=wrong)
    assert pusher.bucket.holds() == set()


def test_rollback_copies_the_version_before_and_goes_on_from_there(pusher: Pusher) -> None:
    first = pusher.push()
    contents = {"one": pusher.bucket.read("blog.zip")}
    for text in ("two", "three"):
        pusher.write(index_html=text)
        pusher.push()
        contents[text] = pusher.bucket.read("blog.zip")
    assert [pusher.strategy().rollback() and pusher.bucket.read("blog.zip") for _ in range(2)] == [
        contents["two"],
        contents["one"],
    ]
    with pytest.raises(PushRefused, match="no other bundle before"):
        pusher.strategy().rollback()
    assert pusher.strategy().status().live == pusher.strategy().log()[-1].release
    assert [entry.why for entry in pusher.strategy().log()] == ["push"] * 3 + ["rollback"] * 2
    pusher.write(index_html="four")
    pusher.push()
    assert pusher.strategy().rollback(first.id).revision == first.revision
    assert pusher.bucket.read("blog.zip") == contents["one"]


def test_a_release_that_is_not_there_is_told_and_so_is_a_key_for_each_bundle(pusher: Pusher) -> None:
    pusher.push()
    pusher.write(index_html="two")
    pusher.push()
    with pytest.raises(PushRefused) as caught:
        pusher.strategy().rollback("blog.zip@none")
    assert caught.value.message == "there is no release blog.zip@none"
    assert caught.value.hint == "`push status` lists those that are there"
    pusher.options["key"] = "{digest}.zip"
    for ask in (pusher.strategy().rollback, pusher.strategy().status, pusher.strategy().log):
        with pytest.raises(PushRefused) as caught:
            ask()
        assert caught.value.message == "each bundle has a key of its own: {digest}.zip"
        assert caught.value.hint.startswith("a key without {revision}, {commit} and {digest}")


def test_without_versions_there_is_no_rollback(tmp_path: Path, seaweedfs: SeaweedFs) -> None:
    pusher = Pusher(tmp_path, Bucket(seaweedfs))
    pusher.write(index_html="one")
    assert pusher.push().id == "blog.zip"
    with pytest.raises(PushRefused, match="no older version"):
        pusher.strategy().rollback()


def test_what_no_push_put_there_is_not_replaced_unless_adopted(pusher: Pusher) -> None:
    pusher.bucket.put("blog.zip", b"somebody's")
    with pytest.raises(PushRefused, match="by no push"):
        pusher.plan()
    pusher.flags = {"adopt": True}
    pusher.push()
    assert pusher.bucket.read("blog.zip") != b"somebody's"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bucket": "No"}, "name of a bucket"),
        ({"key": "../{revision}.zip"}, "no part that is"),
        ({"key": "{nothing}.zip"}, "is no field"),
        ({"cache": {"*": "no-cache"}}, 'for `mode = "site"`'),
        ({"mode": "site", "pipeline": "p"}, 'for `mode = "bundle"`'),
        ({"mode": "site", "redirects": {"a": "b"}}, "neither a path"),
        ({"mode": "site", "cache": {"*": "a\nb"}}, "header"),
        ({"endpoint_url": "http://s3.example.com"}, "has no TLS"),
        ({"endpoint_url": "https://u:p@s3.example.com"}, "keys are options"),
        ({"access_key_id": "a"}, "belong together"),
        ({"pipeline_start": True}, "which is missing"),
    ],
)
def test_mistakes_in_options_are_told_when_they_are_loaded(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        S3Options.of({"bucket": "bucket", **options})


# CodePipeline.


@pytest.fixture
def pipeline(moto: str, pusher: Pusher, monkeypatch: pytest.MonkeyPatch) -> Pusher:
    keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto", "region_name": "us-east-1"}
    iam, made = (get_session().create_client(name, endpoint_url=moto, **keys) for name in ("iam", "codepipeline"))
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"codepipeline.amazonaws.com"}}]}'
    )
    name = pusher.bucket.name
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    source = {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}
    stages = [
        {"name": each, "actions": [{"name": "Act", "actionTypeId": source | {"category": category}}]}
        for each, category in (("Source", "Source"), ("Deploy", "Deploy"))
    ]
    store = {"type": "S3", "location": "artifacts"}
    made.create_pipeline(
        pipeline={"name": name, "roleArn": role, "artifactStore": store, "stages": stages, "version": 1}
    )
    strategy = Clients.client

    def client(self: Clients, service: str) -> object:
        return strategy(self, service) if service == "s3" else made

    # The two services have different endpoints here; a target has one.
    monkeypatch.setattr(Clients, "client", client)
    pusher.options |= {"pipeline": name, "pipeline_within": 20}
    return pusher


def test_a_pipeline_is_started_and_followed_to_its_end(pipeline: Pusher) -> None:
    pipeline.options["pipeline_start"] = True
    pipeline.push()
    assert [step.action for step in pipeline.done] == [Action.ADD, Action.RUN]
    pipeline.push()  # the bundle is there; the pipeline is wanted again
    assert [step.action for step in pipeline.done] == [Action.RUN]


def test_a_pipeline_that_does_not_begin_in_time_is_told(pipeline: Pusher) -> None:
    pipeline.options["pipeline_within"] = 0.1
    with pytest.raises(PushFailed, match="did not begin within"):
        pipeline.push()
    assert pipeline.bucket.holds() == {"blog.zip"}


def test_a_pipeline_that_does_not_end_in_time_is_told(pipeline: Pusher) -> None:
    pipeline.options |= {"pipeline_start": True, "pipeline_within": 1e-06}
    strategy = pipeline.strategy()
    found = {"pipelineExecution": {"pipelineName": "p", "pipelineExecutionId": "1", "status": "InProgress"}}
    stubber = Stubber(strategy._clients.client("codepipeline"))
    stubber.add_response("start_pipeline_execution", {"pipelineExecutionId": "1"})
    for _ in range(2):
        stubber.add_response("get_pipeline_execution", found)
        stubber.add_response("list_action_executions", {"actionExecutionDetails": []})
    snapshot = pipeline.snapshot()
    plan = strategy.plan(snapshot)
    with stubber, pytest.raises(PushFailed) as caught:
        strategy.push(plan, snapshot)
    strategy.close()
    assert caught.value.message == f"{pipeline.bucket.name} is not done after 1e-06 seconds: InProgress"
    assert caught.value.hint == "it goes on: execution 1; pipeline_within says how long to wait"


def test_a_bundle_that_goes_while_its_pipeline_runs_is_told(pipeline: Pusher, moto: str) -> None:
    pipeline.options["pipeline_start"] = True
    pipeline.push()
    strategy = pipeline.strategy()
    snapshot = pipeline.snapshot()
    plan = strategy.plan(snapshot)
    assert [step.action for step in plan.steps] == [Action.RUN]
    pipeline.bucket.client.delete_object(Bucket=pipeline.bucket.name, Key="blog.zip")
    with pytest.raises(TargetError) as caught:
        strategy.push(plan, snapshot)
    strategy.close()
    assert caught.value.message == f"blog.zip is not in {pipeline.bucket.name} any more"
    assert caught.value.hint == "push again"


def test_a_pipeline_that_is_not_there_is_told_before_anything_is_sent(pipeline: Pusher) -> None:
    pipeline.options["pipeline"] = "other"
    with pytest.raises(TargetError, match="other"):
        pipeline.push()
    assert pipeline.bucket.holds() == set()


def test_a_pipeline_that_its_source_began_is_followed(pipeline: Pusher, moto: str) -> None:
    """Who begins it here is the test, as soon as the bundle is there; moto's sources see nothing."""
    keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto", "region_name": "us-east-1"}
    made = get_session().create_client("codepipeline", endpoint_url=moto, **keys)

    class Events(list[Any]):
        def append(self, event: Any) -> None:
            super().append(event)
            if isinstance(event, StepFinished) and event.step.action is Action.ADD:
                made.start_pipeline_execution(name=pipeline.options["pipeline"])

        def clear(self) -> None:
            """What was told stays: the test asks for it after the push."""

    pipeline.events = Events()
    pipeline.push()
    assert [step.action for step in pipeline.done] == [Action.ADD, Action.RUN]
    assert pipeline.plan().steps == ()
    made.close()


def test_a_pipeline_that_fails_is_told_with_what_its_action_says(pipeline: Pusher, moto: str) -> None:
    pipeline.options["pipeline_start"] = True
    strategy = pipeline.strategy()
    found = {"pipelineExecution": {"pipelineName": "p", "pipelineExecutionId": "1", "status": "Failed"}}
    action = {"stageName": "Deploy", "actionName": "Act", "status": "Failed"}
    action |= {"output": {"executionResult": {"externalExecutionSummary": "no such\n host"}}}  # type: ignore[dict-item]
    client = strategy._clients.client("codepipeline")
    stubber = Stubber(client)
    stubber.add_response("start_pipeline_execution", {"pipelineExecutionId": "1"})
    stubber.add_response("get_pipeline_execution", found)
    stubber.add_response("list_action_executions", {"actionExecutionDetails": [action]})
    snapshot = pipeline.snapshot()
    plan = strategy.plan(snapshot)
    with stubber, pytest.raises(PushFailed, match="ended as Failed: Deploy/Act failed: no such host"):
        strategy.push(plan, snapshot)
    strategy.close()
    assert pipeline.bucket.holds() == {"blog.zip"}


def test_what_a_source_of_a_pipeline_needs_is_looked_at(pipeline: Pusher, moto: str) -> None:
    keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto", "region_name": "us-east-1"}
    made = get_session().create_client("codepipeline", endpoint_url=moto, **keys)

    def see(bucket: str, key: str) -> None:
        found = made.get_pipeline(name=pipeline.options["pipeline"])["pipeline"]
        found["stages"][0]["actions"][0]["configuration"] = {"S3Bucket": bucket, "S3ObjectKey": key}
        made.update_pipeline(pipeline=found)

    def versions(status: str) -> None:
        pipeline.bucket.client.put_bucket_versioning(
            Bucket=pipeline.bucket.name, VersioningConfiguration={"Status": status}
        )

    see(pipeline.bucket.name, "other.zip")
    versions("Suspended")
    errors = [finding.message for finding in pipeline.check() if finding.severity is Severity.ERROR]
    assert errors == [
        f"its source is s3://{pipeline.bucket.name}/other.zip, and not the bundle",
        "a source needs a bucket with versions",
    ]
    see(pipeline.bucket.name, "blog.zip")
    versions("Enabled")
    assert [finding.message for finding in pipeline.check()][1] == "its source is the bundle"
    made.close()
