"""The strategy `git` with AWS's own helper for CodeCommit: its address and its signature, at a real repository."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.testing import CertificateAuthority, GitHttpServer
from servers.git_site import GitSite, git

KEY, SECRET = "AKIAEXAMPLE", "the secret of ann"
REGION = "eu-west-1"


class CodeCommit(GitHttpServer):
    """Repositories below ``/v1/repos``, for whom signs as the helper does (AWS Signature Version 4, method GIT)."""

    def status_for(self, target: str, user: str, password: str) -> int:
        """Whether the signature is that of the key, for this host and repository."""
        moment, _, signature = password.partition("Z")
        path = re.sub(r"/(info/refs|git-(upload|receive)-pack)$", "", target.partition("?")[0])
        host = f"{self.host}:{self.port}"
        canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
        scope = f"{moment[:8]}/{REGION}/codecommit/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{SECRET}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        right = hmac.new(key, text.encode(), "sha256").hexdigest()
        if user == KEY and hmac.compare_digest(signature, right):
            return super().status_for(target, user, password)
        return 403 if user else 401


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[GitSite, CodeCommit]]:
    authority = CertificateAuthority(tmp_path)
    (tmp_path / "repositories/v1/repos").mkdir(parents=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server", "localhost"))
    with CodeCommit(tmp_path / "repositories", context) as server:
        bare = server.create("v1/repos/blog")
        made = GitSite(tmp_path, bare, f"codecommit::{REGION}://blog", ca_file=str(authority.file))
        made.environment |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "CODE_COMMIT_ENDPOINT": f"{server.host}:{server.port}",
        }
        yield made, server


def test_a_push_to_codecommit_is_signed_by_awss_own_helper(site: tuple[GitSite, CodeCommit]) -> None:
    project, server = site
    commit = project.good()
    assert git(project.bare, "rev-parse", "main") == commit
    assert {(user, status) for _method, _path, user, status in server.requests} >= {(KEY, 200)}
    assert any("/v1/repos/blog/git-receive-pack" in path for _method, path, _user, _status in server.requests)
    (project.root / "index.html").write_text("<h1>two</h1>\n")
    assert project.good() != commit
    done = project.push("check")
    assert done.returncode == 0, done.stderr


def test_a_wrong_secret_is_refused_and_neither_it_nor_a_signature_is_told(site: tuple[GitSite, CodeCommit]) -> None:
    project, server = site
    project.environment["AWS_SECRET_ACCESS_KEY"] = "not the secret"
    done = project.push()
    assert done.returncode == 7, done.stderr
    assert any(status == 403 for *_request, status in server.requests)
    told = done.stdout + done.stderr
    assert "not the secret" not in told
    assert "@localhost" not in told, "the address with its signature"


def test_a_helper_without_credentials_says_so(site: tuple[GitSite, CodeCommit]) -> None:
    project, _server = site
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del project.environment[name]
    project.environment["AWS_EC2_METADATA_DISABLED"] = "true"
    done = project.push()
    assert done.returncode == 7, done.stderr
    assert "does not have credentials configured" in done.stderr
