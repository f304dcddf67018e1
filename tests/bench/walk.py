"""How long a snapshot takes, in paired rounds against `git status` and `rsync -n --checksum`, and its peak memory.

    python tests/bench/walk.py --directory /dev/shm [--rounds 7]

Makes a git repository of 100,000 files with an ignored node_modules of 50,000 more, and removes it afterwards. A
ratio is of two runs that followed each other; the median over the rounds counts, since a machine's pace drifts. Each
round waits until the machine does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tree import make_small

FILES, IGNORED = 100_000, 50_000
WARM, COLD, MEGABYTES = 2.2, 1.0, 150
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
if len(sys.argv) > 3:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def make_repository(top: Path) -> None:
    """The repository that is measured."""
    make_small(top / "src", FILES, 1)
    (top / ".gitignore").write_text(IGNORE)
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        subprocess.run(
            ["git", "-C", top, "-c", "user.name=b", "-c", "user.email=b@example.com", *arguments], check=True
        )
    make_small(top / "node_modules", IGNORED, 2)


def seconds(argv: Sequence[str | Path]) -> float:
    """How long a command takes."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


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


def pair(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    """One after the other, on a machine that does nothing else."""
    wait_for_quiet()
    return ours(), theirs()


def pairs(name: str, rounds: int, target: float, ours: Callable[[], float], theirs: Callable[[], float]) -> None:
    """Measure, and print one line."""
    ours(), theirs()
    found = [pair(ours, theirs) for _ in range(rounds)]
    ratios = [a / b for a, b in found]
    middle = statistics.median(ratios)
    print(
        f"{name}: ratio {middle:.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, {rounds} rounds); "
        f"ours {statistics.median(a for a, _ in found):.3f} s, theirs {statistics.median(b for _, b in found):.3f} s; "
        f"target {target}: {'met' if middle <= target else 'not met'}",
        flush=True,
    )


def main() -> None:
    """Make, measure, remove."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--directory", default=tempfile.gettempdir(), help="where the trees are made")
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory, prefix="push-bench-") as scratch:
        top, copy, cache = (Path(scratch, name) for name in ("repository", "copy", "cache"))
        os.environ["XDG_CACHE_HOME"] = str(cache)
        make_repository(top)
        exclude = ("--exclude", ".git", "--exclude", "node_modules")
        subprocess.run(["rsync", "-a", *exclude, f"{top}/", f"{copy}/"], check=True)
        # Files that were written only now are hashed once more by everybody: let that moment pass.
        time.sleep(3)
        count = str(FILES + 1)
        take = (sys.executable, "-c", TAKE, top, count)

        def cold() -> float:
            shutil.rmtree(cache, ignore_errors=True)
            return seconds(take)

        rounds = chosen.rounds
        pairs("warm / git status", rounds, WARM, lambda: seconds(take), lambda: seconds(("git", "-C", top, "status")))
        rsync = ("rsync", "-an", "--checksum", *exclude, f"{top}/", f"{copy}/")
        pairs("cold / rsync -an --checksum", rounds, COLD, cold, lambda: seconds(rsync))
        shutil.rmtree(cache)
        for name in ("cold", "warm"):
            peak = int(subprocess.run([*take, "memory"], check=True, capture_output=True).stdout)
            print(f"peak memory, {name}: {peak} MB; target {MEGABYTES}: {'met' if peak < MEGABYTES else 'not met'}")


if __name__ == "__main__":
    main()
