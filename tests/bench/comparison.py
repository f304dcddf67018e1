"""All benchmarks one after the other: ``python tests/bench/comparison.py [--pairs N] [--scale PART] [--write [PAGE]]``.

Each is a process of its own, before whatever else the machine does where that is allowed. One that fails keeps none of
the others from being run; the exit code says so in the end.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from command import parser

#: Those that take seconds first.
ORDER = ("startup", "walk", "s3_site", "sftp_only", "fleet_uplink", "fleet", "small_change", "ssh", "ftp")
REAL_TIME = ("chrt", "-r", "10")


def before_others() -> tuple[str, ...]:
    """The words before a command that let it have the processors when it wants them; none where that is not allowed."""
    try:
        allowed = not subprocess.run([*REAL_TIME, "true"], check=False, stderr=subprocess.DEVNULL).returncode
    except FileNotFoundError:
        allowed = False
    return REAL_TIME if allowed else ()


def main() -> int:
    """Run them, and say which of them failed."""
    words = parser(__doc__)
    words.add_argument("--only", nargs="+", choices=ORDER, default=ORDER, help="some of them")
    words.set_defaults(directory=None)  # each has a choice of its own
    chosen = words.parse_args()
    asked = {"--pairs": chosen.pairs, "--scale": chosen.scale, "--directory": chosen.directory, "--write": chosen.write}
    given = [word for option, value in asked.items() if value is not None for word in (option, str(value))]
    failed = []
    for name in ORDER:
        if name in chosen.only:
            start = time.monotonic()
            script = Path(__file__).with_name(f"{name}.py")
            done = subprocess.run([*before_others(), sys.executable, script, *given], check=False)
            print(f"== {name}: exit code {done.returncode} after {time.monotonic() - start:.0f} s\n", flush=True)
            if done.returncode:
                failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
