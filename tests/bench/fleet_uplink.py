"""Many hosts behind a thin uplink: each is sent what it lacks, or it goes once to a store from which they fetch it.

Run it as root as ``python tests/bench/fleet_uplink.py [--write]``. The client is in a network namespace whose way out
tc(8) limits; the hosts, one OpenSSH on an address each, and the store, a SeaweedFS, are on the other side, where
nothing is.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
from botocore.config import Config
from command import parsed, parser
from fleet import PUSH, AnyHost, login_shell
from meter import measure
from report import Report

from pushkit.testing import Account, SeaweedFs

#: How much each host lacks.
MEGABYTES = 2
NEAR, FAR = "10.99.0.1", "10.99.0.2"


def run(*command: str) -> None:
    """Run a command that must end well."""
    subprocess.run(command, check=True)


@contextmanager
def uplink(megabits: int, hosts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The words before a command that run it where only so much can be sent, to ``hosts`` too, which are addresses."""
    name = f"u{secrets.token_hex(4)}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        run("ip", "address", "add", f"{NEAR}/30", "dev", f"{name}a")
        run("ip", "link", "set", f"{name}a", "up")
        inside = ("ip", "netns", "exec", name)
        run(*inside, "ip", "address", "add", f"{FAR}/30", "dev", f"{name}b")
        run(*inside, "ip", "link", "set", f"{name}b", "up")
        run(*inside, "ip", "route", "add", "default", "via", NEAR)
        rate = ("rate", f"{megabits}mbit", "burst", "64kb", "latency", "200ms")
        run(*inside, "tc", "qdisc", "add", "dev", f"{name}b", "root", "tbf", *rate)
        for host in hosts:
            run("ip", "address", "add", f"{host}/32", "dev", f"{name}a")
        yield inside
    finally:
        run("ip", "netns", "delete", name)


def pushfile(server: AnyHost, store: SeaweedFs, known: Path, hosts: Sequence[str], *, by_store: bool) -> str:
    """A target that is ``hosts``."""
    table = (
        f'[target.bench]\nstrategy = "sftp"\nhosts = ["file:hosts"]\nlock_host = "{hosts[0]}"\n'
        f'user = "{server.user}"\nport = {server.port}\nkey = "{server.key}"\nknown_hosts = "{known}"\n'
        f'ssh_config = "/dev/null"\npath = "site"\n'
    )
    if by_store:
        table += (
            f'via = "store"\n[target.bench.store]\nurl = "s3://bench/x"\nendpoint_url = "{store.url}"\ntls = "none"\n'
            f'path_style = true\naccess_key_id = "{store.key}"\nsecret_access_key = "{store.secret}"\n'
        )
    return f'[project]\nsource = "project"\n{table}'


def bench(directory: Path, counts: Sequence[int], megabytes: float, megabits: int, report: Report) -> None:
    """Tell for each number of hosts the seconds of a push that sends so much to each, either way."""
    hosts = [f"10.98.0.{number}" for number in range(1, max(counts) + 1)]
    with ExitStack() as stack:
        directory.chmod(0o755)
        inside = stack.enter_context(uplink(megabits, hosts))
        account = Account(shell=login_shell(directory))
        stack.callback(account.remove)
        account.files.chmod(0o755)
        for host in hosts:
            (account.files / host).mkdir()
            account.own(account.files / host)
        for name in ("server", "store", "project"):
            (directory / name).mkdir()
        server = stack.enter_context(AnyHost(directory / "server", account))
        store = stack.enter_context(SeaweedFs(directory / "store", host=NEAR))
        client = boto3.client(
            "s3", endpoint_url=store.url, region_name="us-east-1", config=Config(s3={"addressing_style": "path"}),
            aws_access_key_id=store.key, aws_secret_access_key=store.secret,
        )  # fmt: skip
        client.create_bucket(Bucket="bench")
        known = directory / "known_hosts"
        known.write_text(f"[10.98.0.*]:{server.port} {server.host_key}\n")
        environment = {"HOME": str(directory), "XDG_CACHE_HOME": str(directory / "cache")}
        for count in counts:
            (directory / "hosts").write_text("\n".join(hosts[:count]) + "\n")
            for by_store in (False, True):
                (directory / "project/data").write_bytes(os.urandom(int(megabytes * 1_000_000)))
                (directory / "Pushfile").write_text(pushfile(server, store, known, hosts, by_store=by_store))
                # The push itself has to be told that it may: hosts come and go in this.
                command = [*inside, PUSH, "-q", "--yes", "-f", str(directory / "Pushfile")]
                cost = measure(command, environment=environment, directory=directory)
                what = f"{megabytes:g} MB to {count} host{'s' * (count > 1)}, {megabits} Mbit/s"
                report.figure((what, "by way of a store" if by_store else "sent to each"), cost.seconds, "s")


def main() -> None:
    """See the module."""
    words = parser(__doc__)
    words.add_argument("--hosts", nargs="+", type=int, default=[1, 5, 20], help="how many")
    words.add_argument("--megabits", type=int, default=16, help="how much the uplink takes in a second")
    chosen = parsed(words)
    if os.geteuid():
        print("not measured: networks can only be made by root")
        return
    with (
        tempfile.TemporaryDirectory(prefix="push-bench-") as directory,
        Report("uplink", ("workload", "way"), chosen, ("OpenSSH", "paramiko", "boto3"), "figure") as report,
    ):
        bench(Path(directory), chosen.hosts, MEGABYTES * chosen.scale, chosen.megabits, report)


if __name__ == "__main__":
    main()
