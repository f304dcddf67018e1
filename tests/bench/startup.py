"""How long ``push --help`` and ``push --version`` take, beside ``python -c "import click"``.

Run it as ``python tests/bench/startup.py [--pairs N] [--write]``. Both commands of a pair run one after the other, in
turns first, so that a machine that is busy for a while slows both. As each takes a tenth of a second, there are eight
times as many pairs as asked for.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from command import parsed, parser
from meter import measure
from page import AGAINST
from pairs import in_turns
from report import Report

TARGET = 1.5
WARM_UPS = 3
TIMES = 8
PUSH = str(Path(sys.executable).with_name("push"))
CLICK = [sys.executable, "-c", "import click"]


def main() -> None:
    """Compare both options."""
    chosen = parsed(parser(__doc__))
    with Report("start-up", ("command", AGAINST), chosen) as report:
        for option in ("--help", "--version"):
            ways = {"push": partial(measure, [PUSH, option]), "click": partial(measure, CLICK)}
            found = in_turns(ways, chosen.pairs * TIMES, warm_ups=WARM_UPS)
            key = (f"`push {option}`", '`python -c "import click"`')
            report.compare(key, found["push"], found["click"], TARGET)


if __name__ == "__main__":
    main()
