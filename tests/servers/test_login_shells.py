"""Accounts whose login shell runs no commands, or only some: SFTP alone, or a clear refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pushkit.testing import Account, Sshd, can_make_accounts
from pushkit.testing.plugin import require
from servers.test_push import Project, described

# How each refuses the command that push tries first.
SHELLS = {
    "rbash": "it said: .*exec: restricted",
    "git-shell": "it said: fatal: unrecognized command",
    "nologin": "it said: This account is currently not available.",
    "false": "the server ended the SFTP session",
}
PLACES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
TRANSPORTS = ("paramiko", "openssh")


class External(Sshd):
    """Its SFTP server is a program, which the login shell has to start."""

    def _configuration(self) -> list[str]:
        program = next((each for each in SFTP_SERVERS if Path(each).exists()), None)
        if program is None:
            pytest.skip("there is no sftp-server on this machine")
        return [line.replace("internal-sftp", program) for line in super()._configuration()]


Target = Callable[[type[Sshd], str], tuple[Project, Path]]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """A function that makes a project whose target is a server with an account of that login shell, and a directory."""
    require(Sshd)
    if not can_make_accounts():
        pytest.skip("a throw-away system user can only be made by root")
    with ExitStack() as stack:

        def made(kind: type[Sshd], name: str) -> tuple[Project, Path]:
            shell = next((f"{place}/{name}" for place in PLACES if Path(place, name).exists()), None)
            if shell is None:
                pytest.skip(f"{name} is not installed")
            (tmp_path / "sshd").mkdir()
            account = Account(shell=shell)
            stack.callback(account.remove)
            server = stack.enter_context(kind(tmp_path / "sshd", account))
            directory = stack.enter_context(server.new_directory())
            project = Project(tmp_path / "blog", tmp_path / "home", server, directory.path)
            project.options["agent"] = False
            (project.root / "css").mkdir()
            (project.root / "index.html").write_text("one")
            (project.root / "css/site.css").write_text("h1 {}")
            return project, directory.local

        yield made


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_that_runs_no_commands_does_not_matter_where_sshd_has_its_own_sftp(
    target: Target, shell: str, transport: str
) -> None:
    project, there = target(Sshd, shell)
    checked = project.push("check", transport=transport)
    assert checked.returncode == 0, checked.stderr
    assert "the account has SFTP and no shell" in checked.stdout
    for content in ("one", "another"):
        (project.root / "index.html").write_text(content)
        done = project.push(transport=transport)
        assert done.returncode == 0, done.stderr
        pushed = described(project.root)
        del pushed[b"Pushfile"]
        assert described((there / "current").resolve()) == pushed
    back = project.push("rollback", transport=transport)
    assert back.returncode == 0, back.stderr
    assert (there / "current/index.html").read_text() == "one"
    refused = project.push(transport=transport, after_switch="true")
    assert (refused.returncode, "shell" in refused.stderr) == (6, True)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("shell", SHELLS)
def test_an_account_without_commands_and_sftp_is_told_of_in_plain_words(
    target: Target, shell: str, transport: str
) -> None:
    project, there = target(External, shell)
    for arguments in (("check",), ()):
        done = project.push(*arguments, transport=transport)
        assert (done.returncode, done.stdout) == (7, "")
        message, hint = done.stderr.splitlines()[-2:]
        plain = "the server lets us in, but this account may neither run commands nor use SFTP"
        assert plain in message
        assert re.search(rf"\({SHELLS[shell]}\)$", message), message
        assert hint.startswith("  hint: let it use SFTP: ")
    assert list(there.iterdir()) == []
