"""Ten changed files of 100,000, and none, to a real OpenSSH server, beside ``rsync -a --delete`` over ssh.

    python tests/bench/small_change.py [--pairs N] [--write]

A push makes a release of its own on the server and switches to it at once; rsync changes the files in place. So the
wall time of a push is mostly the server's work on a hundred thousand copies. What the push itself costs is the
processor time of the client, less that of a bare client of the same SSH library that logs in and sends as many bytes,
beside that of a warm snapshot; its peak memory is that of the largest process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from command import parsed, parser
from meter import measure
from page import AGAINST
from pairs import Ratios
from report import Report
from tree import make_small
from workload import LEAST_FILES

from pushkit.testing import FaultProxy, Sshd, Way

FILES = 100_000
OWN_WORK, MEGABYTES = 2.0, 200
SNAPSHOT = """
import sys
from pathlib import Path
from pushkit.model import Project
from pushkit.snapshot import take
root = Path(sys.argv[1])
take(Project("bench", root.parent / "Pushfile", root.parent, root.name, (), "", {}))
"""
#: Logs in and sends so many bytes to a command that throws them away.
TRANSFER = """
import sys
from pushkit_sftp.library import paramiko
host, port, user, key, known_hosts, size = sys.argv[1:]
client = paramiko.SSHClient()
client.load_host_keys(known_hosts)
client.connect(host, int(port), user, key_filename=key, look_for_keys=False, allow_agent=False)
channel = client.get_transport().open_session()
channel.exec_command("cat >/dev/null")
for _ in range(int(size) // 32768):
    channel.sendall(bytes(32768))
channel.shutdown_write()
channel.recv_exit_status()
client.close()
"""


def carried(push: Sequence[str], pushfile: Path, server: Sshd) -> int:
    """How many bytes a push sends, by a relay that it goes through."""
    text, known = pushfile.read_text(), server.known_hosts.read_text()
    with FaultProxy((server.host, server.port)) as relay:
        pushfile.write_text(text.replace(f"port = {server.port}", f"port = {relay.port}"))
        server.known_hosts.write_text(known.replace(f":{server.port} ", f":{relay.port} "))
        measure(push)
        sent = relay.carried[Way.UP]
    pushfile.write_text(text)
    server.known_hosts.write_text(known)
    return sent


def main() -> None:
    """Make, measure, remove."""
    chosen = parsed(parser(__doc__))
    files = max(LEAST_FILES, int(FILES * chosen.scale))
    with (
        tempfile.TemporaryDirectory(prefix="push-bench-") as scratch,
        Report("small change", ("workload", "what", AGAINST), chosen, ("OpenSSH", "paramiko", "rsync")) as report,
    ):
        directory = Path(scratch)
        os.environ["XDG_CACHE_HOME"] = str(directory / "cache")
        tree = directory / "tree"
        make_small(tree, files)
        (directory / "server").mkdir()
        with Sshd(directory / "server") as server:
            ours, theirs = server.files / "ours", server.files / "theirs"
            (directory / "Pushfile").write_text(
                f'[project]\nsource = "tree"\n[target.bench]\nstrategy = "sftp"\nhost = "{server.host}"\n'
                f'port = {server.port}\nuser = "{server.user}"\nkey = "{server.key}"\nagent = false\nkeep = 2\n'
                f'known_hosts = "{server.known_hosts}"\npath = "{ours}"\n'
            )
            push = [str(Path(sys.executable).with_name("push")), "-q", "-f", str(directory / "Pushfile")]
            ssh = (
                f"ssh -p {server.port} -l {server.user} -i {server.key} -F none -oIdentityAgent=none "
                f"-oUserKnownHostsFile={server.known_hosts}"
            )
            rsync = ["rsync", "-a", "--delete", "-e", ssh, f"{tree}/", f"{server.host}:{theirs}/"]
            snapshot = [sys.executable, "-c", SNAPSHOT, str(tree)]
            login = [server.host, str(server.port), server.user, str(server.key), str(server.known_hosts)]
            measure(push), measure(rsync)
            # Files that were written only now are hashed once more: let that moment pass.
            time.sleep(3)
            measure(snapshot), measure(push)
            paths = sorted(path for path in tree.rglob("*") if path.is_file())
            for changed, words in ((0, "none"), (10, "ten")):
                pushes, others, works, walks = [], [], [], []
                for number in range(-1, chosen.pairs):
                    for path in paths[number :: len(paths) // 10][:changed]:
                        path.write_bytes(path.read_bytes() + b"#")
                    if number < 0:
                        sent = carried(push, directory / "Pushfile", server)
                        continue
                    mine, other = measure(push), measure(rsync)
                    warm, bare = measure(snapshot), measure([sys.executable, "-c", TRANSFER, *login, str(sent)])
                    pushes.append(mine)
                    others.append(other)
                    works.append(mine.processor - bare.processor)
                    walks.append(warm.processor)
                print(f"  {words} changed: {sent:,} bytes sent")
                title = f"{files:,} files, {words} changed"
                report.compare((title, "the whole push", "rsync -a --delete"), pushes, others, megabytes=MEGABYTES)
                key = (title, "processor of the client, without the transfer", "a warm snapshot")
                report.ratio(key, Ratios(works, walks), OWN_WORK if files == FILES else None)


if __name__ == "__main__":
    main()
