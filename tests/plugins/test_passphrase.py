"""The passphrase of a key, asked of a person where nobody gave it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.project import PUSH
from cli.terminal import Terminal
from plugins.sftp_target import remote_on, table
from pushkit import Interrupted, TargetError
from pushkit.testing import Dropbear, KeyPair, Person, ServerDirectory, Sshd, SshServer

SECRET = "open sesame"
pytestmark = pytest.mark.usefixtures("transport")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No key or agent of the person who runs the tests takes part."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


def locked(key: Path, copy: Path) -> Path:
    """A copy of ``key`` that `SECRET` opens, and its public half beside it."""
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", SECRET, "-f", copy], check=True, capture_output=True)
    public = subprocess.run(["ssh-keygen", "-y", "-P", SECRET, "-f", copy], check=True, capture_output=True)
    Path(f"{copy}.pub").write_bytes(public.stdout)
    return copy


@pytest.fixture
def key(ssh_server: Sshd, tmp_path: Path) -> Path:
    return locked(ssh_server.key, tmp_path / "key")


def asked(key: Path) -> list[str]:
    question = f"passphrase of the key {key}"
    return [question, f"{question} (that was wrong)", f"{question} (that was wrong too)"]


def test_a_person_who_mistypes_has_three_tries(ssh_server: Sshd, key: Path) -> None:
    first, second, third = asked(key)
    for answers in ({first: SECRET}, {first: "no", second: SECRET}, {first: "no", second: "no", third: SECRET}):
        person = Person(answers)
        with remote_on(ssh_server, key=str(key), ask=person):
            assert person.asked == list(answers)
    person = Person(dict.fromkeys(asked(key), "no"))
    with (
        pytest.raises(TargetError, match="passphrase is wrong"),
        remote_on(ssh_server, key=str(key), ask=person),
    ):
        pass
    assert person.asked == [first, second, third]


def test_who_gives_nothing_is_told_what_to_do(ssh_server: Sshd, key: Path) -> None:
    with pytest.raises(TargetError, match="is encrypted, and there is no passphrase") as caught:
        remote_on(ssh_server, key=str(key), ask=Person({})).__enter__()
    assert "ssh-add" in caught.value.hint
    person = Person({asked(key)[0]: "no"})
    with pytest.raises(TargetError, match="passphrase is wrong"):
        remote_on(ssh_server, key=str(key), ask=person).__enter__()


def test_who_wants_to_stop_is_heard(ssh_server: Sshd, key: Path) -> None:
    def ask(_: str) -> str:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        remote_on(ssh_server, key=str(key), ask=ask).__enter__()


def test_a_passphrase_that_was_given_is_not_asked_for(ssh_server: Sshd, key: Path) -> None:
    person = Person({})
    with remote_on(ssh_server, key=str(key), passphrase=SECRET, ask=person):
        pass
    with pytest.raises(TargetError, match="passphrase is wrong"):
        remote_on(ssh_server, key=str(key), passphrase="no", ask=person).__enter__()
    assert person.asked == []


def test_a_key_of_ssh_is_asked_for_unless_there_is_a_password(
    password_account: Sshd, home: Path, ssh_directory: ServerDirectory
) -> None:
    usual = locked(password_account.key, home / ".ssh/id_ed25519")
    person = Person({asked(usual)[0]: SECRET})
    with remote_on(password_account, ssh_directory.path, key=None, ask=person):
        assert person.asked == asked(usual)[:1]
    with remote_on(password_account, key=None, password=password_account.password, ask=person):
        assert person.asked == asked(usual)[:1]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real SSH agent without keys."""
    path = str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:
            while not os.path.exists(path):
                time.sleep(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            yield
        finally:
            process.terminate()


@pytest.mark.usefixtures("agent")
def test_a_key_that_the_agent_holds_is_not_asked_for(ssh_server: Sshd, key: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-add", "-q", ssh_server.key], check=True)
    person = Person({})
    with remote_on(ssh_server, key=str(key), agent=True, ask=person):
        pass
    # Nor when the server does not take it.
    other = KeyPair.generate(tmp_path / "other").path
    subprocess.run(["ssh-add", "-q", "-D"], check=True, capture_output=True)
    subprocess.run(["ssh-add", "-q", other], check=True)
    with pytest.raises(TargetError, match=r"does not let .* in. Tried: key \S+ of the agent. It"):
        remote_on(ssh_server, key=str(locked(other, tmp_path / "o")), agent=True, ask=person).__enter__()
    assert person.asked == []


def slow(person: Person) -> Any:
    def ask(question: str) -> str:
        time.sleep(5)
        return person(question)

    return ask


@pytest.mark.parametrize("name", ["ssh_server", "dropbear_server"])
def test_a_person_may_type_slowly(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server: Sshd | Dropbear = request.getfixturevalue(name)
    copy = locked(server.key, tmp_path / "slow")
    (tmp_path / "config").write_text("Host *\nServerAliveInterval 1\n")
    ask = slow(Person({asked(copy)[0]: SECRET}))
    with remote_on(server, key=str(copy), ssh_config=str(tmp_path / "config"), ask=ask):
        pass


def write(project: Path, **tables: dict[str, Any]) -> None:
    """A Pushfile with these targets."""
    lines: list[str] = []
    for name, values in tables.items():
        lines += [f"[target.{name}]", 'strategy = "sftp"']
        lines += [f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
                  for key, value in values.items()]  # fmt: skip
    (project / "Pushfile").write_text("\n".join([*lines, ""]))


def two_targets(server: SshServer, directory: ServerDirectory, key: Path, project: Path) -> dict[str, str]:
    """A project with two targets and one key; the environment to push it in."""
    project.mkdir()
    (project / "index.html").write_text("one")
    for name in ("one", "two"):
        (directory.local / name).mkdir()
    ends = {
        name: table(server, f"{directory.path}/{name}", key=str(key), transport="paramiko") for name in ("one", "two")
    }
    write(project, **ends)
    subprocess.run(["chown", "-R", "--reference", directory.local, directory.local], check=True)
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize("typed", [(SECRET,), ("no", SECRET)], ids=["right", "wrong first"])
def test_a_push_to_two_targets_asks_once_for_their_key(
    ssh_server: Sshd, ssh_directory: ServerDirectory, key: Path, tmp_path: Path, typed: tuple[str, ...]
) -> None:
    environment = two_targets(ssh_server, ssh_directory, key, tmp_path / "project")
    with Terminal([PUSH, "one", "two"], tmp_path / "project", environment) as terminal:
        for question, answer in zip(asked(key), typed, strict=False):
            terminal.wait_for(f"{question}: ")
            assert not terminal.echoes
            terminal.type(f"{answer}\n")
        code, stdout = terminal.end()
    assert (code, len(stdout.splitlines())) == (0, 2), terminal.seen
    assert terminal.seen.count("passphrase of the key") == len(typed)
    assert SECRET not in terminal.seen
    for name in ("one", "two"):
        assert (ssh_directory.local / name / "current/index.html").read_text() == "one"


def test_without_a_terminal_a_push_with_an_encrypted_key_is_refused_as_ever(
    ssh_server: Sshd, ssh_directory: ServerDirectory, key: Path, tmp_path: Path
) -> None:
    environment = two_targets(ssh_server, ssh_directory, key, tmp_path / "project")
    done = subprocess.run(
        [PUSH, "one"], cwd=tmp_path / "project", env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7
    assert f"push: the key {key} is encrypted, and there is no passphrase\n  hint: add it" in done.stderr
