"""`HerokuStrategy`: a release of an app on Heroku, built from a git push or from an archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from pushkit import (
    Action,
    Archive,
    Finding,
    Interrupted,
    LogEntry,
    Plan,
    PushFailed,
    PushRefused,
    Release,
    Severity,
    Snapshot,
    Status,
    Step,
    Strategy,
    TargetError,
    pack,
)
from pushkit_git import GitPlan, GitStrategy
from pushkit_heroku import replies
from pushkit_heroku.api import LOOK, Api
from pushkit_heroku.credentials import token
from pushkit_heroku.following import Deadline
from pushkit_heroku.options import HerokuOptions
from pushkit_heroku.platform import Platform
from pushkit_heroku.releases import chosen, current, known

#: How many releases back `status`, `log` and `rollback` look, and how many builds back a push looks for its own.
DEPTH = 50
BUILDS = 10


class HerokuPlan(Plan, frozen=True):
    """``create``: the app is made first. ``config``: names of config vars that are set. ``version``: of an archive."""

    create: bool = False
    config: tuple[str, ...] = ()
    version: str = ""
    by_git: GitPlan | None = None


class HerokuStrategy(Strategy[HerokuOptions]):
    """An app on Heroku, by git push or by the builds API, its release followed to the end."""

    name = "heroku"
    Options = HerokuOptions

    _app: replies.App | None = None
    _releases: Sequence[replies.Release] = ()

    def connect(self) -> None:
        """Ask for the app and its releases, and by git for its repository. Raises `TargetError`."""
        self._app = self._platform.app()
        if self._app:
            self._releases = self._platform.releases(DEPTH)
            if self.options.via == "git":
                self._git.connect()

    def close(self) -> None:
        """Hang up."""
        if "_platform" in vars(self):
            self._platform.api.close()

    def plan(self, snapshot: Snapshot) -> Plan:
        """Compare with what is live. Raises `TargetError` when there is no app, and none is to be made."""
        if not self._app and not self.options.create:
            raise TargetError(
                f"there is no app {self.options.app}, or the token's owner may not see it",
                hint="check `app`; to make it: create = true",
            )
        config = self._differing()
        steps = [] if self._app else [Step(Action.RUN, f"create {self.options.app}", "there is no such app")]
        if config:
            steps.append(Step(Action.RUN, "config", "to set: " + ", ".join(config)))
        if self.options.via == "build":
            return self._plan_build(snapshot, steps, config)
        return self._plan_git(snapshot, steps, config)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Carry it out. Raises `PushRefused` when Heroku does not build it, `PushFailed` when the release failed."""
        assert isinstance(plan, HerokuPlan)
        steps = iter(plan.steps)
        with self._watched():
            done: list[str] = []
            try:
                self._prepare(plan, steps, done)
                if plan.version:
                    release = self._build(plan, steps)
                elif rest := tuple(steps):
                    release = self._push_by_git(plan, snapshot, rest)
                else:
                    release = self._configured()
            except (PushRefused, TargetError) as error:
                if not done:
                    raise
                raise PushFailed(f"{error.message}; before it, {' and '.join(done)}", hint=error.hint) from error
        return Release(release.name, snapshot.revision, release.when, release.user.email)

    # What is there.

    def status(self) -> Status:
        """The live release, and those that it can be rolled back to."""
        live = current(self._releases)
        if not live:
            return Status("")
        good = [each for each in reversed(self._releases) if each.slug and each.status == "succeeded"]
        return Status(live.name, live.when, live.user.email, tuple(map(known, good)))

    def log(self) -> Sequence[LogEntry]:
        """The last releases, whatever made them."""
        entries = []
        for each in reversed(self._releases):
            what = each.description or "release"
            entries.append(LogEntry(each.version, each.when, each.user.email, what, each.name, "", each.status))
        return entries

    def rollback(self, release: str = "") -> Release:
        """Make a release with the slug of an earlier one. Nothing is sent or built."""
        live = current(self._releases)
        earlier = chosen(self._releases, live, release)
        with (
            self.run.step(Step(Action.SWITCH, self.options.app, f"back to {earlier.name}: {earlier.description}")),
            self._watched(),
        ):
            made = self._released(self._deadline(), self._platform.roll_back(earlier.id))
        return Release(made.name, known(earlier).revision, made.when, made.user.email)

    def check(self) -> Sequence[Finding]:
        """Who the token belongs to, and what it sees of the app."""
        found = [Finding(Severity.OK, "token", f"is {self._platform.account().email}'s")]
        if not self._app:
            there = Severity.WARNING if self.options.create else Severity.ERROR
            return [*found, Finding(there, "app", f"there is no {self.options.app}", "to make it: create = true")]
        named = (self._app.region, self._app.stack)
        found.append(Finding(Severity.OK, "app", ", ".join([self._app.name, *(each.name for each in named if each)])))
        if self._app.maintenance:
            found.append(Finding(Severity.WARNING, "app", "is in maintenance mode", "heroku maintenance:off"))
        return [*found, *(self._git.check() if self.options.via == "git" else ())]

    # Where.

    @cached_property
    def _token(self) -> str:
        return token(self.options, self.run)

    @cached_property
    def _platform(self) -> Platform:
        return Platform(Api(self.run, self.options.api_url, self._token, self.options.ca_file), self.options.app)

    @cached_property
    def _git(self) -> GitStrategy:
        return GitStrategy(self.options.git(self._token), self.run)

    @property
    def _live(self) -> str:
        live = current(self._releases)
        return live.name if live else ""

    # What a push would do.

    def _differing(self) -> tuple[str, ...]:
        """The names of the config vars that are not as the Pushfile has them."""
        wanted = self.options.config
        there = self._platform.config() if wanted and self._app else {}
        return tuple(name for name, value in wanted.items() if there.get(name) != value.reveal())

    def _plan_build(self, snapshot: Snapshot, steps: list[Step], config: tuple[str, ...]) -> Plan:
        inside = snapshot.within(self.options.dir)
        if not inside.files:
            raise PushRefused(f"there is no file in {self.options.dir}", hint="see what travels: push files")
        version = f"{snapshot.revision.short}-{inside.digest[:16]}"
        live = current(self._releases)
        # A release of config vars alone has the slug of the one before.
        same = [each.id for each in self._releases if live and live.slug and each.slug == live.slug]
        builds = self._platform.builds(BUILDS) if same else []
        if any(each.source_blob.version == version and each.release and each.release.id in same for each in builds):
            kept, version = inside.files, ""
        else:
            archive = self._packed(inside)
            steps += [
                Step(Action.ADD, "source", "the archive that is built", archive.size),
                Step(Action.RUN, "build", version),
                Step(Action.SWITCH, self.options.app, f"from {self._live}" if self._live else "the first release"),
            ]
            kept = 0
        return self._planned(steps, config, kept=kept, version=version)

    def _plan_git(self, snapshot: Snapshot, steps: list[Step], config: tuple[str, ...]) -> Plan:
        if not self._app:
            steps.append(Step(Action.SWITCH, self.options.branch, "the first release"))
            return self._planned(steps, config)
        plan = self._git.plan(snapshot)
        warnings: tuple[str, ...] = ()
        if not plan.steps and (live := self._live_commit()) != plan.live:
            # Rolled back, or its release failed. Heroku builds nothing for a commit that it has.
            said = (
                f"{self.options.branch} is at {plan.live[:7]} already, but what is live is {self._live} of {live[:7]}"
            )
            if self.options.what == "snapshot":
                self.run.note(f"{said}; it is built once more")
                self._git.always = True
                plan = self._git.plan(snapshot)
            else:
                warnings = (f"{said}; Heroku builds a commit once: push another, or push rollback",)
        by_git = plan if isinstance(plan, GitPlan) else None
        return self._planned([*steps, *plan.steps], config, kept=plan.kept, by_git=by_git, warnings=warnings)

    def _planned(
        self,
        steps: list[Step],
        config: tuple[str, ...],
        *,
        kept: int = 0,
        version: str = "",
        by_git: GitPlan | None = None,
        warnings: tuple[str, ...] = (),
    ) -> Plan:
        create = not self._app
        return HerokuPlan(
            self.run.target.name, tuple(steps), kept, self._live, warnings,
            create=create, config=config, version=version, by_git=by_git,
        )  # fmt: skip

    def _live_commit(self) -> str:
        """The commit that the live release was built of, empty where that is not known."""
        live = current(self._releases)
        return self._commit(live) if live else ""

    def _commit(self, release: replies.Release) -> str:
        return (self._platform.slug(release.slug.id).commit or "") if release.slug else ""

    def _packed(self, snapshot: Snapshot) -> Archive:
        path = self.run.scratch / "source.tar.gz"
        path.unlink(missing_ok=True)
        self._archive = pack(snapshot, "tar.gz", path, self.run.check)
        return self._archive

    # Doing it.

    def _prepare(self, plan: HerokuPlan, steps: Iterator[Step], done: list[str]) -> None:
        """Make the app and set config vars, where that is planned; ``done`` says what of it was."""
        if plan.create:
            with self.run.step(next(steps)):
                self._app = self._platform.create(self.options.region, self.options.team)
            done.append("the app was made")
        if plan.config:
            with self.run.step(next(steps)):
                values = {name: self.options.config[name].reveal() for name in plan.config}
                self._platform.configure(values)
            done.append("config vars were set")

    def _configured(self) -> replies.Release:
        """The release that config vars became; it has a release phase as any other."""
        found = self._platform.releases(1)
        if not found:
            raise TargetError("Heroku tells of no release", hint=LOOK)
        return self._released(self._deadline(), found[0])

    def _build(self, plan: HerokuPlan, steps: Iterator[Step]) -> replies.Release:
        with self.run.step(source := next(steps)):
            place = self._platform.place()
            for url in (place.put_url, place.get_url):
                self.run.hide("source", url)
            archive = self._archive
            self._platform.api.upload(
                place.put_url, archive.path, archive.size, lambda more: self.run.progress(source, more)
            )
        deadline = self._deadline()
        with self.run.step(next(steps)):
            try:
                started = self._platform.start_build(place.get_url, plan.version, archive.sha256.hex())
            except TargetError as error:
                # An archive that nobody builds is no change.
                raise PushRefused(
                    f"{error.message}; {self._live or 'nothing'} is still live", hint=error.hint
                ) from error
            build = deadline.follow("the build", started, lambda: self._platform.build(started.id))
            if build.status != "succeeded":
                raise PushRefused(
                    f"Heroku could not build it; {self._live or 'nothing'} is still live", hint="its output says why"
                )
        with self.run.step(next(steps)):
            if not build.release:
                for build in deadline.looks("the release", lambda: self._platform.build(started.id)):
                    if build.release:
                        break
            assert build.release
            made = build.release.id
            # Its first look is one of those that fail once something has changed.
            return self._released(deadline, next(deadline.looks("the release", lambda: self._platform.release(made))))

    def _push_by_git(self, plan: HerokuPlan, snapshot: Snapshot, steps: Sequence[Step]) -> replies.Release:
        by_git, deadline = plan.by_git, self._deadline()
        before = max((each.version for each in self._platform.releases(1)), default=0)
        if by_git is None:
            self._git.connect()
            found = self._git.plan(snapshot)
            assert isinstance(found, GitPlan)
            by_git = GitPlan(found.target, tuple(steps), found.kept, found.live, commit=found.commit, whole=found.whole)
        try:
            self._git.push(by_git, snapshot)
        except PushRefused as error:
            live = self._live or "nothing"
            raise PushRefused(
                f"Heroku did not take it: {error.message}; {live} is still live", hint=error.hint
            ) from error
        for releases in deadline.looks("the release", lambda: self._platform.releases(BUILDS)):
            for each in releases:
                if each.version > before and self._is_of(each, by_git.commit):
                    return self._released(deadline, each)
        raise AssertionError("not reached")

    def _is_of(self, release: replies.Release, commit: str) -> bool:
        if not release.slug:
            # Apps whose releases are images say it in words only.
            return commit.startswith(known(release).revision.commit or "?")
        try:
            return self._commit(release) == commit
        except TargetError as error:
            raise PushFailed(f"{error.message}; Heroku has built {commit[:7]}", hint=LOOK) from error

    def _deadline(self) -> Deadline:
        return Deadline(self.run, self._platform.api, self.options.within)

    def _released(self, deadline: Deadline, release: replies.Release) -> replies.Release:
        """A release at its end. Raises `PushFailed` when its release phase failed."""
        ended = deadline.follow(f"the release {release.name}", release, lambda: self._platform.release(release.id))
        if ended.status != "succeeded":
            raise PushFailed(
                f"the release {ended.name} {ended.status}; {self._still_live()}",
                hint="the output of its release phase says why",
            )
        return ended

    def _still_live(self) -> str:
        """What is live after a failure, in words."""
        try:
            live = current(self._platform.releases(BUILDS))
        except TargetError as error:
            return f"what is live is not known: {error.message}"
        return f"{live.name if live else 'nothing'} is still live"

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Say to who stops watching that Heroku goes on."""
        try:
            yield
        except Interrupted:
            app, target = self.options.app, self.run.target.name
            self.run.warn(
                f"what Heroku has begun goes on there; look: push status {target}, or heroku builds:output --app {app}"
            )
            raise
