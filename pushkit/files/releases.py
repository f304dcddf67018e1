"""The releases layout: every push a directory of its own, ``current`` a symlink to the one that is live.

::

    PATH/
      current -> releases/000042-20261122T193012Z-4f2a91c
      releases/000042-20261122T193012Z-4f2a91c/      complete, or it does not bear this name
      .push/                                         mode 0700
        format                                       the version of this page
        pushes/000042/{ticket.json,end}
        manifests/000042-20261122T193012Z-4f2a91c
        incoming/000042-20261122T193012Z-4f2a91c/    an upload under way

A push is written under ``incoming``, verified, renamed to ``releases``, and becomes live by the rename of a symlink.
Whatever instant it dies, ``current`` is wholly the old or wholly the new release.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pushkit import manifest
from pushkit.errors import Busy, PushFailed, PushRefused, TargetError
from pushkit.files.diff import Difference, difference
from pushkit.files.records import RELEASE_ID, STATE, Records, Ticket, number_of
from pushkit.files.remote import Remote, RemoteExists, RemoteMissing
from pushkit.files.transfer import Transfer
from pushkit.model import Action, Entry, Kind, Plan, Release, Step
from pushkit.snapshot import Snapshot
from pushkit.strategy import Run

FORMAT = 1
CURRENT = "current"
RELEASES = "releases"
INCOMING = f"{STATE}/incoming"
MANIFESTS = f"{STATE}/manifests"
MANIFEST_LIMIT = 1024 * 1024 * 1024


@dataclass(frozen=True)
class ReleasesPlan(Plan):
    """A plan that remembers what it found out."""

    difference: Difference = field(default_factory=lambda: Difference((), (), (), ()))
    steps_of: dict[str, Step] = field(default_factory=dict)


class Releases:
    """The releases of one target on one remote. ``keep`` good ones stay, the live one among them."""

    def __init__(self, remote: Remote, run: Run, keep: int) -> None:
        self._remote = remote
        self._run = run
        self._keep = keep
        self._records = Records(remote)

    # Looking.

    def live(self) -> str:
        """The id of the live release, empty before the first push. Refuses what this layout did not make."""
        self._look_at_format()
        found = self._remote.stat(CURRENT)
        if found is None:
            return ""
        where = f"{self._remote.root}/{CURRENT}"
        if found.kind is not Kind.SYMLINK:
            raise PushRefused(
                f"{where} is a {found.kind or 'special file'}, not a symlink to a release; nothing was sent",
                hint=f"move it away (mv {where} {where}.before), or push to another path",
            )
        link = self._remote.read_link(CURRENT)
        release = link.removeprefix(f"{RELEASES}/")
        if release == link or not RELEASE_ID.fullmatch(release):
            raise PushRefused(
                f"{where} points to {link!r}, which is not a release of push; nothing was sent",
                hint=f"move it away (mv {where} {where}.before), or push to another path",
            )
        return release

    def history(self) -> list[Release]:
        """The good releases that are there, the oldest first."""
        return [ticket.release for ticket in self._good(self.live())]

    def plan(self, snapshot: Snapshot) -> ReleasesPlan:
        """What it would take to make ``snapshot`` live."""
        live = self.live()
        warnings: list[str] = []
        before = self._manifest(live, warnings) if self.is_there(live, warnings) else []
        found = difference(before, snapshot.entries)
        kept = sum(entry.kind is Kind.FILE for entry in found.keep)
        if live and before and not found.steps:
            return ReleasesPlan(self._run.target.name, (), kept, live, tuple(warnings), found)
        steps = list(found.steps)
        if found.keep and self._remote.capabilities.copies:
            steps.append(Step(Action.KEEP, plural(len(found.keep), "file"), f"unchanged since {live}: copied there"))
        elif found.keep:
            known = {entry.path for entry in found.modes}
            why = "unchanged, but this server cannot copy: sent again"
            steps += [Step(Action.ADD, e.path, why, e.size) for e in found.keep if e.path not in known]
            found = Difference(found.steps, snapshot_order(snapshot, found), (), ())
        by_path = {step.subject.rstrip("/"): step for step in steps if step.action in {Action.ADD, Action.REPLACE}}
        how = "by sha256" if self._remote.capabilities.digests else "by size"
        count = sum(e.kind is Kind.FILE for e in self._verifiable(found))
        steps.append(Step(Action.VERIFY, plural(count, "file"), how))
        steps.append(Step(Action.SWITCH, CURRENT, f"from {live}" if live else "first push"))
        return ReleasesPlan(self._run.target.name, tuple(steps), kept, live, tuple(warnings), found, by_path)

    # Acting.

    def push(self, plan: ReleasesPlan, snapshot: Snapshot) -> Release:
        """Carry out ``plan``. Until its SWITCH step nothing that is live is touched."""
        self._check_space(plan)
        self._prepare_target()
        if plan.live and not self._records.outcome(number_of(plan.live)):
            # Its push died between the switch and the record; live it is, so good it is.
            self._records.end(number_of(plan.live), "good")
        number = self._records.take_number()
        now = datetime.now(UTC)
        name = f"{number:06d}-{now:%Y%m%dT%H%M%SZ}-{snapshot.revision.short}"
        release = Release(name, snapshot.revision, now, self._run.person)
        self._records.open(Ticket(number, release, plan.live))
        try:
            self._assemble(release, plan, snapshot)
            with self._run.step(plan.steps[-1]):
                self._switch(release.id, plan.live)
            self._records.end(number, "good")
        except BaseException as error:
            # The connection may be what failed; the next push cleans up then.
            with suppress(TargetError, PushRefused):
                self._give_up(number, release.id, error)
            raise
        self._prune(release.id)
        return release

    def _give_up(self, number: int, release: str, error: BaseException) -> None:
        """Remove what a failed push made, unless it is live after all: the answer to a rename may be lost."""
        if self.live() == release:
            self._records.end(number, "good")
            return
        self._forget(release)
        self._records.end(number, f"failed: {type(error).__name__}")

    def _forget(self, release: str) -> None:
        """Remove a release that is not live, wherever it lies, and its manifest."""
        self._remote.remove_tree(f"{INCOMING}/{release}")
        self._remote.remove_tree(f"{RELEASES}/{release}")
        for path in (f"{MANIFESTS}/{release}", f"{STATE}/current-{release}"):
            with suppress(RemoteMissing):
                self._remote.remove(path)

    def rollback(self, wanted: str = "") -> Release:
        """Make ``wanted``, or the release that was live before the live one, live again."""
        live = self.live()
        good = {ticket.release.id: ticket for ticket in self._good(live)}
        if not live:
            raise PushRefused(f"nothing was ever pushed to {self._remote.root}: there is nothing to roll back")
        wanted = wanted or self._before(live, good)
        if not wanted:
            raise PushRefused(f"there is no release before {live} on the target: nothing to roll back to")
        if wanted == live:
            raise PushRefused(f"{wanted} is live already")
        if wanted not in good:
            there = ", ".join(each for each in good if each != live) or "none"
            raise PushRefused(
                f"there is no good release {wanted!r} to roll back to",
                hint=f"releases to choose from: {there}",
            )
        with self._run.step(Step(Action.SWITCH, CURRENT, f"from {live} back to {wanted}")):
            self._switch(wanted, live)
        return good[wanted].release

    def _assemble(self, release: Release, plan: ReleasesPlan, snapshot: Snapshot) -> None:
        """Make the release whole under ``incoming``, verify it, and give it its name."""
        incoming = f"{INCOMING}/{release.id}"
        found = plan.difference
        self._remote.make_directory(incoming, 0o755)
        sent = {entry.path for entry in found.send}
        # Directories are made writable first, so that read-only ones can be filled.
        entries = [
            entry._replace(mode=entry.mode | 0o700) if entry.kind is Kind.DIRECTORY else entry
            for entry in snapshot.entries
            if entry.kind is Kind.DIRECTORY or entry.path in sent
        ]
        modes = {entry.path for entry in found.modes}
        steps = {path: step for path, step in plan.steps_of.items() if path not in modes}
        self._remote.put(incoming, Transfer(snapshot, entries, steps, self._run))
        for step in plan.steps:
            if step.action is Action.REMOVE:
                with self._run.step(step):  # not copied is removed
                    pass
            elif step.action is Action.KEEP:
                with self._run.step(step):
                    self._copy(plan.live, incoming, snapshot, found.keep)
            elif step.action is Action.VERIFY:
                with self._run.step(step):
                    self._verify(incoming, snapshot, found)
        self._set_modes(incoming, plan, snapshot.entries)
        self._remote.write(f"{MANIFESTS}/{release.id}", [manifest.encode(snapshot.entries)], 0o600)
        self._remote.rename(incoming, f"{RELEASES}/{release.id}")

    def _copy(self, live: str, incoming: str, snapshot: Snapshot, keep: Sequence[Entry]) -> None:
        """Copy what did not change on the target. What is not there any more is sent again."""
        try:
            self._remote.copy(f"{RELEASES}/{live}", incoming, keep)
        except RemoteMissing:
            gone = [entry for entry in keep if self._remote.stat(f"{incoming}/{entry.path}") is None]
            self._run.warn(f"{plural(len(gone), 'path')} of {live} are gone from the target and are sent again")
            self._remote.put(incoming, Transfer(snapshot, gone, {}, self._run))

    def _verifiable(self, found: Difference) -> Sequence[Entry]:
        """What is read back: what was sent, and what was copied where that costs no round trip a file."""
        return (*found.send, *found.keep) if self._remote.capabilities.digests else found.send

    def _verify(self, incoming: str, snapshot: Snapshot, found: Difference) -> None:
        wrong = self._remote.verify(incoming, self._verifiable(found))
        copied = {entry.path for entry in found.keep}
        if altered := [entry for entry in wrong if entry.path in copied]:
            # Somebody edited the live release: what is pushed is the snapshot, whole.
            self._run.warn(f"{plural(len(altered), 'file')} had been altered on the target, {altered[0].path!r} first")
            for entry in altered:
                with suppress(RemoteMissing):
                    self._remote.remove(f"{incoming}/{entry.path}")
            self._remote.put(incoming, Transfer(snapshot, altered, {}, self._run))
            wrong = self._remote.verify(incoming, wrong)
        if wrong:
            raise PushFailed(
                f"{plural(len(wrong), 'file')} did not arrive whole, {wrong[0].path!r} first; what was live stays",
                hint="push again; if it happens again, look at the target's disk",
            )

    def _set_modes(self, incoming: str, plan: ReleasesPlan, entries: Sequence[Entry]) -> None:
        changed = {entry.path for entry in plan.difference.modes}
        # The deepest first: below a directory that is closed nothing can be set any more.
        for entry in reversed(entries):
            closed = entry.kind is Kind.DIRECTORY and entry.mode & 0o700 != 0o700
            if entry.path in changed:
                with self._run.step(plan.steps_of[entry.path]):
                    self._remote.set_mode(f"{incoming}/{entry.path}", entry.mode)
            elif closed:
                self._remote.set_mode(f"{incoming}/{entry.path}", entry.mode)

    def _switch(self, release: str, expected: str) -> None:
        """Make ``release`` live, if what is live is still what the plan was made for."""
        if (live := self.live()) != expected:
            raise Busy(
                f"another push made {live or 'nothing'} live meanwhile; this one changed nothing",
                hint="look at it (push status), then push again",
            )
        temporary = f"{STATE}/current-{release}"
        with suppress(RemoteMissing):
            self._remote.remove(temporary)
        # The text is relative to where the link will be, so that the tree can be moved as a whole.
        self._remote.make_symlink(f"{RELEASES}/{release}", temporary)
        self._remote.rename(temporary, CURRENT)

    def _prune(self, live: str) -> None:
        """Remove all but the newest good releases, and what dead pushes left. What cannot be removed is only told."""
        try:
            good = {ticket.release.id: ticket for ticket in self._good(live)}
            there = {found.name for place in (INCOMING, RELEASES) for found in self._remote.list(place)}
        except TargetError as error:
            self._run.warn(f"old releases were not looked for: {error.message}")
            return
        stay = {live, self._before(live, good), *list(good)[-self._keep :]}
        for name in sorted(filter(RELEASE_ID.fullmatch, there)):
            if name in good and name not in stay:
                reason = f"the newest {self._keep} stay"
            elif name not in good and number_of(name) < number_of(live):
                # Dead, or as good as dead: a push that began before this one may not switch any more.
                reason = "its push did not end well"
            else:
                continue
            try:
                with self._run.step(Step(Action.PRUNE, name, reason)):
                    self._forget(name)
                    if name not in good:
                        self._records.end(number_of(name), "abandoned")
            except TargetError as error:
                self._run.warn(f"{name} could not be removed: {error.message}")

    # What is there.

    def _good(self, live: str) -> list[Ticket]:
        """The tickets whose releases are there and were live once, by number."""
        try:
            names = [found.name for found in self._remote.list(RELEASES) if found.kind is Kind.DIRECTORY]
        except RemoteMissing:
            return []
        tickets = []
        for name in sorted(filter(RELEASE_ID.fullmatch, names), key=number_of):
            ticket = self._records.ticket(number_of(name))
            if (
                ticket
                and ticket.release.id == name
                and (name == live or self._records.outcome(ticket.number) == "good")
            ):
                tickets.append(ticket)
        return tickets

    def _before(self, live: str, good: dict[str, Ticket]) -> str:
        """The release that was live before ``live``, if it is there; else the newest good one that is older."""
        if live in good and good[live].previous in good:
            return good[live].previous
        older = [name for name in good if number_of(name) < number_of(live)]
        return older[-1] if older else ""

    def is_there(self, release: str, warnings: list[str]) -> bool:
        """Whether a release lies where it should. One that does not is told of in ``warnings``."""
        if not release:
            return False
        found = self._remote.stat(f"{RELEASES}/{release}")
        if found is None or found.kind is not Kind.DIRECTORY:
            warnings.append(f"the live release {release} is gone from the target: every file is sent")
            return False
        return True

    def _manifest(self, release: str, warnings: list[str]) -> list[Entry]:
        try:
            return manifest.decode(self._remote.read(f"{MANIFESTS}/{release}", MANIFEST_LIMIT))
        except RemoteMissing:
            warnings.append(f"the manifest of the live release {release} is missing: every file is sent")
        except ValueError as error:
            warnings.append(f"the manifest of the live release {release} is damaged ({error}): every file is sent")
        return []

    def _look_at_format(self) -> None:
        for path in (STATE, RELEASES):
            found = self._remote.stat(path)
            if found is not None and found.kind is not Kind.DIRECTORY:
                raise PushRefused(
                    f"{self._remote.root}/{path} is a {found.kind or 'special file'}, no directory; nothing was sent",
                    hint="push writes through nothing that it did not make: move it away",
                )
        try:
            text = self._remote.read(f"{STATE}/format", 64).decode("ascii", "replace").strip()
        except RemoteMissing:
            return
        if text != str(FORMAT):
            raise PushRefused(
                f"{self._remote.root}/{STATE} has format {text!r}, this push knows {FORMAT}; nothing was sent",
                hint="upgrade pushkit on this machine",
            )

    def _prepare_target(self) -> None:
        """Make the directories of the layout where they are missing."""
        if self._remote.stat("") is None:
            try:
                self._remote.make_directory("", 0o755)
            except RemoteMissing as error:
                raise TargetError(
                    f"{self._remote.root} does not exist, nor does the directory it would lie in; nothing was changed",
                    hint="check `path`, or make the directory first",
                ) from error
        for path, mode in (
            (STATE, 0o700),
            (f"{STATE}/pushes", 0o700),
            (MANIFESTS, 0o700),
            (INCOMING, 0o700),
            (RELEASES, 0o755),
        ):
            if self._remote.stat(path) is None:
                with suppress(RemoteExists):
                    self._remote.make_directory(path, mode)
        if self._remote.stat(f"{STATE}/format") is None:
            self._remote.write(f"{STATE}/format", [f"{FORMAT}\n".encode()], 0o600)

    def _check_space(self, plan: ReleasesPlan) -> None:
        if self._remote.stat("") is None:
            return
        free = self._remote.free_space()
        if free is not None and free < plan.size:
            raise TargetError(
                f"{self._remote.root} has no space for {plan.size:,} bytes, only for {free:,}; nothing was changed",
                hint="make room on the target, or keep fewer releases (`keep`)",
            )


def snapshot_order(snapshot: Snapshot, found: Difference) -> tuple[Entry, ...]:
    """What a server that cannot copy has to be sent: changed and unchanged, in walk order."""
    paths = {entry.path for entry in (*found.send, *found.keep)}
    return tuple(entry for entry in snapshot.entries if entry.path in paths)


def plural(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
