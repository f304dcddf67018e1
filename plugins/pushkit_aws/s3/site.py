"""`Site`: an object for each file, what names others after them, removals last."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pushkit import Action, Plan, PushkitError, PushRefused, Release, Run, Snapshot, Step, TargetError
from pushkit_aws.clients import Clients
from pushkit_aws.s3 import cdn, memory
from pushkit_aws.s3.memory import Memory, Pushed, Remembered
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.rules import SMALL, Wanted, body, in_order, wanted
from pushkit_aws.s3.sender import Sender
from pushkit_aws.s3.upload import Upload, first

#: How many keys one call lists or removes at most (ListObjectsV2, DeleteObjects).
AT_ONCE = 1000
SHOWN = 5


@dataclass(frozen=True)
class SitePlan(Plan):
    """What `Site.push` needs: ``send`` are the objects with their steps, ``etags`` those of what stays."""

    send: tuple[tuple[Wanted, Step], ...] = ()
    remove: tuple[str, ...] = ()
    left: Mapping[str, tuple[str, str]] | None = None
    etags: Mapping[str, tuple[str, str]] | None = None
    invalidate: tuple[str, ...] = ()
    before: Memory = field(default_factory=Memory)


class Site:
    """The objects below the prefix of a target."""

    def __init__(self, run: Run, options: S3Options, clients: Clients) -> None:
        self._run = run
        self._options = options
        self._clients = clients
        self._upload = Upload(run, clients, options.bucket)
        self._large = threading.Lock()

    @cached_property
    def _sender(self) -> Sender:
        return Sender(self._run, self._options, self._clients)

    def close(self) -> None:
        """Hang up."""
        if "_sender" in self.__dict__:
            self._sender.close()

    # What is there.

    def remembered(self, listing: Mapping[str, str] | None = None) -> Memory:
        """What the bucket remembers. With a ``listing`` nothing is asked for that is not there."""
        found: list[Remembered | None] = []
        for name in (memory.MANIFEST, memory.PENDING):
            key = self._options.prefix + name
            content = None if listing is not None and key not in listing else self._read(key)
            found.append(memory.decode(content, key) if content is not None else None)
        return Memory(found[0], found[1])

    def _read(self, key: str) -> bytes | None:
        try:
            answer = self._call("get_object", Key=key)
            with answer["Body"] as stream:
                content: bytes = stream.read(memory.MOST)
                return content
        except TargetError as error:
            if getattr(error, "missing", False):
                return None
            raise

    def _listing(self) -> dict[str, str]:
        """The ETag of each key below the prefix."""
        quick = self._sender.listing(self._options.prefix, AT_ONCE)
        if quick is not None:
            return quick
        found: dict[str, str] = {}
        more: dict[str, str] = {}
        while True:
            answer = self._call("list_objects_v2", Prefix=self._options.prefix, MaxKeys=AT_ONCE, **more)
            for each in answer.get("Contents", ()):
                found[each["Key"]] = str(each.get("ETag", "")).strip('"')
            if not answer.get("IsTruncated") or not answer.get("NextContinuationToken"):
                return found
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def _marks(self, keys: Sequence[str]) -> dict[str, str]:
        """The fingerprint that a push left on each object, empty on one that no push put there."""
        marks: dict[str, str] = {}

        def look(key: str) -> None:
            try:
                marks[key] = self._call("head_object", Key=key).get("Metadata", {}).get("push", "")
            except TargetError as error:
                if not getattr(error, "missing", False):
                    raise

        self._each(keys, look)
        return marks

    # The plan.

    def plan(self, snapshot: Snapshot) -> SitePlan:
        """Compare the snapshot with one listing. Raises `PushRefused` for what no push put there, in its way."""
        objects, warnings = wanted(snapshot, self._options)
        listing = self._listing()
        before = self.remembered(listing)
        steps: dict[str, Step] = {}
        etags: dict[str, tuple[str, str]] = {}
        unsure = []
        for key, each in objects.items():
            known = before.objects.get(key)
            if key not in listing:
                steps[key] = Step(Action.ADD, key, "new", each.size)
            elif not known or known[1] != listing[key] or key in before.touched or self._run.repair:
                unsure.append(key)
            elif known[0] == each.fingerprint:
                etags[key] = known
            else:
                steps[key] = Step(Action.REPLACE, key, "content or headers changed", each.size)
        gone = [key for key in before.owned if key not in objects and key in listing]
        strange = [key for key in gone if before.objects.get(key, ("", ""))[1] != listing[key]]
        marks = self._marks(unsure + strange)
        self._compare(unsure, marks, objects, listing, steps=steps, etags=etags)
        foreign = {key for key in strange if not marks.get(key)}
        warnings += [f"{key} was replaced by somebody else, and stays" for key in sorted(foreign)[:SHOWN]]
        gone = sorted(key for key in gone if key not in foreign)
        if before.pending:
            who = f"{before.pending.push.person} at {before.pending.push.created:%Y-%m-%d %H:%M} UTC"
            warnings.append(f"a push by {who} did not end: unless it is under way, this one completes it")
        remove = gone if self._options.remove else []
        left = {} if self._options.remove else {key: before.objects.get(key, ("", listing[key])) for key in gone}
        return self._planned(
            snapshot, objects, before, warnings=warnings, steps=steps, etags=etags, remove=remove, left=left
        )

    def _compare(
        self,
        unsure: Sequence[str],
        marks: Mapping[str, str],
        objects: Mapping[str, Wanted],
        listing: Mapping[str, str],
        *,
        steps: dict[str, Step],
        etags: dict[str, tuple[str, str]],
    ) -> None:
        """Decide about objects that are not as the last push that ended left them, by the mark on each."""
        foreign = []
        for key in unsure:
            fingerprint = objects[key].fingerprint
            if marks.get(key) == fingerprint:
                etags[key] = (fingerprint, listing[key])
                continue
            if not marks.get(key):
                foreign.append(key)
            steps[key] = Step(Action.REPLACE, key, "it is not what was pushed last", objects[key].size)
        if foreign and not self._run.adopt:
            some = ", ".join(foreign[:SHOWN]) + ", ..." * (len(foreign) > SHOWN)
            raise PushRefused(
                f"{len(foreign)} objects in {self._options.bucket} were put there by no push: {some}",
                hint="look at them; push --adopt takes them over",
            )

    def _planned(
        self,
        snapshot: Snapshot,
        objects: Mapping[str, Wanted],
        before: Memory,
        *,
        warnings: list[str],
        steps: Mapping[str, Step],
        etags: Mapping[str, tuple[str, str]],
        remove: Sequence[str],
        left: Mapping[str, tuple[str, str]],
    ) -> SitePlan:
        early, late = in_order([objects[key] for key in steps])
        send = tuple((each, steps[each.key]) for each in (*early, *late))
        all_steps = [step for _, step in send]
        all_steps += [Step(Action.REMOVE, key, "not in the snapshot") for key in remove]
        changed = {*steps, *remove, *before.touched}
        invalidate: list[str] = []
        if changed and self._options.distribution:
            invalidate = cdn.paths(changed, self._options.origin_path, self._options.most_paths)
            reason = (
                f"{len(invalidate)} path{'s' * (len(invalidate) != 1)} invalidated: {', '.join(invalidate[:SHOWN])}"
            )
            all_steps.append(Step(Action.RUN, f"CloudFront {self._options.distribution}", reason))
        if changed or before.pending or {*before.objects} != {*etags, *left} or not before.manifest:
            action = Action.REPLACE if before.manifest else Action.ADD
            all_steps.append(Step(action, self._options.prefix + memory.MANIFEST, "what was pushed is remembered"))
        return SitePlan(
            self._run.target.name,
            tuple(all_steps),
            kept=len(etags),
            live=before.manifest.push.id if before.manifest else "",
            warnings=tuple(warnings),
            send=send,
            remove=tuple(remove),
            left=left,
            etags=etags,
            invalidate=tuple(invalidate),
            before=before,
        )

    # The push.

    def push(self, plan: SitePlan, snapshot: Snapshot, changed: Callable[[], None]) -> Release:
        """Carry the plan out; ``changed`` is called before the first change that a visitor may see."""
        pushed = self._pushed(plan, snapshot)
        pending = Remembered(
            format=memory.FORMAT,
            push=pushed,
            objects={each.key: (each.fingerprint, "") for each, _ in plan.send},
            removed=sorted({*plan.remove, *plan.before.touched}),
        )
        self._write(memory.PENDING, pending)
        changed()
        sent: dict[str, tuple[str, str]] = {}
        early = [pair for pair in plan.send if not pair[0].last]
        late = [pair for pair in plan.send if pair[0].last]
        for group in (early, late):
            self._each(group, lambda pair: self._send(pair, snapshot, sent), step=lambda pair: pair[1])
        steps = iter(plan.steps[len(plan.send) :])
        self._check_alone(pushed)
        self._remove(plan.remove, steps)
        if plan.invalidate:
            with self._run.step(next(steps)):
                reference = f"{pushed.id}-{snapshot.digest[:16]}-{pushed.created.timestamp():.6f}"
                cdn.invalidate(self._clients, self._options.distribution, list(plan.invalidate), reference)
        objects = {**(plan.left or {}), **(plan.etags or {}), **sent}
        log = [*(plan.before.manifest.log if plan.before.manifest else ()), pushed][-memory.LOG :]
        with self._run.step(next(steps)):
            self._write(memory.MANIFEST, Remembered(format=memory.FORMAT, push=pushed, objects=objects, log=log))
            # The next push removes it, should this fail.
            with suppress(TargetError):
                self._call("delete_objects", Delete=_those([self._options.prefix + memory.PENDING]))
        return pushed.release

    def _send(self, pair: tuple[Wanted, Step], snapshot: Snapshot, sent: dict[str, tuple[str, str]]) -> None:
        each, step = pair
        if each.size > SMALL:
            etag = self._send_large(each, step, snapshot)
        else:
            content, encoding = body(each, snapshot.read(each.entry) if each.entry else b"")
            headers = each.headers(encoding)
            etag = self._sender.put(each.key, content, headers)
            if not etag:
                etag = _etag(self._upload.content(each.key, content, _parameters(headers)))
            self._run.progress(step, each.size)
        sent[each.key] = (each.fingerprint, etag)

    def _send_large(self, each: Wanted, step: Step, snapshot: Snapshot) -> str:
        """Send a file from a copy of it that is known to be what was frozen: S3 wants to know its digest first."""
        assert each.entry
        with self._large:
            path = self._run.scratch / "object"
            try:
                with snapshot.open(each.entry) as content, path.open("wb") as copy:
                    shutil.copyfileobj(content, copy, 1 << 20)
                return _etag(self._upload.file(step, each.key, path, _parameters(each.headers(""))))
            finally:
                path.unlink(missing_ok=True)

    def _remove(self, keys: Sequence[str], steps: Iterator[Step]) -> None:
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            answer = self._call("delete_objects", Delete=_those(some))
            errors = {each.get("Key"): each for each in answer.get("Errors", ())}
            for key in some:
                with self._run.step(next(steps)):
                    if error := errors.get(key):
                        raise TargetError(
                            f"{key} was not removed: {error.get('Code')} {error.get('Message', '')}".strip(),
                            hint=f"grant s3:DeleteObject on arn:aws:s3:::{self._options.bucket}/{key}",
                        )

    def _check_alone(self, pushed: Pushed) -> None:
        """Nothing is removed or remembered when another push has begun since: it knows better."""
        content = self._read(self._options.prefix + memory.PENDING)
        other = memory.decode(content, memory.PENDING).push if content is not None else None
        if other is None or other.id != pushed.id or other.person != pushed.person or other.created != pushed.created:
            who = f"by {other.person} " if other else ""
            raise TargetError(f"another push {who}has begun or ended since", hint="push again when it has ended")

    def _pushed(self, plan: SitePlan, snapshot: Snapshot) -> Pushed:
        revision, now = snapshot.revision, datetime.now(UTC)
        return Pushed(
            id=f"{now:%Y%m%dT%H%M%SZ}-{revision.short}",
            created=now,
            person=self._run.person,
            commit=revision.commit,
            dirty=revision.dirty,
            digest=revision.digest,
            previous=plan.live,
        )

    def _write(self, name: str, what: Remembered) -> None:
        self._upload.content(
            self._options.prefix + name,
            memory.encode(what),
            {"ContentType": "application/gzip", "CacheControl": "no-store"},
        )

    def _each(self, items: Sequence[Any], work: Any, step: Any = None) -> None:
        try:
            self._run.each(items, work, workers=min(self._options.connections, max(1, len(items))), step=step)
        except ExceptionGroup as group:
            failure = first(group)
            if isinstance(failure, PushkitError):
                raise failure from group
            raise

    def _call(self, operation: str, **parameters: Any) -> Any:
        return self._clients.call("s3", operation, Bucket=self._options.bucket, **parameters)


def _those(keys: Sequence[str]) -> dict[str, Any]:
    return {"Objects": [{"Key": key} for key in keys], "Quiet": True}


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag") or "").strip('"')


def _parameters(headers: Mapping[str, str]) -> dict[str, Any]:
    """HTTP's headers as boto3 calls them."""
    names = {
        "Content-Type": "ContentType",
        "Cache-Control": "CacheControl",
        "Content-Encoding": "ContentEncoding",
        "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    }
    given: dict[str, Any] = {names[name]: value for name, value in headers.items() if name in names}
    return {**given, "Metadata": {"push": headers["x-amz-meta-push"]}}
