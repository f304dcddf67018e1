"""What ssh's configuration says is done, on real servers: aliases, keys, certificates, servers on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from plugins.sftp_target import remote_on
from pushkit import TargetError
from pushkit.testing import KeyPair, ServerDirectory, Sshd, known_host
from pushkit.testing.leftovers import nothing_left_open
from pushkit_sftp import ssh_config
from pushkit_sftp.options import Address

#: What a target has of its own where ssh's configuration says the rest.
BARE: dict[str, Any] = {"port": None, "user": None, "key": None, "known_hosts": None, "host": "blog"}


pytestmark = pytest.mark.usefixtures("transport")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration, key or agent of the person who runs the tests takes part."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    with nothing_left_open():
        yield


@pytest.fixture(params=["ssh", "paramiko"])
def _reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads the configuration."""
    if request.param == "paramiko":
        monkeypatch.setattr(ssh_config, "shutil", type("", (), {"which": staticmethod(lambda _: None)}))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Sshd]:
    """A server on the way."""
    with running(tmp_path / "gate") as server:
        yield server


@contextmanager
def running(directory: Path) -> Iterator[Sshd]:
    directory.mkdir()
    with Sshd(directory) as server:
        yield server


def block(name: str, server: Sshd, **more: object) -> str:
    """The lines of ssh_config(5) for a server."""
    said = {
        "HostName": server.host,
        "Port": server.port,
        "User": server.user,
        "IdentityFile": server.key,
        "UserKnownHostsFile": server.known_hosts,
        **more,
    }
    lines = [f"  {key} {value}" for key, value in said.items() if value is not None]
    return "\n".join([f"Host {name}", *lines, ""])


def configure(home: Path, *blocks: str) -> Path:
    file = home / ".ssh/config"
    file.write_text("\n".join(blocks))
    return file


@pytest.mark.usefixtures("_reader")
def test_an_alias_is_all_that_a_pushfile_needs(home: Path, ssh_server: Sshd, ssh_directory: ServerDirectory) -> None:
    configure(home, block("blog", ssh_server))
    with remote_on(ssh_server, ssh_directory.path, **BARE) as remote:
        assert remote.stat("") is not None


@pytest.mark.usefixtures("_reader")
def test_the_pushfile_goes_before_the_configuration(home: Path, ssh_server: Sshd, tmp_path: Path) -> None:
    wrong = {"Port": 1, "User": "nobody", "IdentityFile": "/missing", "UserKnownHostsFile": "/missing"}
    file = configure(home, block("*", ssh_server, HostName=None, **wrong))
    with remote_on(ssh_server):
        pass
    # And a file of the Pushfile's before that of the home directory.
    other = tmp_path / "other"
    file.rename(other)
    configure(home, block("blog", ssh_server))
    with pytest.raises(TargetError, match="no such host"), remote_on(ssh_server, ssh_config=str(other), host="blog"):
        pass


def test_include_and_match_exec_are_understood(home: Path, ssh_server: Sshd) -> None:
    (home / ".ssh/more").write_text(block("blog", ssh_server, Port=None))
    configure(home, f"Include {home}/.ssh/more", f'Match originalhost blog exec "true"\n  Port {ssh_server.port}\n')
    with remote_on(ssh_server, **BARE):
        pass


def test_a_file_that_ssh_does_not_understand_is_named(home: Path, ssh_server: Sshd) -> None:
    file = configure(home, "Host blog\n  Prot 22\n")
    with pytest.raises(TargetError, match=rf"{file}.*line 2.*(?i:bad configuration option: prot)") as caught:
        remote_on(ssh_server, **BARE).__enter__()
    assert caught.value.exit_code == 7


@pytest.mark.usefixtures("_reader")
def test_a_key_is_known_by_the_alias_of_its_host(home: Path, ssh_server: Sshd) -> None:
    known = home / "known"
    known.write_text(f"the-blog {ssh_server.host_key}\n")
    configure(home, block("blog", ssh_server, UserKnownHostsFile=known, HostKeyAlias="the-blog"))
    with remote_on(ssh_server, **BARE):
        pass
    known.write_text(known_host(ssh_server.host, ssh_server.port, ssh_server.host_key))
    with pytest.raises(TargetError, match="host key is not known"), remote_on(ssh_server, **BARE):
        pass


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize("said", ["configuration", "Pushfile"])
def test_a_server_is_reached_through_two_others(
    home: Path, gate: Sshd, ssh_server: Sshd, ssh_directory: ServerDirectory, said: str
) -> None:
    with running(home / "second") as second:
        ways = [block("gate", gate), block("second", second)]
        jump = {"ProxyJump": "gate,second"} if said == "configuration" else {}
        configure(home, *ways, block("blog", ssh_server, **jump))
        more: dict[str, Any] = {} if jump else {"jump": "gate,second"}
        with remote_on(ssh_server, ssh_directory.path, **BARE, **more) as remote:
            remote.write("file", [b"content" * 100_000], 0o644)
        assert (ssh_directory.local / "file").read_bytes() == b"content" * 100_000
        assert "Accepted publickey" in gate.log
        assert "Accepted publickey" in second.log


def test_nobody_logs_in_where_the_key_of_a_server_on_the_way_is_not_known(
    home: Path, gate: Sshd, ssh_server: Sshd
) -> None:
    before = len(ssh_server.log)
    for harm in ("unknown", "changed"):
        key = KeyPair.generate(home / harm).public
        gate.known_hosts.write_text("" if harm == "unknown" else known_host(gate.host, gate.port, key))
        configure(home, block("gate", gate), block("blog", ssh_server, ProxyJump="gate"))
        with pytest.raises(TargetError, match=rf"{gate.port}: .*(?i:not known|has changed)") as caught:
            remote_on(ssh_server, **BARE).__enter__()
        # A pin would be that of the target.
        assert "host_key =" not in caught.value.hint
    assert "Accepted" not in gate.log
    assert "Failed" not in gate.log
    assert ssh_server.log[before:] == ""


def test_a_password_is_not_shown_to_a_server_on_the_way(home: Path, tmp_path: Path, ssh_server: Sshd) -> None:
    class Asking(Sshd):
        def _configuration(self) -> list[str]:
            return ["PasswordAuthentication yes", "PubkeyAuthentication no", *super()._configuration()]

    (tmp_path / "asking").mkdir()
    with Asking(tmp_path / "asking") as asking:
        configure(home, block("gate", asking), block("blog", ssh_server, ProxyJump="gate"))
        with pytest.raises(TargetError, match="does not let"):
            remote_on(ssh_server, **BARE, password="secret").__enter__()
        for _ in range(100):
            if "[preauth]" in asking.log:
                break
            time.sleep(0.05)
        assert "[preauth]" in asking.log
        assert "password" not in asking.log


def test_a_way_that_leads_nowhere_is_told(home: Path, gate: Sshd, ssh_server: Sshd, transport: str) -> None:
    configure(home, block("gate", gate), block("blog", ssh_server, Port=1, ProxyJump="gate"))
    with pytest.raises(TargetError, match=rf":{gate.port} does not lead to .*:1: Connect(ion refused| failed)"):
        remote_on(ssh_server, **BARE).__enter__()
    configure(home, block("gate", gate, ProxyJump="blog"), block("blog", ssh_server, ProxyJump="gate"))
    with pytest.raises(TargetError, match="over 8 servers lead to it"):
        remote_on(ssh_server, **BARE).__enter__()
    # What is said of every host does not lead the server on the way to itself; ssh takes it by its word.
    configure(home, block("gate", gate), block("blog", ssh_server), "Host *\n  ProxyJump gate\n")
    if transport == "openssh":
        with pytest.raises(TargetError, match="leads to gate through gate itself"):
            remote_on(ssh_server, **BARE).__enter__()
    else:
        with remote_on(ssh_server, **BARE):
            pass


def test_a_server_behind_another_port_of_the_same_host_is_reached_through_it(
    home: Path, gate: Sshd, ssh_server: Sshd
) -> None:
    gate.known_hosts.write_text(gate.known_hosts.read_text() + ssh_server.known_hosts.read_text())
    lines = {"Port": gate.port, "IdentityFile": gate.key, "UserKnownHostsFile": gate.known_hosts, "User": gate.user}
    configure(home, block("127.0.0.1", gate, **lines), block("blog", ssh_server, ProxyJump="127.0.0.1"))
    with remote_on(ssh_server, **BARE):
        pass
    assert "Accepted publickey" in gate.log


@pytest.mark.usefixtures("_reader")
def test_mistakes_are_told_as_such(home: Path, ssh_server: Sshd) -> None:
    configure(home, block("blog", ssh_server, ConnectTimeout=0))
    with remote_on(ssh_server, **BARE):
        pass
    configure(home, block("blog", ssh_server, IdentityFile="~nobody-at-all/key"))
    with pytest.raises(TargetError, match=r"there is no such user|does not let"):
        remote_on(ssh_server, **BARE).__enter__()
    configure(home, block("blog", ssh_server))
    ssh_server.known_hosts.write_text("ein alter schl\u00fcssel\n" + ssh_server.known_hosts.read_text())
    with remote_on(ssh_server, **BARE):
        pass


@pytest.mark.usefixtures("_reader")
def test_a_command_leads_to_a_server(home: Path, ssh_server: Sshd) -> None:
    configure(home, block("blog", ssh_server, ProxyCommand=f"{shutil.which('busybox')} nc %h %p"))
    with remote_on(ssh_server, **BARE) as remote:
        remote.free_space()
    configure(home, block("blog", ssh_server, ProxyCommand="echo no"))
    with pytest.raises(TargetError, match=r"is open, but|hung up"):
        remote_on(ssh_server, **BARE).__enter__()
    configure(home, block("*", ssh_server, HostName=None, ProxyCommand="touch x; nc %h"))
    with pytest.raises(TargetError, match=r"is not given to a ProxyCommand|invalid characters"):
        remote_on(ssh_server, **{**BARE, "host": "$(id)"}).__enter__()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real SSH agent without keys."""
    path = str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:
            while not os.path.exists(path):
                threading.Event().wait(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            yield
        finally:
            process.terminate()


def add(*keys: Path) -> None:
    """Give keys to the agent."""
    subprocess.run(["ssh-add", "-q", *keys], check=True)


@pytest.mark.usefixtures("agent")
def test_of_a_full_agent_only_the_configured_key_is_tried(home: Path, tmp_path: Path, ssh_server: Sshd) -> None:
    add(*(KeyPair.generate(tmp_path / f"key{number}").path for number in range(8)), ssh_server.key)
    # The agent alone can sign with it.
    (home / "mine.pub").write_text(ssh_server.public_key + "\n")
    (home / "mine").write_text("")
    for only in ("yes", "no"):
        configure(home, block("blog", ssh_server, IdentityFile=home / "mine", IdentitiesOnly=only))
        with remote_on(ssh_server, **BARE, agent=True):
            pass
    configure(home, block("blog", ssh_server, IdentityFile=home / "another", IdentitiesOnly="yes"))
    with pytest.raises(TargetError, match="Tried: nothing"):
        remote_on(ssh_server, **BARE, agent=True).__enter__()


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("transport", ["paramiko", "openssh"])
@pytest.mark.parametrize("said", ["{path}", "$MY_AGENT", "${{MY_AGENT}}"])
def test_the_agent_that_the_configuration_names_signs(
    home: Path, ssh_server: Sshd, monkeypatch: pytest.MonkeyPatch, said: str, transport: str
) -> None:
    add(ssh_server.key)
    path = Path(os.environ["SSH_AUTH_SOCK"])
    monkeypatch.setenv("MY_AGENT", str(path))
    monkeypatch.delenv("SSH_AUTH_SOCK")
    options = {**BARE, "agent": True, "transport": transport}
    configure(home, block("blog", ssh_server, IdentityFile="none"))
    with pytest.raises(TargetError, match="Tried: nothing"):
        remote_on(ssh_server, **options).__enter__()
    configure(home, block("blog", ssh_server, IdentityFile="none", IdentityAgent=f'"{said.format(path=path)}"'))
    with remote_on(ssh_server, **options):
        pass
    configure(home, block("blog", ssh_server, IdentityFile="none", IdentityAgent="SSH_AUTH_SOCK"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    with remote_on(ssh_server, **options):
        pass


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("held", ["beside the key", "named", "by the agent"])
def test_a_certificate_logs_in(home: Path, tmp_path: Path, held: str) -> None:
    authority, mine = KeyPair.generate(tmp_path / "authority"), KeyPair.generate(home / "mine")
    (home / "mine.pub").write_text(mine.public + "\n")

    class Trusting(Sshd):
        def _configuration(self) -> list[str]:
            (self._directory / "ca").write_text(authority.public + "\n")
            return [f"TrustedUserCAKeys {self._directory / 'ca'}", *super()._configuration()]

    (tmp_path / "sshd").mkdir()
    with Trusting(tmp_path / "sshd") as server:
        sign = ["ssh-keygen", "-q", "-s", str(authority.path), "-I", "a test", "-n", server.user, f"{home}/mine.pub"]
        subprocess.run(sign, check=True, capture_output=True)
        more: dict[str, object] = {"IdentityFile": mine.path}
        match held:
            case "named":
                (home / "mine-cert.pub").rename(home / "certificate")
                more["CertificateFile"] = home / "certificate"
            case "by the agent":
                add(mine.path)
                more["IdentityFile"] = home / "missing"
        configure(home, block("blog", server, **more))
        with remote_on(server, **BARE, agent=held == "by the agent"):
            pass
        assert "Accepted certificate" in server.log or "ED25519-CERT" in server.log


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("", True),
        ("# Host web\nServerAliveInterval 5\nHost *\n  User ann\n", True),
        ("Host web*\n  User ann\n", False),
        ("Host=web\n", False),
        ("Match host web\n  User ann\n", False),
        ("HostName %h.example.com\n", False),
        ("IdentityFile ~/.ssh/keys/%h\n", False),
        ("CanonicalizeHostname yes\n", False),
        ("Include {here}/nothing.d/*\n", True),
        ("Include {here}/more\n", False),
        ("Include more\n", False),
        ("Include {here}/itself\n", False),
    ],
)
def test_a_configuration_that_is_the_same_for_all_hosts_is_told(text: str, same: bool, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Host web\n")
    (tmp_path / "itself").write_text(f"Include {tmp_path}/itself\n")
    file = tmp_path / "config"
    file.write_text(text.replace("{here}", str(tmp_path)))
    assert ssh_config.says_the_same(file) is same


def test_what_ssh_says_once_for_all_hosts_is_what_it_says_of_each(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("Host *\n  User ann\n  IdentityFile ~/.ssh/%h\n  ServerAliveInterval 7\n")
    program = shutil.which("ssh")
    assert program
    for address in (Address("", "Web1.example.com", 0), Address("bob", "web2", 2222), Address("", "::1", 0)):
        assert ssh_config.shared(program, address, file) == ssh_config.asked(program, address, file)
