"""The strategy `s3` with a site, against a real SeaweedFS, and CloudFront of moto."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from pathlib import Path
from threading import Thread

import brotli
import pytest
from botocore.session import get_session

from cli.project import PUSH
from plugins.s3_target import Bucket, Pusher
from pushkit import Action, Interrupted, PluginError, PushFailed, PushRefused, SnapshotError, TargetError
from pushkit.testing import Fault, FaultProxy, HttpsServer, Received, Reply, SeaweedFs, Way
from pushkit_aws.clients import Clients
from pushkit_aws.s3 import cdn, listing, memory, objects
from pushkit_aws.s3.rules import Patterns, content_type, matches
from recorder.sitecustomize import recorded


@pytest.fixture
def pusher(tmp_path: Path, seaweedfs: SeaweedFs) -> Pusher:
    made = Pusher(tmp_path, Bucket(seaweedfs), mode="site")
    made.write(index_html="<h1>one", css__site_css="h1 {}" * 500, about__index_html="<h1>about")
    return made


def test_a_site_is_an_object_a_file_with_its_headers(pusher: Pusher) -> None:
    pusher.options |= {"cache": {"*.html": "no-cache", "css/*": "max-age=31536000"}, "compress": ["*.css", "*.html"]}
    (pusher.root / "ü b~+&.txt").write_text("odd")
    (pusher.root / "large").write_bytes(os.urandom(5 << 20))
    (pusher.root / "link.css").symlink_to("css/site.css")
    pusher.push()
    bucket = pusher.bucket
    assert bucket.holds() == {"index.html", "css/site.css", "about/index.html", "ü b~+&.txt", "large", "link.css"}
    css, html = bucket.head("css/site.css"), bucket.head("index.html")
    assert (css["ContentType"], css["ContentEncoding"], css["CacheControl"]) == (
        "text/css; charset=utf-8",
        "gzip",
        "max-age=31536000",
    )
    assert gzip.decompress(bucket.read("css/site.css")) == b"h1 {}" * 500
    assert (html["ContentType"], html["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    assert "ContentEncoding" not in html, "compressed it would be larger"
    assert bucket.read("large") == (pusher.root / "large").read_bytes()
    assert bucket.read("ü b~+&.txt") == b"odd"
    assert pusher.plan().steps == ()
    assert gzip.decompress(bucket.read("link.css")) == b"h1 {}" * 500


def test_brotli_in_the_place_of_gzip_sends_again_what_is_compressed(
    pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher.options |= {"compress": ["*.css", "*.html"]}
    pusher.push()
    pusher.options["compression"] = "brotli"
    pusher.push()
    assert {step.subject for step in pusher.done} == {"css/site.css", "index.html", "about/index.html"}
    bucket = pusher.bucket
    assert bucket.head("css/site.css")["ContentEncoding"] == "br"
    assert brotli.decompress(bucket.read("css/site.css")) == b"h1 {}" * 500
    assert "ContentEncoding" not in bucket.head("index.html"), "compressed it would be larger"
    assert pusher.plan().steps == ()
    monkeypatch.setattr("pushkit_aws.s3.strategy.find_spec", lambda name: None)
    with pytest.raises(PluginError, match="needs the library brotli") as caught:
        pusher.strategy().connect()
    assert caught.value.hint == "pip install 'pushkit[brotli]'"


def test_only_what_changed_is_sent_and_pages_go_after_the_rest(pusher: Pusher) -> None:
    pusher.push()
    assert pusher.done[0].subject == "css/site.css"
    assert pusher.plan().steps == ()
    pusher.write(index_html="<h1>two", new_css="p {}")
    (pusher.root / "about/index.html").unlink()
    pusher.push()
    assert [(step.action, step.subject) for step in pusher.done] == [
        (Action.ADD, "new.css"),
        (Action.REPLACE, "index.html"),
        (Action.REMOVE, "about/index.html"),
    ]
    assert pusher.bucket.holds() == {"index.html", "css/site.css", "new.css"}


def test_a_header_that_changes_is_a_change(pusher: Pusher) -> None:
    pusher.push()
    pusher.options["cache"] = {"*.css": "no-store"}
    assert [step.subject for step in pusher.plan().steps][:-1] == ["css/site.css"]
    pusher.push()
    assert pusher.bucket.head("css/site.css")["CacheControl"] == "no-store"


def test_foreign_objects_stay_and_those_in_the_way_are_refused(pusher: Pusher) -> None:
    pusher.bucket.put("robots.txt", b"theirs")
    pusher.bucket.put("index.html", b"theirs")
    with pytest.raises(PushRefused, match="put there by no push: index"):
        pusher.plan()
    pusher.flags = {"adopt": True}
    pusher.push()
    assert pusher.bucket.read("index.html") == b"<h1>one"
    assert pusher.bucket.read("robots.txt") == b"theirs"
    pusher.flags = {}
    pusher.bucket.put("css/site.css", b"replaced by hand")
    (pusher.root / "css/site.css").unlink()
    plan = pusher.plan()
    assert plan.warnings == ("css/site.css was replaced by somebody else, and stays",)
    assert plan.count(Action.REMOVE) == 0


def test_what_was_removed_or_replaced_by_hand_comes_back(pusher: Pusher) -> None:
    pusher.push()
    pusher.bucket.client.delete_object(Bucket=pusher.bucket.name, Key="css/site.css")
    pusher.bucket.put("index.html", b"defaced")
    pusher.push()
    assert [step.subject for step in pusher.done] == ["css/site.css", "index.html"]
    assert pusher.bucket.read("index.html") == b"<h1>one"


def test_a_lost_memory_sends_nothing_anew_and_removes_nothing(pusher: Pusher) -> None:
    pusher.push()
    pusher.bucket.client.delete_object(Bucket=pusher.bucket.name, Key=memory.MANIFEST)
    (pusher.root / "css/site.css").unlink()
    pusher.push()
    assert pusher.done == []
    assert "css/site.css" in pusher.bucket.holds()


def test_a_damaged_memory_is_told_and_nothing_is_changed(pusher: Pusher) -> None:
    pusher.bucket.put(memory.MANIFEST, gzip.compress(b'{"format": 1, "objects": {"../x": 3}}'))
    with pytest.raises(TargetError, match="is damaged"):
        pusher.plan()
    pusher.bucket.put(memory.MANIFEST, gzip.compress(b'{"format": 2}'))
    with pytest.raises(TargetError, match="newer push"):
        pusher.plan()


def test_removals_can_be_turned_off_and_on_again(pusher: Pusher) -> None:
    pusher.push()
    (pusher.root / "css/site.css").unlink()
    pusher.options["remove"] = False
    pusher.write(index_html="<h1>two")
    pusher.push()
    assert pusher.plan().steps == ()
    assert "css/site.css" in pusher.bucket.holds()
    pusher.options["remove"] = True
    pusher.push()
    assert "css/site.css" not in pusher.bucket.holds()


def test_an_unusual_number_of_removals_needs_a_yes(pusher: Pusher, tmp_path: Path) -> None:
    lines = [f"{key} = {json.dumps(value)}" for key, value in pusher.options.items()]
    (pusher.root / "Pushfile").write_text("\n".join(["[target.live]", 'strategy = "s3"', *lines]))
    environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}

    def push(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PUSH, *arguments], cwd=pusher.root, env=environment, capture_output=True, text=True, check=False
        )

    for name in ("a.html", "b.html", "c.html"):
        (pusher.root / name).write_text(name)
    assert push().returncode == 0
    there = pusher.bucket.holds()
    for name in there - {"c.html"}:
        (pusher.root / name).unlink()
    done = push()
    assert done.returncode == 6, done.stderr
    assert "--yes" in done.stderr
    assert pusher.bucket.holds() == there
    assert push("--yes").returncode == 0
    assert pusher.bucket.holds() == {"c.html"}


def test_a_prefix_keeps_to_itself(pusher: Pusher) -> None:
    pusher.bucket.put("index.html", b"theirs")
    pusher.options["prefix"] = "/blog"
    pusher.push()
    assert pusher.bucket.read("blog/index.html") == b"<h1>one"
    assert pusher.bucket.read("index.html") == b"theirs"


def test_a_site_remembers_its_pushes(pusher: Pusher) -> None:
    first = pusher.push()
    pusher.write(index_html="<h1>two")
    second = pusher.push()
    status, log = pusher.strategy().status(), pusher.strategy().log()
    assert (status.live, status.who) == (second.id, "ann@desk")
    assert [(entry.release, entry.previous) for entry in log] == [(first.id, ""), (second.id, first.id)]
    with pytest.raises(PushRefused, match="no releases to go back to"):
        pusher.strategy().rollback()


def test_many_objects_are_listed_page_by_page_and_removed_in_batches(
    pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "AT_ONCE", 10)
    monkeypatch.setattr(listing, "PAGE", 10)
    monkeypatch.setattr(listing, "RANGE", 9)
    for number in range(35):
        (pusher.root / f"f{number}").write_bytes(b"%d" % number)
    pusher.push()
    assert pusher.plan().steps == ()
    for number in range(35):
        (pusher.root / f"f{number}").unlink()
    pusher.push()
    assert pusher.bucket.holds() == {"index.html", "css/site.css", "about/index.html"}


def test_ctrl_c_is_heard_while_the_server_is_silent(pusher: Pusher, seaweedfs: SeaweedFs) -> None:
    with FaultProxy((seaweedfs.host, seaweedfs.port)) as proxy:
        pusher.options["endpoint_url"] = f"http://{proxy.host}:{proxy.port}"
        strategy = pusher.strategy()
        snapshot = pusher.snapshot()
        plan = strategy.plan(snapshot)
        proxy.cut(Fault.SILENCE, 3000, Way.UP)
        began: list[float] = []

        def stop() -> None:
            assert proxy.broken.wait(20)
            began.append(time.monotonic())
            pusher.cancelled.set()

        stopper = Thread(target=stop)
        stopper.start()
        with pytest.raises(Interrupted):
            strategy.push(plan, snapshot)
        stopper.join()
        assert time.monotonic() - began[0] < 1
        strategy.close()


def test_a_lost_connection_is_not_the_end(pusher: Pusher, seaweedfs: SeaweedFs) -> None:
    with FaultProxy((seaweedfs.host, seaweedfs.port)) as proxy:
        pusher.options["endpoint_url"] = f"http://{proxy.host}:{proxy.port}"
        strategy = pusher.strategy()
        snapshot = pusher.snapshot()
        plan = strategy.plan(snapshot)
        proxy.cut(Fault.RESET, 2500, Way.UP)
        broken = []

        def heal() -> None:
            broken.append(proxy.broken.wait(20))
            proxy.heal()

        healer = Thread(target=heal)
        healer.start()
        strategy.push(plan, snapshot)
        healer.join()
        assert broken == [True]
        strategy.close()
    assert pusher.bucket.holds() == {"index.html", "css/site.css", "about/index.html"}
    assert pusher.bucket.read("css/site.css") == b"h1 {}" * 500


def test_a_name_that_s3_cannot_hold_is_told(pusher: Pusher) -> None:
    (pusher.root / os.fsdecode(b"latin-\xe9.html")).write_text("x")
    with pytest.raises(SnapshotError, match="no name in UTF-8"):
        pusher.plan()


def test_a_path_that_is_longer_than_a_key_is_told(pusher: Pusher) -> None:
    below = "/".join("d" * 250 for _ in range(4))
    (pusher.root / below).mkdir(parents=True)
    (pusher.root / below / ("f" * 250)).write_text("x")
    with pytest.raises(SnapshotError) as caught:
        pusher.plan()
    assert caught.value.message == f"{below}/{'f' * 250} is longer than the 1024 bytes of a key in S3"
    assert caught.value.hint == "rename it"


def test_a_push_that_another_one_overtook_removes_and_remembers_nothing(
    pusher: Pusher, tmp_path: Path, seaweedfs: SeaweedFs
) -> None:
    (tmp_path / "other").mkdir()
    other = Pusher(tmp_path / "other", pusher.bucket, mode="site")
    other.write(index_html="<h1>theirs")
    began = pusher.strategy()
    snapshot = pusher.snapshot()
    plan = began.plan(snapshot)
    overtaken: list[str] = []

    def overtake(event: object) -> None:
        if not overtaken:
            overtaken.append(other.push().id)

    began.run.emit = overtake
    with pytest.raises(PushFailed) as caught:
        began.push(plan, snapshot)
    began.close()
    assert caught.value.message.startswith(f"another push to {pusher.bucket.name} has begun or ended since; a part of")
    assert caught.value.hint == "push again when it has ended"
    assert pusher.strategy().status().live == overtaken[0]


def test_a_listing_that_does_not_end_is_told(pusher: Pusher) -> None:
    page = (
        b"<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
    )

    def respond(asked: Received) -> Reply:
        return Reply(200, {}, page) if "list-type=2" in asked.path else Reply(404, {}, b"")

    with HttpsServer(host="127.0.0.1", respond=respond) as server:
        pusher.options["endpoint_url"] = server.url
        with pytest.raises(TargetError) as caught:
            pusher.plan()
    assert caught.value.message == f"the listing of {pusher.bucket.name} does not end"
    assert caught.value.hint == "is endpoint_url right?"


@pytest.mark.parametrize(
    ("path", "pattern", "so"),
    [
        ("a/b.html", "*.html", True),
        ("a/b.html", "a/*", True),
        ("a/c/b.html", "a/*", True),
        ("b/a/b.html", "a/*", False),
        ("x.css", "/x.css", True),
        ("y/x.css", "/x.css", False),
        ("A.HTML", "*.html", False),
    ],
)
def test_patterns(path: str, pattern: str, so: bool) -> None:
    assert matches(path, pattern) is so
    assert Patterns(("*.none", pattern, "/none/*")).match(path) is so


def test_types_come_from_the_pushfile_first_and_never_from_the_machine() -> None:
    assert content_type("a/feed", {"feed": "application/rss+xml"}) == "application/rss+xml"
    assert content_type("x.WOFF2", {}) == "font/woff2"
    assert content_type("x.unknown", {}) == "application/octet-stream"


# CloudFront.


@pytest.mark.parametrize(
    ("keys", "most", "paths"),
    [
        (["index.html", "a b.css"], 10, ["/", "/a%20b.css", "/index.html"]),
        (["blog/a/index.html"], 10, ["/a/", "/a/index.html"]),
        (["a/1", "a/2", "b/3", "c"], 3, ["/a/*", "/b/*", "/c"]),
        (["a/b/1", "a/b/2", "a/3", "d"], 3, ["/a/3", "/a/b/*", "/d"]),
        (["a/b/1", "a/b/2", "a/3", "d"], 2, ["/a/*", "/d"]),
        (["a", "b", "c"], 2, ["/*"]),
    ],
)
def test_the_paths_of_what_changed_become_wildcards_over_a_limit(keys: list[str], most: int, paths: list[str]) -> None:
    assert cdn.paths(keys, "blog", most) == paths


def test_a_distribution_is_told_what_changed_and_of_redirects(
    pusher: Pusher, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto", "region_name": "us-east-1"}
    made = get_session().create_client("cloudfront", endpoint_url=moto, **keys)
    origin = {"Id": "o", "DomainName": "x.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    forwarded = {"QueryString": False, "Cookies": {"Forward": "none"}}
    behavior = {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all", "MinTTL": 0, "ForwardedValues": forwarded}
    config = {
        "CallerReference": pusher.bucket.name,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behavior,
        "Comment": "",
        "Enabled": True,
    }
    distribution = made.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
    real = Clients.client
    monkeypatch.setattr(Clients, "client", lambda self, service: real(self, service) if service == "s3" else made)
    pusher.options |= {"distribution": distribution, "redirects": {"old.html": "/index.html"}}
    pusher.push()
    pusher.write(index_html="<h1>two")
    pusher.push()
    found = made.list_invalidations(DistributionId=distribution)["InvalidationList"]["Items"]
    batches = [
        made.get_invalidation(DistributionId=distribution, Id=each["Id"])["Invalidation"]["InvalidationBatch"]["Paths"]
        for each in found
    ]
    assert sorted(sorted(each["Items"]) for each in batches) == [
        ["/", "/about/", "/about/index.html", "/css/site.css", "/index.html", "/old.html"],
        ["/", "/index.html"],
    ]
    assert pusher.bucket.read("old.html") == b""
    assert pusher.plan().steps == ()
    assert len(made.list_invalidations(DistributionId=distribution)["InvalidationList"]["Items"]) == 2
