"""`GitStrategy`: a commit on a branch of a git repository, which whoever serves that repository deploys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

from pushkit import (
    Action,
    Entry,
    Finding,
    LogEntry,
    Plan,
    PushRefused,
    Release,
    Severity,
    Snapshot,
    Status,
    Step,
    Strategy,
    TargetError,
    UsageError,
)
from pushkit_git import message, project
from pushkit_git.access import environment
from pushkit_git.address import located, parse
from pushkit_git.branch import Branch
from pushkit_git.commit import Commit, Header, chosen
from pushkit_git.content import content
from pushkit_git.git import Git, GitFailed
from pushkit_git.options import GitOptions
from pushkit_git.repository import Repository
from pushkit_git.words import rejection, shown_host

#: How many commits back `status`, `log` and `rollback` look.
DEPTH = 30
REASONS = {"A": "new", "M": "differs", "T": "another kind of file", "D": "not in the snapshot"}
ACTIONS = {"A": Action.ADD, "M": Action.REPLACE, "T": Action.REPLACE, "D": Action.REMOVE}


class GitPlan(Plan, frozen=True):
    """A plan to move the branch from ``live`` to ``commit``. ``whole``: all that the live commit has is here."""

    commit: str = ""
    whole: bool = True


class GitStrategy(Strategy[GitOptions]):
    """The snapshot, or the commit it came from, to a branch of any git repository."""

    name = "git"
    Options = GitOptions
    #: Whether a commit is made although the tree is what it was, for a server that builds once more then.
    always = False

    def connect(self) -> None:
        """Ask the remote where the branch is. Raises `TargetError` when it cannot be asked."""
        self._branch.look()

    def plan(self, snapshot: Snapshot) -> Plan:
        """Make the commit, in a repository of push's own, and compare.

        Raises `PushRefused` when the branch holds what this push would undo.
        """
        return self._plan_commit(snapshot) if self.options.what == "commit" else self._plan_snapshot(snapshot)

    def push(self, plan: Plan, snapshot: Snapshot) -> Release:
        """Push the commit; what the server's hooks print is passed on as it comes.

        Raises `PushRefused` when the server does not take it, `TargetError` when it cannot be reached, and `PushFailed`
        when nobody knows whether it took it.
        """
        assert isinstance(plan, GitPlan)
        *paths, switch = plan.steps
        repository = self._borrowed if self.options.what == "commit" else self._own
        with self.run.step(switch):
            force = self.options.force
            self._branch.move(repository, plan.commit, before=plan.live, whole=plan.whole, force=force)
            # All of them at once, when the server took the commit.
            for step in paths:
                with self.run.step(step):
                    self.run.progress(step, step.size)
        return Release(plan.commit, snapshot.revision, repository.commit(plan.commit).time, self.run.person)

    # What is there.

    def status(self) -> Status:
        """The branch, and the pushes that made it what it is, as far back as push looks."""
        history = self._history()
        if not history:
            return Status("")
        live = history[0]
        releases = tuple(each.release for each in reversed(history) if each.pushed or each is live)
        return Status(live.id, live.time, live.release.creator, releases)

    def log(self) -> Sequence[LogEntry]:
        """The last commits of the branch."""
        return [each.log_entry for each in reversed(self._history())]

    def rollback(self, release: str = "") -> Release:
        """Push a commit with the tree that an earlier one had. What travels is what the live one lacks."""
        if self.options.what == "commit":
            raise UsageError(
                'with what = "commit" only commits of yours travel',
                hint='revert in your repository, and push that; or push an older one: source = "git:REVISION"',
            )
        history = self._history()
        earlier = chosen(history, release)
        live, now = history[0], datetime.now(UTC)
        trailers = {
            **earlier.trailers,
            message.NUMBER: str(live.number + 1),
            message.PERSON: self.run.person,
            message.ROLLBACK: earlier.id,
        }
        text = message.written(f"Roll back to {earlier.id[:7]}", {}, trailers)
        commit = self._own.again(earlier.tree, Header(self._who, now, text, live.id))
        step = Step(Action.SWITCH, self._branch.name, f"back to {earlier.id[:7]} of {earlier.time:%Y-%m-%d %H:%M} UTC")
        with self.run.step(step):
            self._branch.move(self._own, commit, before=live.id, whole=True, force=False)
        return Release(commit, earlier.release.revision, now, self.run.person)

    def check(self) -> Sequence[Finding]:
        """Whether the remote lets this person push. Nothing is sent."""
        branch = self._branch
        at = (
            f"{branch.name} is at {branch.tip[:7]}"
            if branch.tip
            else f"{branch.name} is not there yet, and will be made"
        )
        found = [Finding(Severity.OK, "remote", f"{shown_host(branch.address)} answers; {at}")]
        if branch.address.clear:
            found.append(Finding(Severity.WARNING, "remote", "everything is sent in clear text", "write https://"))
        tree = self._own.git("mktree", stdin=b"").decode().strip()
        commit = self._own.again(tree, Header(self._who, datetime.now(UTC), "May I push?\n", ""))
        try:
            branch.try_to_push(self._own, commit)
        except TargetError as error:
            found.append(Finding(Severity.ERROR, "login", error.message, error.hint))
        else:
            found.append(Finding(Severity.OK, "login", "is let in to push; what hooks say, only a push shows"))
        return found

    # Where.

    @cached_property
    def _branch(self) -> Branch:
        address, root = parse(self.options.remote), self.run.project.root
        address = located(address if address.scheme else project.remote(self.run, address.url), root)
        git = Git(self.run, None, environment(self.options, address, root, self.run.environment))
        return Branch(self.run, git, address, self.options.branch, self.options.timeout)

    @cached_property
    def _own(self) -> Repository:
        """The repository in which commits are made, kept from push to push."""
        repository = Repository(self._branch.git.within(self.run.kept(self._branch.address.url)))
        repository.make(self._branch.tip)
        return repository

    @cached_property
    def _borrowed(self) -> Repository:
        """A repository for this push, with the objects of the project's and nothing else of it."""
        repository = Repository(self._branch.git.within(self.run.scratch / "git"))
        objects, shallow = project.objects(self.run)
        repository.clear()
        repository.make(self._branch.tip)
        repository.borrow(objects, shallow)
        return repository

    @cached_property
    def _who(self) -> str:
        """Who a commit is by."""
        return self.options.author or project.identity(self.run)

    def _history(self) -> list[Commit]:
        """The last commits of the branch, the newest first; none where there is no branch."""
        if not self._branch.tip:
            return []
        self._branch.fetch(self._own, DEPTH)
        return self._own.history(self._branch.tip, DEPTH)

    # A commit made of the snapshot.

    def _plan_snapshot(self, snapshot: Snapshot) -> Plan:
        branch = self._branch
        inside = snapshot.within(self.options.dir)
        entries = content(inside)
        if not entries:
            raise PushRefused(f"there is no file in {self.options.dir}", hint="see what travels: push files")
        before, made = self._make(inside, entries)
        if before and before.tree == made.tree and not self.always:
            return Plan(self.run.target.name, (), kept=len(entries), live=branch.tip)
        if before and not before.pushed and not self.run.adopt:
            raise PushRefused(
                f"{branch.name} is at {before.id[:7]}, which {before.who} committed and no push made: "
                "this push would undo it",
                hint="look at it first; to go on from there, once: push --adopt",
            )
        sizes = {entry.path: entry.size for entry in entries}
        changes = self._own.differences(before.id, made.id) if before else [("A", path) for path in sizes]
        steps = [Step(ACTIONS[letter], path, REASONS[letter], sizes.get(path, 0)) for letter, path in changes]
        kept = len(sizes) - sum(step.action is not Action.REMOVE for step in steps)
        return self._planned(steps, made.id, kept=kept, whole=self._own.sent() == branch.tip)

    def _make(self, snapshot: Snapshot, entries: Sequence[Entry]) -> tuple[Commit | None, Commit]:
        """The commit that the branch is at, and the one that is to follow, made."""
        try:
            return self._written(snapshot, entries)
        except GitFailed as error:
            # It holds nothing that cannot be had again.
            self.run.note(f"the repository that push keeps is made anew: {error.message}")
            self._own.clear()
            self._own.make(self._branch.tip)
            return self._written(snapshot, entries)

    def _written(self, snapshot: Snapshot, entries: Sequence[Entry]) -> tuple[Commit | None, Commit]:
        repository, branch = self._own, self._branch
        if branch.tip and repository.tip() != branch.tip:
            branch.fetch(repository)
        before = repository.commit(branch.tip) if branch.tip else None
        return before, repository.commit(repository.write(snapshot, entries, self._header(snapshot, before)))

    def _planned(self, steps: Sequence[Step], commit: str, *, kept: int, whole: bool) -> GitPlan:
        tip = self._branch.tip
        reason = f"from {tip[:7]} to {commit[:7]}" if tip else f"new, at {commit[:7]}"
        if tip and self.options.force:
            reason += ", its history replaced"
        switch = Step(Action.SWITCH, self._branch.name, reason)
        return GitPlan(self.run.target.name, (*steps, switch), kept=kept, live=tip, commit=commit, whole=whole)

    def _header(self, snapshot: Snapshot, before: Commit | None) -> Header:
        revision = snapshot.revision
        values = {
            "project": self.run.project.name,
            "target": self.run.target.name,
            "revision": revision.short,
            "commit": revision.commit,
            "digest": revision.digest,
            "person": self.run.person,
        }
        trailers = {
            message.NUMBER: str((before.number if before else 0) + 1),
            message.REVISION: revision.commit + ("-dirty" if revision.commit and revision.dirty else ""),
            message.DIGEST: revision.digest,
            message.PERSON: self.run.person,
        }
        text = message.written(self.options.message, values, trailers)
        return Header(self._who, datetime.now(UTC), text, before.id if before and not self.options.force else "")

    # A commit that is there.

    def _plan_commit(self, snapshot: Snapshot) -> Plan:
        revision, tip = snapshot.revision, self._branch.tip
        if not revision.commit:
            raise PushRefused(
                "the project is in no git repository, or has no commit yet",
                hint='commit first; or push the files as they are: what = "snapshot"',
            )
        if revision.dirty and not self.options.allow_dirty:
            raise PushRefused(
                f"files differ from the commit {revision.commit[:7]}, and would not travel",
                hint="commit them, or push without: allow_dirty = true",
            )
        if revision.commit == tip:
            return Plan(self.run.target.name, (), kept=snapshot.files, live=tip)
        known = bool(tip) and self._borrowed.has(tip)
        if tip and not self.options.force and not (known and self._borrowed.follows(revision.commit, tip)):
            raise rejection("non-fast-forward", self._branch.address, self._branch.name)
        changes = self._borrowed.differences(tip, revision.commit) if known else []
        steps = [Step(ACTIONS[letter], path, REASONS[letter]) for letter, path in changes]
        return self._planned(steps, revision.commit, kept=0, whole=True)
