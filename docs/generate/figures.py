"""The figures of the README, which are those of docs/benchmarks.md: `make figures` takes them over again.

They stand nowhere else, so that who measures changes one page and runs this.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from markdown_text import table

TOP = Path(__file__).parents[2]
PLACE = re.compile(r"(<!-- figures:[^>]*-->\n).*?(<!-- /figures -->)", re.DOTALL)
RATIO = re.compile(r"\d+\.\d\d(?= [(|])")

#: What is told: the workload and the peer, in plain words; the heading of the benchmark, and how its line begins.
TOLD = (
    ("first push of 10,000 files by SSH, 20 ms away", "`rsync -a`", "Pushes over SSH",
     "| 10,000 files, first push, 20 ms | openssh | rsync -a |"),
    ("ten of them changed", "`rsync --link-dest`, which keeps releases too", "Pushes over SSH",
     "| 10,000 files, ten files changed, 20 ms | openssh | rsync --link-dest |"),
    ("ten of them changed", "`rsync -a --delete`, in place", "Pushes over SSH",
     "| 10,000 files, ten files changed, 20 ms | openssh | rsync -a --delete |"),
    ("ten of 100,000 changed, both in place", "`rsync -a --delete`", "Pushes over SSH",
     "| 100,000 files, ten files changed, in place, 20 ms | openssh | rsync -a --delete |"),
    ("nothing changed of 100,000", "`rsync -a --delete`", "Pushes over SSH",
     "| 100,000 files, nothing changed, 20 ms | openssh | rsync -a --delete |"),
    ("first push of 1,000 files by FTP with TLS, 20 ms away", "`lftp mirror -R -P8`", "FTP and FTPS",
     "| 1,000 files, first push, TLS, 20 ms | lftp mirror -R -P8 |"),
    ("first push of 1,000 files by FTP, on one machine", "`lftp mirror -R -P8`", "FTP and FTPS",
     "| 1,000 files, first push, plain, 0 ms | lftp mirror -R -P8 |"),
    ("first push of 1,000 files by FTP, on one machine", "`git ftp init`", "FTP and FTPS",
     "| 1,000 files, first push, plain, 0 ms | git-ftp |"),
    ("first push of 5,000 files to S3", "`aws s3 sync --delete`", "A site in a bucket",
     "| 5,000 files, first push | aws s3 sync --delete |"),
)  # fmt: skip


def figures(benchmarks: str) -> str:
    """The table of the README, from the page of benchmarks. Raises `LookupError` where that has another line now."""
    rows = [(workload, peer, ratio(benchmarks, heading, line)) for workload, peer, heading, line in TOLD]
    return table(("workload", "compared with", "push takes"), [(a, b, f"{c} times") for a, b, c in rows])


def ratio(benchmarks: str, heading: str, line: str) -> str:
    """The median of a line under a heading."""
    section = benchmarks.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    for each in section.splitlines():
        if each.startswith(line) and (found := RATIO.search(each)):
            return found[0]
    raise LookupError(
        f"docs/benchmarks.md has no line {line!r} with a ratio under {heading!r}: change TOLD in figures.py"
    )


def renewed(readme: str, benchmarks: str) -> str:
    """The README with the figures of the page of benchmarks."""
    return PLACE.sub(lambda found: f"{found[1]}\n{figures(benchmarks)}\n\n{found[2]}", readme)


def main() -> None:
    """Renew the README."""
    readme = TOP / "README.md"
    readme.write_text(renewed(readme.read_text(), (TOP / "docs/benchmarks.md").read_text()))
    sys.stdout.write(f"{readme}\n")


if __name__ == "__main__":
    main()
