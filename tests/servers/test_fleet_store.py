"""Hosts that fetch what they lack from a store: a real SeaweedFS, real SSH servers, and what each host fetches with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from plugins.s3_target import Bucket
from pushkit.testing import Account, Fault, FaultProxy, SeaweedFs, Way, can_make_accounts, known_host
from recorder.sitecustomize import recorded
from servers.any_host import AnyHost
from servers.fleet_site import ManySite
from servers.starter import Starter

#: What each host may fetch with.
HOSTS = {
    "127.65.0.1": {"wget": "", "python3": ""},
    "127.65.0.2": {"curl": "", "python3": ""},
    "127.65.0.3": {"curl": "", "wget": ""},
    "127.65.0.4": {"curl": "", "python3": ""},
}


class StoreSite(ManySite):
    """A project whose target is all of `HOSTS`, by way of a bucket that is behind ``proxy``."""

    def __init__(self, base: Path, server: AnyHost, starter: Starter, proxy: FaultProxy, bucket: Bucket) -> None:
        known = base / "known_hosts"
        known.write_text("".join(known_host(host, server.port, server.host_key) for host in HOSTS))
        hosts = [f"{server.user}@{host}:{server.port}" for host in HOSTS]
        super().__init__(base, starter, hosts, server.key, known)
        self.server, self.proxy, self.bucket = server, proxy, bucket
        self.store: dict[str, object] = {
            "url": f"s3://{bucket.name}/some/releases",
            "endpoint_url": f"http://{proxy.host}:{proxy.port}",
            "path_style": True,
            "access_key_id": bucket.server.key,
            "secret_access_key": bucket.server.secret,
        }
        self.table |= {"lock_host": "127.65.0.1", "via": "store"}

    def write(self, rollout: str = "", **options: object) -> None:
        super().write(rollout, **{"store": self.store, **options})

    @property
    def live(self) -> list[str]:
        """What is live on each host: the content of the page."""
        pages = [self.server.files / host / self.path / "current/index.html" for host in HOSTS]
        return [page.read_text().strip() if page.exists() else "" for page in pages]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnyHost]:
    if not can_make_accounts():
        pytest.skip("a throw-away system user can only be made by root")
    base = tmp_path_factory.mktemp("store")
    base.chmod(0o755)
    account = Account()
    try:
        with AnyHost(base, account) as made:
            python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else ""
            others = {"127.65.0.3": {"python3": python}, "127.65.0.4": {"wget": str(shutil.which("busybox"))}}
            for host, lacks in HOSTS.items():
                made.add(host, **{**lacks, **others.get(host, {})})
            yield made
    finally:
        account.remove()


@pytest.fixture
def site(tmp_path: Path, server: AnyHost, s3_server: SeaweedFs) -> Iterator[StoreSite]:
    with FaultProxy((s3_server.host, s3_server.port)) as proxy, closing(Starter(tmp_path)) as starter:
        made = StoreSite(tmp_path, server, starter, proxy, Bucket(s3_server))
        (made.root / "big").write_bytes(os.urandom(300_000))
        made.change("one")
        made.write()
        yield made


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """The command lines of all processes of this machine while something goes on."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(process.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_each_host_fetches_with_what_it_has_and_one_that_cannot_is_sent_it(site: StoreSite) -> None:
    with command_lines() as seen:
        done = site.push()
    assert done.returncode == 0, done.stderr
    assert site.live == ["one"] * 4
    # Up once, and down to the three that can.
    assert 300_000 < site.proxy.carried[Way.UP] < 400_000
    assert 900_000 < site.proxy.carried[Way.DOWN] < 1_200_000
    without = "it has neither curl nor wget nor python3"
    assert [line for line in done.stderr.splitlines() if "cannot fetch" in line] == [
        f"web: warning: 127.65.0.4: it cannot fetch from the store ({without}), and is sent what it lacks"
    ]
    for words in ("X-Amz-Signature", site.bucket.server.secret):
        assert not [each for each in seen if words in each]
        assert words not in done.stderr + done.stdout
    # Nothing stays.
    assert site.bucket.holds() == set()
    left = [each for host in HOSTS for each in (site.server.files / host / site.path / ".push/incoming").iterdir()]
    assert left == []
    site.change("two")
    site.good()
    assert site.live == ["two"] * 4
    assert site.good("rollback")
    assert site.live == ["one"] * 4


def test_where_no_host_gets_through_to_the_store_all_are_sent_it(site: StoreSite) -> None:
    # The client puts it there; whoever fetches is cut off in the middle.
    site.proxy.cut(Fault.RESET, 100_000, Way.DOWN)
    done = site.push("--json")
    assert done.returncode == 0, done.stderr
    assert site.live == ["one"] * 4
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [each["message"] for each in events if each["event"] == "warned"]
    assert len([each for each in told if "it cannot fetch from the store" in each]) == 4
    # Nor could it be removed, which is told.
    assert [each for each in told if f"s3://{site.bucket.name}/some/releases: " in each and "stays there" in each]
    assert "X-Amz-Signature" not in done.stdout + done.stderr


def test_what_is_not_what_was_put_there_is_not_unpacked(site: StoreSite) -> None:
    site.good()
    site.change("two")
    (site.root / "big").write_bytes(os.urandom(300_000))
    # Between the two somebody puts something else in its place.
    over = threading.Event()

    def forge() -> None:
        seen: set[str] = set()
        while not over.is_set():
            for key in site.bucket.holds() - seen:
                seen.add(key)
                site.bucket.put(key, b"something else")

    forger = threading.Thread(target=forge)
    forger.start()
    try:
        site.proxy.delay = 0.3
        done = site.push()
    finally:
        over.set()
        forger.join()
    assert done.returncode == 0, done.stderr
    assert site.live == ["two"] * 4
    assert "what came is not what was put there" in done.stderr


def test_a_store_that_takes_nothing_changes_nothing_and_who_asks_to_stop_leaves_nothing_there(site: StoreSite) -> None:
    store = dict(site.store)
    site.store = {**store, "url": "s3://no-such-bucket/x"}
    site.write()
    done = site.push()
    assert (done.returncode, "no-such-bucket" in done.stderr) == (7, True), done.stderr
    assert site.live == [""] * 4
    site.store = {**store, "secret_access_key": "wrong-secret"}
    site.write()
    done = site.push()
    assert (done.returncode, "does not accept the signature" in done.stderr) == (7, True), done.stderr
    assert "wrong-secret" not in done.stderr
    assert site.live == [""] * 4
    site.store = store
    site.write(before_switch="sleep 30")
    process = site.start()
    site.until(lambda: bool(site.bucket.holds()))
    site.until(lambda: "before_switch" in process.said or "prepared" in process.said)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate()
    assert process.returncode == 130, err
    assert site.bucket.holds() == set()


def test_what_a_pushfile_says_of_a_store_is_checked_before_anybody_is_asked(site: StoreSite) -> None:
    for store, words in (
        ("releases", 'expected "s3://BUCKET/PREFIX"'),
        ("s3://B/x", "expected s3://BUCKET/PREFIX, the bucket 3 to 63"),
        ("gs://bucket/x", 'there is no store "gs"'),
        ({"url": "s3://bucket/x", "regoin": "here"}, "`regoin`: unknown option"),
        ({"url": "s3://bucket/x", "endpoint_url": "http://s3.example.com"}, "`endpoint_url` has no TLS"),
        ({"region": "here"}, "a table with that as `url`"),
    ):
        site.write(store=store)
        done = site.push()
        assert (done.returncode in {3, 4}, words in done.stderr) == (True, True), done.stderr
    site.write(via="direct")
    done = site.push()
    assert (done.returncode, "go together" in done.stderr) == (3, True), done.stderr


def test_without_boto3_the_command_that_brings_it_is_told(site: StoreSite) -> None:
    block = (
        "import sys\nsys.modules.update(boto3=None, botocore=None)\nfrom pushkit.cli import main\nsys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=site.root, capture_output=True, text=True, check=False,
        env={**recorded(), "PATH": os.environ["PATH"], "HOME": str(site.home)},
    )  # fmt: skip
    assert (done.returncode, 'the store "s3" needs boto3' in done.stderr) == (4, True), done.stderr
    assert "pip install 'pushkit[aws]'" in done.stderr
