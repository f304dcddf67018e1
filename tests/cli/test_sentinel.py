"""A secret that everybody tries to let out is found nowhere: no output, no argument, no file."""

from __future__ import annotations

import base64
import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
import trustme

from cli.project import PUSH, Project
from plugins.ftp_target import table
from pushkit.testing import CertificateAuthority, EmbeddedSsh, FtpServer, GitHttpServer, HttpsServer, Received, Reply

SENTINEL = "s3nt/inel+of \"the' day"
FORMS = {
    "plain": SENTINEL,
    "url": quote(SENTINEL, safe=""),
    "base64": base64.b64encode(SENTINEL.encode()).decode().rstrip("="),
    "hex": SENTINEL.encode().hex(),
    # Whatever a form is made of, this much of it would be enough.
    "middle": "inel+of",
}


@pytest.fixture
def team(project: Project, tmp_path: Path) -> Project:
    """A project that keeps the sentinel in its secrets file, and all that push may write below one directory."""
    (tmp_path / "tmp").mkdir()
    project.environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        project.environment[name] = ""
    (tmp_path / "home").mkdir()
    project.write(here='strategy = "dir"\npath = "../live"')
    assert project.push("secrets", "init", "--name", "me").returncode == 0
    assert project.push("secrets", "set", "sentinel", given=SENTINEL).returncode == 0
    return project


@pytest.fixture
def web(tmp_path: Path) -> Iterator[HttpsServer]:
    """A server that tells everything it was told to everybody."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def gossip(received: Received) -> Reply:
        if received.method == "HEAD":
            return Reply(404)
        # It also stands where a long answer is cut: after 200 characters, 300 or 500, at a space that is in it.
        told = f"{'x ' * 5 * ('bucket' in received.path)}{f'{SENTINEL} ' * 30}{dict(received.headers)} {received.path}"
        if "apps" in received.path:
            body = json.dumps({"id": "odd", "message": told})
        else:
            body = f"<Error><Code>Odd</Code><Message>{told}</Message></Error>"
        kind = "application/json" if "apps" in received.path else "text/plain"
        return Reply(422, {"X-Told": quote(told), "Content-Type": kind}, body.encode(), reason=quote(told))

    with HttpsServer(context, respond=gossip) as server:
        yield server


def nowhere(project: Project, *texts: str) -> None:
    """Assert that no form of the sentinel is in ``texts``, nor in any file that is there."""
    files = [path for path in project.root.parent.rglob("*") if path.is_file() and path.parts[-1] != "planted"]
    assert files
    for text in (*texts, *(path.read_text(errors="replace") for path in files)):
        for name, form in FORMS.items():
            assert form not in text, name


def tried(project: Project, *arguments: str, shown: bool = True) -> tuple[int, str]:
    """What push says, in words and in JSON, to a terminal's reader and to a program; nothing of it the sentinel.

    ``shown``: where it would be, its name is.
    """
    codes, said = set(), ""
    for more in ((), ("-v",), ("--json", "-v")):
        done = project.push(*arguments, *more, PUSHKIT_TRACEBACK="1")
        codes.add(done.returncode)
        said += done.stdout + done.stderr
    nowhere(project, said)
    assert "[secret:sentinel]" in said or not shown, said
    (code,) = codes
    return code, said


def test_what_a_hook_prints_in_pieces_and_in_every_form_is_hidden(team: Project) -> None:
    (team.root / "gossip").write_text(
        "import base64, os, sys, time, json, urllib.parse\n"
        "s = os.environ['S']\n"
        "for char in s:\n    sys.stdout.write(char); sys.stdout.flush(); time.sleep(0.005)\n"
        "print(); print('x' * 16380 + s)\n"
        "print(base64.b64encode(('user:' + s + ':more').encode()).decode())\n"
        "print(s.encode().hex(), urllib.parse.quote(s, safe=''), json.dumps({'s': s}), repr(s), file=sys.stderr)\n"
        "os.write(1, s[:9].encode()); time.sleep(0.2); os.write(1, s[9:].encode())\n"
        "sys.exit('it went wrong with ' + s)\n"
    )
    team.write(
        hook='strategy = "script"\nrun = "python3 gossip"\nenvironment = { S = "${secret:sentinel}" }',
        here='strategy = "dir"\npath = "../live"',
    )
    file = team.root / "Pushfile"
    file.write_text(file.read_text() + '\n[notify.audit]\nobserver = "log"\nfile = "../audit"\n')
    code, _ = tried(team, "hook")
    assert code == 8
    assert (team.root.parent / "audit").read_text().count('"what": "failed"') == 3


def test_a_bug_of_a_plugin_that_shows_it_is_told_without_it(team: Project) -> None:
    team.write(acme='strategy = "acme"\ndo = "bug"\nsecret = "${secret:sentinel}"')
    code, said = tried(team, "acme")
    assert (code, "Traceback" in said) == (1, True)


def test_several_failures_that_show_it_are_told_without_it(team: Project) -> None:
    team.write(acme='strategy = "acme"\ndo = "several"\nsecret = "${secret:sentinel}"')
    assert tried(team, "acme")[0] == 7


def test_what_threads_warnings_and_logs_say_of_it_is_told_without_it(team: Project) -> None:
    team.write(acme='strategy = "acme"\ndo = "stray"\nsecret = "${secret:sentinel}"')
    code, said = tried(team, "acme")
    assert code == 0
    for words in (
        "push: astray: ValueError: threaded [secret:sentinel]",
        "push: ignored: ValueError: deleted [secret:sentinel]",
        "push: UserWarning: warned [secret:sentinel]",
        "push: acme: logged [secret:sentinel]",
        "OSError: caught [secret:sentinel]",
    ):
        assert words in said, words
    quiet = team.push("acme").stderr
    assert ("push: acme: logged" in quiet, "Traceback" in quiet) == (True, False)


@pytest.fixture
def git_away(tmp_path: Path, certificate_authority: CertificateAuthority) -> Iterator[GitHttpServer]:
    """A server of git whose repository tells everybody what it was told, in pieces, and takes nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_authority.issue("away.pem", "localhost"))
    (tmp_path / "git").mkdir()
    with GitHttpServer(tmp_path / "git", context) as server:
        shutil.copy(certificate_authority.file, tmp_path / "git-ca.pem")
        told = tmp_path / "planted"
        told.write_text(SENTINEL)
        gossip = f"head -c 9 {told}; sleep 0.2; tail -c +10 {told}; echo; cat {told} >&2"
        server.create("away.git", f"#!/bin/sh\n{gossip}; exit 1\n")
        yield server


def test_a_password_that_a_server_does_not_take_is_shown_by_nobody(
    team: Project, tmp_path: Path, pyftpd_server: FtpServer, git_away: GitHttpServer
) -> None:
    (tmp_path / "there").mkdir()
    git_away.tokens = {"another": True}
    ftp = table(pyftpd_server, ".") | {"strategy": "ftp", "password": "${secret:sentinel}"}
    with EmbeddedSsh(tmp_path / "there", password="another") as server:
        team.write(
            ssh=SSH.format(server=server),
            ftp="\n".join(f"{key} = {value!r}" for key, value in ftp.items()),
            git=GIT.format(server=git_away, authority=tmp_path / "git-ca.pem"),
        )
        for name in ("ssh", "ftp", "git"):
            code, said = tried(team, name, shown=False)
            assert code == 7, said


def test_what_git_says_for_a_server_that_repeats_it_is_hidden(
    team: Project, tmp_path: Path, git_away: GitHttpServer
) -> None:
    git_away.tokens = {SENTINEL: True}
    team.write(git=GIT.format(server=git_away, authority=tmp_path / "git-ca.pem"))
    code, said = tried(team, "git")
    assert code in {6, 7, 8}
    assert said.count("[secret:sentinel]") >= 6, said


def test_what_a_script_on_a_server_makes_of_it_is_hidden(team: Project, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    script = 'set -x; : "$S"; set +x; for i in 1 2 3; do printf %s "$S" | cut -c1-7 | tr -d "\\n"; sleep 0.1; '
    script += 'printf %s "$S" | cut -c8- | tr -d "\\n"; done; echo; printf %s "$S" | base64; export -p | grep S='
    (team.root / "gossip").write_text(script)
    with EmbeddedSsh(tmp_path / "there", password=SENTINEL) as server:
        team.write(
            away=SSH.format(server=server)
            + """
            environment = { S = "${secret:sentinel}" }
            before_switch = "for shell in sh bash; do $shell ./gossip; done; exit 3" """
        )
        code, said = tried(team, "away")
    assert code == 8
    assert said.count("[secret:sentinel]" * 3) >= 6, said


SSH = """strategy = "sftp"
            host = "{server.user}@{server.host}:{server.port}"
            known_hosts = "{server.known_hosts}"
            path = "x"
            password = "${{secret:sentinel}}" """
GIT = """strategy = "git"
            remote = "{server.url}/away.git"
            branch = "main"
            ca_file = "{authority}"
            token = "${{secret:sentinel}}" """
AWAY = {
    "header": 'strategy = "http"\nurl = "{url}/x"\nheaders = {{ X-Token = "${{secret:sentinel}}" }}',
    "basic": 'strategy = "http"\nurl = "{url}/x"\nuser = "me"\npassword = "${{secret:sentinel}}"',
    "s3": """strategy = "s3"
        bucket = "bucket"
        key = "k"
        region = "eu-west-1"
        endpoint_url = "{url}"
        access_key_id = "AKIA"
        secret_access_key = "${{secret:sentinel}}" """,
    "heroku": """strategy = "heroku"
        app = "blog"
        via = "build"
        token = "tokentoken"
        api_url = "{url}"
        config = {{ KEY = "${{secret:sentinel}}" }}""",
}


@pytest.mark.parametrize("target", AWAY.values(), ids=AWAY)
def test_a_server_that_repeats_all_that_it_was_told_gives_nothing_away(
    team: Project, web: HttpsServer, tmp_path: Path, target: str
) -> None:
    team.write(away=target.format(url=web.url))
    team.environment |= {name: str(tmp_path / "ca.pem") for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")}
    team.environment["SSL_CERT_FILE"] = str(tmp_path / "ca.pem")
    code, said = tried(team, "away")
    assert code in {6, 7, 8}, said
    assert web.received, said


# ---- what the system sees


STRACE = ("strace", "-f", "-y", "-s", "1000000", "-e", "trace=execve,write,pwrite64,writev,pwritev")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory."""
    with TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


def watched(project: Project, *arguments: str, given: str = "", **environment: str) -> tuple[int, list[str]]:
    """Run push under strace; its exit code, and every call that starts a program or writes."""
    record = project.root.parent / "calls"
    done = subprocess.run(
        [*STRACE, "-o", str(record), PUSH, *arguments],
        cwd=project.root,
        env=project.environment | environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    calls = record.read_text(errors="replace").splitlines()
    record.unlink()
    assert any("execve" in call for call in calls)
    return done.returncode, calls


# As strace writes it: in C's quotes.
QUOTED = SENTINEL.replace("\\", "\\\\").replace('"', '\\"')
ON_DISK = re.compile(r"\b(?:write|pwrite64|writev|pwritev)\(\d+<(/[^>]*)>")


@pytest.mark.parametrize(
    ("arguments", "given", "code"),
    [
        (("set", "other"), SENTINEL, 0),
        (("set", "bad name"), SENTINEL, 2),
        (("set", "sentinel", "-t", "nowhere"), SENTINEL, 2),
        (("get", "sentinel", "--yes"), "", 0),
        (("get", "sentinel"), "", 6),
        (("rekey", "--all"), "", 0),
        (("doctor",), "", 0),
        (("edit",), "", 0),
        (("edit",), "fails", 3),
        (("edit",), "nonsense", 2),
    ],
)
def test_no_command_writes_it_to_a_disk_or_into_an_argument(
    team: Project, memory: Path, arguments: tuple[str, ...], given: str, code: int
) -> None:
    editor = team.root.parent / "editor"
    last = {"fails": "exit 3", "nonsense": 'echo nonsense >>"$1"'}.get(given, ":")
    editor.write_text(f'#!/bin/sh\ncp "$1" "$1.copy"\n{last}\n')
    editor.chmod(0o755)
    environment = {"EDITOR": str(editor), "VISUAL": "", "XDG_RUNTIME_DIR": str(memory)}
    ended, calls = watched(team, "secrets", *arguments, given=given, **environment)
    assert ended == code
    seen = [call for call in calls if QUOTED in call or "inel+of" in call]
    for call in seen:
        assert "execve" not in call, call
        found = ON_DISK.search(call)
        assert not found or found[1].startswith(("/dev/shm/", "/dev/pts/")), call
    assert bool(seen) == (arguments[0] in {"get", "edit"} and code != 6)
    nowhere(team)
    assert not list(memory.iterdir())


def test_a_script_gets_it_on_its_standard_input_and_nowhere_else(team: Project) -> None:
    script = "cat; echo; env | grep -c [i]nel+of; grep -ac [i]nel+of /proc/self/cmdline; exit 3"
    team.write(hook=f'strategy = "script"\nshell = true\nrun = "{script}"\nstdin = "${{secret:sentinel}}"')
    code, said = tried(team, "hook")
    assert code == 8
    assert "cat; | [secret:sentinel]\nhook: cat; | 0\nhook: cat; | 0\n" in said, said
    team.write(hook='strategy = "script"\nrun = ["wc -c", "wc -c"]\nstdin = "${secret:sentinel}"')
    assert team.push("hook").stderr.count(f"wc | {len(SENTINEL)}\n") == 2, "each reads all of it"


def test_who_hears_of_many_hosts_hears_which_are_in_trouble(team: Project, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with EmbeddedSsh(tmp_path / "there", password="a password") as server:
        known = tmp_path / "known"
        known.write_text(server.known_hosts.read_text())
        team.write(
            many=f"""strategy = "sftp"
            hosts = ["{server.user}@{server.host}:{server.port}", "{server.user}@localhost:9"]
            known_hosts = "{known}"
            path = "{tmp_path}/there/x"
            password = "a password"
            lock_host = "{server.user}@{server.host}:{server.port}"
            rollout = {{ max_failures = 1 }}"""
        )
        file = team.root / "Pushfile"
        file.write_text(f'{file.read_text()}\n[notify.audit]\nobserver = "log"\nfile = "../audit"\n')
        done = team.push("many")
        assert done.returncode == 0, done.stderr
    *_, last = map(json.loads, (team.root.parent / "audit").read_text().splitlines())
    assert (last["what"], last["hosts"]["count"]) == ("finished", 2), last
    assert ["localhost" in host for host in last["hosts"]["trouble"]] == [True], last
    assert "2 hosts, 1 in trouble" in last["text"]


def test_a_push_gives_it_to_its_hook_alone(team: Project) -> None:
    team.write(
        hook='strategy = "script"\nrun = "sh -c \'printf %s $S >/dev/full; exit 3\'"\n'
        'environment = { S = "${secret:sentinel}" }'
    )
    ended, calls = watched(team, "hook", "-v")
    assert ended == 8
    assert any("execve" in call and "printf %s" in call for call in calls)
    for call in calls:
        argv = re.search(r"execve\([^\[]*(\[.*?\]), ", call)
        assert not argv or "inel+of" not in argv[1], call
        found = ON_DISK.search(call)
        assert not found or "inel+of" not in call or found[1] == "/dev/full", call
    nowhere(team)
