"""A stranger with the documentation only: what its pages tell to type is typed, on a machine that never had pushkit.

The machine is a new home directory, a PATH without this environment, and the wheel to install; what the wheel depends
on is that of the tests, so that nothing is fetched. The server is OpenSSH, and known as the pages call it by ssh's own
configuration. The pages are docs/tutorial.md and docs/writing-a-strategy.md.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

from cli.terminal import Terminal
from docs.blocks import TOP, add_dependencies, of
from pushkit.testing import CertificateAuthority, ServerDirectory, Sshd

ID = re.compile(r"\d{6}-\d{8}T\d{6}Z-[0-9a-f]{7}")


class Stranger:
    """Somebody at a shell, in a directory of ``home``. ``instead`` is what they have where a page has its examples."""

    def __init__(self, base: Path, instead: dict[str, str]) -> None:
        self.home = base / "home"
        self.typed = 0
        self._instead = instead
        self._state = base / "state"
        programs, self._wheels = base / "bin", base / "wheels"
        for each in (self.home, programs, self._wheels, self.home / "blog"):
            each.mkdir()
        # The interpreter that the environment of the tests was made with.
        (programs / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
        self._program(programs / "pytest", 'exec python3 -m pytest -p no:cacheprovider "$@"')
        # ssh looks for its files in the home of the user database, whatever the environment says.
        self._program(programs / "ssh", f'exec {shutil.which("ssh")} -F {self.home}/.ssh/config "$@"')
        self._environment = {
            "HOME": str(self.home),
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self._wheels),
            "PIP_NO_DEPS": "1",
            "PIP_IGNORE_INSTALLED": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # Its name is the wrong way round: with it there is no isolation, which would fetch hatchling.
            "PIP_NO_BUILD_ISOLATION": "0",
        }
        self._state.write_text(f"cd {self.home}/blog\n")
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(self._wheels)]
        subprocess.run(build, cwd=TOP, check=True, capture_output=True)

    @staticmethod
    def _program(path: Path, line: str) -> None:
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def has_installed(self) -> None:
        """Let them have done what the section on installing says, in a shorter time."""
        self.type("python3 -m venv --without-pip ~/.venvs/push")
        self._install(f"{self.home}/.venvs/push")
        self.type(". ~/.venvs/push/bin/activate")
        self.typed = 0

    def type(self, line: str, answer: str = "") -> tuple[str, str]:
        """Type one line, which has to succeed; its output, and what it said to a person."""
        self.typed += 1
        for theirs, ours in self._instead.items():
            line = line.replace(theirs, ours)
        kept = f'{{ pwd | sed "s/^/cd /"; export -p; }} >{self._state}'
        script = f". {self._state}\n{line}\ncode=$?\n{kept}\nexit $code\n"
        command = ["bash", "--norc", "-c", script]
        if answer:
            with Terminal(command, self.home, self._environment) as terminal:
                terminal.wait_for("[y/N]")
                terminal.type(answer)
                code, out = terminal.end()
                said = terminal.seen
        else:
            done = subprocess.run(
                command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            code, out, said = done.returncode, done.stdout, done.stderr
        assert code == 0, f"$ {line}\n{out}{said}"
        if found := re.search(r"-m venv (?:--\S+ )?(\S+)", line):
            self._depend(found[1])
        return out, said

    def _depend(self, environment: str) -> None:
        """Let a new environment have what pushkit and its development depend on, behind what is installed in it."""
        find = ["bash", "-c", f". {self._state}; cd {environment}; pwd"]
        where = subprocess.run(find, env=self._environment, capture_output=True, text=True, check=True).stdout.strip()
        site = Path(sysconfig.get_path("purelib", vars={"base": where}))
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        if where != f"{self.home}/.venvs/push":
            # A plugin's environment is to get pushkit as what the plugin depends on.
            self._install(where)

    def _install(self, environment: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", f"{environment}/bin/python", "install", "-q", "pushkit"]
        subprocess.run(pip, env=self._environment, check=True, capture_output=True)

    def follow(self, page: str, section: str, said: str = "") -> str:
        """Type the commands of a section, and compare what the page says they print. The last one's output."""
        out = ""
        for block in of(TOP / page, section):
            for line, shown in block.commands if block.language == "console" else ():
                out, told = self.type(line, said if "push trust" in line else "")
                assert masked(shown.strip()) in masked(out + told)
        return out


def masked(text: str) -> str:
    """``text`` with the part of a release's id that differs in every push taken out."""
    return ID.sub(lambda found: found[0][:6], text)


def promised(task: str) -> int:
    """How many commands the front page says that a task takes."""
    found = re.search(rf"^\| {task}[^|]*\| (\d+) \|", (TOP / "docs/index.md").read_text(), re.MULTILINE)
    assert found, task
    return int(found[1])


def test_a_stranger_pushes_for_the_first_time_and_undoes_a_bad_push(
    tmp_path: Path, ssh_server: Sshd, ssh_directory: ServerDirectory
) -> None:
    stranger = Stranger(tmp_path, {"deploy@": f"{ssh_server.user}@", "/srv/blog": ssh_directory.path})
    (stranger.home / ".ssh").mkdir(mode=0o700)
    (stranger.home / ".ssh/config").write_text(
        f"Host web1.example.com\n  HostName {ssh_server.host}\n  Port {ssh_server.port}\n"
        f"  IdentityFile {ssh_server.key}\n  UserKnownHostsFile {stranger.home}/.ssh/known_hosts\n"
    )
    blog, live = stranger.home / "blog", ssh_directory.local / "current"
    (blog / "css").mkdir()
    (blog / "css/site.css").write_text("body { max-width: 40em }\n")
    (blog / "index.html").write_text("<h1>Hello</h1>\n")

    stranger.follow("docs/tutorial.md", "Install")
    assert str(stranger.home) in stranger.type("command -v push")[0], "it is their own push"
    stranger.typed -= 1
    stranger.follow("docs/tutorial.md", "First push", said="y\n")
    assert (live / "index.html").read_text() == "<h1>Hello</h1>\n"
    assert sorted(path.name for path in live.iterdir()) == ["css", "index.html"]
    assert stranger.typed == promised("push to your server for the first time")

    stranger.follow("docs/tutorial.md", "Push a change")
    assert (live / "index.html").read_text() == "<h1>Hello again</h1>\n"

    told = stranger.follow("docs/tutorial.md", "Roll back a bad push")
    assert (live / "index.html").read_text() == "<h1>Hello again</h1>\n"
    assert [line.split()[-1] for line in told.splitlines()] == ["good", "good", "good", "back"]
    assert (blog / "index.html").read_text() == "<h1>Hello wrld\n", "their own files stay as they are"
    (undone,) = (each for each in of(TOP / "docs/tutorial.md", "Roll back a bad push") if "rollback" in each.text)
    assert len(undone.commands) == promised("undo a bad push")


@contextmanager
def dav(directory: Path, authority: CertificateAuthority):  # type: ignore[no-untyped-def]
    """The WebDAV server of the page's own tests: the directory that it serves, and where that is."""
    _, tests, _ = (each.text for each in of(TOP / "docs/writing-a-strategy.md") if each.language == "python")
    names: dict[str, object] = {}
    # Not as a fixture, and without the strategy, which is not installed here.
    code = tests.replace("@pytest.fixture\ndef site", "def site").partition("class TestWebdav")[0]
    exec(re.sub(r"^from pushkit_webdav.*$", "", code, flags=re.MULTILINE), names)
    yield from names["site"](directory, authority)  # type: ignore[operator]


def test_a_stranger_writes_a_strategy_and_pushes_with_it(
    tmp_path: Path, certificate_authority: CertificateAuthority
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    page = "docs/writing-a-strategy.md"
    with dav(served, certificate_authority) as (_, url):
        stranger = Stranger(
            tmp_path,
            {
                "https://dav.example.com/site/": url,
                "--set user=ann": f"--set user=ann --set ca_file={certificate_authority.file}",
            },
        )
        stranger.has_installed()
        tested = stranger.follow(page, "Begin")
        assert re.search(r"\b[0-9]+ passed", tested)

        strategy = next(each.text for each in of(TOP / page) if each.language == "python")
        (stranger.home / "blog/pushkit-webdav/pushkit_webdav/strategy.py").write_text(strategy)
        add_dependencies(stranger.home / "blog/pushkit-webdav/pyproject.toml")
        stranger.follow(page, "Write it")
        notes = stranger.home / "notes"
        notes.mkdir()
        (notes / "page.txt").write_text("hello")
        # They go to their other project, and have the password at hand.
        stranger.type(f"cd {notes}; export DAV_PASSWORD=s3cr3t-of-ann")
        stranger.typed -= 1
        stranger.follow(page, "Use it")
        assert (served / "page.txt").read_text() == "hello"
        assert stranger.typed == promised("push to a place that `push` does not know yet")
