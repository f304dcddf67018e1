"""A project, a target, and everything that has to be true of the target whatever happened to a push."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from chaos import pages
from cli.project import PUSH
from pushkit import Kind, manifest
from pushkit.testing import Fault, SshServer
from pushkit.testing.keypair import known_host

#: Whether campaigns are as long as they are meant to be; in a normal test run they are short.
FULL = os.environ.get("PUSHKIT_CHAOS") == "full"
#: What random moments are made of; a test that fails says which it was.
SEED = int(os.environ.get("PUSHKIT_CHAOS_SEED", "0")) or random.randrange(1, 1 << 30)

KILLER = '''
"""Kills push before its Nth change of the target, which the environment names: see sys.addaudithook."""

import os
import signal
import sys

target, number = os.environ["KILL_BELOW"], int(os.environ["KILL_AT"])
CHANGES = {"os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.link", "open", "os.chmod", "os.utime"}


def hook(event, arguments):
    global number
    if event not in CHANGES:
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE):
        return
    path = arguments[0]
    if isinstance(path, int):
        path = os.readlink(f"/proc/self/fd/{path}")
    if os.fsdecode(path).startswith(target):
        number -= 1
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()


sys.addaudithook(hook)
'''


class Site:
    """A project and its target: ``local`` is the target's directory on this machine.

    Without ``copies`` the target is sent what did not change as well. This is the layout `releases`; a subclass says
    what is so of another one.
    """

    layout = "releases"
    state = ".push"
    #: What else lies in the root, and in the state; and what may lie there as well.
    root_has: Collection[str] = ("current", "releases")
    state_has: Collection[str] = ()
    state_may_have: Collection[str] = ("spare",)

    def __init__(self, root: Path, local: Path, *, copies: bool = True, **table: object) -> None:
        self.root = root / "project"
        self.root.mkdir(parents=True)
        self.local = local
        self.version = 0
        self._copies = copies
        self._home = root / "home"
        self._home.mkdir()
        self._killer = root / "killer"
        self._killer.mkdir()
        (self._killer / "sitecustomize.py").write_text(KILLER)
        self.table: dict[str, object] = {"keep": 3, "layout": self.layout, **table}
        self.configure()

    def configure(self, **table: object) -> None:
        """Write the Pushfile, with ``table`` over what it says already."""
        self.table |= table
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.table.items()]
        text = "\n".join(["[target.web]", *lines, ""])
        (self.root / "Pushfile").write_text(text)

    def advance(self) -> int:
        """Edit the project: it becomes the next version."""
        self.version += 1
        pages.write(self.root, self.version)
        return self.version

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start ``push --json``."""
        keep = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "PUSHKIT_TESTS_REACHED") if key in os.environ}
        return subprocess.Popen(
            [PUSH, "--json", *arguments],
            cwd=self.root,
            env={**keep, "HOME": str(self._home), "LC_ALL": "C.UTF-8", "PYTHONFAULTHANDLER": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start_to_die(self, number: int) -> subprocess.Popen[bytes]:
        """Start a push that is killed right before its change ``number`` of the target, a directory."""
        below = os.path.realpath(self.local)
        return self.start(PYTHONPATH=str(self._killer), KILL_BELOW=below, KILL_AT=str(number))

    def push(self, *arguments: str, timeout: float = 120) -> Done:
        """Run ``push --json``."""
        return finished(self.start(*arguments), timeout)

    def begin(self) -> None:
        """Two versions go live; the first may find something there already."""
        for _ in range(2):
            self.advance()
            done = self.push()
            assert done.code == 0, done.said

    @property
    def live(self) -> int:
        """The version that is live, whole; 0 when nothing is."""
        current = self.local / "current"
        return pages.whole(current.resolve(strict=True)) if os.path.lexists(current) else 0

    @property
    def unfinished(self) -> bool:
        """Whether a push died, or failed, while it changed what is live, so that the next one finishes it first."""
        return False

    def watch(self) -> Callable[[], bool]:
        """What says whether the live tree has been changed since now."""
        current = self.local / "current"
        before = current.readlink()
        return lambda: current.readlink() != before

    @property
    def next_ticket(self) -> Path:
        """Where the next push takes its number."""
        pushes = self.local / self.state / "pushes"
        return pushes / f"{int(max(os.listdir(pushes))) + 1:06d}"

    def between(self, was: int, wanted: int) -> int:
        """The version that is live after a push of ``wanted`` over ``was`` that went wrong.

        Wholly one of the two; only where the switch is `unfinished` it is something between them, and that is -1.
        """
        self._rest()
        live = self.live
        assert live in {was, wanted}, f"{live} is live, neither {was} nor {wanted}"
        return live

    def arrived(self) -> int:
        """How many bytes of files that the next push needs lie whole in uploads that died."""
        trees = [upload / "tree" for upload in self.uploads()]
        return sum(
            len(content)
            for name, content in self._to_send().items()
            if any(holds(tree / name, content) for tree in trees)
        )

    def uploads(self) -> list[Path]:
        """The uploads that died."""
        return list((self.local / self.state / "incoming").glob("*"))

    def needed(self) -> int:
        """How many bytes a push sends that finds nothing but the release before it."""
        return sum(map(len, self._to_send().values()))

    def _to_send(self) -> dict[str, bytes]:
        there = pages.names(self.version).items()
        return {name: pages.page(name, each) for name, each in there if each == self.version or not self._copies}

    def recover(self, was: int, wanted: int, live: int, repaired: Callable[[], None] = lambda: None) -> None:
        """Push once what was wrong is ``repaired``: it succeeds, sends only what is missing, and leaves no debris."""
        # What was begun to go live has arrived; if it is live, all has.
        missing = self.needed() - self.arrived() if live == was else 0
        repaired()
        again = self.push()
        assert again.code == 0, again.said
        assert self.live == wanted
        assert again.sent <= missing, again.said
        self.check_no_debris()

    def _rest(self) -> None:
        """Wait until nothing changes any more: what a server had been told before, it may still be doing."""
        before, now = None, self._seen()
        while now is None or before != now:
            time.sleep(0.1)
            before, now = now, self._seen()

    def _seen(self) -> list[tuple[Path, int, int]] | None:
        """All paths with what tells a change of them; None when something went away meanwhile."""
        try:
            return [(path, *changed(path)) for path in sorted(self.local.rglob("*"))]
        except FileNotFoundError:
            return None

    def check_no_debris(self) -> None:
        """After a push that did something, nothing of another is left, and what is remembered is what is there."""
        state = self.local / self.state
        has = {"fence", "format", "incoming", "log", "manifests", "pushes", *self.state_has}
        assert set(os.listdir(state)).difference(self.state_may_have) == has
        assert os.listdir(state / "incoming") == []
        self._check_live(state)
        for ticket in sorted(os.listdir(state / "pushes")):
            assert re.fullmatch("[0-9]{6}", ticket), f"{ticket} is left"
            assert (state / "pushes" / ticket / "end").is_dir(), f"ticket {ticket} is open"
        logged = [json.loads(line) for line in (state / "log").read_text().splitlines()]
        # Who comes next may vouch for a push at the very moment at which that says the same.
        ended = {(each["number"], each["outcome"]) for each in logged}
        assert len(ended) == len({number for number, _ in ended}), f"ended twice: {sorted(ended)}"
        told = {int(path.parent.parent.name) for path in state.glob("pushes/*/end/outcome.json")}
        assert told <= {number for number, _ in ended}, f"not in the log: {told - {number for number, _ in ended}}"

    def _check_live(self, state: Path) -> None:
        """The releases are whole, each has its manifest, and the newest is live."""
        assert set(os.listdir(self.local)) == {self.state, *self.root_has}
        releases = sorted(os.listdir(self.local / "releases"))
        assert releases == sorted(os.listdir(state / "manifests"))
        keep = self.table["keep"]
        assert isinstance(keep, int)
        assert 1 <= len(releases) <= keep
        assert str((self.local / "current").readlink()) == f"releases/{releases[-1]}"
        assert int((state / "fence").read_text()) == int(releases[-1][:6])
        for release in releases:
            check_manifest(state / "manifests" / release, pages.whole(self.local / "releases" / release))


class SparingSite(Site):
    """A site whose releases begin as the one that went last, as those of large projects do."""

    def begin(self) -> None:
        """As there, and so many more that the next one begins so."""
        (self._killer / "spares").mkdir()
        low = "from pushkit.files import assembly\nassembly.SEVERAL = 1\n"
        (self._killer / "spares/sitecustomize.py").write_text(low)
        for _ in range(2):
            super().begin()
        assert (self.local / self.state / "spare").is_dir()

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """As there, however small the project is."""
        paths = [str(self._killer / "spares"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return super().start(*arguments, **{"PYTHONPATH": os.pathsep.join(paths), **environment})


class MirrorSite(Site):
    """A site whose target is a mirror. One file in it was there before any push."""

    layout = "mirror"
    state = ".htpush"
    state_has = (".htaccess", "live")
    state_may_have = ()

    def __init__(self, root: Path, local: Path, **table: Any) -> None:
        # What is there already is not sent, also where the server cannot copy.
        super().__init__(root, local, **table | {"copies": True})

    def begin(self) -> None:
        """As there, beside a file that no push put there."""
        foreign = self.local / pages.FOREIGN
        foreign.parent.mkdir(parents=True)
        foreign.write_bytes(pages.FOREIGN_CONTENT)
        # Who pushes writes into its directory.
        owner = self.local.stat()
        os.chown(foreign.parent, owner.st_uid, owner.st_gid)
        super().begin()

    @property
    def live(self) -> int:
        """The version that is live, whole."""
        return pages.whole(self.local, {self.state})

    @property
    def unfinished(self) -> bool:
        """Whether there is a journal."""
        return (self.local / self.state / "journal").exists()

    def watch(self) -> Callable[[], bool]:
        """What says whether it is being changed."""
        return lambda: self.unfinished

    def between(self, was: int, wanted: int) -> int:
        """As there."""
        self._rest()
        if not self.unfinished:
            return super().between(was, wanted)
        pages.between(self.local, was, wanted, {self.state})
        return -1

    def _check_live(self, state: Path) -> None:
        """What is live is whole, and its manifest is the only one."""
        release = (state / "live").read_text().strip()
        assert os.listdir(state / "manifests") == [release]
        check_manifest(state / "manifests" / release, self.live)
        # Who finished what another had begun may be the last that changed anything.
        fence = int((state / "fence").read_text())
        later = [path for path in (state / "pushes").iterdir() if int(release[:6]) < int(path.name) <= fence]
        # Who died at its very end may have said nothing but in the log.
        ends = [path / "end/outcome.json" for path in later]
        outcomes = [json.loads(path.read_text())["outcome"] for path in ends if path.exists()]
        assert int(release[:6]) <= fence
        assert "good" not in outcomes, outcomes


class SwapSite(Site):
    """A site whose target has a directory that is put in the place of another."""

    layout = "swap"
    state = ".htswap"
    root_has = ("current",)
    state_has = (".htaccess", "live", "retired")
    state_may_have = ()

    @property
    def live(self) -> int:
        """The version that is live, whole."""
        return pages.whole(self.local / "current")

    @property
    def unfinished(self) -> bool:
        """Whether there is a journal."""
        return (self.local / self.state / "journal").exists()

    def watch(self) -> Callable[[], bool]:
        """What says whether it is being changed."""
        return lambda: self.unfinished

    def between(self, was: int, wanted: int) -> int:
        """As there; between the two renames, each of the two is somewhere else as a whole."""
        self._rest()
        if (self.local / "current").exists():
            return super().between(was, wanted)
        assert self.unfinished
        old = [pages.whole(tree) for tree in (self.local / self.state / "retired").iterdir()]
        new = [pages.whole(tree) for tree in (self.local / self.state / "incoming").glob("*/tree")]
        assert (max(old), new) == (was, [wanted])
        return -1

    def needed(self) -> int:
        """All of it, at most: what is taken from the tree before the live one depends on how that died."""
        return sum(map(len, self._to_send().values()))

    def uploads(self) -> list[Path]:
        """Those that say what they are: at one moment a tree does not that was the one before the live one."""
        said = self.local / self.state / "manifests"
        return [each for each in super().uploads() if (said / each.name).exists() or any(each.glob("papers-*/*"))]

    def _to_send(self) -> dict[str, bytes]:
        return {name: pages.page(name, each) for name, each in pages.names(self.version).items()}

    def _check_live(self, state: Path) -> None:
        """What is live is whole, and so is what was before it, where its manifest is there."""
        assert set(os.listdir(self.local)) == {self.state, *self.root_has}
        release = (state / "live").read_text().strip()
        trees = {release: self.local / "current"} | {tree.name: tree for tree in (state / "retired").iterdir()}
        assert len(trees) <= 2
        known = os.listdir(state / "manifests")
        assert release in known
        assert set(known) <= set(trees)
        for each in known:
            check_manifest(state / "manifests" / each, pages.whole(trees[each]))


def holds(path: Path, content: bytes) -> bool:
    """Whether there is a file with that content."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def changed(path: Path) -> tuple[int, int]:
    """What differs when a path was changed."""
    try:
        stat = path.lstat()
    except OSError:
        return 0, 0
    return stat.st_ctime_ns, stat.st_size


def check_manifest(path: Path, version: int) -> None:
    """The manifest at ``path`` tells of the files of ``version`` and of no others."""
    told = {entry.path: entry.sha256 for entry in manifest.decode(path.read_bytes()) if entry.kind is Kind.FILE}
    wanted = {name: sha256(pages.page(name, each)).digest() for name, each in pages.names(version).items()}
    assert told == wanted, f"{path} is not of version {version}"


def check_truth(done: Done, live: int, was: int, wanted: int) -> None:
    """What a push that failed says of what is live is so."""
    assert live == was or "untouched" not in done.said
    assert live == wanted or not re.search(r"on web the new release is live|[0-9a-f] is live$", done.said, re.MULTILINE)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say ``what`` with an assertion that fails meanwhile."""
    try:
        yield
    except AssertionError as error:
        error.add_note(what)
        raise


SITES = {site.layout: site for site in (Site, MirrorSite, SwapSite)}
#: These, and what is a layout with something special.
KINDS = {**SITES, "spares": SparingSite}
#: The fixture `site`: each layout, pushed to in each way; those that a server has.
ALL = [f"{layout}-{way}" for layout in SITES for way in ("dir", "ssh", "sftp_only")]
REMOTE = [each for each in ALL if not each.endswith("dir")]
LOCAL = [each for each in ALL if each.endswith("dir")]


def each_with_each(faults: Iterable[Fault]) -> list[tuple[Fault, str]]:
    """Faults and sites of a server: all of them; in a short run each fault with each layout, and with each way there.

    What a fault does depends on the layout or on the way; half of the combinations show both.
    """
    whole = [(fault, site) for fault in faults for site in REMOTE]
    return whole if FULL else [pair for number, pair in enumerate(whole) if (number + number // 2) % 2 == 0]


class Done:
    """How a push ended: its exit code, its events, what it said."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.said = err.decode(errors="replace")
        # The last line of a push that was killed may be half a line.
        lines = [line for line in out.split(b"\n")[:-1] if line]
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]

    @property
    def sent(self) -> int:
        """How many bytes of files travelled."""
        receipts = [event["receipt"] for event in self.events if event["event"] == "push-finished"]
        return int(receipts[-1]["size"])


def finished(process: subprocess.Popen[bytes], timeout: float = 120) -> Done:
    """Wait for a push."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # It says what each of its threads waits for.
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        raise AssertionError(f"it did not end within {timeout} s: {err.decode()}") from None
    return Done(process.returncode, out, err)


def server_table(server: SshServer, path: str, known_hosts: Path, port: int = 0) -> dict[str, object]:
    """The target's table for a directory of a server, reached through a relay on ``port``."""
    known_hosts.write_text(known_host(server.host, port or server.port, server.host_key))
    return {
        "strategy": "sftp",
        "host": server.host,
        "port": port or server.port,
        "user": server.user,
        "key": str(server.key),
        "agent": False,
        "known_hosts": str(known_hosts),
        "path": path,
    }
