"""`Site`: an object for each file, what names others after them, removals last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import field

from pushkit import Action, Plan, PushRefused, Release, Run, Snapshot, Step, TargetError
from pushkit_aws.clients import Clients
from pushkit_aws.s3 import cdn, memory
from pushkit_aws.s3.memory import Memory, Pushed, Remembered
from pushkit_aws.s3.objects import Objects
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.rules import Wanted, in_order, wanted

#: How many of many are named in a message.
SHOWN = 5


class SitePlan(Plan, frozen=True):
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
        self.objects = Objects(run, options, clients)

    def close(self) -> None:
        """Hang up."""
        self.objects.close()

    # The plan.

    def plan(self, snapshot: Snapshot) -> SitePlan:
        """Compare the snapshot with one listing. Raises `PushRefused` for what no push put there, in its way."""
        objects, warnings = wanted(snapshot, self._options)
        listing, before = self.objects.look()
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
        marks = self.objects.marks(unsure + strange)
        self._compare(unsure, marks, objects, listing, before.owned, steps=steps, etags=etags)
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
        owned: set[str],
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
            if not marks.get(key) and key not in owned:
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
        self.objects.write(memory.PENDING, pending)
        changed()
        sent: dict[str, tuple[str, str]] = {}
        early = [pair for pair in plan.send if not pair[0].last]
        late = [pair for pair in plan.send if pair[0].last]
        for group in (early, late):
            self.objects.each(group, lambda pair: self.objects.send(pair, snapshot, sent), step=lambda pair: pair[1])
        steps = iter(plan.steps[len(plan.send) :])
        self._check_alone(pushed)
        self.objects.remove(plan.remove, steps)
        if plan.invalidate:
            with self._run.step(next(steps)):
                reference = f"{pushed.id}-{snapshot.digest[:16]}-{pushed.created.timestamp():.6f}"
                cdn.invalidate(self._clients, self._options.distribution, list(plan.invalidate), reference)
        objects = {**(plan.left or {}), **(plan.etags or {}), **sent}
        log = [*(plan.before.manifest.log if plan.before.manifest else ()), pushed][-memory.LOG :]
        with self._run.step(next(steps)):
            self.objects.write(memory.MANIFEST, Remembered(format=memory.FORMAT, push=pushed, objects=objects, log=log))
            self.objects.forget(memory.PENDING)
        return pushed.release

    def _check_alone(self, pushed: Pushed) -> None:
        """Nothing is removed or remembered when another push has begun since: it knows better."""
        content = self.objects.read(self._options.prefix + memory.PENDING)
        other = memory.decode(content, memory.PENDING).push if content is not None else None
        if other is None or other.id != pushed.id or other.person != pushed.person or other.created != pushed.created:
            who = f"by {other.person} " if other else ""
            raise TargetError(
                f"another push {who}to {self._options.bucket} has begun or ended since",
                hint="push again when it has ended",
            )

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
