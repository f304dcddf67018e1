"""The whole command, against a real nginx that takes files by PUT over TLS."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.testing import CertificateAuthority, Fault, FaultProxy, Nginx, Way
from pushkit.testing.plugin import require
from servers.git_site import GitSite
from servers.test_git import descendants, wait_for


class HttpSite(GitSite):
    """A project whose target is a file on the server."""

    strategy = "http"

    def __init__(self, base: Path, server: Nginx, authority: Path, name: str) -> None:
        super().__init__(base, base, "")
        self.options = {
            "url": f"{server.url}/builds/{name}/{{digest}}.tar.gz",
            "user": server.user,
            "password": "${env:PASSWORD}",
            "ca_file": str(authority),
        }
        self.environment["PASSWORD"] = server.password
        self.directory = server.files / "builds" / name


class Place:
    """The server, and the authority that vouches for it."""

    def __init__(self, base: Path) -> None:
        self.authority = CertificateAuthority(base)
        self.server = Nginx(base, certificate=self.authority.issue("server", "localhost"), limit="2m")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    require(Nginx)
    place = Place(tmp_path_factory.mktemp("nginx"))
    with place.server:
        yield place


@pytest.fixture
def site(place: Place, tmp_path: Path) -> HttpSite:
    return HttpSite(tmp_path, place.server, place.authority.file, tmp_path.name)


def test_an_archive_arrives_and_the_same_one_is_not_sent_again(site: HttpSite) -> None:
    done = site.push("--json", "-v")
    assert done.returncode == 0, done.stderr
    (file,) = site.directory.iterdir()
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as archive:
        assert set(archive.getnames()) == {"css", "css/site.css", "index.html"}
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["receipt"]["outcome"] == "done"
    assert site.environment["PASSWORD"] not in done.stdout + done.stderr
    before = file.stat().st_mtime_ns
    done = site.push()
    assert (done.returncode, "nothing to do" in done.stderr) == (0, True), done.stderr
    assert file.stat().st_mtime_ns == before


def test_what_the_server_refuses_is_told_with_the_exit_code_for_it(site: HttpSite, place: Place) -> None:
    site.environment["PASSWORD"] = "n0t-the-passw0rd"
    done = site.push("-v")
    assert (done.returncode, "n0t-the-passw0rd" in done.stderr) == (7, False), done.stderr
    assert "401" in done.stderr
    site.environment["PASSWORD"] = place.server.password
    (site.root / "large").write_bytes(os.urandom(3 << 20))
    done = site.push()
    assert (done.returncode, "413" in done.stderr) == (7, True), done.stderr
    assert not site.directory.exists()


def test_ctrl_c_in_the_middle_of_an_upload_leaves_nothing_and_says_so(site: HttpSite, place: Place) -> None:
    (site.root / "large").write_bytes(os.urandom(1 << 20))
    with FaultProxy((place.server.host, place.server.port), rate=100_000) as proxy:
        url = str(site.options["url"]).replace(str(place.server.port), str(proxy.port))
        process = site.start(url=url)
        arriving = place.server.files.parent / "temporary-client_body"
        wait_for(lambda: any(arriving.iterdir()))
        for pid in descendants(process.pid):
            assert place.server.password.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=30)
    assert (process.returncode, "0 of 1 steps were done" in err) == (130, True), err
    wait_for(lambda: not any(arriving.iterdir()))
    assert not site.directory.exists()


def through(site: HttpSite, place: Place, proxy: FaultProxy) -> str:
    """The target's URL by way of the relay."""
    return str(site.options["url"]).replace(str(place.server.port), str(proxy.port))


def whole(site: HttpSite) -> set[str]:
    """The names in the one archive that arrived."""
    (file,) = site.directory.iterdir()
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as archive:
        return set(archive.getnames())


def test_after_a_kill_in_the_middle_of_an_upload_the_next_push_arrives_whole(site: HttpSite, place: Place) -> None:
    (site.root / "large").write_bytes(os.urandom(1 << 20))
    with FaultProxy((place.server.host, place.server.port), rate=100_000) as proxy:
        process = site.start(url=through(site, place, proxy))
        arriving = place.server.files.parent / "temporary-client_body"
        wait_for(lambda: any(arriving.iterdir()))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    wait_for(lambda: not any(arriving.iterdir()))
    assert not site.directory.exists(), "half an archive is never at its place"
    site.good()
    assert "large" in whole(site)


def test_a_line_that_is_cut_is_told_and_the_archive_sent_again(site: HttpSite, place: Place) -> None:
    (site.root / "large").write_bytes(os.urandom(1 << 20))
    with FaultProxy((place.server.host, place.server.port)) as proxy:
        proxy.cut(Fault.RESET, 500_000, Way.UP, once=True)
        done = site.push(url=through(site, place, proxy))
    assert (done.returncode, "was lost" in done.stderr, "trying again" in done.stderr) == (0, True, True), done.stderr
    assert "large" in whole(site)


def test_a_server_that_ends_in_the_middle_of_an_upload_is_told(site: HttpSite, place: Place) -> None:
    (site.root / "large").write_bytes(os.urandom(1 << 20))
    with FaultProxy((place.server.host, place.server.port), rate=200_000) as proxy:
        process = site.start("--json", url=through(site, place, proxy), retries=0)
        arriving = place.server.files.parent / "temporary-client_body"
        wait_for(lambda: any(arriving.iterdir()))
        place.server.stop()
        try:
            out, err = process.communicate(timeout=30)
        finally:
            port = place.server.port
            place.server.start()
    assert process.returncode == 8, err
    assert "it is not known whether the archive arrived" in err
    assert json.loads(out.splitlines()[-1])["receipt"]["outcome"] == "failed"
    assert "Traceback" not in err
    # It listens elsewhere now, and has nothing of it.
    site.good(url=str(site.options["url"]).replace(str(port), str(place.server.port)))
    assert "large" in whole(site)


def test_what_is_to_stay_is_not_replaced_by_a_server_that_would(site: HttpSite, place: Place) -> None:
    url = f"{place.server.url}/builds/{site.directory.name}/fixed.tar.gz"
    site.good(url=url)
    before = (site.directory / "fixed.tar.gz").read_bytes()
    (site.root / "index.html").write_text("another")
    done = site.push(url=url, replace=False)
    assert (done.returncode, "something else, which may not be replaced" in done.stderr) == (6, True), done.stderr
    assert (site.directory / "fixed.tar.gz").read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_server_whose_disk_is_full_is_told_and_has_no_half_of_it(tmp_path: Path) -> None:
    require(Nginx)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", small], check=True)
    try:
        authority = CertificateAuthority(tmp_path)
        with Nginx(small, certificate=authority.issue("server", "localhost")) as server:
            site = HttpSite(tmp_path, server, authority.file, "full")
            (site.root / "large").write_bytes(os.urandom(1 << 20))
            done = site.push()
            assert (done.returncode, "was answered 500" in done.stderr) == (8, True), done.stderr
            assert "look at the server's log" in done.stderr
            assert "No space left" in server.log
            assert not site.directory.exists()
            (site.root / "large").unlink()
            site.good()
    finally:
        subprocess.run(["umount", small], check=True)
