"""How-to pages, done as they say on real servers: shared-hosting.md, from-git-ftp.md, vps.md and look.md."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cli.project import PUSH
from docs.blocks import TOP, of
from pushkit.testing import CertificateAuthority, EmbeddedSsh, FtpServer, ServerDirectory
from recorder.sitecustomize import recorded

HOW_TO = TOP / "docs/how-to"


class Reader:
    """Somebody with the project ``blog``, who writes a page's Pushfile with what is theirs in place of its examples."""

    def __init__(self, base: Path, page: str, instead: dict[str, str], more: str) -> None:
        self.root = base / "blog"
        self.root.mkdir()
        (self.root / "index.html").write_text("one\n")
        self._page = page
        self.environment = {**recorded(), "PATH": f"{Path(PUSH).parent}:/usr/bin:/bin", "HOME": str(base)}
        pushfile = next((each.text for each in of(HOW_TO / page) if each.language == "toml"), "")
        for theirs, ours in instead.items():
            assert theirs in pushfile, theirs
            pushfile = pushfile.replace(theirs, ours)
        (self.root / "Pushfile").write_text(pushfile.rstrip() + f"\n{more}")

    def follow(self, section: str = "", **instead: str) -> list[str]:
        """Type the commands of a section, or those before the first one; what each printed."""
        printed = []
        text = (HOW_TO / self._page).read_text()
        first = text.partition("\n## ")[0].count("\n")
        for block in of(HOW_TO / self._page, section):
            if block.language in {"console", "sh"} and (section or block.line <= first):
                lines = [line for line, _ in block.commands] if block.language == "console" else block.text.splitlines()
                for line in lines:
                    for theirs, ours in instead.items():
                        line = line.replace(theirs, ours)  # noqa: PLW2901
                    printed.append(self.type(line))
        assert printed
        return printed

    def type(self, line: str) -> str:
        """Type one line, which has to succeed; what it printed."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.mark.parametrize("page", ["shared-hosting.md", "from-git-ftp.md"])
def test_a_site_at_a_hosting_company_is_pushed_and_one_that_is_there_is_taken_over(
    page: str, tmp_path: Path, pyftpd_server: FtpServer, pyftpd_directory: ServerDirectory,
    certificate_authority: CertificateAuthority,
) -> None:  # fmt: skip
    ours = {
        "ftp.example.com": f"{pyftpd_server.host}:{pyftpd_server.port}",
        'user = "blog"': f'user = "{pyftpd_server.user}"',
        "/htdocs": pyftpd_directory.path,
    }
    reader = Reader(tmp_path, page, ours, f'ca_file = "{certificate_authority.file}"\n')
    reader.environment["FTP_PASSWORD"] = pyftpd_server.password
    live = pyftpd_directory.local
    (live / "guestbook").write_text("a visitor's")
    if page == "shared-hosting.md":
        reader.follow()
        assert (live / "index.html").read_text() == "one\n"
    else:
        for line in ("git init -q -b main", "git add .", "git -c user.name=a -c user.email=a@b.c commit -q -m one"):
            reader.type(line)
        (live / "index.html").write_text("by git-ftp\n")
        planned, _ = reader.follow()
        assert "index.html" in planned
        assert (live / "index.html").read_text() == "one\n"
    assert (live / "guestbook").read_text() == "a visitor's"


def test_a_push_in_two_steps_and_a_hold_on_a_vps(tmp_path: Path, embedded_ssh: EmbeddedSsh) -> None:
    reader = Reader(
        tmp_path,
        "vps.md",
        {
            "deploy@web1.example.com": f"{embedded_ssh.user}@{embedded_ssh.host}:{embedded_ssh.port}",
            "/srv/blog": "blog",
            "php bin/console cache:warmup": "cp index.html warm",
            "sudo systemctl reload php-fpm": "echo reloaded >>../../reloads",
        },
        f'key = "{embedded_ssh.key}"\nknown_hosts = "{embedded_ssh.known_hosts}"\ntransport = "paramiko"\n',
    )
    there = embedded_ssh.directory / "blog"
    (there / "shared").mkdir(parents=True)
    (there / "shared/.env").write_text("KEY=1")
    prepared, _ = reader.follow("Push in two steps", **{"000042": "000001"})
    assert (there / "current").readlink().name == prepared.strip()
    assert (there / "current/warm").read_text() == "one\n"
    assert (there / "current/.env").read_text() == "KEY=1"
    assert (there / "shared/uploads").is_dir()
    assert (there / "reloads").read_text() == "reloaded\n"
    reader.follow("Keep others out")


def test_what_somebody_changed_is_repaired_and_a_script_sees_a_difference(tmp_path: Path) -> None:
    reader = Reader(tmp_path, "look.md", {}, '[target.production]\nstrategy = "dir"\npath = "../there"\n')
    reader.type("push")
    assert reader.follow("Use it in scripts") == [""]
    (reader.root / "new.html").write_text("new")
    assert "there is something to push" in reader.follow("Use it in scripts")[0]
    live = tmp_path / "there/current/index.html"
    live.write_text("by hand")
    reader.follow("Repair what somebody changed on the target")
    assert (tmp_path / "there/current/index.html").read_text() == "one\n"
