"""kill -9 in the middle of a site's push: what is live is whole, and the next push sends only what is missing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.s3_target import Bucket, Pusher
from pushkit.testing import FaultProxy, SeaweedFs

PUSH = str(Path(sys.executable).with_name("push"))
PAGES = 6
ASSETS = 8


def write(pusher: Pusher, version: int) -> None:
    """A site whose pages name the assets of their version, whose names are new."""
    for old in pusher.root.glob("asset-*"):
        old.unlink()
    names = [f"asset-{number}.{version}.css" for number in range(ASSETS)]
    for name in names:
        (pusher.root / name).write_text(f"version {version}")
    for number in range(PAGES):
        (pusher.root / f"page-{number}.html").write_text(f"<p>{version} {' '.join(names)}</p>")


def problems(bucket: Bucket) -> list[str]:
    """Pages that are not there, are not whole, or name what is not there."""
    there = bucket.holds()
    found = []
    for number in range(PAGES):
        page = bucket.read(f"page-{number}.html").decode()
        if not re.fullmatch(r"<p>\d [^<]*</p>", page):
            found.append(f"page {number} is {page}")
        found += [f"page {number} names {name}" for name in re.findall(r"asset-\S+css", page) if name not in there]
    return found


def pushfile(pusher: Pusher, endpoint: str) -> None:
    table = {**pusher.options, "endpoint_url": endpoint, "connections": 2}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in table.items())
    (pusher.root / "Pushfile").write_text(f'[target.live]\nstrategy = "s3"\n{lines}\n')


def killed_at(pusher: Pusher, finished: int) -> int:
    """Start a push, and kill it when so many steps are finished; how many it says were."""
    command = [PUSH, "--json", "--yes"]
    with subprocess.Popen(command, cwd=pusher.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        count = 0
        for line in process.stdout:
            count += json.loads(line)["event"] == "step-finished"
            if count == finished:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().splitlines()
        count += sum(b'"step-finished"' in line for line in rest)
    assert process.returncode == -signal.SIGKILL
    return count


@pytest.mark.parametrize("finished", [ASSETS + 2, ASSETS + PAGES + 2])
def test_a_push_that_is_killed_leaves_whole_pages_and_the_next_sends_what_is_missing(
    tmp_path: Path, seaweedfs: SeaweedFs, finished: int
) -> None:
    pusher = Pusher(tmp_path, Bucket(seaweedfs), mode="site")
    write(pusher, 1)
    pusher.push()
    write(pusher, 2)
    with FaultProxy((seaweedfs.host, seaweedfs.port)) as proxy:
        proxy.delay = 0.01
        pushfile(pusher, f"http://{proxy.host}:{proxy.port}")
        count = killed_at(pusher, finished)
    assert problems(pusher.bucket) == []
    plan = pusher.plan()
    assert "did not end" in plan.warnings[0]
    steps = [step for step in plan.steps if ".push/" not in step.subject]
    assert len(steps) <= 2 * ASSETS + PAGES - min(count, ASSETS + PAGES)
    pusher.push()
    assert problems(pusher.bucket) == []
    assert sorted(pusher.bucket.holds()) == sorted(
        path.name for path in pusher.root.iterdir() if path.name != "Pushfile"
    )
    assert pusher.plan().steps == ()
