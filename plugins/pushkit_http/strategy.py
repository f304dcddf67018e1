"""`HttpStrategy`: the snapshot, packed, is sent to an HTTP endpoint."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from pushkit import (
    Action,
    Archive,
    Finding,
    Plan,
    PushFailed,
    PushRefused,
    Release,
    Severity,
    Snapshot,
    Step,
    Strategy,
    TargetError,
    pack,
)
from pushkit_http.address import FIELDS, filled, filled_url, shown
from pushkit_http.body import Body, form
from pushkit_http.client import Answer, Client, Lost, Request
from pushkit_http.digest import content_headers, has
from pushkit_http.options import HttpOptions
from pushkit_http.status import follow
from pushkit_http.words import HINTS, refusal

TYPES = {"tar.gz": "application/gzip", "zip": "application/zip"}
#: What servers answer that take nothing for a path where something is: RFC 9110, Nexus, GitLab.
TAKEN = {400, 403, 409, 412}


class HttpStrategy(Strategy[HttpOptions]):
    """A tar.gz or zip of the snapshot, sent to an HTTP endpoint: PUT, POST or a form."""

    name = "http"
    repairs = True
    Options = HttpOptions

    def plan(self, snapshot: Snapshot) -> Plan:
        """Pack the snapshot and ask the server whether it has that; it need not be sent then.

        Raises `TargetError` when the server cannot be reached or is not trusted, `PushRefused` when something else is
        there that may not be replaced.
        """
        archive = self._archive(snapshot)
        values = self._values(snapshot, archive)
        url = filled_url(self.options.url, values)
        action, reason = Action.ADD, f"{self.options.method} of a {self.options.archive}"
        warnings: tuple[str, ...] = ()
        if self.options.method == "PUT":
            answer = self._look(url, values)
            if answer.status == 200:
                same = self._is(answer, archive)
                if same and not (self.run.repair and self.options.replace):
                    return Plan(self.run.target.name, (), kept=snapshot.files)
                if not self.options.replace:
                    # Before anything is sent: many a server does not know `If-None-Match`.
                    raise self._taken(url)
                action, reason = Action.REPLACE, "what is there is not known to be the same"
            if answer.status == 401:
                warnings = (f"{shown(url)} knows no such credentials: {HINTS[401]}",)
        steps = [Step(action, shown(url), reason, archive.size)]
        if self.options.status:
            steps.append(Step(Action.VERIFY, "what became of it", f"asked for {self.options.status.within:g} seconds"))
        return Plan(self.run.target.name, tuple(steps), warnings=warnings)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Send it, and wait until the server is done where ``status`` is given.

        Raises `TargetError` when the server took nothing, `PushRefused` when something else is there that may not be
        replaced, `PushFailed` when it may have taken it.
        """
        archive = self._archive(snapshot)
        values = self._values(snapshot, archive)
        created = datetime.now(UTC)
        first, *more = plan.steps
        with self.run.step(first):
            answer = self._deliver(first, archive, values)
        for step in more:
            with self.run.step(step):
                private = self._private(values)
                follow(self.run, self._client, self.options, values=values, answer=answer, private=private)
        revision = snapshot.revision
        return Release(f"{created:%Y%m%dT%H%M%SZ}-{revision.short}", revision, created, self.run.person)

    def check(self) -> Sequence[Finding]:
        """Reach the server and look at its certificate, without a credential."""
        url = filled_url(self.options.url, dict.fromkeys(FIELDS, "none"))
        try:
            self._client.send(Request("HEAD", url))
        except TargetError as error:
            return [Finding(Severity.ERROR, "server", error.message, error.hint)]
        found = [
            Finding(Severity.OK, "server", "answers" + ", and its certificate is trusted" * url.startswith("https"))
        ]
        if url.startswith("http:"):
            found.append(
                Finding(
                    Severity.WARNING,
                    "server",
                    "everything is sent in clear text",
                    'write https://, without tls = "none"',
                )
            )
        return found

    # What is sent.

    _packed: tuple[Snapshot, Archive] | None = None

    def _archive(self, snapshot: Snapshot) -> Archive:
        """The snapshot, packed once."""
        if self._packed is None or self._packed[0] is not snapshot:
            path = self.run.scratch / f"{self.run.target.name}.{self.options.archive}"
            path.unlink(missing_ok=True)
            self._packed = (snapshot, pack(snapshot, self.options.archive, path, self.run.check))
        return self._packed[1]

    def _values(self, snapshot: Snapshot, archive: Archive) -> Mapping[str, str]:
        """What the fields of a URL, a header or a form stand for."""
        revision = snapshot.revision
        return {
            "project": self.run.project.name,
            "target": self.run.target.name,
            "revision": revision.short,
            "commit": revision.commit,
            "digest": revision.digest,
            "sha256": archive.sha256.hex(),
        }

    def _private(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """The headers that are for this server alone: the credentials, and what the Pushfile adds."""
        options = self.options
        headers = {name: filled(value.reveal(), values) for name, value in options.headers.items()}
        if options.token and options.token_header:
            headers[options.token_header] = options.token.reveal()
        elif options.token:
            headers["Authorization"] = f"Bearer {options.token.reveal()}"
        elif options.password:
            pair = f"{options.user}:{options.password.reveal()}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return headers

    def _request(self, archive: Archive, values: Mapping[str, str]) -> Request:
        options, type_ = self.options, TYPES[self.options.archive]
        private = self._private(values)
        headers: dict[str, str] = {"User-Agent": "pushkit"}
        if options.method == "multipart":
            fields = {name: filled(value, values) for name, value in options.form.items()}
            name = f"{self.run.project.name}-{values['revision']}.{options.archive}"
            body = form(archive, type_, name, options.file_field, fields)
            method = "POST"
        else:
            body, method = Body(archive, type_), options.method
            headers |= content_headers(archive)
        headers["Content-Type"] = body.type
        if not options.replace:
            headers["If-None-Match"] = "*"
        given = {name.lower() for name in private}
        headers = {name: value for name, value in headers.items() if name.lower() not in given}
        return Request(method, filled_url(options.url, values), headers, private, body)

    # How.

    @cached_property
    def _client(self) -> Client:
        file = self.options.ca_file
        try:
            path = str(self.run.project.root / Path(file).expanduser()) if file else None
            trust = ssl.create_default_context(cafile=path)
        except (OSError, RuntimeError) as error:
            reason = "holds no certificate" if isinstance(error, ssl.SSLError) else "cannot be read"
            raise TargetError(f"ca_file: {file} {reason}", hint="name a file of certificates in PEM") from error
        trust.minimum_version = ssl.TLSVersion.TLSv1_2
        return Client(self.run, trust, timeout=self.options.timeout, retries=self.options.retries)

    def _look(self, url: str, values: Mapping[str, str]) -> Answer:
        """What the server says of ``url`` without sending it. Many a server does not answer that."""
        headers = {"User-Agent": "pushkit", "Want-Repr-Digest": "sha-256=10"}
        return self._client.send(Request("HEAD", url, headers, self._private(values)))

    def _is(self, answer: Answer, archive: Archive) -> bool:
        """Whether what is there is the archive: by its digest, or by a URL that names the content."""
        known = has(answer.headers, archive)
        if known is None and self.options.by_content:
            return answer.headers.get("Content-Length", str(archive.size)) == str(archive.size)
        return bool(known)

    def _deliver(self, step: Step, archive: Archive, values: Mapping[str, str]) -> Answer:
        request = self._request(archive, values)
        try:
            answer = self._client.send(request, lambda size: self.run.progress(step, size))
        except Lost as error:
            raise PushFailed(
                f"{error.message}; it is not known whether the archive arrived", hint="look there before you push again"
            ) from error
        if answer.good:
            return answer
        if request.method == "PUT" and answer.status in TAKEN:
            there = self._look(request.url, values)
            if there.status == 200 and self._is(there, archive):
                self.run.note(f"{shown(request.url)} has this archive already")
                return answer
            if there.status == 200 and not self.options.replace:
                raise self._taken(request.url)
            raise refusal(answer, request, self.run.excerpt, taken=there.status == 200)
        raise refusal(answer, request, self.run.excerpt)

    def _taken(self, url: str) -> PushRefused:
        return PushRefused(
            f"{shown(url)} is something else, which may not be replaced",
            hint="name what is new, with {revision} or {digest} in the url; or set replace = true",
        )
