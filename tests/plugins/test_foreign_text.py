"""Whatever a server, a file of ssh's or an AppSpec says, it is read or refused in plain words: no crash, no hang."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangled import mangled, mangled_text, tried
from plugins.test_appspec import ECS, SERVER
from pushkit import Kind, PushkitError, PushRefused, TargetError
from pushkit.files import RemoteError
from pushkit_aws.appspec import Platform, load
from pushkit_aws.appspec.server import leads_out
from pushkit_aws.s3 import listing
from pushkit_ftp.connection import Connection
from pushkit_ftp.control import Control, reply_of
from pushkit_ftp.data import port_of
from pushkit_ftp.digest import offered
from pushkit_ftp.listing import fact_stats, list_stats
from pushkit_ftp.options import FtpOptions
from pushkit_ftp.place import size_in
from pushkit_ftp.replies import Reply, crowded, error_of
from pushkit_ftp.server import Server
from pushkit_ftp.steps import through
from pushkit_git import commit, words
from pushkit_git.address import parse as address_of
from pushkit_heroku import releases, replies
from pushkit_heroku.api import read as read_reply
from pushkit_sftp import certificate, packets, ssh_config
from pushkit_sftp.host_keys import lines_of, names_host, plain_names
from pushkit_sftp.options import Address

# FTP.

FACTS = (
    "type=file;size=21;modify=20261122193012;UNIX.mode=0644;unique=1; index.html",
    "type=cdir;sizd=4096;modify=20261122193012;UNIX.mode=0755; .",
    "type=dir;sizd=4096;modify=20261122193012; css",
    "type=OS.unix=slink:/srv/x;size=3; link",
)
LIST = (
    "total 8",
    "-rw-r--r--   1 ftp      ftp            21 Nov 22 19:30 index.html",
    "drwxr-xr-x   2 ftp      ftp          4096 Nov 22  2025 css",
    "lrwxrwxrwx   1 ftp      ftp             3 Nov 22 19:30 link -> css",
)
WINDOWS = ("11-22-26  07:30PM       <DIR>          css", "11-22-26  07:30PM                   21 index.html")


@tried(200)
@given(mangled("\r\n".join(FACTS).encode()))
def test_a_listing_of_facts_is_read_or_refused(content: bytes) -> None:
    for text in (content.decode("latin-1"), content.decode("utf-8", "surrogateescape")):
        with suppress(RemoteError):
            for each in fact_stats(text.split("\n")):
                assert each.size >= 0
                assert 0 <= each.mode <= 0o777
                assert each.kind in {Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, None}


@pytest.mark.parametrize("size", ["²", "9" * 5000, "-1", "٣", "0x10", ""])
def test_a_size_that_is_no_number_is_none(size: str) -> None:
    """Python has more digits than a server means."""
    assert [each.size for each in fact_stats([f"type=file;size={size}; a"])] == [0]
    assert size_in(Reply(213, (size,))) is None


@tried(200)
@given(mangled("\n".join(LIST).encode(), "\n".join(WINDOWS).encode()))
def test_a_listing_that_nobody_wrote_down_is_read_or_refused(content: bytes) -> None:
    for text in (content.decode("latin-1"), content.decode("utf-8", "surrogateescape")):
        with suppress(RemoteError):
            for each in list_stats(text.split("\n"), "/htdocs"):
                assert each.size >= 0
                assert isinstance(each.mtime, float)


REPLIES = (
    b"229 Entering Extended Passive Mode (|||40001|)\r\n",
    b"227 Entering Passive Mode (127,0,0,1,156,65).\r\n",
    b"213 8071\r\n",
    b'257 "/htdocs" is the current directory\r\n',
    b"250 XSHA256 " + b"ab" * 32 + b"\r\n",
    b"211-Features:\r\n MLST type*;size*;modify*;\r\n HASH SHA-256*;MD5\r\n UTF8\r\n211 End\r\n",
    b"550 No such file or directory\r\n",
    b"421 Too many connections.\r\n",
)


@tried(200)
@given(mangled(*REPLIES))
def test_a_reply_is_read_or_is_none(line: bytes) -> None:
    reply = reply_of(line.decode("latin-1").rstrip("\r\n"))
    if reply is None:
        return
    assert 100 <= reply.code < 600
    assert 0 <= port_of(reply) <= 65535
    assert (size_in(reply) or 0) >= 0
    assert error_of(reply, "/htdocs").message.startswith("/htdocs: ")
    assert crowded(reply) in {True, False}
    for digest in filter(None, [offered({"HASH": "SHA-256", "XCRC": ""}), offered({"XMD5": ""})]):
        assert len(digest.read(reply)) in {0, digest.digits}


def server() -> Server:
    return Server(
        FtpOptions(host="ftp.example.com", path="/htdocs", user="ada", tls="none"),
        ssl.create_default_context(),
        "hunter2",
        lambda _: None,
    )


@tried(60)
@given(mangled(b"".join(REPLIES)), st.integers(1, 6))
def test_a_conversation_ends_in_replies_or_in_plain_words(said: bytes, questions: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        control = Control(server())
        control.sock, control.broken = ours, False
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        with suppress(RemoteError):
            assert len(control.ask(*["NOOP"] * questions)) == questions


def test_a_reply_of_lines_without_end_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def talk() -> None:
        with suppress(OSError):
            while not stop.is_set():
                theirs.sendall(b"211-more\r\n" * 1000)

    thread = threading.Thread(target=talk)
    with ours, theirs:
        control = Control(server())
        control.sock, control.broken = ours, False
        thread.start()
        try:
            with pytest.raises(RemoteError, match="without an end"):
                control.ask("FEAT")
        finally:
            stop.set()
            ours.close()
            thread.join()


@pytest.mark.parametrize("said", [b"229 (|||99999|)\r\n", b"229 (|||0|)\r\n", b"227 (127,0,0,1,999,999)\r\n"])
def test_a_port_that_there_is_not_is_told(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        ours, theirs = socket.create_connection(there.getsockname()), there.accept()[0]
    with ours, theirs:
        connection = Connection(server())
        connection.sock, connection.broken = ours, False
        theirs.sendall(said * 2)
        with pytest.raises(RemoteError, match="PASV"):
            through(connection._passive())


# SSH.

KNOWN_HOSTS = (
    "# a comment\n"
    "web1,[web2]:2222,10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2NGJh\n"
    "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ== x\n"
    "@revoked *.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2NGJh\n"
    "@cert-authority !x,* ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==\n"
)


@tried(200)
@given(mangled(KNOWN_HOSTS.encode()))
def test_known_hosts_are_read_as_far_as_they_make_sense(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "known_hosts")
        file.write_bytes(content)
        for known in lines_of(file):
            assert known.key.fingerprint.startswith("SHA256:")
            assert known.key.rsa_bits >= 0
            assert names_host(known.names, "web1.example.com") in {True, False}
            assert all(isinstance(each, str) for each in plain_names(known.names))


def test_no_pattern_of_known_hosts_takes_long() -> None:
    assert not names_host("*a" * 40 + "b", "a" * 200)
    assert names_host("*a" * 40 + "*", "a" * 200)


SSH_CONFIG = (
    "# mine\nHost blog web?.example.com !web9\n  HostName web1.example.com\n  Port 2222\n  User=deploy\n"
    '  IdentityFile "~/.ssh/id two"\nInclude other.d/*\nMatch host x exec "test -f /x"\n  ProxyJump a,b:22\n'
    "Match all\n  ServerAliveInterval 15\n"
)


@tried(100)
@given(mangled(SSH_CONFIG.encode()))
def test_a_configuration_of_ssh_is_read_or_refused_without_ssh(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "config")
        file.write_bytes(content.replace(b"test -f", b"true "))
        with suppress(TargetError):
            for values in ssh_config.read(Address("", "blog", 0), file).values():
                assert all(isinstance(each, str) for each in values)


@tried(150)
@given(mangled(SSH_CONFIG.encode(), b"Host *\nInclude /etc/ssh/none.d/*.conf /x/**/y /\nUser deploy\n"))
def test_whether_a_configuration_speaks_of_a_host_is_answered_whatever_it_is(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "config")
        file.write_bytes(content)
        assert ssh_config.says_the_same(file) in {True, False}


def test_an_include_of_everything_does_not_walk_through_the_machine(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include /**/none\nInclude /\nInclude /**none\n")
    assert not ssh_config.says_the_same(tmp_path / "config")


ATTRIBUTES = packets.permissions(0o100644) + b""
NAMED = packets.text(b"index.html") + packets.text(b"-rw-r--r-- 1 a a 21 Nov 22 index.html") + ATTRIBUTES
STATUS = (4).to_bytes(4, "big") + packets.text(b"Failure") + packets.text(b"en")


@tried(200)
@given(mangled(NAMED, STATUS, ATTRIBUTES, b"\x80\0\0\0\xff\xff\xff\xff"))
def test_a_packet_is_read_or_is_no_sftp(content: bytes) -> None:
    readers: tuple[Callable[[packets.Body], object], ...] = (
        packets.Body.listed,
        packets.Body.attributes,
        packets.Body.text,
        lambda body: packets.error_of(body, b"/srv"),
    )
    for read in readers:
        with suppress(packets.Broken):
            read(packets.Body(content))


CERTIFICATE = (
    packets.text(b"ssh-ed25519" + certificate.SUFFIX.encode())
    + packets.text(bytes(32)) * 2
    + bytes(8)
    + (2).to_bytes(4, "big")
    + packets.text(b"web1")
    + packets.text(packets.text(b"web1"))
    + bytes(8)
    + b"\xff" * 8
    + packets.text(b"") * 3
    + packets.text(packets.text(b"ssh-ed25519") + packets.text(bytes(32)))
    + packets.text(packets.text(b"ssh-ed25519") + packets.text(bytes(64)))
)


@tried(100)
@given(mangled(CERTIFICATE))
def test_a_certificate_is_read_or_is_none(blob: bytes) -> None:
    found = certificate.parse(blob)
    assert found is None or found.fault("web1")


# AWS.

LAMBDA = """\
version: 0.0
Resources:
  - f:
      Type: AWS::Lambda::Function
      Properties: {Name: f, Alias: live, CurrentVersion: "1", TargetVersion: 2}
Hooks:
  - BeforeAllowTraffic: check
"""
RIGHTS = """\
version: 0.0
os: linux
files: [{source: /, destination: /srv}]
permissions:
  - object: /srv
    mode: "0644"
    acls: [d:g:www:r-x, m:rw]
    context: {type: httpd_t, range: "s0-s3:c0.c5,c9"}
hooks:
  ApplicationStop: [{location: bin/stop, timeout: 0300}]
"""


@tried(200)
@given(mangled(SERVER.encode(), RIGHTS.encode(), LAMBDA.encode(), ECS.encode()), st.sampled_from(get_args(Platform)))
def test_an_appspec_is_read_without_ways_out_or_every_problem_is_told(content: bytes, platform: Platform) -> None:
    with suppress(PushkitError):
        spec = load(content, "appspec.yml", platform)
        for path in (
            *(each.source for each in spec.files),
            *(h.location for some in spec.hooks.values() for h in some),
        ):
            assert not leads_out(path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(RIGHTS.replace("0300", '"' + "9" * 5000 + '"'), id="a timeout of many digits"),
        pytest.param(RIGHTS.replace("0300", "0x" + "f" * 5000), id="a timeout of many hexadecimal digits"),
        pytest.param(RIGHTS.replace('"0644"', "0x" + "f" * 5000), id="a mode of many digits"),
        pytest.param(RIGHTS.replace("s0-s3", "s" + "9" * 5000 + "-s3"), id="a sensitivity of many digits"),
        pytest.param(RIGHTS.replace("c0.c5", "c" + "9" * 5000), id="a category of many digits"),
        pytest.param(RIGHTS.replace("version: 0.0", "version: 0x" + "f" * 5000), id="a version of many digits"),
        pytest.param('{"version": ' + "9" * 5000 + "}", id="JSON with a number of many digits"),
        pytest.param('{"version": ' + "[" * 100_000, id="JSON that is nested too deeply"),
        pytest.param("[" * 10_000, id="YAML that is nested too deeply"),
        pytest.param("? " * 50_000, id="YAML of nothing but keys"),
        pytest.param("a: &a [x]\n" + "b: *a\n" * 51_000, id="YAML of nothing but aliases"),
    ],
)
def test_an_appspec_that_nobody_can_work_with_is_refused(text: str) -> None:
    with pytest.raises(PushkitError) as caught:
        load(text.encode(), "appspec.yml", "server")
    assert len(str(caught.value)) < 500


PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>x/y=</NextContinuationToken>"
    "<Contents><Key>site/index.html</Key><LastModified>2026-11-22T19:30:12.000Z</LastModified>"
    "<ETag>&quot;9b2cf535f27731c974343645a3985328&quot;</ETag><Size>21</Size></Contents>"
    "<Contents><ETag>&#34;ab-2&#34;</ETag><Key>site/%C3%A9+x</Key></Contents></ListBucketResult>"
)


@tried(200)
@given(mangled_text(PAGE))
def test_a_page_of_a_listing_is_read_or_left_to_boto3(text: str) -> None:
    with suppress(listing.Unlisted):
        found, following = listing.read(text)
        assert all(found)
        assert isinstance(following, str)


@pytest.mark.parametrize("part", ["<Contents>", "<Contents><Key>", "<Contents> <Key>a</Key> "])
def test_no_page_of_a_listing_takes_long(part: str) -> None:
    with pytest.raises(listing.Unlisted):
        listing.read(part * 200_000 + "</ListBucketResult>")


# Heroku and git.

RELEASE = (
    '{"id": "1", "version": 42, "status": "succeeded", "description": "Deploy 4f2a91c0", "current": true, '
    '"created_at": "2026-11-22T19:30:12Z", "user": {"email": "ada@example.com"}, "slug": {"id": "s1"}}'
)
BACK = RELEASE.replace("Deploy 4f2a91c0", "Rollback to v41").replace("42", "43")
MODELS: dict[type[replies.Reply], str] = {
    replies.Release: RELEASE,
    replies.App: '{"id": "1", "name": "blog", "region": {"name": "eu"}, "stack": null, "maintenance": false}',
    replies.Build: '{"id": "1", "status": "pending", "output_stream_url": "https://x", "source_blob": {}}',
    replies.Source: '{"source_blob": {"get_url": "https://a", "put_url": "https://b"}}',
    replies.Slug: '{"id": "1", "commit": "4f2a91c"}',
    replies.Refusal: '{"id": "forbidden", "message": "no"}',
}


@tried(150)
@given(st.sampled_from(list(MODELS)), st.data())
def test_an_answer_of_heroku_is_what_was_asked_for_or_told_of(kind: type[replies.Reply], data: st.DataObject) -> None:
    content = data.draw(mangled(MODELS[kind].encode()))
    with suppress(TargetError):
        assert isinstance(read_reply(kind, "/apps", content), kind)


@tried(150)
@given(mangled(f"[{BACK}, {RELEASE}]".encode()), mangled_text("v41", ""))
def test_the_releases_of_an_app_are_gone_through_whatever_they_are(content: bytes, wanted: str) -> None:
    with suppress(TargetError, PushRefused):
        found: list[replies.Release] = read_reply(list[replies.Release], "/releases", content)
        live = releases.current(found)
        assert all(releases.known(each).id for each in found)
        assert releases.chosen(found, live, wanted) in found


COMMIT = (
    "tree 78981922613b2afb6025042ff6bd878ac1994e85\nparent 4f2a91c0aa3b2afb6025042ff6bd878ac1994e85\n"
    "author Ada <ada@example.com> 1795375812 +0000\ncommitter Ada <ada@example.com> 1795375812 +0000\n\n"
    "Push 4f2a91c\n\nPush-Digest: " + "ab" * 32 + "\nPush-Number: 42\nPush-Revision: 4f2a91c-dirty\n"
)


@tried(200)
@given(mangled_text(COMMIT))
def test_a_commit_of_a_remote_is_read_whatever_somebody_wrote_into_it(text: str) -> None:
    found = commit.parse("4f2a91c0aa3b2afb6025042ff6bd878ac1994e85", text)
    assert found.release.id == found.id
    assert found.log_entry.number == found.number >= 0


def test_a_commit_of_a_year_that_there_is_not_has_a_time() -> None:
    found = commit.parse("4f2a91c", COMMIT.replace("1795375812", "9" * 5000))
    assert found.time.year == 9999


SAID = (
    "remote: Permission to x/y.git denied to ada.\nfatal: unable to access 'https://h/x/y.git/': error: 403\n",
    "ssh: connect to host h port 22: Connection refused\r\nfatal: Could not read from remote repository.\n",
    "fatal: repository 'https://h/x.git/' not found\n",
)


@tried(100)
@given(mangled_text(*SAID), mangled_text("non-fast-forward", "pre-receive hook declined"))
def test_what_git_says_is_told(said: str, reason: str) -> None:
    there = address_of("https://example.com/x.git")
    assert words.failure(said, there).message
    assert words.rejection(reason, there, "main").message
