"""Heroku's Platform API, as far as a push needs it: apps, config vars, sources, builds, slugs, releases.

As the published reference has it (devcenter: platform-api-reference); how builds go, a test says.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

from msgspec import Struct, field

from pushkit.testing.listener import HttpServer

WHO = {"id": str(uuid.UUID(int=7)), "email": "ann@example.com"}


class Making(Struct):
    """How builds go: what they print, whether they are ``good``, what the release phase prints and how it ends.

    Each waits for ``go`` in the middle; ``begun`` is set when it has printed its first line.
    """

    lines: Sequence[str] = ("-----> Building on the Heroku-24 stack", "-----> Launching...")
    good: bool = True
    phase: Sequence[str] = ()
    released: bool = True
    go: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go.set()


class Stream:
    """Lines that are read while they are written."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.ended = False

    def say(self, *lines: str) -> None:
        with self.changed:
            self.lines += lines
            self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify_all()


class HerokuServer(HttpServer):
    """The API at `url` from `start` to `stop`, for who has one of ``tokens``.

    ``apps`` are what it has. ``making`` is how the next builds go. ``answers`` are what is answered instead, status and
    error, by a piece of method and path. ``requests`` are method, path and who authorized each so far.
    """

    def __init__(self, context: ssl.SSLContext | None = None, *, host: str = "localhost") -> None:
        super().__init__(context, host=host)
        self.tokens = {"the-token"}
        self.apps: dict[str, HerokuApp] = {}
        self.making = Making()
        self.answers: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.sources: dict[str, bytes] = {}
        self.streams: dict[str, Stream] = {}

    def create(self, name: str) -> HerokuApp:
        """An app without a release."""
        self.apps[name] = HerokuApp(self, name)
        return self.apps[name]

    def hook(self, name: str) -> str:
        """The ``pre-receive`` hook of the app's repository, which builds what is pushed."""
        program = (
            "import ssl, sys, urllib.request as r\n"
            f"url = {self.url!r} + '/hook/{name}/' + sys.stdin.read().split()[1]\n"
            "last = ''\n"
            "for line in r.urlopen(url, context=ssl._create_unverified_context()):\n"
            "    last = line.decode().strip()\n"
            "    print(last, flush=True) if not last.startswith('=') else None\n"
            "sys.exit(last != '=good')\n"
        )
        return f"#!{sys.executable}\n{program}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return handler(self)

    def stream(self) -> Stream:
        """A new output stream."""
        made = Stream()
        self.streams[made.id] = made
        return made


class HerokuApp:
    """One app: its config vars, builds, slugs and releases, each as the API shows it."""

    def __init__(self, server: HerokuServer, name: str, region: str = "us") -> None:
        self.name = name
        self.config: dict[str, str] = {}
        self.releases: list[dict[str, Any]] = []
        self.builds: list[dict[str, Any]] = []
        self.slugs: dict[str, dict[str, Any]] = {}
        self.about: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "name": name,
            "region": {"id": str(uuid.uuid4()), "name": region},
            "stack": {"id": str(uuid.uuid4()), "name": "heroku-24"},
            "maintenance": False,
            "created_at": now(),
            "updated_at": now(),
            "owner": WHO,
        }
        self._server = server

    def release(self, description: str, slug: str | None, *, status: str = "succeeded") -> dict[str, Any]:
        """A new release; one that succeeded is the live one."""
        made = {
            "id": str(uuid.uuid4()),
            "version": len(self.releases) + 1,
            "status": "pending",
            "description": description,
            "created_at": now(),
            "updated_at": now(),
            "user": WHO,
            "app": {"id": self.about["id"], "name": self.name},
            "slug": {"id": slug} if slug else None,
            "current": False,
            "output_stream_url": None,
            "addon_plan_names": [],
        }
        self.releases.append(made)
        self.end(made, status)
        return made

    def end(self, release: dict[str, Any], status: str) -> None:
        """How a release ended."""
        release["status"] = status
        if status == "succeeded":
            for each in self.releases:
                each["current"] = each is release

    def build(self, version: str, url: str, checksum: str) -> dict[str, Any]:
        """Begin a build."""
        stream = self._server.stream()
        made: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "status": "pending",
            "app": {"id": self.about["id"]},
            "buildpacks": [],
            "created_at": now(),
            "updated_at": now(),
            "output_stream_url": f"{self._server.url}/streams/{stream.id}?signature=s",
            "release": None,
            "slug": None,
            "source_blob": {"url": url, "version": version, "checksum": checksum, "version_description": None},
            "stack": "heroku-24",
            "user": WHO,
        }
        self.builds.append(made)
        making = self._server.making
        threading.Thread(target=self._make, args=(made, stream, making), name="build", daemon=True).start()
        return made

    def make(self, commit: str, stream: Stream, making: Making) -> tuple[dict[str, Any], Stream] | None:
        """Build ``commit``, which `stream` hears of; the release that it becomes, if it does, and what that prints."""
        stream.say(*making.lines[:1])
        making.begun.set()
        making.go.wait(60)
        stream.say(*making.lines[1:])
        stream.end()
        if not making.good:
            return None
        slug = str(uuid.uuid4())
        self.slugs[slug] = {
            "id": slug, "commit": commit, "commit_description": None, "process_types": {}, "size": 1, "checksum": None,
            "created_at": now(), "updated_at": now(), "buildpack_provided_description": None, "stack": {"name": "x"},
            "blob": {"method": "get", "url": f"{self._server.url}/slugs/{slug}"},
        }  # fmt: skip
        release = self.release(f"Deploy {commit[:8]}", slug, status="pending" if making.phase else "succeeded")
        output = self._server.stream()
        if making.phase:
            release["output_stream_url"] = f"{self._server.url}/streams/{output.id}?signature=s"
        return release, output

    def finish(self, release: dict[str, Any], output: Stream, making: Making) -> None:
        """Run the release phase."""
        output.say(*making.phase)
        output.end()
        if making.phase:
            self.end(release, "succeeded" if making.released else "failed")

    def configured(self, description: str, slug: str | None) -> None:
        """A release of config vars; where there is something to run, its release phase runs too."""
        making = self._server.making
        if not slug or not making.phase:
            self.release(description, slug)
            return
        made, output = self.release(description, slug, status="pending"), self._server.stream()
        made["output_stream_url"] = f"{self._server.url}/streams/{output.id}?signature=s"
        threading.Thread(target=self.finish, args=(made, output, making), name="phase", daemon=True).start()

    def _make(self, build: dict[str, Any], stream: Stream, making: Making) -> None:
        blob = build["source_blob"]
        content = self._server.sources.get(source_of(blob["url"]), b"")
        if blob["checksum"] != "SHA256:" + hashlib.sha256(content).hexdigest():
            stream.say(" !     the checksum does not match")
            stream.end()
            build["status"] = "failed"
            return
        found = self.make(blob["version"], stream, making)
        if found:
            build |= {"slug": found[0]["slug"], "release": {"id": found[0]["id"]}}
        build["status"] = "succeeded" if found else "failed"
        if found:
            self.finish(*found, making)


def now() -> str:
    """This moment, as the API has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def source_of(url: str) -> str:
    """The id of a source, from its URL."""
    return url.rpartition("/")[2].partition("?")[0]


def handler(server: HerokuServer) -> type[BaseHTTPRequestHandler]:
    """What answers the requests to ``server``."""

    class Handler(BaseHTTPRequestHandler):
        """One connection, of one request."""

        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            """Answer one request."""
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind, _, word = self.headers.get("Authorization", "").partition(" ")
            server.requests.append((self.command, self.path, word))
            with suppress(OSError):
                if self.path.startswith(("/streams/", "/hook/", "/sources/")):
                    self.aside(body)
                    return
                for piece, (status, error) in server.answers.items():
                    if piece in f"{self.command} {self.path}":
                        self.say(status, error)
                        return
                if kind != "Bearer" or word not in server.tokens:
                    self.say(401, {"id": "unauthorized", "message": "Invalid credentials provided."})
                elif "version=3" not in self.headers.get("Accept", ""):
                    self.say(404, {"id": "not_found", "message": "No such API version."})
                else:
                    self.say(*self.resource(json.loads(body or b"{}")))

        def resource(self, body: dict[str, Any]) -> tuple[int, Any]:
            """Status and answer of a request to the API."""
            if self.path == "/account":
                return 200, WHO
            if self.path in {"/apps", "/teams/apps"}:
                app = server.create(body["name"])
                app.about["region"] = {"id": str(uuid.uuid4()), "name": body.get("region", "us")}
                return 201, app.about
            found = re.fullmatch(r"/apps/([^/]+)(?:/([a-z-]+)(?:/([^/]+))?)?", self.path)
            if not found or found[1] not in server.apps:
                return 404, {"id": "not_found", "message": "Couldn't find that app."}
            return self.of_app(server.apps[found[1]], found[2] or "", found[3] or "", body)

        def of_app(  # noqa: PLR0911  (a resource a line)
            self, app: HerokuApp, name: str, one: str, body: dict[str, Any]
        ) -> tuple[int, Any]:
            """Status and answer of what is asked of an app."""
            match self.command, name, one:
                case "GET", "", "":
                    return 200, app.about
                case "GET", "config-vars", "":
                    return 200, app.config
                case "PATCH", "config-vars", "":
                    app.config |= body
                    last = next((each["slug"] for each in reversed(app.releases) if each["slug"]), None)
                    app.configured(f"Set {', '.join(body)} config vars", last["id"] if last else None)
                    return 200, app.config
                case "POST", "sources", "":
                    source = f"{server.url}/sources/{uuid.uuid4()}?signature=v3ry-s3cret"
                    return 201, {"source_blob": {"get_url": source, "put_url": source}}
                case "POST", "builds", "":
                    blob = body["source_blob"]
                    return 201, app.build(blob["version"], blob["url"], blob["checksum"])
                case "POST", "releases", "":
                    earlier = next(each for each in app.releases if each["id"] == body["release"])
                    return 201, app.release(f"Rollback to v{earlier['version']}", earlier["slug"]["id"])
                case "GET", "slugs", _ if one in app.slugs:
                    return 200, app.slugs[one]
                case "GET", "builds" | "releases", "":
                    every = app.builds if name == "builds" else app.releases
                    limit = re.search(r"order=desc.*max=(\d+)", self.headers.get("Range", ""))
                    return (206, every[::-1][: int(limit[1])]) if limit else (200, every)
                case "GET", "builds" | "releases", _:
                    for each in (*app.builds, *app.releases):
                        if each["id"] == one:
                            return 200, each
            return 404, {"id": "not_found", "message": f"Couldn't find that {name}."}

        def aside(self, body: bytes) -> None:
            """What is beside the API: a store of archives, output streams, and what the hook of a repository asks."""
            if self.path.startswith("/sources/"):
                signed = self.path.endswith("?signature=v3ry-s3cret") and not self.headers.get("Content-Type")
                if signed:
                    server.sources[source_of(self.path)] = body
                self.say(200 if signed else 403, {})
                return
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if self.path.startswith("/streams/"):
                self.pass_on(server.streams[source_of(self.path)])
            else:
                _, _, name, commit = self.path.split("/")
                self.build(server.apps[name], commit)
            self.wfile.write(b"0\r\n\r\n")

        def build(self, app: HerokuApp, commit: str) -> None:
            """Build what is pushed, before the push is done."""
            making, stream = server.making, server.stream()
            made: list[Any] = []
            thread = threading.Thread(target=lambda: made.append(app.make(commit, stream, making)), daemon=True)
            thread.start()
            self.pass_on(stream)
            thread.join()
            self.chunk("=good" if made[0] else "=bad")
            if made[0]:
                release, output = made[0]
                app.finish(release, output, making)

        def pass_on(self, stream: Stream) -> None:
            """Write the lines of a stream as they come."""
            sent = 0
            while True:
                with stream.changed:
                    while len(stream.lines) == sent and not stream.ended:
                        stream.changed.wait(60)
                    lines = stream.lines[sent:]
                if not lines:
                    return
                for line in lines:
                    self.chunk(line)
                sent += len(lines)

        def chunk(self, line: str) -> None:
            data = line.encode() + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()

        def say(self, status: int, value: Any) -> None:
            """Answer with JSON."""
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815  (the names are http.server's)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (as it is there)
            """Nothing: `requests` tells."""

    return Handler
