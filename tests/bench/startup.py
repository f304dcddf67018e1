"""How long ``push --help`` and ``push --version`` take, beside ``python -c "import click"``.

Run it as ``python tests/bench/startup.py [PAIRS]``. Both commands of a pair run one after the other, in turns
first, so that a machine that is busy for a while slows both. Exits 1 when a median ratio is over the target.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGET = 1.5
WARM_UPS = 3
PUSH = str(Path(sys.executable).with_name("push"))
CLICK = [sys.executable, "-c", "import click"]


def seconds(command: list[str]) -> float:
    """The wall time of one run of ``command``."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def compare(option: str, pairs: int) -> bool:
    """Measure, print one line, and say whether the target is met."""
    ours, theirs = [], []
    for number in range(WARM_UPS + pairs):
        first, second = (CLICK, [PUSH, option]) if number % 2 else ([PUSH, option], CLICK)
        times = {command[0]: seconds(command) for command in (first, second)}
        if number >= WARM_UPS:
            ours.append(times[PUSH])
            theirs.append(times[CLICK[0]])
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    print(
        f"push {option:<10} median {statistics.median(ours) * 1000:5.1f} ms   "
        f"import click {statistics.median(theirs) * 1000:5.1f} ms   "
        f"ratio {ratio:.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}; {pairs} pairs)   "
        f"target {TARGET}: {'met' if ratio <= TARGET else 'MISSED'}"
    )
    return ratio <= TARGET


def main() -> int:
    """Compare both options."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    met = [compare(option, pairs) for option in ("--help", "--version")]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
