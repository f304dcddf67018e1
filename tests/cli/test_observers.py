"""Slack, webhooks, IRC, mail, programs and logs hear of pushes, through real servers, and none is ever in the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from cli import irc_network
from cli.holder import holding, let_go, said, start
from cli.project import Project
from pushkit.testing import HttpsServer, Reply
from pushkit_notify import irc

SECRET = "hunter-two-hunter"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """A certificate authority, and its certificate as a file."""
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(path)
    return made, path


@pytest.fixture(scope="module")
def context(authority: tuple[trustme.CA, Path]) -> SSLContext:
    made = SSLContext(PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost", "127.0.0.1").configure_cert(made)
    return made


@pytest.fixture
def web(context: SSLContext) -> Iterator[HttpsServer]:
    with HttpsServer(context) as server:
        yield server


def told(project: Project, table: str, **targets: str) -> None:
    """A Pushfile with a target that works and one that does not, and an observer."""
    project.write(here='strategy = "dir"\npath = "../live"', away='strategy = "acme"\ndo = "unreachable"', **targets)
    file = project.root / "Pushfile"
    file.write_text(f"{file.read_text()}\n[notify.team]\n{table}\n")


def lines_of(server: HttpsServer) -> list[str]:
    return [json.loads(each.body)["text"] for each in server.requests("POST")]


def test_slack_hears_who_pushed_what_where_and_which_commits_are_new(
    project: Project, web: HttpsServer, authority: tuple[trustme.CA, Path]
) -> None:
    told(project, f'observer = "slack"\nurl = "${{env:SLACK}}"\nca_file = "{authority[1]}"')
    project.environment["SLACK"] = f"{web.url}/services/{SECRET}"
    for command in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"),
    ):
        subprocess.run(["git", *command], cwd=project.root, check=True)
    assert project.push("here").returncode == 0
    for number in range(22):
        (project.root / "index.html").write_text(f"{number}")
        subject = "<!channel> & <b> @channel ![x](https://evil)" if number == 21 else f"commit {number}"
        line = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", subject]
        subprocess.run(line, cwd=project.root, check=True)
    assert project.push("here").returncode == 0
    assert project.push("rollback", "here").returncode == 0
    assert project.push("hold", "here", "-m", "a sale").returncode == 0
    assert project.push("here").returncode == 6
    assert project.push("release", "here").returncode == 0
    assert project.push("away").returncode == 7
    started, _, second, finished, back, held, refused, released, failed = lines_of(web)
    assert re.fullmatch(r"\S+@\S+ pushes blog [0-9a-f]{7} to here", started)
    assert "&lt;!channel&gt; &amp; &lt;b&gt; @\u200bchannel ![x]\u200b(https://evil)" in second
    assert second.endswith("commit 2\nand 2 more")
    assert len(second.splitlines()) == 22
    assert re.fullmatch(r"\S+ pushed blog \S+ to here in \d+ s", finished)
    assert " rolled here of blog back to " in back
    assert held.endswith("holds here of blog: a sale")
    assert "failed: " in refused
    assert "ended the hold of here" in released
    assert failed.endswith("failed: acme.example.com cannot be reached")
    assert {each.path for each in web.received} == {f"/services/{SECRET}"}


def test_commands_that_fail_are_told_of_as_well(
    project: Project, web: HttpsServer, authority: tuple[trustme.CA, Path]
) -> None:
    told(project, f'observer = "webhook"\nurl = "{web.url}/hook"\nca_file = "{authority[1]}"\nevents = ["failed"]')
    assert project.push("here").returncode == 0
    for arguments in (("rollback", "here"), ("switch", "here", "nothing"), ("resume", "here")):
        assert project.push(*arguments).returncode in {6, 7}, arguments
    found = [json.loads(each.body) for each in web.requests("POST")]
    assert [(each["what"], each["command"]) for each in found] == [
        ("failed", "rollback"),
        ("failed", "switch"),
        ("failed", "resume"),
    ]
    assert re.fullmatch(r"the rollback of here of blog by \S+ failed: .+", found[0]["text"])


def test_a_webhook_is_signed_and_filters_by_event_and_target(
    project: Project, web: HttpsServer, authority: tuple[trustme.CA, Path]
) -> None:
    told(
        project,
        f'observer = "webhook"\nurl = "{web.url}/hook"\nkey = "{SECRET}"\nca_file = "{authority[1]}"\n'
        'events = ["finished", "failed"]\ntargets = ["here"]\ntext = "{what}: {target} {error}"',
    )
    assert project.push("here").returncode == 0
    assert project.push("away").returncode == 7
    assert project.push("here").returncode == 0, "there is nothing to do, which is not asked for"
    (only,) = web.requests("POST")
    document = json.loads(only.body)
    assert (document["version"], document["what"], document["text"]) == (1, "finished", "finished: here ")
    assert document["release"] == document["live"] != ""
    match = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", only.headers["push-signature"])
    assert match
    assert abs(int(match[1]) - time.time()) < 60
    expected = hmac.new(SECRET.encode(), f"{match[1]}.".encode() + only.body, hashlib.sha256).hexdigest()
    assert match[2] == expected


@contextmanager
def endless() -> Iterator[str]:
    """A server that answers with a body without end, in the clear; its address."""

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(65536)
            accepted.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while not over.wait(0.001):
                    accepted.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
            except OSError:
                return

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/{SECRET}"
        over.set()
        thread.join()


@pytest.mark.parametrize(
    "how", ["hangs", "resets", "redirects", "refuses", "has no end", "is not there", "is a stranger"]
)
def test_an_endpoint_that_misbehaves_changes_neither_the_push_nor_its_exit_code(
    project: Project, web: HttpsServer, authority: tuple[trustme.CA, Path], how: str
) -> None:
    url = f"{web.url}/{SECRET}"
    path = f"/{SECRET}"
    over = threading.Event()
    with HttpsServer(None, host="127.0.0.1") as elsewhere, endless() as without_end:
        ca = f'ca_file = "{authority[1]}"'
        if how == "hangs":
            web.reply("POST", path, *[Reply(200, before=lambda: over.wait(30))] * 2)
        elif how == "resets":
            web.reply("POST", path, *[Reply(200, {"Content-Length": "9"}, b"", before=lambda: 1 / 0)] * 2)
        elif how == "redirects":
            web.reply("POST", path, *[Reply(307, {"Location": f"{elsewhere.url}/stolen"})] * 2)
        elif how == "refuses":
            web.reply("POST", path, *[Reply(500, body=b"x" * 100_000)] * 2)
        elif how == "has no end":
            url = without_end
        elif how == "is not there":
            url = f"https://127.0.0.1:9/{SECRET}"
        else:
            ca = ""
        told(project, f'observer = "slack"\nurl = "${{env:SLACK}}"\n{ca}\nevents = ["finished"]')
        begun = time.monotonic()
        done = project.push("here", "-v", SLACK=url)
        seconds = time.monotonic() - begun
        over.set()
        if how != "has no end":
            socket.create_connection(("127.0.0.1", int(without_end.split(":")[2].split("/")[0]))).close()
        assert not elsewhere.received, "nothing follows a redirect"
    assert done.returncode == 0, done.stderr
    assert (project.root.parent / "live/current/index.html").exists()
    assert seconds < 15
    assert SECRET not in done.stderr + done.stdout
    warned = re.findall(r"here: warning: team (.*)", done.stderr)
    expected = {
        "hangs": "did not answer in time|could not be told: ReadTimeout",
        "resets": "could not be told: ConnectionError",
        "redirects": r"redirects elsewhere \(307\)",
        "refuses": "localhost answered 500",
        "has no end": "",
        "is not there": "could not be told: ConnectionError",
        "is a stranger": "could not be told: SSLError",
    }[how]
    assert len(warned) == bool(expected)
    assert not expected or re.search(expected, warned[0]), warned


def test_a_secret_that_an_observer_lacks_is_a_warning_and_no_reason_not_to_push(project: Project) -> None:
    told(project, 'observer = "slack"\nurl = "${env:NOT_SET_ANYWHERE}"')
    done = project.push("here")
    assert done.returncode == 0
    assert "team is not told: notify.team.url: the environment variable NOT_SET_ANYWHERE is not set" in done.stderr


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('observer = "slak"', 'did you mean "slack"?'),
        ('observer = "slack"', "notify.team.url: missing"),
        ('observer = "slack"\nurl = "http://example.com/x"', "expected https://"),
        ('observer = "webhook"\nurl = "https://example.com"\ntext = "{nobody}"', "{nobody} is no field"),
        ('observer = "webhook"\nurl = "https://example.com"\ntext = "{who.__class__}"', "is no field"),
        ('observer = "irc"\nhost = "h"\nchannel = "a b"', "expected a channel"),
        ('observer = "email"\nhost = "h"\nsender = "a"\nto = []', "notify.team.to"),
        ('observer = "command"\nrun = "tell ${env:TOKEN}"', "no reference is allowed here"),
        ('observer = "log"\nfile = "x"\nevents = ["begun"]', "notify.team.events"),
        ('observer = "email"\nhost = "h"\nsender = "a@b"\nto = ["a@b"]\nuser = "u"', "go together"),
        ('observer = "irc"\nhost = "h"\nchannel = "#a"\naccount_password = "long"', "go together"),
    ],
)
def test_what_is_wrong_with_an_observer_is_said_before_anything_is_done(
    project: Project, table: str, words: str
) -> None:
    told(project, table)
    done = project.push("here")
    assert done.returncode == 3, done.stderr
    assert words in done.stderr
    assert not (project.root.parent / "live").exists()


# ---- mail


class Mailbox:
    """Keeps the mails that a server gets."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  (aiosmtpd's name)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"

    async def handle_MAIL(  # noqa: N802  (as above)
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("full@"):
            return "452 no room"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  (as above)
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("gone@"):
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == SECRET.encode(), handled=False)


@contextmanager
def mail_server(context: SSLContext, *, offered: bool = True) -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context if offered else None,
        authenticator=box.login,
        auth_require_tls=offered,
    )
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def test_a_mail_comes_by_starttls_with_one_subject_whatever_was_said(
    project: Project, context: SSLContext, authority: tuple[trustme.CA, Path]
) -> None:
    with mail_server(context) as (box, port):
        told(
            project,
            f'observer = "email"\nhost = "localhost"\nport = {port}\nuser = "u"\npassword = "${{env:MAIL}}"\n'
            f'sender = "push@example.com"\nto = ["a@example.com", "b@example.com"]\nca_file = "{authority[1]}"\n',
        )
        assert project.push("hold", "here", "-m", "first\r\nBcc: eve@example.com\nü", MAIL=SECRET).returncode == 0
        done = project.push("release", "here", MAIL="another secret")
    assert done.returncode == 0
    assert "here: warning: team failed: localhost does not take the password of u" in done.stderr
    (mail,) = box.mails
    assert box.logins[0] == (b"u", SECRET.encode())
    assert "Bcc" not in mail
    assert "\n" not in str(mail["Subject"])
    assert mail["To"] == "a@example.com, b@example.com"
    assert "ü" in bytes(mail.get_payload(decode=True)).decode()


def test_a_mail_that_not_everybody_gets_is_told_of(project: Project, context: SSLContext, authority: Any) -> None:
    with mail_server(context) as (box, port):
        told(
            project,
            f'observer = "email"\nhost = "localhost"\nport = {port}\nuser = "u"\npassword = "${{env:MAIL}}"\n'
            f'sender = "push@example.com"\nto = ["a@example.com", "gone@example.com"]\nca_file = "{authority[1]}"\n',
        )
        done = project.push("hold", "here", "-m", "why", MAIL=SECRET)
        assert "here: warning: team failed: localhost refuses gone@example.com" in done.stderr
        assert len(box.mails) == 1, "the other one got it"
        done = project.push("release", "here", MAIL="pässwörd")
    assert (done.returncode, "the password of u: it is not ASCII" in done.stderr) == (0, True), done.stderr
    assert "\\xe4" not in done.stderr


def test_a_server_that_takes_no_mail_at_all_is_told_of_by_its_answer(project: Project) -> None:
    with mail_server(SSLContext(PROTOCOL_TLS_SERVER), offered=False) as (box, port):
        told(
            project,
            f'observer = "email"\nhost = "localhost"\nport = {port}\ntls = "none"\n'
            'sender = "full@example.com"\nto = ["a@example.com"]\n',
        )
        done = project.push("hold", "here", "-m", "why")
    assert (done.returncode, box.mails) == (0, [])
    assert "here: warning: team failed: localhost answered 452" in done.stderr


def test_a_server_that_offers_no_tls_gets_neither_password_nor_mail(project: Project, context: SSLContext) -> None:
    with mail_server(context, offered=False) as (box, port):
        told(
            project,
            f'observer = "email"\nhost = "localhost"\nport = {port}\nuser = "u"\npassword = "{SECRET}"\n'
            'sender = "push@example.com"\nto = ["a@example.com"]\n',
        )
        done = project.push("hold", "here", "-m", "why")
    assert done.returncode == 0
    assert "localhost could not be told: SMTPNotSupportedError" in done.stderr
    assert (box.mails, box.logins) == ([], [])


# ---- IRC


@contextmanager
def irc_server(directory: Path, authority: trustme.CA) -> Iterator[tuple[int, Path]]:
    """A real server with TLS and a password; its port, and where it logs what is said."""
    pem = directory / "irc.pem"
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(pem)
    log = directory / "channels"
    log.mkdir()
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("miniircd")),
        *("--listen", "127.0.0.1", "--ports", str(port), "--ssl-pem-file", str(pem)),
        *("--password", SECRET, "--channel-log-dir", str(log)),
        *(("--setuid", "root") if os.geteuid() == 0 else ()),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert time.monotonic() < end
                    time.sleep(0.02)
            yield port, log
        finally:
            process.kill()


def test_a_line_is_said_in_a_channel_and_can_be_no_command(
    project: Project, tmp_path: Path, authority: tuple[trustme.CA, Path]
) -> None:
    with irc_server(tmp_path, authority[0]) as (port, log):
        told(
            project,
            f'observer = "irc"\nhost = "localhost"\nport = {port}\nchannel = "#deploys"\npassword = "${{env:IRC}}"\n'
            f'ca_file = "{authority[1]}"',
        )
        evil = f"first\r\nPRIVMSG #deploys :forged\r\nQUIT\n{'ü' * 600}"
        done = project.push("hold", "here", "-m", evil, IRC=SECRET)
        assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
        assert project.push("here", IRC=SECRET).returncode == 6
        done = project.push("release", "here", IRC="wrong-password")
        assert done.returncode == 0
        assert "localhost" in done.stderr
        assert "wrong-password" not in done.stderr
        text = "".join(path.read_text() for path in log.iterdir())
    said = [line.partition("> ")[2] for line in text.splitlines() if "<push> " in line]
    assert said[0].endswith("holds here of blog: first")
    assert said[1] == "PRIVMSG #deploys :forged", "it is said, and not done"
    assert any("failed: " in line for line in said)
    assert all(len(line.encode()) <= 412 for line in said)


def test_an_account_of_irc_is_logged_in_to(
    project: Project, tmp_path: Path, authority: tuple[trustme.CA, Path]
) -> None:
    """SASL PLAIN, checked by Atheme."""
    if not irc_network.installed():
        assert not os.environ.get("CI"), "InspIRCd and Atheme are not installed, and in CI no test is skipped for that"
        pytest.skip("InspIRCd and Atheme are not installed")
    here = tmp_path / "irc"
    here.mkdir()
    with irc_network.irc_network(here, authority[0], "deployer", SECRET) as (port, plain):
        with socket.create_connection(("127.0.0.1", plain)) as person:
            person.sendall(b"NICK reader\r\nUSER r 0 * :-\r\n")
            until(person, " 422 ")
            # Only who is logged in to an account may come.
            person.sendall(b"JOIN #deploys\r\nMODE #deploys +R\r\n")
            heard = until(person, "+R\r\n")
            told(
                project,
                f'observer = "irc"\nhost = "localhost"\nport = {port}\nchannel = "#deploys"\nuser = "deployer"\n'
                f'account_password = "${{env:IRC}}"\nca_file = "{authority[1]}"',
            )
            done = project.push("hold", "here", "-m", "a sale", IRC=SECRET)
            assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
            heard += until(person, "a sale")
            done = project.push("release", "here", IRC="wrong-password")
            assert "here: warning: team failed: localhost does not take the password of deployer" in done.stderr
            assert "wrong-password" not in done.stderr
            file = project.root / "Pushfile"
            file.write_text(re.sub("(user|account_password) = .*\n", "", file.read_text()))
            assert "localhost does not let push speak in #deploys" in project.push("hold", "here", "-m", "x").stderr
        assert re.search(r":push!\S+ PRIVMSG #deploys :\S+ holds here of blog: a sale", heard)


def test_a_server_of_irc_without_accounts_is_told_of(
    project: Project, tmp_path: Path, authority: tuple[trustme.CA, Path]
) -> None:
    with irc_server(tmp_path, authority[0]) as (port, log):
        told(
            project,
            f'observer = "irc"\nhost = "localhost"\nport = {port}\nchannel = "#deploys"\npassword = "${{env:IRC}}"\n'
            f'ca_file = "{authority[1]}"\nuser = "deployer"\naccount_password = "a password"',
        )
        done = project.push("hold", "here", "-m", "a sale", IRC=SECRET)
        assert "team failed: localhost has no accounts to log in to" in done.stderr
        assert not list(log.iterdir()), "it says nothing as somebody else"


def test_a_server_of_irc_that_is_away_or_knows_nothing_of_accounts_is_told_of(project: Project) -> None:
    """One that is so old that it says nothing of what it was asked for, as no program of today is."""
    table = 'observer = "irc"\nhost = "localhost"\nport = {}\nchannel = "#deploys"\ntls = "none"\nevents = ["held"]\n'
    told(project, table.format(free_port()))
    assert "team failed: localhost could not be told: ConnectionRefusedError" in hold(project)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(30)

        def welcome() -> str:
            with listener.accept()[0] as person:
                heard = until(person, "USER ")
                person.sendall(b":old 001 push :welcome\r\n")
                while more := person.recv(65536):
                    heard += more.decode()
                return heard

        heard = pool.submit(welcome)
        account = 'user = "deployer"\naccount_password = "a password"\n'
        told(project, table.format(listener.getsockname()[1]) + account)
        assert "team failed: localhost has no accounts to log in to" in hold(project)
        assert "PRIVMSG" not in heard.result(30), "it says nothing as somebody else"


def hold(project: Project) -> str:
    """Let the observers hear of a hold; what is told of them."""
    done = project.push("hold", "here", "-m", "why")
    assert done.returncode == 0, done.stderr
    assert project.push("release", "here").returncode == 0
    return done.stderr


@pytest.mark.parametrize(("length", "exact"), [(10, False), (296, True), (400, False)])
def test_a_long_password_of_an_account_goes_in_pieces(length: int, exact: bool) -> None:
    found = list(irc.plain("u", "x" * length))
    whole = "".join(found).removesuffix("+")
    assert base64.b64decode(whole) == b"u\0u\0" + b"x" * length
    assert all(len(each) <= 400 for each in found)
    assert len(found[-1]) < 400
    assert (found[-1] == "+") == exact


def until(person: socket.socket, text: str) -> str:
    """What a person hears up to ``text``."""
    heard = ""
    person.settimeout(60)
    while text not in heard:
        heard += person.recv(65536).decode()
    return heard


# ---- this machine


def test_a_program_gets_the_message_on_its_input_and_no_identity(project: Project) -> None:
    script = project.root.parent / "told.sh"
    script.write_text('#!/bin/sh\ncat >"$0.$PUSH_WHAT"; env >"$0.env"; echo "$@" >"$0.args"\n')
    script.chmod(0o755)
    told(project, f'observer = "command"\nrun = "{script} \'two words\'"')
    assert project.push("here", PUSH_AGE_KEY="AGE-SECRET-KEY-1ABC").returncode == 0
    document = json.loads(Path(f"{script}.finished").read_text())
    assert (document["target"], document["what"]) == ("here", "finished")
    assert Path(f"{script}.args").read_text() == "two words\n"
    assert "AGE-SECRET" not in Path(f"{script}.env").read_text()
    script.write_text("#!/bin/sh\nexit 3\n")
    assert "ended with exit code 3" in project.push("hold", "here", "-m", "why").stderr


def test_a_program_that_is_none_is_told_of(project: Project) -> None:
    told(project, 'observer = "command"\nrun = "/nowhere/tell --all"')
    assert "team failed: /nowhere/tell cannot be started: No such file or directory" in hold(project)


def test_a_log_has_a_line_for_each_and_is_its_owners_alone(project: Project) -> None:
    told(project, 'observer = "log"\nfile = "../audit.log"')
    for arguments in (("here",), ("away",), ("hold", "here", "-m", "why")):
        project.push(*arguments)
    path = project.root.parent / "audit.log"
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["what"] for line in lines] == ["started", "finished", "failed", "held"]
    assert all(line["time"].endswith("+00:00") for line in lines)


def test_what_of_a_secret_address_is_not_needed_is_not_looked_up(
    project: Project, web: HttpsServer, authority: tuple[trustme.CA, Path]
) -> None:
    url = f'url = "${{command:sh -c \'echo asked >>../asked; echo {web.url}/x\'}}"\nca_file = "{authority[1]}"'
    asked = project.root.parent / "asked"
    for more in ('targets = ["away"]', 'events = ["held"]'):
        told(project, f'observer = "slack"\n{url}\n{more}')
        assert project.push("here", "--repair").returncode == 0
        assert not asked.exists(), more
    assert project.push("hold", "here", "-m", "why").returncode == 0
    assert (asked.read_text(), len(lines_of(web))) == ("asked\n", 1)
    told(project, f'observer = "slack"\n{url}'.replace("https", "http").replace("localhost", "example.com"))
    done = project.push("release", "here")
    assert "team is not told: notify.team.url: expected https://" in done.stderr
    assert "example.com" not in done.stderr, "it is a secret"


def test_a_webhook_gets_no_password_of_the_netrc(
    project: Project, web: HttpsServer, authority: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    (tmp_path / "site/.netrc").write_text(f"default login me password {SECRET}\n")
    for url in (web.url, web.url.replace("https://", "https://u%3A:p%40@")):
        told(project, f'observer = "webhook"\nurl = "{url}/hook"\nca_file = "{authority[1]}"')
        project.push("hold", "here", "-m", "why")
        project.push("release", "here")
    sent = [each.headers.get("authorization") for each in web.requests("POST")]
    own = f"Basic {base64.b64encode(b'u::p@').decode()}"
    assert sent == [None, None, own, own]


def test_the_five_lines_of_the_documentation_check_what_a_webhook_gets(
    project: Project, web: HttpsServer, authority: tuple[trustme.CA, Path]
) -> None:
    page = (Path(__file__).parents[2] / "docs/notify.md").read_text()
    found: dict[str, Any] = {}
    exec(page.partition("```py\n")[2].partition("```")[0], found)
    told(project, f'observer = "webhook"\nurl = "{web.url}/hook"\nkey = "{SECRET}"\nca_file = "{authority[1]}"')
    assert project.push("hold", "here", "-m", "wäit").returncode == 0
    (hook,) = web.requests("POST")
    signature = hook.headers["push-signature"]
    assert found["signed"](signature, hook.body, SECRET)
    seconds, _, digest = signature.removeprefix("t=").partition(",v1=")
    later = f"t={int(seconds) + 1},v1={digest}"
    old = hmac.new(SECRET.encode(), b"1000." + hook.body, hashlib.sha256).hexdigest()
    for other in ("", "t=,v1=", "nonsense", later, f"t=1000,v1={old}", f"t={seconds},v1=\xe9", f"t=x,v1={digest}"):
        assert not found["signed"](other, hook.body, SECRET), other
    assert not found["signed"](signature, hook.body + b" ", SECRET)
    assert not found["signed"](signature, hook.body, "another key")


def test_a_program_that_hangs_does_not_outlive_the_push(project: Project) -> None:
    script = project.root.parent / "told.sh"
    script.write_text('#!/bin/sh\necho $$ >>"$0.pids"\nexec sleep 600\n')
    script.chmod(0o755)
    told(project, f'observer = "command"\nrun = "{script}"')
    done = project.push("here")
    assert (done.returncode, "team " in done.stderr) == (0, True), done.stderr
    pids = Path(f"{script}.pids").read_text().split()
    assert pids
    end = time.monotonic() + 20
    while [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(pid: str) -> bool:
    """Whether a process runs, be it that nobody has waited for it (proc(5), state Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_push_that_waits_for_its_turn_is_told_of_when_it_has_it(project: Project) -> None:
    audit = project.root.parent / "audit"
    assert project.push().returncode == 0
    first = (project.root.parent / "live/current").readlink().name
    (project.root / "index.html").write_text("two")
    with holding(project) as holder:
        (project.root / "index.html").write_text("three")
        file = project.root / "Pushfile"
        file.write_text(f'{file.read_text()}\n[notify.audit]\nobserver = "log"\nfile = "{audit}"\n')
        assert project.push().returncode == 9
        with start(project, "--wait", "60") as waiter:
            said(waiter, "waiting: ")
            told_meanwhile = audit.read_text()
            let_go(project)
            waiter.communicate(timeout=60)
        second = holder.communicate(timeout=30)[0].strip()
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [line["what"] for line in lines] == ["failed", "started", "finished"]
    assert told_meanwhile.count('"what"') == 1, "only that it failed before"
    assert lines[1]["live"] == second != first, "what was live when it had its turn"


def test_syslog_hears_by_udp_on_one_line_that_tells_a_terminal_nothing(project: Project) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "[::1]")):
        with socket.socket(family, socket.SOCK_DGRAM) as log:
            log.bind((host.strip("[]"), 0))
            log.settimeout(10)
            address = f"{host}:{log.getsockname()[1]}"
            told(project, f'observer = "syslog"\naddress = "{address}"\nevents = ["held", "failed"]')
            assert project.push("hold", "here", "-m", "two\nlines \x1b[2J %s").returncode == 0
            held = log.recv(4096)
            assert project.push("here").returncode == 6
            failed = log.recv(4096)
            assert project.push("release", "here").returncode == 0
        assert re.fullmatch(rb"<14>push: \S+ holds here of \S+: two; lines \[2J %s\0?", held)
        assert failed.startswith(b"<11>push: the push of ")
    # Who may speak to everybody has to ask for it first.
    told(project, 'observer = "syslog"\naddress = "255.255.255.255:514"')
    assert "team failed: 255.255.255.255:514 did not take it" in hold(project)
    told(project, 'observer = "syslog"\naddress = "no-such-host.invalid:514"')
    done = project.push("hold", "here", "-m", "why")
    assert (done.returncode, "no-such-host.invalid:514: " in done.stderr) == (0, True), done.stderr


def test_syslog_gets_one_line_for_each(project: Project, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(10)
        told(project, f'observer = "syslog"\naddress = "{tmp_path}/log"\nevents = ["held"]')
        assert project.push("hold", "here", "-m", "two\nlines").returncode == 0
        data = log.recv(4096)
    assert re.fullmatch(rb"<14>push: \S+ holds here of \S+: two; lines\0?", data)
    assert b"\n" not in data
