"""The recipes of docs/strategies/http.md by the command line, against servers that answer as their products say."""

from __future__ import annotations

import io
import json
import re
import ssl
import tomllib
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

import pytest

from cli.project import Project
from pushkit.testing import CertificateAuthority, HttpsServer, Received, Reply

PAGE = Path(__file__).parents[2] / "docs/strategies/http.md"
SECRET = "s3cr3t-of-ann"
BASIC = "Basic " + b64encode(f"deploy:{SECRET}".encode()).decode()


class Registry:
    """What the products have in common: files by path, and who may put some there."""

    def __init__(self, header: str, value: str) -> None:
        self.files: dict[str, bytes] = {}
        self.redeploy = False
        self._header, self._value = header, value

    def __call__(self, request: Received) -> Reply:
        if request.headers.get(self._header) != self._value:
            return self.refused(401, "401 Unauthorized")
        path = request.path.partition("?")[0]
        if request.method != "PUT":
            return self.about(self.files[path]) if path in self.files else Reply(404)
        return self.put(path, request)

    def put(self, path: str, request: Received) -> Reply:
        if path in self.files and not self.redeploy:
            return self.taken(path)
        self.files[path] = request.body
        return Reply(201)

    def taken(self, path: str) -> Reply:
        raise NotImplementedError

    def about(self, content: bytes) -> Reply:
        return Reply(200, {}, content)

    def refused(self, status: int, message: str) -> Reply:
        return Reply(status, {"Content-Type": "application/json"}, json.dumps({"message": message}).encode())


class Nexus(Registry):
    """A raw repository (Sonatype, "Raw Repositories" and "Troubleshooting Artifact Deployment Failures")."""

    def taken(self, path: str) -> Reply:
        reason = f"Repository does not allow updating assets: {path.split('/')[2]}"
        return Reply(400, {"Content-Type": "text/html"}, b"<html>", reason=reason)


class Artifactory(Registry):
    """A generic repository (JFrog, "Deploy Artifact" and "Retrieve Artifact")."""

    def put(self, path: str, request: Received) -> Reply:
        if request.headers["x-checksum-sha256"] != sha256(request.body).hexdigest():
            return self.refused(409, "Checksum error")
        return super().put(path, request)

    def taken(self, path: str) -> Reply:
        return self.refused(403, f"Not enough permissions to delete/overwrite artifact {path}")

    def about(self, content: bytes) -> Reply:
        return Reply(200, {"X-Checksum-Sha256": sha256(content).hexdigest()}, content)


class GitLab(Registry):
    """Generic packages (GitLab, "Generic packages repository"), where duplicates are not allowed."""

    PATH = re.compile(r"/api/v4/projects/42/packages/generic/[A-Za-z0-9.+_-]+/(\.?[\w+-]+\.?)+/[A-Za-z0-9._-]+")

    def put(self, path: str, request: Received) -> Reply:
        if not self.PATH.fullmatch(path):
            return self.refused(400, "file_name is invalid")
        done = super().put(path, request)
        return self.refused(201, "201 Created") if done.status == 201 else done

    def taken(self, path: str) -> Reply:
        return self.refused(400, "400 Bad request - Duplicate package is not allowed")


#: By the name of the recipe: the host that it names, and its product.
PRODUCTS: dict[str, tuple[str, Callable[[], Registry]]] = {
    "nexus": ("https://nexus.example.com", lambda: Nexus("authorization", BASIC)),
    "artifactory": ("https://example.jfrog.io", lambda: Artifactory("authorization", f"Bearer {SECRET}")),
    "gitlab": ("https://gitlab.example.com", lambda: GitLab("private-token", SECRET)),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: CertificateAuthority) -> Iterator[HttpsServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server.pem", "localhost"))
    with HttpsServer(context) as started:
        yield started


def recipe(name: str) -> str:
    """A recipe of the page."""
    (found,) = (
        text
        for text in re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if name in tomllib.loads(text)["target"]
    )
    return str(found)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_recipe_arrives_once_and_its_secret_is_shown_nowhere(
    project: Project, server: HttpsServer, authority: CertificateAuthority, name: str
) -> None:
    host, product = PRODUCTS[name]
    server.respond = registry = product()
    text = recipe(name).replace(host, server.url) + f'ca_file = "{authority.file}"\n'
    (project.root / "Pushfile").write_text(text)
    project.environment |= {f"{name.upper()}_{word}": SECRET for word in ("PASSWORD", "TOKEN")}
    done = project.push("-v", "--json")
    assert done.returncode == 0, done.stderr
    (content,) = registry.files.values()
    # The same again is not sent; something else at the same place is refused, and said to be.
    again = project.push()
    assert (again.returncode, "nothing to do" in again.stderr) == (0, True), again.stderr
    assert len(server.requests("PUT")) == 1
    (path,) = registry.files
    (project.root / "Pushfile").write_text(
        re.sub(r"^url = .*", f'url = "{server.url}{path}"', text, flags=re.MULTILINE)
    )
    (project.root / "about.txt").write_text("other\n")
    taken = project.push("-v")
    assert taken.returncode == 7, taken.stderr
    assert re.search("does not allow updating|Not enough permissions|Duplicate package", taken.stderr)
    assert "hint: something is there: name what is new" in taken.stderr
    assert registry.files == {path: content}
    for shown in (done, again, taken):
        assert SECRET not in shown.stdout + shown.stderr
        assert BASIC not in shown.stdout + shown.stderr


def test_the_form_of_nexus_has_its_fields_and_the_archive(
    project: Project, server: HttpsServer, authority: CertificateAuthority
) -> None:
    server.reply("POST", "/service/rest/v1/components?repository=builds", Reply(204))
    text = recipe("form").replace("https://nexus.example.com", server.url)
    (project.root / "Pushfile").write_text(f'{text}ca_file = "{authority.file}"\n')
    done = project.push(NEXUS_PASSWORD=SECRET)
    assert done.returncode == 0, done.stderr
    (post,) = server.requests("POST")
    assert post.headers["authorization"] == BASIC
    parsed = message_from_bytes(f"Content-Type: {post.headers['content-type']}\r\n\r\n".encode() + post.body)
    parts = {str(part.get_param("name", header="content-disposition")): part for part in parsed.walk()}
    assert {"raw.directory", "raw.asset1", "raw.asset1.filename"} <= set(parts)
    assert parts["raw.directory"].get_payload() == "/blog"
    content = parts["raw.asset1"].get_payload(decode=True)
    assert isinstance(content, bytes)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None


def test_a_wrong_token_is_told_as_an_event(
    project: Project, server: HttpsServer, authority: CertificateAuthority
) -> None:
    server.respond = GitLab("deploy-token", "another")
    project.write(
        live=f"""
        strategy = "http"
        url = "{server.url}/api/v4/projects/42/packages/generic/{{project}}/1/x.tar.gz?status=hidden"
        token = "${{env:TOKEN}}"
        token_header = "Deploy-Token"
        ca_file = "{authority.file}"
        """
    )
    done = project.push("--json", TOKEN=SECRET)
    assert done.returncode == 7, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (failed,) = (event for event in events if event["event"] == "step-failed")
    assert 'answered 401: {"message": "401 Unauthorized"}' in failed["error"]
    assert SECRET not in done.stdout + done.stderr
    assert "?status=hidden" in server.received[-1].path
    assert "status=hidden" not in done.stdout + done.stderr


def test_a_repair_sends_again_what_the_server_has(
    project: Project, server: HttpsServer, authority: CertificateAuthority
) -> None:
    server.respond = GitLab("deploy-token", SECRET)
    url = f"{server.url}/api/v4/projects/42/packages/generic/blog/1/{{digest}}.tar.gz"
    table = f'strategy = "http"\nurl = "{url}"\ntoken = "{SECRET}"\ntoken_header = "Deploy-Token"\n'
    project.write(live=f'{table}ca_file = "{authority.file}"')
    for arguments, sent in (((), 1), ((), 1), (("--repair",), 2)):
        done = project.push(*arguments)
        assert (done.returncode, len(server.requests("PUT"))) == (0, sent), done.stderr
    # What neither looks nor sends everything again says so.
    project.write(live='strategy = "script"\nrun = "true"')
    done = project.push("--repair")
    assert (done.returncode, "cannot look into what is live" in done.stderr) == (2, True), done.stderr


def test_an_address_knows_no_status_no_log_and_no_rollback(project: Project) -> None:
    project.write(live='strategy = "http"\nurl = "https://localhost:1/x"')
    for command in ("status", "log", "rollback"):
        done = project.push(command, "live")
        assert (done.returncode, "http" in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
