"""The strategy `http`, against a real HTTPS server of the tests' own."""

from __future__ import annotations

import io
import os
import socket
import ssl
import tarfile
import threading
import time
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec import ValidationError

from pushkit import Interrupted, Plan, Project, PushFailed, PushRefused, Release, Run, Severity, Target, TargetError
from pushkit.events import Event, Note, StepFailed, StepProgress
from pushkit.secrets.redaction import Redactor
from pushkit.snapshot import take
from pushkit.testing import Fault, FaultProxy, HttpsServer, Reply, Way
from pushkit_http.options import HttpOptions
from pushkit_http.strategy import HttpStrategy

PATH = "/builds/blog.tar.gz"


class Pusher:
    """A project whose only target is an endpoint, pushed without an engine."""

    def __init__(self, root: Path, scratch: Path, ca_file: Path) -> None:
        self.root = root
        self.scratch = scratch
        self.ca_file = ca_file
        self.events: list[Event] = []
        self.cancelled = threading.Event()
        self.repair = False

    def strategy(self, url: str, **options: Any) -> HttpStrategy:
        table = {"url": url, "ca_file": str(self.ca_file), "timeout": 20, **options}
        target = Target("live", "http", table)
        run = Run(
            project=Project("blog", self.root / "Pushfile", self.root, ".", (), "live", {"live": target}),
            target=target,
            emit=self.events.append,
            cancelled=self.cancelled,
            scratch=self.scratch,
            person="ann@desk",
            redact=Redactor(),
            environment={},
            repair=self.repair,
        )
        return HttpStrategy(HttpOptions.of(table), run)

    def plan(self, url: str, **options: Any) -> Plan:
        strategy = self.strategy(url, **options)
        return strategy.plan(take(strategy.run.project, strategy.run.target))

    def push(self, url: str, **options: Any) -> Release:
        strategy = self.strategy(url, **options)
        snapshot = take(strategy.run.project, strategy.run.target)
        return strategy.push(strategy.plan(snapshot), snapshot)

    @property
    def digest(self) -> str:
        return take(Project("blog", self.root / "Pushfile", self.root, ".", (), "", {})).digest

    @property
    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note)]


@pytest.fixture
def pusher(tmp_path: Path, authority: trustme.CA) -> Pusher:
    root, scratch, ca_file = tmp_path / "blog", tmp_path / "scratch", tmp_path / "ca.pem"
    (root / "css").mkdir(parents=True)
    (root / "index.html").write_text("hello")
    (root / "css/site.css").write_bytes(os.urandom(300_000))
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "link").symlink_to("index.html")
    scratch.mkdir()
    authority.cert_pem.write_to_path(str(ca_file))
    return Pusher(root, scratch, ca_file)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def context(authority: trustme.CA, name: str = "localhost", *, days: int = 30) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    now = datetime.now(UTC)
    authority.issue_cert(name, not_before=now - timedelta(60), not_after=now + timedelta(days)).configure_cert(made)
    return made


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[HttpsServer]:
    with HttpsServer(context(authority)) as started:
        yield started


@pytest.fixture
def other(authority: trustme.CA) -> Iterator[HttpsServer]:
    with HttpsServer(context(authority)) as started:
        yield started


# What is sent.


def test_a_put_is_the_archive_byte_by_byte_with_its_length_and_digests(pusher: Pusher, server: HttpsServer) -> None:
    release = pusher.push(f"{server.url}{PATH}")
    (put,) = server.requests("PUT")
    digest = sha256(put.body)
    assert put.headers["content-length"] == str(len(put.body))
    assert put.headers["content-type"] == "application/gzip"
    field = f"sha-256=:{b64encode(digest.digest()).decode()}:"
    assert (put.headers["content-digest"], put.headers["repr-digest"]) == (field, field)
    assert put.headers["x-checksum-sha256"] == digest.hexdigest()
    assert "transfer-encoding" not in put.headers
    assert release.id.endswith(release.revision.short)
    assert sum(event.size for event in pusher.events if isinstance(event, StepProgress)) == len(put.body)
    with tarfile.open(fileobj=io.BytesIO(put.body)) as tar:
        assert tar.getnames() == ["css", "css/site.css", "index.html", "link", "run"]
        content = tar.extractfile("css/site.css")
        assert content
        assert content.read() == (pusher.root / "css/site.css").read_bytes()
        assert tar.getmember("run").mode == 0o755
        assert tar.getmember("link").linkname == "index.html"


def test_a_zip_holds_modes_and_links(pusher: Pusher, server: HttpsServer, tmp_path: Path) -> None:
    pusher.push(f"{server.url}/blog.zip", archive="zip")
    (put,) = server.requests("PUT")
    assert put.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(put.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["css/", "css/site.css", "index.html", "link", "run"]
        assert archive.read("css/site.css") == (pusher.root / "css/site.css").read_bytes()
        assert archive.read("link") == b"index.html"
        assert archive.getinfo("link").external_attr >> 28 == 0o12
        assert archive.getinfo("run").external_attr >> 16 & 0o777 == 0o755


def test_a_post_and_a_form(pusher: Pusher, server: HttpsServer) -> None:
    pusher.push(f"{server.url}/atlas", method="POST")
    pusher.push(
        f"{server.url}/form",
        method="multipart",
        file_field="asset",
        form={"version": "{revision}", 'q"': "{project} ü"},
    )
    post, form = server.requests("POST")
    assert not server.requests("HEAD", "PUT")
    parsed = message_from_bytes(
        f"Content-Type: {form.headers['content-type']}\r\n\r\n".encode() + form.body, policy=policy.HTTP
    )
    version, quoted, asset = parsed.iter_parts()
    assert version.get_payload(decode=True) == pusher.digest[:7].encode()
    assert quoted.get_payload(decode=True) == "blog ü".encode()
    assert 'name="q%22"' in quoted["content-disposition"]
    assert asset["content-type"] == "application/gzip"
    assert f'name="asset"; filename="blog-{pusher.digest[:7]}.tar.gz"' in asset["content-disposition"]
    assert asset.get_payload(decode=True) == post.body
    assert form.headers["content-length"] == str(len(form.body))


def test_the_fields_of_a_url_are_filled_in(pusher: Pusher, server: HttpsServer) -> None:
    pusher.push(f"{server.url}/{{project}}/{{target}}/{{revision}}/{{digest}}/{{sha256}}.tar.gz")
    (put,) = server.requests("PUT")
    digest = pusher.digest
    assert put.path == f"/blog/live/{digest[:7]}/{digest}/{sha256(put.body).hexdigest()}.tar.gz"


def test_headers_and_credentials(pusher: Pusher, server: HttpsServer) -> None:
    pusher.push(f"{server.url}/1", token="s3cr3t", headers={"X-Version": "{revision}", "Content-Type": "a/b"})
    pusher.push(f"{server.url}/2", token="s3cr3t", token_header="PRIVATE-TOKEN")
    pusher.push(f"{server.url}/3", user="ann", password="pässword")
    bearer, own, basic = server.requests("PUT")
    assert bearer.headers["authorization"] == "Bearer s3cr3t"
    assert bearer.headers["x-version"] == pusher.digest[:7]
    assert bearer.headers["content-type"] == "a/b"
    assert own.headers["private-token"] == "s3cr3t"
    assert "authorization" not in own.headers
    assert basic.headers["authorization"] == f"Basic {b64encode('ann:pässword'.encode()).decode()}"
    assert "s3cr3t" not in repr((pusher.events, pusher.plan(f"{server.url}/1", token="s3cr3t")))


# What need not be sent.


def test_what_is_there_by_its_digest_is_not_sent_again(pusher: Pusher, server: HttpsServer) -> None:
    url = f"{server.url}/{{digest}}.tar.gz"
    assert [step.action for step in pusher.plan(url).steps] == ["add"]
    pusher.push(url)
    plan = pusher.plan(url)
    assert (plan.steps, plan.kept) == ((), 3)
    pusher.repair = True
    assert [step.action for step in pusher.plan(url).steps] == ["replace"]
    pusher.repair = False
    (pusher.root / "index.html").write_text("other")
    assert pusher.plan(url).steps


@pytest.mark.parametrize("header", ["X-Checksum-Sha256", "Repr-Digest"])
def test_what_the_server_knows_the_digest_of_is_not_sent_again(
    pusher: Pusher, server: HttpsServer, header: str
) -> None:
    url = f"{server.url}{PATH}"
    pusher.push(url)
    digest = sha256(server.files[PATH])
    value = digest.hexdigest() if header.startswith("X") else f"sha-256=:{b64encode(digest.digest()).decode()}:"
    server.reply("HEAD", PATH, Reply(200, {header: value}), Reply(200, {header: value}))
    assert pusher.plan(url).steps == ()
    (pusher.root / "index.html").write_text("other")
    assert [step.action for step in pusher.plan(url).steps] == ["replace"]


@pytest.mark.parametrize("status", [409, 412])
def test_a_refusal_because_it_is_there_is_none(pusher: Pusher, server: HttpsServer, status: int) -> None:
    url, path = f"{server.url}/{{digest}}", f"/{pusher.digest}"
    server.reply("HEAD", path, Reply(404))
    server.reply("PUT", path, Reply(status, before=lambda: server.files.update({path: server.received[-1].body})))
    pusher.push(url)
    assert pusher.notes == [f"{server.url}{path} has this archive already"]


@pytest.mark.parametrize("first", [[], [Reply(404)]])
def test_what_may_not_be_replaced_is_not(pusher: Pusher, server: HttpsServer, first: list[Reply]) -> None:
    server.files[PATH] = b"other"
    server.reply("HEAD", PATH, *first)
    with pytest.raises(PushRefused, match="something else, which may not be replaced"):
        pusher.push(f"{server.url}{PATH}", replace=False)
    assert server.files[PATH] == b"other"
    assert bool(server.requests("PUT")) == bool(first), "what is known to be refused is not sent"


def test_a_repair_replaces_nothing_that_is_to_stay(pusher: Pusher, server: HttpsServer) -> None:
    pusher.push(f"{server.url}/{{digest}}", replace=False)
    pusher.repair = True
    assert pusher.plan(f"{server.url}/{{digest}}", replace=False).steps == ()


# Who is trusted.


@pytest.mark.parametrize(
    ("name", "days", "words"), [("example.com", 30, "localhost"), ("localhost", -1, "certificate has expired")]
)
def test_a_wrong_certificate_gets_nothing(
    pusher: Pusher, authority: trustme.CA, name: str, days: int, words: str
) -> None:
    with HttpsServer(context(authority, name, days=days)) as wrong:
        with pytest.raises(TargetError, match=f"is not trusted: .*{words}"):
            pusher.push(f"{wrong.url}{PATH}", token="s3cr3t")
        (finding,) = pusher.strategy(f"{wrong.url}{PATH}").check()
        assert finding.severity is Severity.ERROR
        assert not wrong.received
    assert not pusher.notes


def test_an_authority_that_is_not_known_is_told_with_what_helps(pusher: Pusher, server: HttpsServer) -> None:
    with pytest.raises(TargetError, match="is not trusted") as caught:
        pusher.push(f"{server.url}{PATH}", ca_file="")
    assert "ca_file" in caught.value.hint
    with pytest.raises(TargetError, match=r"ca_file: nowhere\.pem cannot be read"):
        pusher.push(f"{server.url}{PATH}", ca_file="nowhere.pem")
    assert not server.received


def test_no_credential_follows_a_redirect_to_another_host(
    pusher: Pusher, server: HttpsServer, other: HttpsServer
) -> None:
    server.reply("HEAD", PATH, Reply(302, {"Location": f"{other.url}/head"}))
    server.reply("PUT", PATH, Reply(307, {"Location": f"{other.url}/stored?signature=x"}))
    pusher.push(f"{server.url}{PATH}", token="s3cr3t", headers={"X-Api-Key": "k3y"})
    assert server.requests("PUT")[0].headers["authorization"] == "Bearer s3cr3t"
    head, put = other.received
    assert put.path == "/stored?signature=x"
    assert put.body == server.requests("PUT")[0].body
    for each in (head, put):
        assert not {"authorization", "x-api-key"} & set(each.headers)


def test_a_redirect_on_the_same_host_keeps_them(pusher: Pusher, server: HttpsServer) -> None:
    server.reply("PUT", PATH, Reply(308, {"Location": "/elsewhere"}))
    pusher.push(f"{server.url}{PATH}", token="s3cr3t")
    assert [each.headers["authorization"] for each in server.requests("PUT")] == ["Bearer s3cr3t"] * 2
    assert "/elsewhere" in server.files


@pytest.mark.parametrize(
    ("status", "location", "words"),
    [
        (302, "/login?next=x", "with 302, which takes no archive"),
        (307, "http://localhost/x", "without TLS"),
        (307, "ftp://localhost/x", "to what is no address"),
        (307, "https://[bad/", "to what is no address"),
        (307, PATH, "again and again"),
    ],
)
def test_other_redirects_are_refused(
    pusher: Pusher, server: HttpsServer, status: int, location: str, words: str
) -> None:
    server.reply("PUT", PATH, *[Reply(status, {"Location": location})] * 6)
    with pytest.raises(TargetError, match=words):
        pusher.push(f"{server.url}{PATH}")
    assert not server.files


# What goes wrong.


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, TargetError, "method"),
        (401, TargetError, "token"),
        (403, TargetError, "credentials"),
        (404, TargetError, "correct the url"),
        (409, TargetError, "something is there"),
        (413, TargetError, "limit"),
        (429, TargetError, "try again in 400 seconds"),
        (500, PushFailed, "log"),
        (503, TargetError, "try again in 400 seconds"),
        (507, TargetError, "room"),
    ],
)
def test_each_refusal_is_told(
    pusher: Pusher, server: HttpsServer, status: int, kind: type[Exception], hint: str
) -> None:
    headers = {"Content-Type": "text/plain", "Retry-After": "400"}
    server.reply("PUT", PATH, Reply(status, headers, b"so says\n\x1b[31mthe server"))
    with pytest.raises(kind, match=f"answered {status}: so says \\[31mthe server") as caught:
        pusher.push(f"{server.url}{PATH}")
    assert hint in getattr(caught.value, "hint", "")
    assert len(server.requests("PUT")) == 1
    assert isinstance(pusher.events[-1], StepFailed)


def test_an_answer_before_the_body_is_read_is_told(pusher: Pusher, server: HttpsServer) -> None:
    server.reply("PUT", PATH, Reply(413, unread=True))
    with pytest.raises(TargetError, match=r"of \d+ bytes was answered 413"):
        pusher.push(f"{server.url}{PATH}", retries=0)


def test_a_busy_server_is_asked_again_when_it_says(pusher: Pusher, server: HttpsServer) -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(5))
    server.reply("PUT", PATH, Reply(503, {"Retry-After": "0"}), Reply(429, {"Retry-After": past}))
    pusher.push(f"{server.url}{PATH}")
    first, second, third = server.requests("PUT")
    assert first.body == second.body == third.body == server.files[PATH]
    assert [note.partition(";")[0] for note in pusher.notes] == [
        f"{server.url}{PATH} answered {status}" for status in (503, 429)
    ]


def test_a_post_is_never_repeated(pusher: Pusher, server: HttpsServer) -> None:
    server.reply("POST", PATH, Reply(503, {"Retry-After": "0"}))
    with pytest.raises(TargetError, match="answered 503"):
        pusher.push(f"{server.url}{PATH}", method="POST")
    assert len(server.received) == 1


def test_a_put_that_is_cut_in_the_middle_is_sent_again(pusher: Pusher, server: HttpsServer) -> None:
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        url = f"https://localhost:{proxy.port}{PATH}"
        strategy = pusher.strategy(url)
        snapshot = take(strategy.run.project, strategy.run.target)
        plan = strategy.plan(snapshot)
        proxy.cut(Fault.RESET, 100_000, Way.UP, once=True)
        strategy.push(plan, snapshot)
    with tarfile.open(fileobj=io.BytesIO(server.files[PATH])) as tar:
        assert len(tar.getnames()) == 5
    assert len(pusher.notes) == 1


def test_a_post_that_is_cut_in_the_middle_says_that_nobody_knows(pusher: Pusher, server: HttpsServer) -> None:
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        proxy.cut(Fault.RESET, 100_000)
        with pytest.raises(PushFailed, match="it is not known whether the archive arrived"):
            pusher.push(f"https://localhost:{proxy.port}{PATH}", method="POST")


def test_a_server_that_is_not_there(pusher: Pusher) -> None:
    with pytest.raises(TargetError, match=r"localhost:1 cannot be reached: Connection refused"):
        pusher.push("https://localhost:1/x", retries=1)
    assert len(pusher.notes) == 1


def test_a_silent_server_is_given_up(pusher: Pusher, server: HttpsServer) -> None:
    answer = threading.Event()
    server.reply("POST", PATH, Reply(201, before=lambda: answer.wait(20)))
    with pytest.raises(PushFailed, match=r"no sign of life for 2 seconds"):
        pusher.push(f"{server.url}{PATH}", method="POST", timeout=2)
    answer.set()


def test_a_slow_answer_is_waited_for_and_a_person_can_stop(pusher: Pusher, server: HttpsServer) -> None:
    answer = threading.Event()

    def stop() -> None:
        pusher.cancelled.set()
        answer.wait(20)

    server.reply("POST", PATH, Reply(201, before=stop))
    with pytest.raises(Interrupted):
        pusher.push(f"{server.url}{PATH}", method="POST")
    answer.set()


def test_a_person_can_stop_a_greeting_that_nobody_answers(pusher: Pusher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def accept() -> None:
            connection, _ = silent.accept()
            pusher.cancelled.set()
            with connection:
                connection.recv(1 << 16)
                over.wait(30)

        over = threading.Event()
        threading.Thread(target=accept, daemon=True).start()
        start = time.monotonic()
        with pytest.raises(Interrupted):
            pusher.plan(f"https://localhost:{silent.getsockname()[1]}/x")
        assert time.monotonic() - start < 10, "not only when the time for an answer is over"
        over.set()


@pytest.mark.parametrize("when", ["Mon, 01 Jan 2024 00:00:00 +9999999999999999", "soon", "9" * 400])
def test_a_senseless_time_to_wait_is_no_bug(pusher: Pusher, server: HttpsServer, when: str) -> None:
    server.reply("PUT", PATH, Reply(503, {"Retry-After": when}))
    with pytest.raises(TargetError, match="answered 503"):
        pusher.push(f"{server.url}{PATH}", retries=0)


# What becomes of it.


def test_the_status_is_asked_until_it_is_done(pusher: Pusher, server: HttpsServer) -> None:
    server.reply("POST", "/builds", Reply(202, {"Location": "/builds/7"}))
    states = [b'{"build": [{"state": "%s"}]}' % word for word in (b"pending", b"pending", b"success")]
    server.reply("GET", "/builds/7", Reply(404), *(Reply(200, {}, state) for state in states))
    status = {"url": "{location}", "field": "build.0.state", "every": 0.1}
    pusher.push(f"{server.url}/builds", method="POST", token="s3cr3t", status=status)
    asked = server.requests("GET")
    assert [each.headers["authorization"] for each in asked] == ["Bearer s3cr3t"] * 4
    assert pusher.notes == [f"{server.url}/builds/7: not yet (404)", f"{server.url}/builds/7: pending"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(200, {}, b'{"state": "failed"}'), "says failed"),
        (Reply(200, {}, b"<html>"), "has no `state` in its JSON"),
        (Reply(403), "was answered 403"),
        (Reply(200, {}, b'{"state": "queued"}'), r"after 0\.05 seconds .* still says queued"),
    ],
)
def test_a_status_that_is_not_good_fails_the_push(
    pusher: Pusher, server: HttpsServer, reply: Reply, words: str
) -> None:
    server.reply("GET", "/state", reply)
    status = {"url": f"{server.url}/state", "field": "state", "within": 0.05, "every": 0.1}
    with pytest.raises(PushFailed, match=words):
        pusher.push(f"{server.url}{PATH}", status=status)


def test_a_status_that_nobody_answers_for_says_that_nobody_knows(pusher: Pusher, server: HttpsServer) -> None:
    with pytest.raises(PushFailed) as caught:
        pusher.push(f"{server.url}{PATH}", status={"url": "https://localhost:1/state"}, retries=1)
    assert caught.value.message.startswith("localhost:1 cannot be reached: Connection refused; what became of")
    assert caught.value.message.endswith("; what became of the archive is not known")
    assert caught.value.hint


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/x", "http://127.0.0.1/x", "//[", "/a b", "/é"])
def test_where_no_status_can_be_asked_for_it_is_told(pusher: Pusher, server: HttpsServer, location: str) -> None:
    """Not in the clear either, where the push was not."""
    server.reply("POST", "/builds", Reply(202, {"Location": location} if location else {}))
    with pytest.raises(PushFailed, match="the server's answer names no location to ask for the status"):
        pusher.push(f"{server.url}/builds", method="POST", status={"url": "{location}"})


def test_a_status_on_another_host_gets_no_credential(pusher: Pusher, server: HttpsServer, other: HttpsServer) -> None:
    other.reply("GET", "/state", Reply(200))
    pusher.push(f"{server.url}{PATH}", token="s3cr3t", status={"url": f"{other.url}/state"})
    assert "authorization" not in other.received[0].headers


# What `push check` says, and what the options refuse.


def test_check_sends_no_credential(pusher: Pusher, server: HttpsServer) -> None:
    (finding,) = pusher.strategy(f"{server.url}/{{revision}}", token="s3cr3t").check()
    assert (finding.severity, finding.message) == (Severity.OK, "answers, and its certificate is trusted")
    assert [(each.method, "authorization" in each.headers) for each in server.received] == [("HEAD", False)]


def test_a_plan_warns_of_credentials_that_are_not_known(pusher: Pusher, server: HttpsServer) -> None:
    server.reply("HEAD", PATH, Reply(401))
    assert "knows no such credentials" in pusher.plan(f"{server.url}{PATH}").warnings[0]


def test_without_tls_only_when_it_is_asked_for(pusher: Pusher) -> None:
    with HttpsServer() as plain:
        pusher.push(f"{plain.url}{PATH}", tls="none")
        assert PATH in plain.files
        assert pusher.strategy(f"{plain.url}{PATH}", tls="none").check()[1].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://h/x"}, 'tls = "none"'),
        ({"url": "ftp://h/x"}, "expected a URL"),
        ({"url": "https://h/a b"}, "expected a URL"),
        ({"url": "https://ann:pw@h/x"}, "shows its user and password"),
        ({"url": "https://{project}.h/x"}, "host's name"),
        ({"url": "https://h/{revison}"}, "{revison} is no field"),
        ({"url": "https://h:port/"}, "Port"),
        ({"headers": {"A B": "x"}}, "cannot be the name of a header"),
        ({"headers": {"Host": "x"}}, "is set by push"),
        ({"headers": {"X": "s3cr3t\r\nY: z"}}, "line end"),
        ({"token": "s3cr3t\n"}, "line end"),
        ({"token": "a", "user": "b", "password": "c"}, "found both"),
        ({"user": "a"}, "belong together"),
        ({"user": "a:b", "password": "c"}, "colon"),
        ({"token_header": "X"}, "missing"),
        ({"form": {"a": "b"}}, "multipart"),
        ({"replace": False, "method": "POST"}, "PUT"),
        ({"status": {"url": "http://h/x"}}, "`status.url`"),
        ({"status": {"url": "{location}/x"}}, "nothing stands beside it"),
    ],
)
def test_wrong_options_are_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpOptions.of({"url": "https://h/x", **options})
    assert words in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
