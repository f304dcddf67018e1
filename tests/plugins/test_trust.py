"""``push trust``: a host key is shown, asked about and remembered."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from cli.project import PUSH
from plugins.sftp_target import remote_on
from pushkit import TargetError
from pushkit.testing import KeyPair, Sshd, known_host
from recorder.sitecustomize import recorded


class Person:
    """Somebody with a home directory of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.known = home / ".ssh/known_hosts"
        home.mkdir()

    def trust(self, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``push trust``, on a terminal where there is an ``answer``."""
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        try:
            return subprocess.run(
                [PUSH, "trust", *arguments],
                cwd=self.home,
                env={**recorded(), "PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"},
                stdin=theirs if answer else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            os.close(ours)
            os.close(theirs)


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Person(tmp_path / "home")


def address(server: Sshd) -> str:
    return f"{server.user}@{server.host}:{server.port}"


def fingerprint(server: Sshd, tmp_path: Path) -> str:
    """The server's fingerprint, by OpenSSH's own program."""
    (tmp_path / "key.pub").write_text(server.host_key + "\n")
    done = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], check=True, capture_output=True, text=True)
    return done.stdout.split()[1]


def test_a_key_is_trusted_when_a_person_says_so(person: Person, ssh_server: Sshd, tmp_path: Path) -> None:
    before = len(ssh_server.log)
    refused = person.trust(address(ssh_server), answer="n")
    assert (refused.returncode, refused.stdout) == (6, "")
    assert not person.known.exists()
    done = person.trust(address(ssh_server), answer="y")
    assert (done.returncode, done.stdout) == (0, fingerprint(ssh_server, tmp_path) + "\n")
    assert person.known.read_text() == known_host(ssh_server.host, ssh_server.port, ssh_server.host_key)
    assert (person.known.stat().st_mode & 0o777, person.known.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "authenticating user" not in ssh_server.log[before:]
    with remote_on(ssh_server, known_hosts=None):
        pass
    again = person.trust(address(ssh_server))
    assert (again.returncode, "is known already" in again.stderr) == (0, True)
    assert len(person.known.read_text().splitlines()) == 1


def test_who_names_a_target_is_told_its_host(person: Person, ssh_server: Sshd) -> None:
    table = f'strategy = "sftp"\nhost = "{address(ssh_server)}"\npath = "site"\n'
    (person.home / "Pushfile").write_text(f'[target.live]\nstrategy = "no-such"\n[target.x]\n{table}')
    broken = person.trust("live.invalid")
    assert (broken.returncode, "check `host`" in broken.stderr) == (7, True)
    (person.home / "Pushfile").write_text(f"[target.nowhere]\n{table}")
    done = person.trust("nowhere")
    assert done.returncode == 7
    assert f"its host is what to trust: push trust {address(ssh_server)}" in done.stderr


def test_the_command_that_an_error_names_mends_it(person: Person, ssh_server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known hosts"
    known.write_text("# no end of line")
    with pytest.raises(TargetError, match="not known") as caught, remote_on(ssh_server, known_hosts=str(known)):
        pass
    command = caught.value.hint[caught.value.hint.index("push trust") :]
    environment = {**recorded(), "PATH": f"{Path(PUSH).parent}:{os.environ['PATH']}", "HOME": str(person.home)}
    command += f" --fingerprint {fingerprint(ssh_server, tmp_path)}"
    subprocess.run(["sh", "-c", command], env=environment, check=True, capture_output=True)
    assert len(known.read_text().splitlines()) == 2
    with remote_on(ssh_server, known_hosts=str(known)):
        pass


def test_without_a_person_only_the_fingerprint_that_is_given_is_trusted(
    person: Person, ssh_server: Sshd, tmp_path: Path
) -> None:
    alone = person.trust(address(ssh_server))
    assert (alone.returncode, "--fingerprint" in alone.stderr) == (6, True)
    wrong = person.trust(address(ssh_server), "--fingerprint", "SHA256:" + "A" * 43)
    assert (wrong.returncode, "nothing was written" in wrong.stderr) == (6, True)
    assert not person.known.exists()
    # As ssh writes it where names are to be hidden.
    (person.home / ".ssh").mkdir()
    (person.home / ".ssh/config").write_text("HashKnownHosts yes\n")
    right = person.trust(address(ssh_server), "--fingerprint", fingerprint(ssh_server, tmp_path))
    assert right.returncode == 0, right.stderr
    assert person.known.read_text().startswith("|1|")
    found = ["ssh-keygen", "-F", f"[{ssh_server.host}]:{ssh_server.port}", "-f", str(person.known)]
    subprocess.run(found, check=True, capture_output=True)
    with remote_on(ssh_server, known_hosts=None):
        pass


@pytest.mark.parametrize("mark", ["", "@revoked "])
def test_a_key_that_changed_or_is_revoked_is_never_trusted(
    person: Person, ssh_server: Sshd, tmp_path: Path, mark: str
) -> None:
    key = ssh_server.host_key if mark else KeyPair.generate(tmp_path / "other").public
    person.known.parent.mkdir()
    line = mark + known_host(ssh_server.host, ssh_server.port, key)
    person.known.write_text(line)
    for more in (("--fingerprint", fingerprint(ssh_server, tmp_path)), ()):
        done = person.trust(address(ssh_server), *more, answer="" if more else "y")
        assert done.returncode == 7
        assert ("revoked" if mark else "CHANGED") in done.stderr
    assert person.known.read_text() == line


def test_a_fingerprint_is_compared_though_the_key_is_known(person: Person, ssh_server: Sshd, tmp_path: Path) -> None:
    right = person.trust(address(ssh_server), "--fingerprint", fingerprint(ssh_server, tmp_path))
    assert right.returncode == 0, right.stderr
    wrong = person.trust(address(ssh_server), "--fingerprint", "SHA256:" + "A" * 43)
    assert (wrong.returncode, wrong.stdout) == (6, "")
    jump = person.trust(address(ssh_server), "--jump", "a b")
    assert (jump.returncode, "is no host to jump through" in jump.stderr) == (7, True)


def test_what_is_no_host_is_a_wrong_command_line(person: Person) -> None:
    done = person.trust("sftp://web1/srv")
    assert (done.returncode, "expected a host such as" in done.stderr) == (2, True)
    done = person.trust("127.0.0.1:1")
    assert (done.returncode, "refused" in done.stderr) == (7, True)


def test_where_a_key_cannot_be_remembered_is_told(person: Person, ssh_server: Sshd, tmp_path: Path) -> None:
    shown = ("--fingerprint", fingerprint(ssh_server, tmp_path))
    done = person.trust(address(ssh_server), *shown, "--known-hosts", "/proc/nowhere/known")
    assert (done.returncode, done.stdout) == (7, "")
    assert "push: /proc/nowhere/known: cannot be written: No such file or directory\n  hint: who may" in done.stderr
    person.known.parent.mkdir()
    (person.known.parent / "config").write_text("Host *\n  UserKnownHostsFile none\n  GlobalKnownHostsFile none\n")
    done = person.trust(address(ssh_server), *shown)
    assert (done.returncode, done.stdout) == (7, "")
    assert ": there is no file of known hosts to write to\n  hint: name one: --known-hosts" in done.stderr
