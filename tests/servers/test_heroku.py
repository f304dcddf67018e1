"""The whole command, against a Platform API of the tests' own and git's own http-backend, both over HTTPS."""

from __future__ import annotations

import io
import json
import re
import signal
import ssl
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushkit.testing import CertificateAuthority, GitHttpServer, HerokuServer, Making
from servers.git_site import GitSite, git
from servers.test_git import descendants, wait_for

TOKEN = "HRKU-0f7a-s3cr3t-t0ken"
SCHEMA = json.loads(Path(__file__).with_name("heroku_schema.json").read_text())


class Cloud:
    """The API and the repositories."""

    def __init__(self, base: Path) -> None:
        self.authority = CertificateAuthority(base)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.issue("server", "localhost"))
        self.api = HerokuServer(context)
        self.api.tokens = {TOKEN}
        self.git = GitHttpServer(base, context)
        self.git.tokens = {TOKEN: True}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("heroku"))
    with cloud.api, cloud.git:
        yield cloud


class HerokuSite(GitSite):
    """A project whose target is an app."""

    strategy = "heroku"

    def __init__(self, base: Path, cloud: Cloud, name: str) -> None:
        self.app = cloud.api.create(name)
        bare = cloud.git.create(f"{name}.git", cloud.api.hook(name))
        super().__init__(base, bare, "", app=name, api_url=cloud.api.url, git_url=cloud.git.url)
        self.options |= {"remote": None, "ca_file": str(cloud.authority.file)}
        self.environment["HEROKU_API_KEY"] = TOKEN

    @property
    def said(self) -> list[tuple[int, str, str]]:
        """The releases: version, description, status."""
        return [(each["version"], each["description"], each["status"]) for each in self.app.releases]


@pytest.fixture
def site(cloud: Cloud, tmp_path: Path) -> Iterator[HerokuSite]:
    name = f"blog-{len(cloud.api.apps)}"
    yield HerokuSite(tmp_path, cloud, name)
    cloud.api.making = Making()
    cloud.api.answers.clear()


VIA = pytest.mark.parametrize("via", ["git", "build"])


@VIA
def test_a_push_is_built_and_released_and_an_unchanged_one_does_nothing(
    site: HerokuSite, cloud: Cloud, via: str
) -> None:
    cloud.api.making = Making(phase=["running migrations"])
    done = site.push(via=via)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "v1\n"
    assert "-----> Building on the Heroku-24 stack" in done.stderr
    assert "running migrations" in done.stderr
    assert [status for _, _, status in site.said] == ["succeeded"]
    again = site.push(via=via)
    assert (again.returncode, again.stdout) == (0, "v1\n"), again.stderr
    assert "nothing to do" in again.stderr
    assert len(site.said) == 1
    (site.root / "index.html").write_text("<h1>two</h1>\n")
    assert site.good(via=via) == "v2"


def test_the_archive_is_the_directory_and_arrives_as_it_is(site: HerokuSite, cloud: Cloud) -> None:
    site.good(via="build", dir="css")
    (content,) = list(cloud.api.sources.values())[-1:]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["site.css"]
    site.good(dir="css", adopt=None)
    assert git(site.bare, "ls-tree", "-r", "--name-only", "main") == "site.css"


@VIA
def test_a_build_that_fails_leaves_the_release_before(site: HerokuSite, cloud: Cloud, via: str) -> None:
    site.good(via=via)
    cloud.api.making = Making(lines=["-----> Building", " !     no such module: x"], good=False)
    (site.root / "index.html").write_text("<h1>two</h1>\n")
    done = site.push(via=via)
    assert done.returncode == 6, done.stderr
    assert "no such module: x" in done.stderr
    assert "v1 is still live" in done.stderr
    assert len(site.said) == 1


@VIA
def test_a_release_phase_that_fails_is_a_failure_and_the_next_push_builds_again(
    site: HerokuSite, cloud: Cloud, via: str
) -> None:
    site.good(via=via)
    cloud.api.making = Making(phase=["the migration failed"], released=False)
    (site.root / "index.html").write_text("<h1>two</h1>\n")
    done = site.push(via=via)
    assert done.returncode == 8, done.stderr
    assert "the migration failed" in done.stderr
    assert "the release v2 failed; v1 is still live" in done.stderr
    cloud.api.making = Making()
    assert site.good(via=via) == "v3"


@VIA
def test_config_vars_that_differ_are_set_before_the_release_and_shown_nowhere(site: HerokuSite, via: str) -> None:
    site.app.config = {"KEPT": "kept", "SAME": "the-same-as-ever"}
    site.environment["SECRET"] = "hunter2-hunter3"
    site.write()
    config = {"SAME": "the-same-as-ever", "SECRET_KEY": "${env:SECRET}"}
    extra = "\n[target.web.config]\n" + "".join(f"{name} = '{value}'\n" for name, value in config.items())
    site.after = extra
    plan = site.push("--dry-run", via=via)
    assert "config" in plan.stdout
    assert "to set: SECRET_KEY" in plan.stdout
    done = site.push("--json", "-v", via=via)
    assert done.returncode == 0, done.stderr
    assert site.app.config == {"KEPT": "kept", "SAME": "the-same-as-ever", "SECRET_KEY": "hunter2-hunter3"}
    assert [description.split()[0] for _, description, _ in site.said] == ["Set", "Deploy"]
    assert not any(secret in done.stdout + done.stderr for secret in ("hunter2", TOKEN, "v3ry-s3cret"))
    assert "nothing to do" in site.push(via=via).stderr


def test_rollback_status_and_log_are_those_of_the_platform(site: HerokuSite) -> None:
    for number in range(3):
        (site.root / "index.html").write_text(f"{number}\n")
        site.good(via="build")
    assert site.good("rollback", via="build") == "v4"
    assert site.said[-1][1] == "Rollback to v2"
    assert site.good("rollback", via="build") == "v5"
    assert site.said[-1][1] == "Rollback to v1"
    assert site.good("rollback", "web", "v3", via="build") == "v6"
    status = json.loads(site.push("status", "--json", via="build").stdout)
    assert (status["live"], status["who"], len(status["releases"])) == ("v6", "ann@example.com", 6)
    log = [json.loads(line) for line in site.push("log", "--json", via="build").stdout.splitlines()]
    assert [(line["number"], line["why"]) for line in log[3:]] == [
        (4, "Rollback to v2"),
        (5, "Rollback to v1"),
        (6, "Rollback to v3"),
    ]
    # What is live is not what was pushed last: it is built again.
    site.good("rollback", "web", "v1", via="build")
    assert site.good(via="build") == "v8"
    done = site.push("rollback", "web", "v99", via="build")
    assert (done.returncode, "v99 is none of the last releases" in done.stderr) == (6, True)


def test_after_a_rollback_a_snapshot_is_built_again_and_of_a_commit_it_is_said_that_it_is_not(site: HerokuSite) -> None:
    site.repository()
    first = site.good(what="commit", source="git:HEAD")
    (site.root / "index.html").write_text("two\n")
    site.commit("two")
    assert (first, site.good(what="commit", source="git:HEAD")) == ("v1", "v2")
    site.good("rollback")
    done = site.push(what="commit", source="git:HEAD")
    assert (done.returncode, "Heroku builds a commit once" in done.stderr) == (0, True), done.stderr
    assert site.good("--adopt", source="git:HEAD") == "v4"
    assert [status for _, _, status in site.said] == ["succeeded"] * 4


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, "unauthorized", "Heroku does not know the token"),
        (403, "forbidden", "may not do that"),
        (402, "delinquent", "unpaid bills"),
        (403, "verification_required", "has to be verified"),
        (403, "two_factor", "a second factor"),
        (429, "rate_limit", "too many requests"),
        (503, "maintenance", "under maintenance"),
    ],
)
def test_what_heroku_refuses_is_told_in_plain_words(
    site: HerokuSite, cloud: Cloud, status: int, error: str, said: str
) -> None:
    cloud.api.answers["GET /apps/"] = (status, {"id": error, "message": "No."})
    done = site.push(via="build")
    assert done.returncode == 7, done.stderr
    assert said in done.stderr


def test_what_is_no_platform_api_is_told(site: HerokuSite, cloud: Cloud) -> None:
    cloud.api.answers["GET /apps/"] = (200, {"surprise": "yes"})
    done = site.push(via="build")
    assert (done.returncode, "is not the Platform API" in done.stderr) == (7, True), done.stderr
    cloud.api.answers["GET /apps/"] = (302, {"id": "x", "message": ""})
    assert site.push(via="build").returncode == 7
    done = site.push(via="build", api_url="https://localhost:1")
    assert (done.returncode, "localhost cannot be reached" in done.stderr) == (7, True), done.stderr


def test_the_token_is_of_netrc_where_nothing_else_gives_one(site: HerokuSite) -> None:
    del site.environment["HEROKU_API_KEY"]
    done = site.push(via="build")
    assert (done.returncode, "there is no token for Heroku" in done.stderr) == (7, True)
    netrc = site.home / ".netrc"
    netrc.write_text(f"machine localhost\n  login ann@example.com\n  password {TOKEN}\n")
    netrc.chmod(0o600)
    done = site.push("-v", via="build")
    assert (done.returncode, TOKEN in done.stderr) == (0, False), done.stderr
    netrc.write_text(f"machine localhost login ann password {TOKEN} nonsense\n")
    done = site.push(via="build")
    assert (done.returncode, TOKEN in done.stderr, "is not as netrc files are" in done.stderr) == (7, False, True)


def test_an_app_that_is_not_there_is_made_when_asked(site: HerokuSite, cloud: Cloud) -> None:
    done = site.push(app="another-blog", via="build")
    assert (done.returncode, "there is no app another-blog" in done.stderr) == (7, True)
    assert site.good(app="another-blog", via="build", create=True, region="eu") == "v1"
    assert cloud.api.apps["another-blog"].about["region"]["name"] == "eu"
    cloud.git.create("by-git-blog.git", cloud.api.hook("by-git-blog"))
    assert site.good(app="by-git-blog", create=True, team="writers") == "v1"
    assert ("POST", "/teams/apps", TOKEN) in cloud.api.requests


def test_check_says_who_and_what_without_changing_anything(site: HerokuSite) -> None:
    done = site.push("check")
    assert done.returncode == 0, done.stdout
    for piece in ("is ann@example.com's", f"{site.options['app']}, us, heroku-24", "is let in to push"):
        assert piece in done.stdout
    assert (site.said, site.tip) == ([], "")


@VIA
def test_ctrl_c_says_that_heroku_goes_on_and_how_to_look(site: HerokuSite, cloud: Cloud, via: str) -> None:
    cloud.api.making = making = Making()
    making.go.clear()
    process = site.start(via=via)
    wait_for(making.begun.is_set)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    making.go.set()
    assert process.returncode == 130, err
    assert f"heroku builds:output --app {site.options['app']}" in err


def test_a_deadline_ends_the_wait_and_says_that_heroku_goes_on(site: HerokuSite, cloud: Cloud) -> None:
    cloud.api.making = making = Making()
    making.go.clear()
    done = site.push(via="build", within=0.5)
    making.go.set()
    assert done.returncode == 8, done.stderr
    assert "the build is not done after 0.5 seconds, and goes on at Heroku" in done.stderr


def test_what_fails_once_config_vars_are_set_does_not_say_that_nothing_changed(site: HerokuSite, cloud: Cloud) -> None:
    site.after = "\n[target.web.config]\nCOLOUR = 'red'\n"
    cloud.api.answers["/sources"] = (500, {"id": "x", "message": "No room."})
    done = site.push(via="build")
    assert (done.returncode, "before it, config vars were set" in done.stderr) == (8, True), done.stderr
    assert site.app.config == {"COLOUR": "red"}


def test_a_release_of_config_vars_alone_is_followed_to_its_end(site: HerokuSite, cloud: Cloud) -> None:
    site.good(via="build")
    cloud.api.making = Making(phase=["no colour red"], released=False)
    site.after = "\n[target.web.config]\nCOLOUR = 'red'\n"
    done = site.push(via="build")
    assert (done.returncode, "the release v2 failed; v1 is still live" in done.stderr) == (8, True), done.stderr
    assert "no colour red" in done.stderr


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (500, {"id": "internal", "message": "Oh."}, 8),
        (201, {"id": 7}, 8),
        (422, {"id": "invalid_params", "message": "No quota is left."}, 6),
    ],
)
def test_an_answer_that_leaves_open_whether_a_build_began_is_told_as_that(
    site: HerokuSite, cloud: Cloud, status: int, answer: dict[str, Any], code: int
) -> None:
    cloud.api.answers[f"POST /apps/{site.app.name}/builds"] = (status, answer)
    done = site.push(via="build")
    assert done.returncode == code, done.stderr
    assert ("it is not known whether it was done" in done.stderr) == (code == 8)
    assert ("No quota is left." in done.stderr) == (code == 6)


def test_an_archive_that_is_not_taken_changes_nothing(site: HerokuSite, cloud: Cloud) -> None:
    unsigned = f"{cloud.api.url}/sources/7"
    cloud.api.answers["/sources"] = (201, {"source_blob": {"put_url": unsigned, "get_url": unsigned}})
    done = site.push(via="build")
    assert (done.returncode, site.said) == (7, []), done.stderr
    assert "push: the archive was not taken by localhost: status 403" in done.stderr
    assert "hint: push again" in done.stderr
    done = site.push(via="build", dir="none")
    assert done.returncode == 6, done.stderr
    assert "push: there is no file in none\n  hint: see what travels: push files" in done.stderr


@pytest.mark.parametrize(
    ("address", "words"),
    [("{api}/apps", "localhost answers with status 401"), ("https://localhost:1/x", "localhost cannot be reached")],
)
def test_an_output_that_cannot_be_had_is_told_and_the_build_followed(
    site: HerokuSite, cloud: Cloud, address: str, words: str
) -> None:
    pending = {"id": "7", "status": "pending", "output_stream_url": address.format(api=cloud.api.url)}
    cloud.api.answers[f"POST /apps/{site.app.name}/builds"] = (201, pending)
    cloud.api.answers[f"/apps/{site.app.name}/builds/7"] = (200, {**pending, "status": "failed"})
    done = site.push(via="build")
    assert done.returncode == 6, done.stderr
    assert f"the output breaks off here: {words}" in done.stderr
    assert "push: Heroku could not build it; nothing is still live" in done.stderr


def test_a_build_that_cannot_be_looked_at_goes_on_at_heroku(site: HerokuSite, cloud: Cloud) -> None:
    pending = {"id": "7", "status": "pending", "output_stream_url": None}
    cloud.api.answers[f"POST /apps/{site.app.name}/builds"] = (201, pending)
    cloud.api.answers[f"/apps/{site.app.name}/builds/7"] = (500, {"id": "x", "message": "Oh."})
    done = site.push(via="build")
    assert done.returncode == 8, done.stderr
    assert "; the build goes on there\n  hint: look with push status" in done.stderr


def test_config_vars_of_which_no_release_came_are_told(site: HerokuSite, cloud: Cloud) -> None:
    site.good(via="build")
    site.after = "\n[target.web.config]\nCOLOUR = 'red'\n"

    class Later(dict[str, Any]):
        """There are releases for the plan, and none once the config vars are set."""

        def items(self) -> Any:
            return super().items() if site.app.config else {}.items()

    answers = cloud.api.answers
    cloud.api.answers = Later({f"GET /apps/{site.app.name}/releases": (200, [])})
    done = site.push(via="build")
    cloud.api.answers = answers
    assert done.returncode == 8, done.stderr
    assert "push: Heroku tells of no release; before it, config vars were set" in done.stderr


def test_a_release_whose_slug_is_not_told_is_told_of_with_what_was_built(site: HerokuSite, cloud: Cloud) -> None:
    cloud.api.answers[f"/apps/{site.app.name}/slugs/"] = (503, {"id": "x", "message": "Later."})
    done = site.push(via="git")
    assert done.returncode == 8, done.stderr
    assert re.search(r"; Heroku has built [0-9a-f]{7}\n  hint: ", done.stderr)


def test_a_netrc_that_cannot_be_read_is_told(site: HerokuSite) -> None:
    del site.environment["HEROKU_API_KEY"]
    (site.home / ".netrc").mkdir()
    done = site.push(via="build")
    assert done.returncode == 7, done.stderr
    assert f"push: {site.home}/.netrc cannot be read: Is a directory\n" in done.stderr


@pytest.mark.parametrize("address", ["https://[::1", "http://localhost/x"])
def test_addresses_that_are_none_end_with_a_message(site: HerokuSite, cloud: Cloud, address: str) -> None:
    cloud.api.answers["/sources"] = (201, {"source_blob": {"put_url": address, "get_url": address}})
    done = site.push("-v", via="build")
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (7, False), done.stderr
    del cloud.api.answers["/sources"]
    pending = {"id": "7", "status": "pending", "output_stream_url": address}
    cloud.api.answers[f"POST /apps/{site.app.name}/builds"] = (201, pending)
    cloud.api.answers[f"/apps/{site.app.name}/builds/7"] = (200, {**pending, "status": "failed"})
    done = site.push("-v", via="build")
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (6, False), done.stderr
    assert "the output breaks off here" in done.stderr


@pytest.mark.parametrize("token", ["two words", "sn\u2603w-t0ken"])
def test_a_token_that_cannot_be_one_is_told_and_not_shown(site: HerokuSite, token: str) -> None:
    site.environment["HEROKU_API_KEY"] = token
    done = site.push(via="build")
    assert (done.returncode, "not one word" in done.stderr, token in done.stderr) == (7, True, False), done.stderr


def test_a_ca_file_counts_more_than_the_environment_and_is_missed_by_name(site: HerokuSite, tmp_path: Path) -> None:
    other = CertificateAuthority(tmp_path / "home")
    site.environment |= {"REQUESTS_CA_BUNDLE": str(other.file), "CURL_CA_BUNDLE": str(other.file)}
    assert site.good(via="build") == "v1"
    done = site.push(via="build", ca_file=str(other.file))
    assert (done.returncode, "the certificate of localhost is not trusted" in done.stderr) == (7, True), done.stderr
    done = site.push(via="build", ca_file="nothing.pem")
    assert (done.returncode, "ca_file: nothing.pem cannot be read" in done.stderr) == (7, True), done.stderr


def test_a_shallow_clone_with_a_detached_head_is_pushed_as_a_snapshot(site: HerokuSite, tmp_path: Path) -> None:
    site.repository()
    (site.root / "index.html").write_text("two\n")
    site.commit("two")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{site.root}", "shallow")
    site.root = tmp_path / "shallow"
    git(site.root, "checkout", "--quiet", "--detach")
    done = site.push(what="commit", allow_dirty=True)
    assert (done.returncode, "git fetch --unshallow" in done.stderr) == (6, True), done.stderr
    site.good()
    assert site.tree()["index.html"][1] == "two"


@VIA
def test_the_token_is_in_no_argument_and_no_file(site: HerokuSite, cloud: Cloud, via: str) -> None:
    cloud.api.making = making = Making()
    making.go.clear()
    process = site.start("--json", "-v", via=via)
    wait_for(making.begun.is_set)
    for pid in descendants(process.pid):
        assert TOKEN.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    making.go.set()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, TOKEN in out + err) == (0, False), err
    files = [file for base in (site.home, site.root, site.bare) for file in base.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]


def test_the_servers_replies_are_as_the_published_schema_has_them(site: HerokuSite, cloud: Cloud) -> None:
    site.good(via="build")
    name = f"/apps/{site.options['app']}"
    slug, release, build = next(iter(site.app.slugs)), site.app.releases[0]["id"], site.app.builds[0]["id"]
    for path, kind in {
        "/account": "account",
        name: "app",
        f"{name}/config-vars": "config-vars",
        f"{name}/slugs/{slug}": "slug",
        f"{name}/releases/{release}": "release",
        f"{name}/builds/{build}": "build",
        "/apps/nothing": "error",
    }.items():
        valid(ask(cloud, path), kind)
    for each in ask(cloud, f"{name}/releases"):
        valid(each, "release")
    valid(ask(cloud, f"{name}/sources", b"{}"), "source")
    blob = {"url": "https://x/y", "version": "1", "checksum": "SHA256:" + "0" * 64}
    valid(ask(cloud, f"{name}/builds", json.dumps({"source_blob": blob}).encode()), "build")
    with pytest.raises(ValueError, match="is a required property"):
        valid({"id": "no uuid"}, "account")


def valid(value: Any, kind: str) -> None:
    # What it imports takes seconds: whoever collects the tests does not wait for it.
    import jsonschema

    try:
        jsonschema.validate(value, {"definitions": SCHEMA["definitions"], **SCHEMA[kind]})
    except jsonschema.ValidationError as error:
        raise ValueError(error.message) from error


def ask(cloud: Cloud, path: str, body: bytes | None = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/vnd.heroku+json; version=3"}
    request = urllib.request.Request(cloud.api.url + path, body, headers)
    context = ssl.create_default_context(cafile=str(cloud.authority.file))
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
