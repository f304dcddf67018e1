"""The ssh program where it is missing, cannot be run, or does not take what its configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushkit import TargetError
from pushkit_sftp import ssh_config
from pushkit_sftp.connection import proxied
from pushkit_sftp.destination import destination
from pushkit_sftp.options import Address, SftpOptions
from pushkit_sftp.session import connected

BLOG = Address("", "blog", 0)


def program(directory: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this be what is found as ssh."""
    directory.mkdir()
    (directory / "ssh").write_text(text)
    (directory / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))


def test_a_configuration_that_ssh_does_not_take_is_told_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host blog\n  Nonsense yes\n")
    with pytest.raises(TargetError, match=r"ssh cannot use its configuration: .*line 2: Bad configuration option"):
        ssh_config.configuration(BLOG, tmp_path / "config")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("#!/nowhere/sh\n", "cannot be run: No such file or directory", id="no interpreter"),
        pytest.param("#!/bin/sh\nexit 3\n", "ssh cannot use its configuration: ", id="no words"),
        pytest.param("#!/bin/sh\nsleep 600\n", "ssh took over 0.5 s to read its configuration", id="no end"),
    ],
)
def test_an_ssh_that_gives_no_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    (tmp_path / "config").write_text("Host blog\n  User ada\n")
    program(tmp_path / "bin", text.replace("sleep", "/bin/sleep"), monkeypatch)
    monkeypatch.setattr(ssh_config, "PATIENCE", 0.5)
    with pytest.raises(TargetError, match=words):
        ssh_config.configuration(BLOG, tmp_path / "config")


def test_a_command_on_the_way_needs_ssh_where_the_pushfile_names_the_user(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host blog\n  ProxyCommand nc %h %p\n")
    with pytest.raises(TargetError) as caught:
        ssh_config.read(Address("ada", "blog", 0), tmp_path / "config")
    assert caught.value.message == (
        f"{tmp_path}/config: a ProxyCommand needs the ssh program where the Pushfile names a user or a port"
    )
    assert caught.value.hint == "install ssh, or name them in that file alone"


def test_an_environment_that_no_program_takes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = SftpOptions(host="127.0.0.1", path="/srv", transport="openssh", ssh_config=Path("/dev/null"))
    there = destination(options, tmp_path, "ada")
    monkeypatch.setenv("LARGE", "x" * 200_000)
    with pytest.raises(TargetError, match=r"ssh cannot be run: Argument list too long$") as caught:
        connected(there, options, tmp_path, "ada")
    assert caught.value.hint == 'set transport = "paramiko"'


def test_where_there_is_no_ssh_its_connections_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = SftpOptions(host="127.0.0.1", path="/srv", transport="openssh", ssh_config=Path("/dev/null"))
    there = destination(options, tmp_path, "ada")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match='transport = "openssh" cannot be: there is no ssh program') as caught:
        connected(there, options, tmp_path, "ada")
    assert caught.value.hint == 'set transport = "auto"'


def test_a_command_on_the_way_that_no_shell_runs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("Host blog\n  ProxyCommand nc %h %p\n")
    options = SftpOptions(host="blog", path="/srv", ssh_config=tmp_path / "config")
    there = destination(options, tmp_path, "ada")
    monkeypatch.setenv("SHELL", "/nowhere/sh")
    with pytest.raises(TargetError, match=r"blog.*: the ProxyCommand cannot be run: No such file or directory"):
        proxied(there)
