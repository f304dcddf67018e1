"""How long a snapshot takes, in paired rounds against `git status` and `rsync -n --checksum`, and its peak memory.

    python tests/bench/walk.py [--directory /dev/shm] [--pairs N] [--write]

Makes a git repository of 100,000 files with an ignored node_modules of 50,000 more, and removes it afterwards. A
ratio is of two runs of one round; the median over the rounds counts, since a machine's pace drifts. Each round waits
until the machine does nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from command import parsed, parser
from meter import Cost, measure
from page import AGAINST
from pairs import in_turns
from report import Report
from tree import make_small

FILES, IGNORED = 100_000, 50_000
WARM, COLD, MEGABYTES = 1.7, 1.0, 150
QUIET = 0.93
IGNORE = "node_modules/\n__pycache__/\n*.py[cod]\n*.log\n*.egg-info/\n.env\n.venv/\n/dist/\n/build/\n.DS_Store\n*~\n"

TAKE = """
import sys
from pathlib import Path
from pushkit.model import Project
from pushkit.snapshot import take
root = Path(sys.argv[1])
snapshot = take(Project("bench", root / "Pushfile", root, ".", (), "", {}))
assert snapshot.files == int(sys.argv[2]), snapshot.files
"""


def make_repository(top: Path, scale: float) -> None:
    """The repository that is measured."""
    make_small(top / "src", int(FILES * scale), 1)
    (top / ".gitignore").write_text(IGNORE)
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        subprocess.run(
            ["git", "-C", top, "-c", "user.name=b", "-c", "user.email=b@example.com", *arguments], check=True
        )
    make_small(top / "node_modules", int(IGNORED * scale), 2)


def idle(within: float = 0.4) -> float:
    """Which part of the processors' time is not used, over ``within`` seconds; 1 where the system does not say."""

    def look() -> tuple[int, int]:
        fields = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
        return fields[3] + fields[4], sum(fields)

    if not Path("/proc/stat").exists():
        return 1
    before, start = look()
    time.sleep(within)
    after, end = look()
    return (after - before) / max(1, end - start)


def wait_for_quiet(patience: float = 60) -> None:
    """Until nothing else uses the processors, but no longer than ``patience`` seconds."""
    # A busy machine is kind to whoever uses one processor only.
    limit = time.monotonic() + patience
    while idle() < QUIET and time.monotonic() < limit:
        continue


def main() -> None:
    """Make, measure, remove."""
    chosen = parsed(parser(__doc__, directory=Path(tempfile.gettempdir())))
    files = int(FILES * chosen.scale)
    warm, cold = (WARM, COLD) if files == FILES else (None, None)
    with (
        tempfile.TemporaryDirectory(prefix="push-bench-") as scratch,
        Report("snapshot", ("workload", AGAINST), chosen, ("git", "rsync")) as report,
    ):
        top, copy, cache = (Path(scratch, name) for name in ("repository", "copy", "cache"))
        make_repository(top, chosen.scale)
        exclude = ("--exclude", ".git", "--exclude", "node_modules")
        subprocess.run(["rsync", "-a", *exclude, f"{top}/", f"{copy}/"], check=True)
        # Files that were written only now are hashed once more by everybody: let that moment pass.
        time.sleep(3)
        command = (sys.executable, "-c", TAKE, top, str(files + 1))
        take = partial(measure, command, environment={"XDG_CACHE_HOME": str(cache)})

        def afresh() -> Cost:
            shutil.rmtree(cache, ignore_errors=True)
            return take()

        status = partial(measure, ("git", "-C", top, "status"))
        found = in_turns({"ours": take, "git": status}, chosen.pairs, before=wait_for_quiet)
        report.compare((f"{files:,} files, warm", "git status"), found["ours"], found["git"], warm, MEGABYTES)
        rsync = partial(measure, ("rsync", "-an", "--checksum", *exclude, f"{top}/", f"{copy}/"))
        found = in_turns({"ours": afresh, "rsync": rsync}, chosen.pairs, before=wait_for_quiet)
        key = (f"{files:,} files, cold", "rsync -an --checksum")
        report.compare(key, found["ours"], found["rsync"], cold, MEGABYTES)


if __name__ == "__main__":
    main()
