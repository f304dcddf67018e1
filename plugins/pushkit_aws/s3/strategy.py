"""`S3Strategy`: to a bucket of S3, or of what speaks its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec

from pushkit import (
    Action,
    Archive,
    Finding,
    LogEntry,
    Plan,
    PluginError,
    PushFailed,
    PushRefused,
    Release,
    Run,
    Severity,
    Snapshot,
    Status,
    Step,
    Strategy,
    TargetError,
    pack,
)
from pushkit_aws.clients import Clients
from pushkit_aws.s3.bundle import Bundle, Version
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.pipeline import Pipeline
from pushkit_aws.s3.site import Site, SitePlan


class S3Strategy(Strategy[S3Options]):
    """An archive in a bucket of S3, or a site of many objects; any store that speaks S3."""

    name = "s3"
    repairs = True
    Options = S3Options

    def __init__(self, options: S3Options, run: Run) -> None:
        super().__init__(options, run)
        connections = max(options.connections, 8)
        self._clients = Clients(run, options, connections=connections, path_style=options.path_style)

    def connect(self) -> None:
        """Begin to look what is there. Raises `PluginError` without brotli, where that is to compress."""
        if self.options.compression == "brotli" and find_spec("brotli") is None:
            raise PluginError(
                '`compression = "brotli"` needs the library brotli, which is not installed',
                hint="pip install 'pushkit[brotli]'",
            )
        if self.options.mode == "site":
            self._site.objects.begin()
        else:
            self._clients.client("s3")

    def close(self) -> None:
        """Close its connections."""
        if "_site" in self.__dict__:
            self._site.close()
        self._clients.close()

    def plan(self, snapshot: Snapshot) -> Plan:
        """Look what is there. Raises `TargetError` when that is denied, `PushRefused` for what no push put there."""
        if self.options.mode == "site":
            return self._site.plan(snapshot)
        key, archive = self._bundle.key(snapshot), self._archive(snapshot)
        there = self._bundle.look(key)
        live = there.release.id if there else ""
        same = there is not None and there.sha256 == archive.sha256.hex() and not self.run.repair
        if same and not self.options.pipeline_start:
            return Plan(self.run.target.name, (), kept=snapshot.files, live=live)
        if there and not there.sha256 and not self.run.adopt:
            raise PushRefused(
                f"{key} in {self.options.bucket} was put there by no push", hint="push --adopt puts the bundle over it"
            )
        action, reason = (Action.REPLACE, "another bundle is there") if there else (Action.ADD, "new")
        steps = [] if same else [Step(action, self._shown(key), reason, archive.size)]
        if self.options.pipeline:
            reason = "started" if self.options.pipeline_start else "begun by its source"
            steps.append(Step(Action.RUN, f"pipeline {self.options.pipeline}", f"{reason}, and followed to its end"))
        return Plan(self.run.target.name, tuple(steps), kept=snapshot.files if same else 0, live=live)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Carry the plan out. Raises `TargetError` when nothing changed, else `PushFailed`."""
        if isinstance(plan, SitePlan):
            return self._push_site(plan, snapshot)
        key = self._bundle.key(snapshot)
        pipeline = self._pipeline
        known = pipeline.known() if pipeline and not self.options.pipeline_start else frozenset()
        sent: Version | None = None
        for step in plan.steps:
            with self.run.step(step):
                if step.action is Action.RUN and pipeline:
                    sent = sent or self._bundle.look(key)
                    started = self.options.pipeline_start or sent is None
                    pipeline.follow(
                        pipeline.start()
                        if started
                        else pipeline.started_by(sent.version if sent else "", sent.etag if sent else "", known)
                    )
                else:
                    sent = self._bundle.send(step, key, self._archive(snapshot), snapshot)
        if sent is None:
            raise TargetError(f"{key} is not in {self.options.bucket} any more", hint="push again")
        return sent.release

    def check(self) -> Sequence[Finding]:
        """Ask for what a push asks for first."""
        try:
            if self.options.mode == "site":
                self._site.objects.remembered()
            else:
                self._bundle.look(self.run.project.name)
            self._clients.call(
                "s3", "list_objects_v2", Bucket=self.options.bucket, Prefix=self.options.prefix, MaxKeys=1
            )
        except TargetError as error:
            return [Finding(Severity.ERROR, self.options.bucket, error.message, error.hint)]
        found = [Finding(Severity.OK, self.options.bucket, "answers, and lets us look")]
        if self._pipeline:
            found += self._look_at_source(self._pipeline)
        if self.options.endpoint_url.startswith("http:"):
            found.append(
                Finding(Severity.WARNING, self.options.bucket, "everything is sent in clear text", "use https://")
            )
        return found

    def status(self) -> Status:
        """What is live: the object's own word, or the site's memory."""
        if self.options.mode == "site":
            manifest = self._site.objects.remembered().manifest
            if manifest is None:
                return Status("")
            release = manifest.push.release
            return Status(release.id, release.created, release.creator, (release,))
        key = self._bundle.fixed_key
        live = self._bundle.look(key)
        if live is None:
            return Status("")
        older = list(self._bundle.versions(key)) if live.version else [live]
        releases = tuple(each.release for each in reversed(older) if each.sha256)
        return Status(live.release.id, live.release.created, live.release.creator, releases)

    def log(self) -> Sequence[LogEntry]:
        """The pushes that ended, the newest last: of a site the last fifty, of a bundle its versions."""
        if self.options.mode == "site":
            manifest = self._site.objects.remembered().manifest
            pushes = manifest.log if manifest else []
            return [
                LogEntry(number, each.created, each.person, "push", each.id, each.previous, "done")
                for number, each in enumerate(pushes, 1)
            ]
        versions = [each for each in self._bundle.versions(self._bundle.fixed_key) if each.sha256][::-1]
        entries: list[LogEntry] = []
        for number, each in enumerate(versions, 1):
            why = "push" if each.origin == each.version else "rollback"
            previous = versions[number - 2].release.id if number > 1 else ""
            release = each.release
            entries.append(LogEntry(number, release.created, release.creator, why, release.id, previous, "done"))
        return entries

    def rollback(self, release: str = "") -> Release:
        """Copy an older version of the bundle over the live one, in the bucket. A site has none."""
        if self.options.mode == "site":
            raise PushRefused(
                "a site in a bucket has no releases to go back to",
                hint='push the older revision again: source = "git:REVISION"',
            )
        key = self._bundle.fixed_key
        step = Step(Action.REVERT, self._shown(key), "an older version is copied over it")
        with self.run.step(step):
            return self._bundle.revert(key, release).release

    def _look_at_source(self, pipeline: Pipeline) -> list[Finding]:
        """Whether the pipeline's source is the bundle, and the bucket has the versions that a source needs."""
        options = self.options
        found = []
        try:
            source = pipeline.source()
            place = (source.get("S3Bucket"), source.get("S3ObjectKey"))
            if source and not options.pipeline_start and place != (options.bucket, self._bundle.fixed_key):
                found.append(
                    Finding(
                        Severity.ERROR,
                        options.pipeline,
                        f"its source is s3://{place[0]}/{place[1]}, and not the bundle",
                        "correct `bucket` and `key`, or set pipeline_start = true",
                    )
                )
            versions = self._clients.call("s3", "get_bucket_versioning", Bucket=options.bucket).get("Status")
            if source and versions != "Enabled":
                hint = "turn on its versioning"
                found.append(Finding(Severity.ERROR, options.bucket, "a source needs a bucket with versions", hint))
        except (TargetError, PushRefused) as error:
            found.append(Finding(Severity.WARNING, options.pipeline, error.message, error.hint))
        return found or [Finding(Severity.OK, options.pipeline, "its source is the bundle")]

    def _push_site(self, plan: SitePlan, snapshot: Snapshot) -> Release:
        done = False

        def changed() -> None:
            nonlocal done
            done = True

        try:
            return self._site.push(plan, snapshot, changed)
        except PushFailed:
            raise
        except TargetError as error:
            if not done:
                raise
            raise PushFailed(
                f"{error.message}; a part of the site is new: files before pages, and nothing they name is gone",
                hint=error.hint or "push again: what has arrived is not sent again",
            ) from error

    _packed: tuple[Snapshot, Archive] | None = None

    def _archive(self, snapshot: Snapshot) -> Archive:
        """The snapshot, packed once."""
        if self._packed is None or self._packed[0] is not snapshot:
            path = self.run.scratch / f"{self.run.target.name}.{self.options.packing}"
            path.unlink(missing_ok=True)
            self._packed = (snapshot, pack(snapshot, self.options.packing, path, self.run.check))
        return self._packed[1]

    def _shown(self, key: str) -> str:
        return f"s3://{self.options.bucket}/{key}"

    @cached_property
    def _bundle(self) -> Bundle:
        return Bundle(self.run, self.options, self._clients)

    @cached_property
    def _site(self) -> Site:
        return Site(self.run, self.options, self._clients)

    @cached_property
    def _pipeline(self) -> Pipeline | None:
        if not self.options.pipeline:
            return None
        return Pipeline(self.run, self._clients, self.options.pipeline, within=self.options.pipeline_within)
