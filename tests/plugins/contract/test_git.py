"""The strategies ``git`` and ``heroku`` keep the contract, on git's own http-backend over HTTPS."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.testing import (
    CertificateAuthority,
    GitHttpServer,
    HerokuServer,
    Specimen,
    StrategyContract,
)
from pushkit.testing.server import free_port

TOKEN = "s3cr3t-t0ken-of-ann"


def git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True).stdout


def tree(repository: Path, commit: str = "refs/heads/main") -> dict[str, bytes]:
    """The files of a commit; none where it is not there."""
    if not git(repository, "for-each-ref", "--format=%(refname)", "refs/heads"):
        return {}
    names = git(repository, "ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0")
    return {name: git(repository, "cat-file", "blob", f"{commit}:{name}") for name in names if name}


class TestGit(StrategyContract):
    strategy = "git"

    @pytest.fixture
    def specimen(self, git_server: GitHttpServer, certificate_authority: CertificateAuthority) -> Iterator[Specimen]:
        name = f"{secrets.token_hex(4)}.git"
        repository = git_server.create(name)
        git_server.tokens = {TOKEN: True}
        yield Specimen(
            options={
                "remote": f"{git_server.url}/{name}",
                "token": TOKEN,
                "ca_file": str(certificate_authority.file),
            },
            live=lambda: tree(repository),
            state=lambda: git(repository, "for-each-ref"),
            unusable=[
                {"token": "n0t-the-token"},
                {"remote": f"https://localhost:{free_port('localhost')}/{name}"},
            ],
        )
        git_server.tokens = {}


class TestHeroku(StrategyContract):
    strategy = "heroku"

    @pytest.fixture
    def specimen(
        self, heroku: HerokuServer, git_server: GitHttpServer, certificate_authority: CertificateAuthority
    ) -> Iterator[Specimen]:
        name = f"blog-{secrets.token_hex(4)}"
        app = heroku.create(name)
        repository = git_server.create(f"{name}.git", heroku.hook(name))
        git_server.tokens = {TOKEN: True}

        def live() -> dict[str, bytes]:
            """The files of the commit that the live release was built from."""
            slugs = [release["slug"]["id"] for release in app.releases if release["current"]]
            return tree(repository, app.slugs[slugs[0]]["commit"]) if slugs else {}

        yield Specimen(
            options={
                "app": name,
                "token": TOKEN,
                "config": {"VAULT": "s3cr3t-word-of-the-vault"},
                "api_url": heroku.url,
                "git_url": git_server.url,
                "ca_file": str(certificate_authority.file),
            },
            live=live,
            state=lambda: (git(repository, "for-each-ref"), len(app.releases), dict(app.config)),
            unusable=[{"token": "n0t-the-token"}],
        )
        git_server.tokens = {}


@pytest.fixture(scope="module")
def heroku(
    certificate_authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HerokuServer]:
    """Heroku's API."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_authority.issue("heroku", "localhost"))
    with HerokuServer(context) as server:
        server.tokens = {TOKEN}
        yield server
